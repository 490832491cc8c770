"""POST to explain at a model's address, as /reg/explain: why a few requests score as they do."""

from collections.abc import Sequence
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, Any

from model import InvalidRequest, catalog
from model.scorer import Model, Request, Row
from service.config.settings import Settings
from service.http import body, deadline, reply
from service.http.reply import Reply
from service.overload.admission import Admission
from service.scoring.core import reviewer_of
from service.scoring.explanations import LONGEST_SECONDS, Explaining, explanation_cache
from service.scoring.inputs import Inputs
from service.scoring.live import Live, Slot
from service.telemetry.metrics import Metrics
from service.telemetry.record import BEGAN, Record, record_of

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


class ExplainRoute:
    """Explains bodies by a slot's live version. Its rows do not count as traffic of the model.

    `path` is its template, `paths` its two spellings.
    """

    def __init__(
        self, model: Model, slot: Slot, settings: Settings, metrics: Metrics, admission: Admission
    ) -> None:
        self.name = f"explain-{model.name}"
        self.path = f"{catalog.entry(model.name).path}explain"
        self.paths = (self.path, f"{self.path}/")
        rows = settings.explain_rows
        self.limits = settings.max_body, min(settings.max_array_body, rows * settings.max_body)
        self._explaining = Explaining(admission, explanation_cache(settings, metrics))
        self._decode = model.decoder(rows)
        self._inputs = Inputs(reviewer_of(model, settings))
        self._slot = slot
        self._metrics = metrics.of(model.name).scoring

    def check(self) -> None:
        """Raises Overloaded or Unexplainable for a request that need not be read."""
        self._explaining.check(self._slot.current.scorer)

    def post(self, environ: "WSGIEnvironment") -> Reply:
        """Read, explain, reply. Raises InvalidRequest, Refused, Overloaded or NotExplained."""
        record = record_of(environ)
        record.route = self.path
        live = self._slot.current
        record.model_version = live.version
        latest = monotonic() + _seconds(environ)
        self._explaining.check(live.scorer)  # who is refused need not be read
        text = body.read(environ, *self.limits)
        try:
            response = self._explain(live, text, latest, record)
        except InvalidRequest as fault:
            self._metrics.refused(fault)
            raise
        if record.warnings:
            response.add("X-Score-Warnings", ", ".join(record.warnings))
        return response

    def _explain(self, live: Live, text: bytes, latest: float, record: Record) -> Reply:
        decoded = self._decode(text)
        if not isinstance(decoded, list):
            row = self._row(live, decoded, record)
            if isinstance(row, InvalidRequest):
                raise row
            (explanation,) = self._explained(live, [row], latest, record)
            return reply.ok(explanation)
        items = [self._row(live, item, record) for item in decoded]
        rows = [item for item in items if not isinstance(item, InvalidRequest)]
        explained = iter(self._explained(live, rows, latest, record))
        results = [item if isinstance(item, InvalidRequest) else next(explained) for item in items]
        for fault in items:
            if isinstance(fault, InvalidRequest):
                self._metrics.refused(fault)
        return reply.ok(results, partial=len(rows) < len(items))

    def _row(
        self, live: Live, item: Request | InvalidRequest, record: Record
    ) -> Row | InvalidRequest:
        """The item's features, or why it is refused: for the reasons that POST /reg/ has."""
        if isinstance(item, InvalidRequest):
            return item
        row, fault = self._inputs.uncounted(live.scorer, item, record)
        return fault or row

    def _explained(
        self, live: Live, rows: list[Row], latest: float, record: Record
    ) -> Sequence[Any]:
        began = perf_counter()
        explanations = self._explaining.explained(live.scorer, rows, latest) if rows else []
        record.rows = len(rows)
        record.predict_seconds = perf_counter() - began
        return explanations


def _seconds(environ: "WSGIEnvironment") -> float:
    """The seconds that are left for the caller's reply. Raises Refused."""
    now = perf_counter()
    age: float = now - environ.get(BEGAN, now)
    stated = environ.get("HTTP_X_REQUEST_TIMEOUT_MS")
    if stated is None:
        return LONGEST_SECONDS - age
    left = deadline.left_of(stated, environ.get("HTTP_X_REQUEST_START", ""), age)
    return min(LONGEST_SECONDS - age, left)
