"""The stores that the settings name."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from service.config.settings import Settings, SettingsError, variable
from service.decisions.log import DecisionLog
from service.decisions.stores.store import AnalysisStore

# The settings with URLs of stores, and the packages that these need.
PACKAGES: Final = {"clickhouse": "clickhouse_connect", "mongodb": "pymongo"}


def opened_by_name(settings: Settings) -> dict[str, Callable[[DecisionLog], AnalysisStore]]:
    """What opens each store for a log, by its name."""
    made: dict[str, Callable[[DecisionLog], AnalysisStore]] = {}
    if settings.decisions_parquet == "on":
        made["parquet"] = _parquet
    if settings.clickhouse:
        made["clickhouse"] = lambda log: _clickhouse(settings.clickhouse, log)
    if settings.mongodb:
        made["mongodb"] = lambda log: _mongodb(settings.mongodb, log)
    return made


def check_packages(settings: Settings) -> None:
    """Raise SettingsError for a store whose package is missing."""
    for field, package in PACKAGES.items():
        if getattr(settings, field) and not find_spec(package):
            reason = f"this needs {package}, which is not installed: install the extra `decisions`"
            raise SettingsError(variable(field), reason)


# Imported on use: they are packages of an extra, or take memory.
def _parquet(log: DecisionLog) -> AnalysisStore:
    from service.decisions.stores.parquet_store import FOLDER, ParquetStore  # noqa: PLC0415

    return ParquetStore(Path(log.folder) / FOLDER)


def _clickhouse(url: str, log: DecisionLog) -> AnalysisStore:
    from service.decisions.stores.clickhouse_store import ClickHouseStore  # noqa: PLC0415

    return ClickHouseStore(url, log.id)


def _mongodb(url: str, log: DecisionLog) -> AnalysisStore:
    from service.decisions.stores.mongo_store import MongoStore  # noqa: PLC0415

    return MongoStore(url, log.id)
