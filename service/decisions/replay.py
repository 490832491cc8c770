"""Replay: stored requests are scored again, by the version that scored them or by another one."""

from collections import Counter
from collections.abc import Iterator
from itertools import groupby, islice
from pathlib import Path
from typing import Any, Final, NamedTuple

from model import ModelRefused, catalog
from model.registry import Registry, RegistryError, open_registry
from service.config.settings import Settings
from service.decisions.choice import Condition
from service.decisions.decision import Decision, decode
from service.decisions.groups import UNKNOWN
from service.decisions.log import DecisionLog, Forgotten

# Rows that are scored at a time.
_BATCH: Final = 500


class Replayed(NamedTuple):
    """Rows by what became of them, by their group, and changes of decisions.

    Keys of `flips` are (group, before, after); groups are those of `Model.group`.
    """

    counts: Counter[str]
    rows: Counter[str]
    flips: Counter[tuple[str, str, str]]

    @property
    def same(self) -> int:
        """Rows whose score is equal to the last bit."""
        return self.counts["same"]

    @property
    def differ(self) -> int:
        """Rows with another score."""
        return self.counts["differ"]

    @property
    def features(self) -> int:
        """Rows whose features are no longer those that were scored."""
        return self.counts["features"]

    def add(self, other: "Replayed") -> None:
        """Count the rows of another part of the log, too."""
        self.counts.update(other.counts)
        self.rows.update(other.rows)
        self.flips.update(other.flips)


def nothing() -> Replayed:
    """What no row has come to."""
    return Replayed(Counter(), Counter(), Counter())


class Scorers:
    """Scorers by version and the SHA-256 of the file: those of the settings, and of the registry.

    Versions may share a file, and differ in their calibration.
    """

    def __init__(self, settings: Settings, other: Path | None) -> None:
        self.settings = settings
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
        settings, bundled = self.settings, catalog.entry(catalog.DEFAULT).bundled
        if self._other:
            yield self._model.load(self._other, settings.positive_class)
            return
        for path in (Path(settings.model) if settings.model else bundled, bundled):
            if path and (scorer := self._model.load(path)).sha256 == decision.sha256:
                yield scorer
        if settings.registry:
            yield from self._registered(decision)

    def _registered(self, decision: Decision) -> Iterator[Any]:
        settings = self.settings
        try:
            scorer = self._model.load(self._fetched(decision.version), settings.positive_class)
        except (RegistryError, ModelRefused):
            return
        if scorer.sha256 == decision.sha256:
            yield scorer

    def _fetched(self, version: str) -> Path:
        return registry_of(self.settings).fetch(version)


def registry_of(settings: Settings) -> Registry:
    """The registry of the default model that the settings name. Raises RegistryError."""
    cache = Path(settings.registry_cache) if settings.registry_cache else None
    return open_registry(settings.registry, catalog.DEFAULT, cache)


def replay(scorers: Scorers, log: DecisionLog, chosen: Condition) -> Replayed:
    """Score decisions again, by the versions that made them or another one. Raises ModelRefused."""
    found, settings = nothing(), scorers.settings
    model = catalog.entry(catalog.DEFAULT).load()
    decode_request, by_costs = model.decoder(1), settings.thresholds == "costs"
    for scorer, batch in _by_scorer(scorers, _decisions(log, chosen, found.counts)):
        if scorer is None:
            found.counts["unavailable"] += len(batch)
            continue
        decided = model.decisions(settings.costs, scorer, by_costs=by_costs)
        requests = [decode_request(bytes(one.request)) for one in batch]
        rows = list(map(scorer.row, requests))
        scores = scorer.predict(rows)
        for decision, request, row, score in zip(batch, requests, rows, scores, strict=True):
            found.counts["same" if score.positive == decision.positive else "differ"] += 1
            if decision.features and scorer.fingerprint(row) != decision.features:
                found.counts["features"] += 1
            group = model.group(request) or UNKNOWN
            found.rows[group] += 1
            after = decided.decide(score.positive) if decided else ""
            if after != decision.decision:
                found.flips[group, decision.decision, after] += 1
    return found


def _decisions(log: DecisionLog, chosen: Condition, counts: Counter[str]) -> Iterator[Decision]:
    for row in log.store.rows(f"kind = 'decision' AND {chosen.text}", *chosen.values):
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
