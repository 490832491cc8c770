"""gunicorn's process settings for the web processes. Its hooks are in `service.web.hooks`.

Run by `python -m service.web`.
"""

import gunicorn.app.base

from service.process import startup, ulimits
from service.web.settings import load_web

_runtime = startup.create_runtime(load_web)
_settings = _runtime.settings

# Only now: the environment is set that these libraries read when they are imported.
with ulimits.naming_lack_of_memory():
    from service.telemetry.metrics import multiprocess
    from service.web.hooks import WEB, WebHooks
    from service.web.master import WebMaster

multiprocess.install()
# gunicorn makes its master process of this class.
gunicorn.app.base.Arbiter = WebMaster

wsgi_app = "service.web.wsgi:app"
bind = _settings.binds
workers = _settings.workers
threads = _settings.web_threads
worker_class = "service.web.worker.WebWorker"
logger_class = startup.LOGGER
loglevel = _settings.log_level
accesslog = "-"
keepalive = _settings.keepalive
graceful_timeout = _settings.graceful_timeout
preload_app = True
# As for the scoring processes: see service/gunicorn.conf.py.
worker_tmp_dir = str(_runtime.run_folder.path.parent)
control_socket_disable = True

hooks = WebHooks(WEB)
on_starting = hooks.on_starting
when_ready = hooks.when_ready
pre_fork = hooks.pre_fork
post_fork = hooks.post_fork
post_worker_init = hooks.post_worker_init
worker_exit = hooks.worker_exit
child_exit = hooks.child_exit
