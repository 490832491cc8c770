"""Replay: stored requests are scored again, by the version that scored them or by another one."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import Any, Final, NamedTuple

from model import ModelRefused, catalog
from model.registry import Registry, RegistryError, open_registry
from service.config.settings import Settings
from service.decisions.decision import Decision, decode
from service.decisions.log import DecisionLog, Forgotten

# Rows that are scored at a time.
_BATCH: Final = 500


class Replayed(NamedTuple):
    """Rows by what became of them; `flips` counts changes of decisions, as (before, after).

    `features` are rows whose features are no longer those that were scored.
    """

    same: int
    differ: int
    features: int
    forgotten: int
    unavailable: int
    flips: Counter[tuple[str, str]]


class Scorers:
    """Scorers by version and the SHA-256 of the file: those of the settings, and of the registry.

    Versions may share a file, and differ in their calibration.
    """

    def __init__(self, settings: Settings, other: Path | None) -> None:
        self._settings = settings
        self._other = other
        self._model = catalog.entry(catalog.DEFAULT).load()
        self._loaded: dict[tuple[str, str], Any] = {}

    def of(self, decision: Decision) -> Any:
        """The scorer for a decision, None if its version is not there. Raises ModelRefused."""
        wanted = ("", "") if self._other else (decision.version, decision.sha256)
        if wanted not in self._loaded:
            self._loaded[wanted] = self._best(decision)
        return self._loaded[wanted]

    def _best(self, decision: Decision) -> Any:
        """The version itself; where it is not there, another one of the same file."""
        found = list(self._candidates(decision))
        named = (scorer for scorer in found if scorer.version == decision.version)
        return next(named, found[0] if found else None)

    def _candidates(self, decision: Decision) -> Iterator[Any]:
        settings, bundled = self._settings, catalog.entry(catalog.DEFAULT).bundled
        if self._other:
            yield self._model.load(self._other, settings.positive_class)
            return
        for path in (Path(settings.model) if settings.model else bundled, bundled):
            if path and (scorer := self._model.load(path)).sha256 == decision.sha256:
                yield scorer
        if settings.registry:
            yield from self._registered(decision)

    def _registered(self, decision: Decision) -> Iterator[Any]:
        settings = self._settings
        try:
            scorer = self._model.load(self._fetched(decision.version), settings.positive_class)
        except (RegistryError, ModelRefused):
            return
        if scorer.sha256 == decision.sha256:
            yield scorer

    def _fetched(self, version: str) -> Path:
        return registry_of(self._settings).fetch(version)


def registry_of(settings: Settings) -> Registry:
    """The registry of the default model that the settings name. Raises RegistryError."""
    cache = Path(settings.registry_cache) if settings.registry_cache else None
    return open_registry(settings.registry, catalog.DEFAULT, cache)


def replay(
    settings: Settings,
    log: DecisionLog,
    condition: str,
    values: Sequence[Any],
    other: Path | None = None,
) -> Replayed:
    """Score decisions again, by `other` or by the versions that made them. Raises ModelRefused."""
    scorers, counts = Scorers(settings, other), Counter[str]()
    flips: Counter[tuple[str, str]] = Counter()
    model = catalog.entry(catalog.DEFAULT).load()
    decode_request, by_costs = model.decoder(1), settings.thresholds == "costs"
    for scorer, batch in _by_scorer(scorers, _decisions(log, condition, values, counts)):
        if scorer is None:
            counts["unavailable"] += len(batch)
            continue
        decided = model.decisions(settings.costs, scorer, by_costs=by_costs)
        rows = [scorer.row(decode_request(bytes(one.request))) for one in batch]
        for decision, row, score in zip(batch, rows, scorer.predict(rows), strict=True):
            counts["same" if score.positive == decision.positive else "differ"] += 1
            if decision.features and scorer.fingerprint(row) != decision.features:
                counts["features"] += 1
            after = decided.decide(score.positive) if decided else ""
            if after != decision.decision:
                flips[decision.decision, after] += 1
    return Replayed(
        counts["same"],
        counts["differ"],
        counts["features"],
        counts["forgotten"],
        counts["unavailable"],
        flips,
    )


def _decisions(
    log: DecisionLog, condition: str, values: Sequence[Any], counts: Counter[str]
) -> Iterator[Decision]:
    for row in log.store.rows(f"kind = 'decision' AND {condition}", *values):
        try:
            entry = decode(log.canonical(row))
        except Forgotten:
            counts["forgotten"] += 1
            continue
        if isinstance(entry, Decision):
            yield entry


def _by_scorer(
    scorers: Scorers, decisions: Iterator[Decision]
) -> Iterator[tuple[Any, list[Decision]]]:
    """Decisions that follow each other and have one scorer, so many at a time at the most."""
    for scorer, group in groupby(decisions, scorers.of):
        while batch := list(islice(group, _BATCH)):
            yield scorer, batch
