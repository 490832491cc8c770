"""Where a process of this installation finds records, blobs and queue, by the settings."""

import os
from pathlib import Path
from typing import Final, NamedTuple

from service.config.settings import Settings, SettingsError, variable
from service.jobs.blobs import Blobs, FileBlobs
from service.jobs.local_queue import LocalQueue
from service.jobs.queues import Queue
from service.jobs.records import Records, RecordsUnavailable
from service.jobs.sqlite_records import SqliteRecords

_RECORDS: Final = "records.sqlite"
_BLOBS: Final = "blobs"


class Stores(NamedTuple):
    """What keeps jobs, and what brings them to workers."""

    records: Records
    blobs: Blobs
    queue: Queue


def is_embedded(settings: Settings) -> bool:
    """Whether records and queue are on this machine: no broker and no Redis is set."""
    return not settings.broker and not settings.records


def open_stores(settings: Settings) -> Stores:
    """The stores that the settings name. Redis and broker are not connected before the first use.

    Raises SettingsError for a folder or a file that can't be used, and without the extra `queue`
    where it is wanted.
    """
    folder = jobs_folder(settings)
    files = FileBlobs(folder / _BLOBS)
    if is_embedded(settings):
        return Stores(_embedded_records(folder), files, LocalQueue(folder))
    try:
        # Only here: the embedded form works without these packages.
        from service.jobs.celery_queue import CeleryQueue  # noqa: PLC0415
        from service.jobs.redis_blobs import RedisBlobs  # noqa: PLC0415
        from service.jobs.redis_records import RedisRecords  # noqa: PLC0415
    except ModuleNotFoundError as error:
        reason = f"this needs {error.name}, which is not installed: install the extra `queue`"
        raise SettingsError(variable("broker"), reason) from error
    blobs = RedisBlobs(settings.records, files, folder)
    return Stores(RedisRecords(settings.records), blobs, CeleryQueue(settings.broker))


def _embedded_records(folder: Path) -> SqliteRecords:
    try:
        return SqliteRecords(folder / _RECORDS)
    except RecordsUnavailable:
        reason = "its records can't be opened: they are damaged, or another program holds them"
        raise SettingsError(variable("jobs_dir"), reason) from None


def jobs_folder(settings: Settings) -> Path:
    """The folder for jobs, made if it is missing. Raises SettingsError."""
    folder = configured_folder(settings)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(variable("jobs_dir"), f"{folder}: {error.strerror}") from error
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise SettingsError(variable("jobs_dir"), f"{folder} can't be written to")
    return folder


def configured_folder(settings: Settings) -> Path:
    """The folder for jobs, whether it is there or not."""
    return Path(settings.jobs_dir or Path.home() / ".local/state/plate-scoring/jobs")
