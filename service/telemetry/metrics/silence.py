"""Where nobody can read metrics, none are kept: the same calls, at no cost."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from model import InvalidRequest
from model.regno import Row, Score
from service.telemetry.metrics.http import HttpMetrics
from service.telemetry.metrics.predictions import Behaviour
from service.telemetry.metrics.scoring import ScoringMetrics
from service.telemetry.metrics.shadow import ShadowMetrics
from service.telemetry.record import Record


class SilentHttp(HttpMetrics):
    """Counts no requests."""

    def observe(self, records: Iterable[Record]) -> None:
        """Nothing."""

    def shed(self, reason: str) -> None:
        """Nothing."""


class SilentScoring(ScoringMetrics):
    """Counts no rows, batches or stages."""

    def scored(self, rows: int) -> None:
        """Nothing."""

    def refused(self, fault: InvalidRequest) -> None:
        """Nothing."""

    def batch(self, rows: int) -> None:
        """Nothing."""

    def stages(self, record: Record) -> None:
        """Nothing."""


class SilentBehaviour(Behaviour):
    """Counts nothing that the model sees or says."""

    def scored(self, classes: Iterable[str], scores: Sequence[Score]) -> None:
        """Nothing."""

    def rows(self, rows: Sequence[Row], scores: Sequence[Score]) -> None:
        """Nothing."""

    def table(self, table: Any, scores: Sequence[Score]) -> None:
        """Nothing."""

    def warned(self, rows: Mapping[str, int]) -> None:
        """Nothing."""

    def show(self) -> None:
        """Nothing."""

    def hide(self) -> None:
        """Nothing."""


class SilentShadow(ShadowMetrics):
    """Compares nothing."""

    def compared(
        self, classes: Iterable[str], live: Sequence[float], shadow: Sequence[float]
    ) -> None:
        """Nothing."""

    def lost(self, result: str, rows: int) -> None:
        """Nothing."""

    def waiting(self, rows: int) -> None:
        """Nothing."""
