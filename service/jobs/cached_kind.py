"""A kind of job whose results may be in the cache already."""

from typing import Final

import msgspec

from model.cache import Cache
from service.config.settings import Settings
from service.jobs.execution import Attempt, Kind, Result
from service.jobs.models import JobModels

# What the reply to a body depends on besides the body and the model's version.
_SETTINGS: Final = (
    *("guards", "unseen", "positive_class"),
    *("cost_network_wrong", "cost_camera_wrong", "cost_manual", "thresholds"),
)
# Larger results cost Redis more memory than they save work.
GREATEST_RESULT: Final = 1 << 20

_encode: Final = msgspec.msgpack.Encoder().encode


class _Kept(msgspec.Struct, array_like=True):
    """A result as it stands in the cache."""

    content: bytes
    media_type: str
    rows: int


_decode: Final = msgspec.msgpack.Decoder(_Kept).decode


class CachedKind:
    """Does jobs of a kind, but not those whose result the cache has: its bytes are the same.

    For kinds whose results hold no plate, since values can be read in Redis. Rows of a result from
    the cache are not counted again: nothing was scored.
    """

    def __init__(self, kind: Kind, models: JobModels, settings: Settings, cache: Cache) -> None:
        self._kind = kind
        self._models = models
        self._cache = cache
        self._observe = models.cache_counter
        self._settings = [getattr(settings, name) for name in _SETTINGS]

    def run(self, attempt: Attempt) -> Result:
        """Return the result of a job. Raises what the kind raises."""
        job, live = attempt.job, self._models.of(attempt.job.model).live
        scorer = live.scorer
        request = _encode(
            (job.fingerprint, live.version, scorer.sha256, scorer.manifest, self._settings)
        )
        (value,), counts = self._cache.get([request])
        for outcome, number in counts.items():
            self._observe(outcome, number)
        if value is not None:
            kept = _decode(value)
            reference = attempt.blobs.put(job.id, kept.content)
            return Result(reference, kept.media_type, kept.rows, live.version)
        result = self._kind.run(attempt)
        content = attempt.blobs.read(result.reference)
        if len(content) <= GREATEST_RESULT:
            kept = _Kept(content, result.media_type, result.rows)
            self._cache.put({request: _encode(kept)})
        return result
