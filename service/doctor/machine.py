"""What the kernel tells of this machine and of the control groups of this process."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from service.process import cpu_quota

# Control groups of version 1 say "no limit" by a number about as great as fits.
_NO_LIMIT: Final = 1 << 60
_CONTAINER_MARKS: Final = (".dockerenv", "run/.containerenv")
_POD_MARK: Final = "var/run/secrets/kubernetes.io"
_CGROUPS: Final = "sys/fs/cgroup"
_IN_MEMORY: Final = frozenset(("tmpfs", "ramfs"))


class Machine:
    """Files below a root, which is `/`.

    What is read here may be missing or odd: OSError and ValueError are for the caller, to whom
    they mean that it can't be told here.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self.root = root

    def text(self, path: str) -> str:
        """The content of a file, without the line's end."""
        return (self.root / path).read_text("utf-8", "replace").strip()

    def number(self, path: str) -> int:
        """The first number in a file."""
        return int(self.text(path).split()[0])

    def memory(self) -> dict[str, int]:
        """The fields of /proc/meminfo, in bytes."""
        fields = (line.split() for line in self.text("proc/meminfo").splitlines())
        return {words[0].rstrip(":"): int(words[1]) * 1024 for words in fields}

    @property
    def in_pod(self) -> bool:
        """Whether this is a container of Kubernetes."""
        return (self.root / _POD_MARK).exists()

    @property
    def in_container(self) -> bool:
        """Whether this is a container, as far as the usual marks tell."""
        return self.in_pod or any((self.root / mark).exists() for mark in _CONTAINER_MARKS)

    def file_system(self, folder: Path) -> str:
        """The type of the file system that a folder is on."""
        found = {}
        for line in self.text("proc/mounts").splitlines():
            _, point, kind, *_ = line.split()
            if folder.resolve().is_relative_to(point):
                found[point] = kind  # the later mount hides the earlier one
        return found[max(found, key=len)]

    def is_in_memory(self, folder: Path) -> bool:
        """Whether a folder is backed by memory, not by a disk."""
        return self.file_system(folder) in _IN_MEMORY

    def ceiling(self, controller: str, *names: str) -> int | None:
        """The least of the limits that this process' control groups set; None if there is none.

        `names` are what the file is called in version 2 and in version 1.
        """
        found = []
        for group in self._groups(controller):
            for path in (group / name for name in names if (group / name).exists()):
                text = path.read_text().strip()
                if text != "max" and int(text) < _NO_LIMIT:
                    found.append(int(text))
        return min(found, default=None)

    def cpu_quota(self) -> float | None:
        """The least of the CPU quotas of this process' control groups; None if there is none."""
        found = map(cpu_quota.quota, self._groups("cpu"))
        return min((given for given in found if given), default=None)

    def _groups(self, controller: str) -> Iterator[Path]:
        """The folders of this process' control group and of those above it, up to the mount's."""
        for line in self.text("proc/self/cgroup").splitlines():
            _, controllers, group = line.split(":", 2)
            if controllers and controller not in controllers.split(","):
                continue
            mount = self.root / _CGROUPS / (controller if controllers else "")
            own = mount / group.lstrip("/")
            # A container may see a group's name that only the world outside has: the mount is it.
            yield from (folder for folder in (own, *own.parents) if folder.is_relative_to(mount))
