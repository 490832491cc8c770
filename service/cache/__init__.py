"""A cache of results in Redis, for processes that no score waits for: explainers, job workers.

redis_cache: values by their requests, which nobody reads in Redis; both keys and values are signed.
May import: redis, public names of `model`, `service.VERSION`. Never: the rest of `service`. No
scoring process imports this package: it names it to the explainers that it starts.
"""
