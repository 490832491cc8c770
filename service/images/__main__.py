"""`python -m service.images FOLDER PLACE SOCKET`: score pictures that come by a socket.

The listening socket is an open file of this number, which all picture processes share. The metrics
of this process are in files of the folder, which are named after its place.
"""

import os
import signal
import socket
import sys
from pathlib import Path
from typing import Final

from service.config.settings import export_for_libraries, load
from service.runtime import use
from service.telemetry.log_lines import log_to_stdout

# Scoring processes of the same machine come first, and so do the web processes.
_NICENESS: Final = 10


def main() -> None:
    """Serve until the process is ended."""
    folder, place, listening = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    settings = load()
    use(settings)
    os.nice(_NICENESS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the master sends TERM
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    export_for_libraries(folder)
    log_to_stdout(settings)
    # Only now: the environment is set that these libraries read when they are imported.
    from service.images.worker import Scorers, counting, serve  # noqa: PLC0415

    serve(socket.socket(fileno=listening), Scorers(settings, counting(place), place))


if __name__ == "__main__":
    main()
