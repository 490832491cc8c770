"""Where a process of this installation finds the history of pictures, by the settings."""

from pathlib import Path

from service.config.settings import Settings
from service.images.history import Bounds, History
from service.images.sqlite_history import SqliteHistory


def open_history(settings: Settings, folder: Path) -> History:
    """The history in the Redis of the settings; without one, in a file of this folder.

    Nothing is opened before the first use.
    """
    bounds = Bounds.of(settings)
    if not settings.records:
        return SqliteHistory(folder, bounds)
    # Only here: the embedded form works without the package.
    from service.images.redis_history import RedisHistory  # noqa: PLC0415

    return RedisHistory(settings.records, bounds)
