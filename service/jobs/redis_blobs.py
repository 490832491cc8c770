"""Small blobs in Redis beside the records, large ones in files: those of the distributed form."""

import secrets
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, Final, cast

from service.jobs.blobs import BlobMissing, Blobs, BlobsUnavailable
from service.jobs.records import RecordsUnavailable
from service.jobs.redis_client import Client

_SMALL: Final = 64 * 1024
_PREFIX: Final = "jobs:blobs:"
_REDIS: Final = "redis:"


class RedisBlobs:
    """Blobs up to 64 KiB in Redis, for workers that share no folder with the web processes."""

    def __init__(self, url: str, files: Blobs, folder: Path) -> None:
        """`files` takes the larger ones; `folder` is for those whose size is not known yet.

        It should be on the same disk: a temporary folder is often small, and memory.
        """
        self._client = Client(url)
        self._files = files
        self._folder = folder

    def put(self, job: str, content: bytes) -> str:
        """Keep a blob, and return its reference. Raises BlobsUnavailable."""
        if len(content) > _SMALL:
            return self._files.put(job, content)
        name = secrets.token_hex(8)
        try:
            with self._client.answering() as redis:
                redis.hset(f"{_PREFIX}{job}", name, content)
        except RecordsUnavailable as error:
            raise BlobsUnavailable from error
        return f"{_REDIS}{job}/{name}"

    @contextmanager
    def writing(self, job: str) -> Iterator["_Writing"]:
        """Give a file to write a blob into; it is kept if the block ends, gone if it raises.

        Raises BlobsUnavailable.
        """
        try:
            with SpooledTemporaryFile(max_size=_SMALL, dir=str(self._folder)) as file:
                blob = _Writing(cast("BinaryIO", file))
                yield blob
                blob.reference = self._kept(job, file)
        except OSError as error:
            raise BlobsUnavailable from error

    def _kept(self, job: str, file: SpooledTemporaryFile[bytes]) -> str:
        size = file.tell()
        file.seek(0)
        if size <= _SMALL:
            return self.put(job, file.read())
        with self._files.writing(job) as kept:
            shutil.copyfileobj(file, kept.file)
        return kept.reference

    def read(self, reference: str) -> bytes:
        """Return the content of a blob.

        Raises BlobMissing, BlobsUnavailable, or RecordsUnavailable.
        """
        if not reference.startswith(_REDIS):
            return self._files.read(reference)
        job, _, name = reference.removeprefix(_REDIS).partition("/")
        with self._client.answering() as redis:
            content: bytes | None = redis.hget(f"{_PREFIX}{job}", name)
        if content is None:
            raise BlobMissing
        return content

    def open(self, reference: str) -> BinaryIO:
        """Return a blob as a seekable file, to be closed. Raises as `read`."""
        if not reference.startswith(_REDIS):
            return self._files.open(reference)
        return BytesIO(self.read(reference))

    def remove(self, job: str, keep: Collection[str] = ()) -> None:
        """Remove all blobs of a job but those with the references `keep`.

        Raises RecordsUnavailable.
        """
        kept = {reference.partition("/")[2] for reference in keep if reference.startswith(_REDIS)}
        with self._client.answering() as redis:
            names = {name.decode() for name in redis.hkeys(f"{_PREFIX}{job}")}
            if gone := names - kept:
                redis.hdel(f"{_PREFIX}{job}", *gone)
        self._files.remove(job, [one for one in keep if not one.startswith(_REDIS)])

    def jobs(self) -> Iterator[str]:
        """Give the ids of the jobs that have blobs. Raises RecordsUnavailable."""
        with self._client.answering() as redis:
            for key in redis.scan_iter(f"{_PREFIX}*"):
                yield key.decode().removeprefix(_PREFIX)
        yield from self._files.jobs()


class _Writing:
    """A blob that is written to a temporary file first: its size decides where it goes."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.reference = ""
