"""The kinds of jobs by their names: what is done with an input."""

from collections.abc import Mapping

from service.config.settings import Settings
from service.jobs.cached_kind import CachedKind
from service.jobs.execution import Kind
from service.jobs.job import SCORE, TABLE, TRAIN
from service.jobs.models import JobModels
from service.jobs.score_kind import ScoreKind
from service.jobs.table_kind import TableKind
from service.jobs.train_kind import TrainKind


def kinds(models: JobModels, settings: Settings) -> Mapping[str, Kind]:
    """Return what does the jobs of each kind. Another kind is added here.

    Results of tables are not cached: they are files, and hold the plates of their inputs.
    """
    return {
        SCORE: _cached(ScoreKind(models), models, settings),
        TABLE: TableKind(models, settings),
        TRAIN: TrainKind(settings),
    }


def _cached(kind: Kind, models: JobModels, settings: Settings) -> Kind:
    if not settings.cache:
        return kind
    # Only here: without a cache there may be no client of Redis.
    from service.cache.redis_cache import RedisCache  # noqa: PLC0415

    cache = RedisCache(settings.cache, settings.cache_secret, settings.cache_seconds)
    return CachedKind(kind, models, settings, cache)
