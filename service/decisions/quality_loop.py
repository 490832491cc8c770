"""The thread of the sink that measures the quality of decisions, for the page of metrics."""

import logging
from contextlib import closing
from pathlib import Path
from threading import Event, Thread
from time import monotonic, time
from typing import Final

from service.config.settings import Settings
from service.decisions import quality_report
from service.decisions.groups import Groups
from service.decisions.log import DecisionLog
from service.decisions.quality_report import Measurement
from service.telemetry.failures import described
from service.telemetry.metrics.decision_quality import QualityMetrics

# Labels of a measurement, the newest ones: some seconds of work at the first time.
MOST_LABELS: Final = 50_000
_PAUSE_SECONDS: Final = 60.0
# Measuring takes at most a twentieth of the time of a core.
_PAUSES: Final = 19.0
_STOP_SECONDS: Final = 5.0
_DAY_SECONDS: Final = 86_400

log = logging.getLogger("scoring")


class QualityLoop(Thread):
    """Measures at the start and then about once a minute, until `stop`."""

    def __init__(self, settings: Settings, metrics: QualityMetrics) -> None:
        super().__init__(name="quality", daemon=True)
        self._settings = settings
        self._metrics = metrics
        self._stopping = Event()
        self._is_failing = False

    def stop(self) -> None:
        """Have it end, and wait a while for it."""
        self._stopping.set()
        if self.is_alive():
            self.join(_STOP_SECONDS)

    def run(self) -> None:
        """Work until the end."""
        groups, pause = Groups(), 0.0
        # Of this thread alone: connections to SQLite are not shared.
        with closing(DecisionLog(Path(self._settings.decisions_dir))) as decisions:
            while not self._stopping.wait(pause):
                begun = monotonic()
                self._measure(decisions, groups)
                pause = max(_PAUSE_SECONDS, _PAUSES * (monotonic() - begun))

    def _measure(self, decisions: DecisionLog, groups: Groups) -> None:
        try:
            measure(decisions, self._settings, groups, self._metrics)
        except Exception as error:  # noqa: BLE001 - the sink goes on without figures
            if not self._is_failing:
                log.error("The quality of decisions can't be measured: %s", described(error))  # noqa: TRY400
            self._is_failing = True
        else:
            self._is_failing = False


def measure(
    decisions: DecisionLog, settings: Settings, groups: Groups, metrics: QualityMetrics
) -> None:
    """State the quality of the decisions of the last days, and the evidence of all days.

    The evidence is against the version that has made the newest decision: what was wrong with
    another one is over.
    """
    begun, store = monotonic(), decisions.store
    how = Measurement(settings.costs, settings.quality_limit, groups, MOST_LABELS)
    since = time() - settings.quality_days * _DAY_SECONDS
    found = quality_report.measured(decisions, "time >= ?", (since,), how)
    version = store.newest_version
    evidence = quality_report.evidence(decisions, version, settings.quality_limit)
    figures = [("all", "", found.every)]
    figures += [(by, value, one) for by, of in found.by.items() for value, one in of.items()]
    facts = (settings.quality_limit, store.newest_label, monotonic() - begun)
    metrics.state(figures, (version, evidence.wealth), facts)
