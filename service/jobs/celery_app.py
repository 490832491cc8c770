"""The Celery application of jobs: its settings, for those who publish and those who work.

Celery moves the id of a job and nothing else. States, attempts, delays, cancellation and results
stand in the record (`service.jobs.records`), so Celery's own are off.
"""

import ssl
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import urlsplit

from celery import Celery

from service.jobs.celery_topology import queue_of

TASK: Final = "jobs.run"
# A connection that is not made, or says nothing, for so long is away. Publishing must be decided
# within a second: `service.jobs.celery_queue`.
CONNECT_SECONDS: Final = 0.4

_SETTINGS: Final[dict[str, Any]] = {
    # A message is an id in JSON; no pickle.
    "task_serializer": "json",
    "accept_content": ["json"],
    "task_create_missing_queues": False,  # a slip in a name must be an error, not a new queue
    # A job whose worker dies is delivered again. What fails is rejected: the broker moves it to
    # the dead letters. A timeout is acknowledged, since the alternative delivers for ever.
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    "task_acks_on_failure": False,
    "task_acks_on_timeout": True,
    "task_ignore_result": True,
    "task_publish_retry": False,
    "worker_prefetch_multiplier": 1,
    # An attempt needs no broker. Its message comes again, and finds the job held (`Execution`).
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    "worker_enable_remote_control": False,
    "worker_send_task_events": False,
    "worker_hijack_root_logger": False,
    # The models are warmed after the fork.
    "worker_proc_alive_timeout": 60.0,
    "broker_connection_timeout": 4.0,
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,  # a worker waits for its broker
    "broker_heartbeat": 30,
    "broker_pool_limit": 0,  # nothing of a pool outlives a fork
    "broker_transport_options": {
        "confirm_publish": True,
        "read_timeout": 2,
        "write_timeout": 2,
        "max_retries": 1,
        "interval_start": 0,
        "interval_step": 0.1,
        "interval_max": 0.1,
    },
}


def celery_app(broker: str, kinds: Iterable[str] = ()) -> Celery:
    """Return the application for a broker's URL; a worker's names the kinds that it consumes."""
    app = Celery("jobs", broker=broker, set_as_current=False)
    app.conf.update(_SETTINGS, task_queues=[queue_of(kind) for kind in kinds])
    parts = urlsplit(broker)
    if parts.scheme == "amqps":  # by itself the library takes a certificate of any host
        app.conf.broker_use_ssl = {
            "server_hostname": parts.hostname,
            "cert_reqs": ssl.CERT_REQUIRED,
        }
    return app
