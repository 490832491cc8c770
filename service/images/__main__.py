"""`python -m service.images FOLDER PLACE`: score pictures that come by the socket in a folder.

The metrics of this process are in files of that folder, which are named after its place.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Final

from service.config.settings import export_for_libraries, load
from service.images.messages import listener
from service.runtime import use
from service.telemetry.log_lines import log_to_stdout

# Scoring processes of the same machine come first, and so do the web processes.
_NICENESS: Final = 10


def main() -> None:
    """Serve until the process is ended."""
    folder, place = Path(sys.argv[1]), sys.argv[2]
    settings = load()
    use(settings)
    os.nice(_NICENESS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the master sends TERM
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    export_for_libraries(folder)
    log_to_stdout(settings)
    # From now on callers wait for what is still to be imported.
    with listener(folder) as listening:
        # Only now: the environment is set that these libraries read when they are imported.
        from service.images.worker import Scorers, counting, serve  # noqa: PLC0415

        serve(listening, Scorers(settings, counting(place), place))


if __name__ == "__main__":
    main()
