"""All series of the scoring processes."""

from collections.abc import Callable, Iterable

from model import catalog
from model.scorer import Decisions, Model, Scorer
from service.telemetry.metrics.cache import CacheMetrics
from service.telemetry.metrics.capture import CaptureMetrics
from service.telemetry.metrics.decisions import DecisionMetrics
from service.telemetry.metrics.http import expected_series
from service.telemetry.metrics.models import CatalogMetrics, ModelMetrics
from service.telemetry.metrics.predictions import ModelPredictions, PredictionMetrics
from service.telemetry.metrics.rollout import RolloutMetrics
from service.telemetry.metrics.scoring import ScoringMetrics
from service.telemetry.metrics.server import ServerMetrics
from service.telemetry.metrics.shadow import ShadowMetrics
from service.telemetry.metrics.uncounted import uncounted


class Metrics(ServerMetrics):
    """Those of the scoring processes."""

    def __init__(
        self,
        key_names: Iterable[str],
        model: Model,
        decisions: Callable[[Scorer], Decisions | None],
        *,
        kept: bool = True,
    ) -> None:
        """`key_names` are the callers', `model` is the default one.

        `decisions` gives what decides by the scores of one of its versions.

        Unless `kept`, requests and rows are not counted: no address serves the metrics.
        """
        self._kept = kept
        routes = [entry.path.rstrip("/") for entry in catalog.served(()).values()]
        super().__init__(key_names, expected_series(routes), kept=kept)
        fields = model.request.__struct_fields__
        self.scoring = ScoringMetrics(self.registry, fields) if kept else uncounted(ScoringMetrics)
        self.rollout = RolloutMetrics(self.registry)
        self.shadow = ShadowMetrics(self.registry) if kept else uncounted(ShadowMetrics)
        self.capture = CaptureMetrics(self.registry)
        self.decision_log = DecisionMetrics(self.registry)
        self.cache = CacheMetrics(self.registry)
        self._catalog = CatalogMetrics(self.registry)
        self._predictions = PredictionMetrics(self.registry, decisions)

    def of(self, model: str) -> "Metrics | ModelMetrics":
        """What counts for a model, by its name: these series if it is the default one."""
        return self if model == catalog.DEFAULT else ModelMetrics(self._catalog, model)

    def predictions(self, scorer: Scorer) -> ModelPredictions:
        """The counters of the inputs and scores of a scorer of the default model."""
        self.shadow.know(scorer.groups)
        return (
            ModelPredictions(self._predictions, scorer)
            if self._kept
            else uncounted(ModelPredictions)
        )
