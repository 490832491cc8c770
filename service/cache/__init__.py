"""A cache of results in Redis, for explainers and job workers: no score waits for them.

redis_cache: values by their requests. Redis gets no request in readable form; keys are HMACs, and
values are signed. May import: redis, public names of `model`, `service.VERSION`, `service.redis`.
Never: the rest of `service`. No scoring process imports this package; it passes its name to the
explainers.
"""
