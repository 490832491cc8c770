"""From requests to rows: guarded by the policies, and what is doubtful is noted and counted."""

from collections.abc import Mapping, Sequence

from model import InvalidRequest
from model.scorer import Checked, Request, Reviewer, Row, Scorer, Table
from service.scoring.live import Live
from service.telemetry.record import Record


class Inputs:
    """Makes the rows of the requests in a body."""

    def __init__(self, reviewer: Reviewer) -> None:
        self._reviewer = reviewer

    @property
    def as_sent(self) -> bool:
        """Whether every row is scored as it was sent: then many may be scored as a table."""
        return self._reviewer.accept_all

    def row(
        self, live: Live, request: Request, record: Record
    ) -> tuple[Request, Row, InvalidRequest | None, Sequence[str]]:
        """The request as it is scored, its row, the fault if it is to be refused, and warnings."""
        row, checked = self._settled(live.scorer, request)
        if checked is None:
            return request, row, None, ()
        warnings = checked.names
        record.warn(warnings)
        live.predictions.warned(dict.fromkeys(warnings, 1))
        return checked.request or request, checked.row, checked.fault, warnings

    def uncounted(
        self, scorer: Scorer, request: Request, record: Record
    ) -> tuple[Row, InvalidRequest | None]:
        """The same for a request that is not traffic of the model: warned of, but not counted."""
        row, checked = self._settled(scorer, request)
        if checked is None:
            return row, None
        record.warn(checked.names)
        return checked.row, checked.fault

    def _settled(self, scorer: Scorer, request: Request) -> tuple[Row, Checked | None]:
        """The row as it was sent, and what the policies make of it if it is doubtful."""
        row = scorer.row(request)
        warnings = self._reviewer.warnings(scorer, request, row)
        if not warnings:
            return row, None
        return row, self._reviewer.settle(scorer, request, row, warnings)

    @staticmethod
    def table(
        live: Live, requests: Sequence[Request], record: Record
    ) -> tuple[Table, Mapping[str, int]]:
        """The table of requests that are scored as they were sent, and their warnings' rows."""
        table, warnings = live.scorer.table_of(requests)
        record.warn(warnings)
        live.predictions.warned(warnings)
        return table, warnings
