"""Whether the job worker of this machine is alive: its parent touches a file each second."""

import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import time
from typing import Final

from service.config.settings import Settings
from service.jobs.queues import Queue, QueueUnavailable
from service.jobs.stores import jobs_folder

# The parent may wait for its records and its broker in between.
_SILENT_SECONDS: Final = 30.0


def beat(settings: Settings) -> None:
    """Show that the worker is alive; where there is no room for that, it goes on all the same."""
    file = _file(settings)
    with suppress(OSError):
        file.parent.mkdir(mode=0o700, exist_ok=True)
        file.touch(mode=0o600)


def is_alive(settings: Settings, open_queue: Callable[[], Queue]) -> bool:
    """Whether the worker was alive lately; if it was not, whether it waits for its queue."""
    try:
        if time() - _file(settings).stat().st_mtime < _SILENT_SECONDS:
            return True
        open_queue().ping()
    except FileNotFoundError:
        return False
    except QueueUnavailable:
        return True
    return False


def _file(settings: Settings) -> Path:
    """Of a container each worker has its own host name."""
    return jobs_folder(settings) / "workers" / socket.gethostname()
