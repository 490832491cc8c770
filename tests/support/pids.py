"""A control group that bounds how many processes there may be in it."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp

import pytest

# Of the first version of control groups, and of the second.
_ROOTS = (Path("/sys/fs/cgroup/pids"), Path("/sys/fs/cgroup"))


class PidsGroup:
    """What is started by a process in it is in it, too."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # A command that runs what follows it in the group.
        self.through = ("sh", "-ec", 'echo $$ > "$0/cgroup.procs"; exec "$@"', str(folder))

    def take(self, pid: int) -> None:
        """Put a process into it."""
        (self._folder / "cgroup.procs").write_text(str(pid))

    def allow(self, processes: int) -> None:
        """Let so many be in it."""
        (self._folder / "pids.max").write_text(str(processes))


@contextmanager
def pids_group() -> Iterator[PidsGroup]:
    """A new group; the test is skipped where none can be made. All in it must have ended."""
    folder = _made()
    if folder is None:
        pytest.skip("no control group of processes can be made here (root may)")
    try:
        yield PidsGroup(folder)
    finally:
        folder.rmdir()


def _made() -> Path | None:
    for root in _ROOTS:
        with suppress(OSError):
            folder = Path(mkdtemp(prefix="scoring-test-", dir=root))
            if (folder / "pids.max").exists():
                return folder
            folder.rmdir()
    return None
