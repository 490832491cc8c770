"""Contributions of a version of a model, of which a cache may have some already."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import msgspec

from model.cache import Cache, CacheOpener
from model.regno.features import Row
from model.regno.score import Contributions

if TYPE_CHECKING:
    from model.regno.model_file.catboost_file import BinaryModel

# The contributions of each row, and what the cache had of them: see `model.cache.Lookup`.
Counted: TypeAlias = tuple[list[Contributions], Mapping[str, int]]

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Contributions).decode


class Source(NamedTuple):
    """What an explaining process works with: a model, its version, and the cache if there is one.

    `version` names all that contributions depend on besides the row.
    """

    model: "BinaryModel"
    version: str
    cache: CacheOpener | None

    def open(self) -> Callable[[Sequence[Row]], Counted]:
        """Open the cache in this process, and return what gives contributions."""
        if self.cache is None:
            return lambda rows: (self.model.contributions(rows), {})
        cache = self.cache.open()
        return lambda rows: self._cached(rows, cache)

    def _cached(self, rows: Sequence[Row], cache: Cache) -> Counted:
        """Those that the cache has, and the others from the model. Raises NotExplained.

        They are equal to the last bit: a row's contributions don't depend on the rows that are
        computed with it. The cache holds numbers only, of which no plate can be read.
        """
        requests = [_encode((self.version, row)) for row in rows]
        values, counts = cache.get(requests)
        missing = [place for place, value in enumerate(values) if value is None]
        computed = self.model.contributions([rows[place] for place in missing]) if missing else []
        cache.put(
            {requests[place]: _encode(new) for place, new in zip(missing, computed, strict=True)}
        )
        rest = iter(computed)
        return [next(rest) if value is None else _decode(value) for value in values], counts
