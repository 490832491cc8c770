"""Programs that only count: what a machine's scheduler does to latency beside any busy program."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

# That of the processes that do jobs and score pictures.
NICENESS: Final = 10


@contextmanager
def counting(programs: int) -> Iterator[None]:
    """So many of them run within the block."""
    command = ["nice", "-n", str(NICENESS), sys.executable, "-c", "while True: pass"]
    running = [subprocess.Popen(command) for _ in range(programs)]
    try:
        yield
    finally:
        for program in running:
            program.kill()
            program.wait()
