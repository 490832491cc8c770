"""Inputs, results and checkpoints of jobs, kept by reference beside the records.

A blob is written once and never changed, so that an attempt that lost its job spoils nothing. They
are the only place of a job that holds plates: files are readable for their owner alone, and all of
a job's are removed with its record.
"""

import os
import secrets
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final, Protocol

_FILE: Final = "file:"
_UNFINISHED: Final = ".part"


class BlobMissing(Exception):
    """There is no such blob, or no longer."""


class BlobsUnavailable(Exception):
    """A blob can't be written or read now: there is no room, or its place can't be reached."""


class Writing(Protocol):
    """A blob that is being written to `file`; `reference` holds once its block has ended."""

    @property
    def reference(self) -> str:
        """What the record keeps."""

    @property
    def file(self) -> BinaryIO:
        """A seekable file, open for writing and reading."""


class Blobs(Protocol):
    """A store of blobs, each of one job, by its id. A reference is a text that the record keeps."""

    def put(self, job: str, content: bytes) -> str:
        """Keep a blob, and return its reference. Raises BlobsUnavailable."""

    def writing(self, job: str) -> AbstractContextManager[Writing]:
        """Give a file to write a blob into; it is kept if the block ends, gone if it raises.

        Raises BlobsUnavailable.
        """

    def read(self, reference: str) -> bytes:
        """Return the content of a blob. Raises BlobMissing, or BlobsUnavailable."""

    def open(self, reference: str) -> BinaryIO:
        """Return a blob as a seekable file, to be closed. Raises as `read`."""

    def remove(self, job: str, keep: Collection[str] = ()) -> None:
        """Remove all blobs of a job but those with the references `keep`; there may be none."""

    def jobs(self) -> Iterator[str]:
        """Give the ids of the jobs that have blobs."""


class FileBlobs:
    """Blobs as files, in a folder for each job, which web processes and job workers share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, job: str, content: bytes) -> str:
        """Keep a blob, and return its reference. Raises BlobsUnavailable."""
        with self.writing(job) as blob:
            blob.file.write(content)
        return blob.reference

    @contextmanager
    def writing(self, job: str) -> Iterator["_FileWriting"]:
        """Give a file to write a blob into; it is kept if the block ends, gone if it raises.

        Raises BlobsUnavailable.
        """
        try:
            blob = _FileWriting(self._folder_of(job))
            try:
                yield blob
                blob.keep()
            finally:
                blob.close()
        except OSError as error:
            with suppress(OSError):  # there may have been room for the folder alone
                self._folder_of(job).rmdir()
            raise BlobsUnavailable from error

    def read(self, reference: str) -> bytes:
        """Return the content of a blob. Raises BlobMissing, or BlobsUnavailable."""
        with self.open(reference) as file:
            try:
                return file.read()
            except OSError as error:
                raise BlobsUnavailable from error

    def open(self, reference: str) -> BinaryIO:
        """Return a blob as a seekable file, to be closed. Raises as `read`."""
        try:
            return self._path(reference).open("rb")
        except FileNotFoundError as error:
            raise BlobMissing from error
        except OSError as error:
            raise BlobsUnavailable from error

    def remove(self, job: str, keep: Collection[str] = ()) -> None:
        """Remove all blobs of a job but those with the references `keep`; there may be none."""
        folder = self._folder_of(job)
        kept = {self._path(reference) for reference in keep if reference}
        with suppress(OSError):
            for path in list(folder.iterdir()):
                if path not in kept:
                    path.unlink()
            if not kept:
                folder.rmdir()

    def jobs(self) -> Iterator[str]:
        """Give the ids of the jobs that have blobs."""
        with suppress(OSError):
            for folder in self._folder.iterdir():
                yield folder.name

    def _folder_of(self, job: str) -> Path:
        if not job.isalnum():
            raise BlobMissing
        return self._folder / job

    def _path(self, reference: str) -> Path:
        scheme, _, rest = reference.partition(":")
        job, _, name = rest.partition("/")
        if f"{scheme}:" != _FILE or not name.isalnum():
            raise BlobMissing
        return self._folder_of(job) / name


class _FileWriting:
    """A file that is being written, under another name than that of the blob."""

    def __init__(self, folder: Path) -> None:
        name = secrets.token_hex(8)
        self.reference = f"{_FILE}{folder.name}/{name}"
        self._path = folder / name
        self._unfinished = folder / f"{name}{_UNFINISHED}"
        if not folder.exists():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _sync(folder.parent)
        opener = lambda path, flags: os.open(path, flags, 0o600)  # noqa: E731
        self.file: BinaryIO = open(self._unfinished, "x+b", opener=opener)  # noqa: SIM115

    def keep(self) -> None:
        """Bring the content to the disk, and give the file its name."""
        self.file.flush()
        os.fsync(self.file.fileno())
        self._unfinished.replace(self._path)
        _sync(self._path.parent)

    def close(self) -> None:
        """Close the file, and remove it unless it is kept."""
        with suppress(OSError):
            self.file.close()
        self._unfinished.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    """Let the names in a folder outlive a loss of power."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
