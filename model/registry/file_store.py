"""An artifact store in a folder of the file system.

    <folder>/<version>/{artifact, manifest.json, report/...}
    <folder>/aliases.json
    <folder>/.lock, and .<name>.part while something is written

Readers take no lock: what they see was moved into place whole. Writers hold the lock, so
what they find half written is a dead writer's, and is removed.
"""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Final

from model.files import LARGEST
from model.names import is_name
from model.registry.errors import Conflict, Damaged, Unavailable
from model.registry.store import (
    ALIASES,
    MANIFEST,
    REPORT,
    Entry,
    Files,
    Stored,
    VersionManifest,
    read_report,
    taken,
    unknown,
)

_PATIENCE: Final = 30.0
_RETRY_SECONDS: Final = 0.05
_PART: Final = ".part"


class FileStore:
    """A store in `folder`, which the first writer makes."""

    def __init__(self, folder: Path, artifact: str) -> None:
        self._folder = folder
        self.artifact = artifact
        self.where = str(folder)

    def entries(self) -> list[Entry]:
        """The versions, oldest first."""
        with self._os_errors_mapped():
            found = [
                Entry(
                    folder.name, _size(folder / self.artifact), (folder / MANIFEST).stat().st_mtime
                )
                for folder in self._folders()
                if (folder / MANIFEST).is_file()
            ]
        return sorted(found, key=lambda entry: (entry.added, entry.version))

    def strays(self) -> list[str]:
        """Folders of versions without a manifest."""
        with self._os_errors_mapped():
            return sorted(f.name for f in self._folders() if not (f / MANIFEST).is_file())

    def fetch(self, version: str, *, afresh: bool = False) -> Path:  # noqa: ARG002 - there is no copy
        """The folder of a version, verified."""
        self._files(version).check(version, self.artifact)
        return self._folder / version

    def manifest(self, version: str) -> bytes:
        """The manifest of a version, unverified."""
        with self._os_errors_mapped():
            if not is_name(version) or not (self._folder / version).is_dir():
                raise unknown(version)
            return self._file(version, MANIFEST)

    def add(self, version: str, files: Files) -> bool:
        """Store a version, whole or not at all."""
        files.check(version, self.artifact)
        with self._locked():
            place = self._folder / version
            if (place / MANIFEST).exists():
                if not self._has(version, files):
                    raise taken(version)
                return False
            part = self._folder / f".{version}{_PART}"
            part.mkdir()
            _write(part / self.artifact, files.model)
            _write(part / MANIFEST, files.manifest)
            if files.report:
                (part / REPORT).mkdir()
                for name, content in files.report.items():
                    _write(part / REPORT / name, content)
                _sync(part / REPORT)
            _sync(part)
            if place.exists():  # a stray, which rename would not replace
                place.rename(self._folder / f".stray.{version}{_PART}")
            part.rename(place)
            _sync(self._folder)
            self._sweep()
        return True

    def report(self, version: str) -> dict[str, bytes]:
        """The files of a version's report, verified."""
        described = VersionManifest.parse(self.manifest(version))
        with self._os_errors_mapped():
            return read_report(described, lambda name: self._file(version, name))

    def remove(self, version: str) -> None:
        """Remove a version at once."""
        with self._locked(), suppress(FileNotFoundError):
            (self._folder / version).rename(self._folder / f".{version}{_PART}")
            self._sweep()

    def read(self) -> Stored:
        """The aliases."""
        with self._os_errors_mapped():
            try:
                text = (self._folder / ALIASES).read_bytes()
            except FileNotFoundError:
                text = b""
        return Stored(text, sha256(text).hexdigest())

    def write(self, text: bytes, token: str) -> None:
        """Replace the aliases at once."""
        with self._locked():
            if self.read().token != token:
                raise Conflict("the aliases were changed meanwhile")
            part = self._folder / f".{ALIASES}{_PART}"
            _write(part, text)
            part.replace(self._folder / ALIASES)
            _sync(self._folder)

    def _folders(self) -> Iterator[Path]:
        if self._folder.is_dir():
            yield from (f for f in self._folder.iterdir() if is_name(f.name) and f.is_dir())

    def _files(self, version: str) -> Files:
        folder = self._folder / version
        with self._os_errors_mapped():
            if not is_name(version) or not folder.is_dir():
                raise unknown(version)
            return Files(self._file(version, self.artifact), self._file(version, MANIFEST))

    def _file(self, version: str, name: str) -> bytes:
        path = self._folder / version / name
        size = _size(path)
        if size < 0:
            raise Damaged(f"it has no {name}")
        if size > LARGEST:
            raise Damaged(f"its {name} of {size} bytes is larger than {LARGEST}")
        return path.read_bytes()

    def _has(self, version: str, files: Files) -> bool:
        return self._files(version).described().sha256 == files.described().sha256

    def _sweep(self) -> None:
        for left in self._folder.glob(f".*{_PART}"):
            if left.is_dir():
                shutil.rmtree(left)
            else:
                left.unlink()

    @contextmanager
    def _os_errors_mapped(self) -> Iterator[None]:
        """Turn failures of the operating system into those of a store."""
        try:
            yield
        except OSError as error:
            name = error.filename or self._folder
            raise Unavailable(f"{name}: {error.strerror or error}") from error

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Within, no other process writes; the kernel frees a dead one's lock."""
        with self._os_errors_mapped():
            self._folder.mkdir(parents=True, exist_ok=True)
            with (self._folder / ".lock").open("ab") as lock:
                self._wait_for(lock.fileno())
                self._sweep()
                yield

    def _wait_for(self, lock: int) -> None:
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    reason = (
                        f"{self._folder}: another process has held its lock for {_PATIENCE:g} s"
                    )
                    raise Unavailable(reason) from error
                time.sleep(_RETRY_SECONDS)
            else:
                return


def _size(path: Path) -> int:
    """The size of a regular file, -1 if there is none."""
    try:
        return path.stat().st_size if path.is_file() else -1
    except FileNotFoundError:
        return -1


def _write(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    """Make names in a folder last through a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
