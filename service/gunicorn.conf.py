"""gunicorn's process settings. Its hooks are in `service.process.hooks`.

Run by `python -m service`, or by gunicorn itself: `gunicorn -c service/gunicorn.conf.py`.
"""

import gunicorn.app.base

from service.process import startup, ulimits
from service.runtime import cpu_quota

_runtime = startup.create_runtime()
_settings = _runtime.settings

# Only now: the environment is set that these libraries read when they are imported.
with ulimits.naming_lack_of_memory():
    from service.process.hooks import ScoringHooks
    from service.process.master import Master
    from service.telemetry.metrics import multiprocess

multiprocess.install()
# gunicorn makes its master process of this class, however it was started.
gunicorn.app.base.Arbiter = Master

wsgi_app = "service.wsgi:app"
bind = _settings.binds
workers = _settings.workers or cpu_quota.available()
worker_class = "service.server.worker.ScoringWorker"
logger_class = "service.telemetry.logs.ServerLogger"
loglevel = _settings.log_level
accesslog = "-"
keepalive = _settings.keepalive
graceful_timeout = _settings.graceful_timeout
# Libraries and model are loaded once and shared; a lost worker is replaced by a fork.
preload_app = True
# Heartbeats on a disk can stall with it, and the arbiter then kills a healthy worker.
worker_tmp_dir = str(_runtime.run_folder.path.parent)
# Its default place is in $HOME, which a read-only container does not have.
control_socket_disable = True

hooks = ScoringHooks(startup.SCORING)
on_starting = hooks.on_starting
when_ready = hooks.when_ready
pre_fork = hooks.pre_fork
post_fork = hooks.post_fork
post_worker_init = hooks.post_worker_init
worker_exit = hooks.worker_exit
child_exit = hooks.child_exit
