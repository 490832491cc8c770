"""The version of a picture model that serves: the registry's live one, else the bundled one."""

import logging
from collections.abc import Sequence
from time import monotonic
from typing import TYPE_CHECKING, Final

from model import ModelRefused
from model.catalog import Entry
from model.registry import RegistryError
from model.scorer import Row, Score, Scorer
from service.config.settings import Settings
from service.rollout.startup import loader_of, registry_of
from service.telemetry.failures import contained
from service.telemetry.metrics.pictures import PictureProcessMetrics

if TYPE_CHECKING:
    from service.telemetry.metrics.models import CatalogPredictions

# A version that could not be loaded is tried again after so long.
_AGAIN_SECONDS: Final = 30.0

log = logging.getLogger("scoring")


class Live:
    """Loads a model on first use, follows the registry between batches, and counts its scores."""

    def __init__(
        self, entry: Entry, settings: Settings, metrics: PictureProcessMetrics, worker: str
    ) -> None:
        """`worker` is the name of this process in metrics."""
        self._entry = entry
        self._settings = settings
        self._metrics = metrics
        self._counted = metrics.of(entry.name)
        self._worker = worker
        self._scorer: Scorer | None = None
        self._predictions: CatalogPredictions | None = None
        self._next_look = 0.0

    def __call__(self) -> Scorer:
        """The scorer. Raises ModelRefused if there is none."""
        if self._settings.registry and monotonic() >= self._next_look:
            self._next_look = monotonic() + self._settings.registry_poll_seconds
            self._follow()
        if self._scorer is None:
            self._serve(self._bundled())
        assert self._scorer is not None  # noqa: S101
        return self._scorer

    def scored(self, rows: Sequence[Row], scores: Sequence[Score], seconds: float) -> None:
        """Count a batch that the scorer has scored."""
        self._counted.scored(len(rows))
        self._metrics.batch(self._entry.name, len(rows), seconds)
        if self._predictions:
            contained("drift", self._predictions.rows, rows, scores)
            contained("drift", self._predictions.publish)

    def _bundled(self) -> Scorer:
        if self._entry.bundled is None:
            raise ModelRefused(f"{self._entry.name}: no version is live, and none is bundled")
        scorer: Scorer = self._entry.load().load(self._entry.bundled)
        scorer.warm()
        return scorer

    def _follow(self) -> None:
        """Serve the registry's live version; one that can't be served is tried again later."""
        up = refused = False
        try:
            registry = registry_of(self._settings, self._entry.name)
            version = registry.aliases().live
            up = bool(version)
            if version and (self._scorer is None or self._scorer.version != version):
                self._serve(
                    loader_of(self._settings, registry, self._entry.name).load(version, None)
                )
                log.info("Pictures are scored by version %s of %s", version, self._entry.name)
        except (RegistryError, ModelRefused) as error:
            refused = isinstance(error, ModelRefused)
            up = up and refused
            if refused:
                self._counted.loaded("refused")
            self._next_look = monotonic() + _AGAIN_SECONDS
            log.warning(
                "Pictures are scored by the former version of %s: %s", self._entry.name, error
            )
        self._counted.registry_up(self._worker, up=up)
        self._counted.live_refused(self._worker, refused=refused)

    def _serve(self, scorer: Scorer) -> None:
        former, self._scorer = self._scorer, scorer
        if former:
            self._counted.live(former.version, self._worker, serves=False)
        if self._predictions:
            self._predictions.retire()
        self._counted.loaded("loaded")
        self._counted.live(scorer.version, self._worker, serves=True)
        self._predictions = self._counted.predictions(scorer)
        self._predictions.activate()
