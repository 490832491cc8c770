"""Versions of a model whose scores name them, and the row that they belong to.

The scorer is the real one, with the bundled model's features; only its prediction is another. A
row has its number in `afts_regno_ai_score`, its score is made of the version and that number, so
that a reply shows which version scored which row.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final

import msgspec

from model import ModelRefused, NotExplained
from model.cache import ExplanationCache
from model.drift.counter import DriftCounter
from model.registry import Aliases, RegistryError
from model.regno import Explainer, Explanation, RegnoScorer, Row, Score
from tests.support.paths import GOLDEN, lines

VERSIONS: Final = ("v1", "v2", "v3")
# A version that the loader refuses.
REFUSED: Final = "refused"
# Rows from this number on can't be scored.
POISON: Final = 3000
_NUMBERS: Final = 4096
_MARKED: Final = "afts_regno_ai_score"
_MARK: Final = 0.125


class Poisoned(Exception):
    """A row that can't be scored."""


class Call(msgspec.Struct):
    """One call of the model."""

    version: str
    rows: list[int]


class NamedScorer(RegnoScorer):
    """Scores rows by their number. `called` is called before each call."""

    def __init__(self, version: str, base: RegnoScorer) -> None:
        super().__init__(base._model, base.manifest)
        self.version = version
        self.called: Callable[[Call], None] = lambda _: None
        self._names = [name for name, _ in base._model.features]
        self._at = self._names.index(_MARKED)

    def predict(self, rows: Sequence[Row]) -> list[Score]:
        return self._scores([float(row[self._at]) for row in rows])

    def score_table(self, table: Any) -> list[Score]:
        return self._scores(table[_MARKED].tolist())

    def explained(
        self, rows: Sequence[Row], explainer: Explainer, seconds: float
    ) -> list[Explanation]:
        del explainer
        if seconds < 0:
            raise NotExplained("there is no time", in_time=False)
        return [
            Explanation(score.negative, score.positive, 0.0, 0.0, 0.5, "", [])
            for score in self.predict(rows)
        ]

    def explainer(self, cache: ExplanationCache | None = None, /) -> Any:
        del cache
        return _Explainer()

    def warm(self) -> None:
        """Its first call costs nothing."""

    def drift_counter(self, reference: Sequence[Any] | None = None, /) -> DriftCounter:
        del reference
        return DriftCounter(self._names, [])

    def _scores(self, marks: Sequence[float]) -> list[Score]:
        numbers = [round(mark * _NUMBERS) for mark in marks]
        if not numbers:
            return []
        self.called(Call(self.version, numbers))
        if any(number >= POISON for number in numbers):
            raise Poisoned
        return [Score(1 - p, p) for p in (expected(self.version, number) for number in numbers)]


class _Explainer:
    def close(self) -> None:
        """There is no process."""


def expected(version: str, number: int) -> float:
    """The score of a row by a version."""
    return VERSIONS.index(version) / 4 + number / _NUMBERS / 4


@cache
def scorers() -> dict[str, NamedScorer]:
    """All versions."""
    base = RegnoScorer.load()
    return {version: NamedScorer(version, base) for version in VERSIONS}


def row(number: int) -> bytes:
    """A reading in JSON, with this number."""
    before, after = _template()
    return before + repr(number / _NUMBERS).encode() + after


@cache
def _template() -> tuple[bytes, bytes]:
    reading = {**lines(GOLDEN)[0]["request"], _MARKED: _MARK}
    before, _, after = msgspec.json.encode(reading).partition(repr(_MARK).encode())
    return before, after


class Registry:
    """The models' registry: which version is live is promoted, and it may be out of reach."""

    def __init__(self) -> None:
        self.is_reachable = True
        self._aliases = Aliases(live=VERSIONS[0], generation=1)

    def promote(self, version: str) -> None:
        """Make a version live."""
        now = self._aliases
        self._aliases = Aliases(version, now.shadow, now.live, now.generation + 1)

    def shadow(self, version: str) -> None:
        """Make a version the shadow, none if ""."""
        now = self._aliases
        self._aliases = msgspec.structs.replace(now, shadow=version, generation=now.generation + 1)

    def aliases(self) -> Aliases:
        """Which version is what."""
        if not self.is_reachable:
            raise RegistryError("it can't be reached")
        return self._aliases


class Loader:
    """Loads versions out of nothing."""

    @staticmethod
    def load(version: str, present: RegnoScorer | None) -> RegnoScorer:
        """A version's scorer. Raises ModelRefused."""
        del present
        if version == REFUSED:
            raise ModelRefused("its scores are not probabilities")
        return scorers()[version]

    @staticmethod
    def serving(version: str) -> RegnoScorer:
        """The scorer of a version that others serve."""
        return scorers()[version]

    @staticmethod
    def is_current(scorer: RegnoScorer, version: str) -> bool:
        """Whether a scorer is of a version."""
        return scorer.version == version

    @staticmethod
    def keep(version: str) -> None:
        """Nothing is kept."""
