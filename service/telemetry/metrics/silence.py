"""Where nobody can read metrics, none are kept: the same calls, at no cost."""

from collections.abc import Iterable, Sequence

from model import InvalidRequest
from service.telemetry.metrics.http import HttpMetrics
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
