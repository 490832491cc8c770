"""gunicorn's process settings for the AMQP workers.

They are those of the scoring processes, but the worker consumes from the broker, and listens for
metrics and probes only. Run by `python -m service.amqp`.
"""

from types import MappingProxyType

import gunicorn.app.base

from service.amqp.settings import load_amqp
from service.process import startup, ulimits
from service.runtime import cpu_quota

_runtime = startup.create_runtime(load_amqp)
_settings = _runtime.settings

# Only now: the environment is set that these libraries read when they are imported.
with ulimits.naming_lack_of_memory():
    from service.process.hooks import ScoringHooks
    from service.process.master import Master
    from service.telemetry.metrics import multiprocess

multiprocess.install()
# gunicorn makes its master process of this class.
gunicorn.app.base.Arbiter = Master

wsgi_app = "service.wsgi:app"
# gunicorn wants an address: without one for metrics it is a socket that nobody knows.
bind = _settings.binds[1:] or [f"unix:{_runtime.run_folder.path}/probes"]
workers = _settings.workers or cpu_quota.available()
worker_class = "service.amqp.worker.AmqpWorker"
logger_class = startup.LOGGER
loglevel = _settings.log_level
accesslog = "-"
graceful_timeout = _settings.graceful_timeout
preload_app = True
# As for the scoring processes: see service/gunicorn.conf.py.
worker_tmp_dir = str(_runtime.run_folder.path.parent)
control_socket_disable = True

_fixed = MappingProxyType({"worker_class": worker_class, "logger_class": logger_class})
hooks = ScoringHooks(startup.Kind(_fixed, prefix="worker_"))
on_starting = hooks.on_starting
when_ready = hooks.when_ready
pre_fork = hooks.pre_fork
post_fork = hooks.post_fork
post_worker_init = hooks.post_worker_init
worker_exit = hooks.worker_exit
child_exit = hooks.child_exit
