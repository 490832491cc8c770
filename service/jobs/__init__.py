"""Jobs: work whose caller does not wait. Records, queues, workers, webhooks.

A record says what is true of a job; a queue only says that there may be something to do. A worker
claims a job's record before it works on it, and every later change carries the fence of that claim.
states, transitions: the rules; records, blobs, stores: what is kept, and where; queues, sweeper:
what brings jobs to workers; kinds, execution: what is done; local_worker: by whom in the embedded
form; distributed_worker, celery_worker: by whom with a broker.
May import: `model`, and of `service` config, http, overload, redis, rollout, runtime, scoring,
telemetry. Never: flask, gunicorn, `service.server`, `service.web`. Only `celery_*` imports Celery,
only `redis_*` Redis; no scoring process imports this package.
"""
