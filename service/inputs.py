"""From readings to rows: guarded by the policies, and what is doubtful is noted and counted."""

from typing import Any

from model import InvalidRequest
from model.regno import Checked, Guards, Reading, Row
from service.record import Record
from service.slots import Live


class Inputs:
    """Makes the rows of one request's readings."""

    def __init__(self, guards: Guards) -> None:
        self._guards = guards

    @property
    def as_sent(self) -> bool:
        """Whether every row is scored as it was sent: then many may be scored as a table."""
        return self._guards.accept_all

    def row(
        self, live: Live, reading: Reading, record: Record
    ) -> tuple[Row, InvalidRequest | None]:
        """The row to score, and the fault if it is to be refused."""
        scorer = live.scorer
        row = scorer.row(reading)
        unseen, lookalikes = scorer.unseen(row), scorer.lookalikes(reading)
        if not unseen and not lookalikes:
            return row, None
        checked = self._guards.settle(scorer, reading, Checked(row, unseen, lookalikes))
        note(live, checked, record)
        return checked.row, checked.fault

    @staticmethod
    def table(live: Live, readings: list[Reading], record: Record) -> Any:
        """The table of readings that are scored as they were sent."""
        table = live.scorer.table.of_readings(readings)
        unseen = live.scorer.unseen_in_table(table)
        record.warn(f"unseen-category:{name}" for name in unseen)
        live.behaviour.unseen(unseen)
        live.behaviour.lookalikes(live.scorer.count_lookalikes(readings))
        return table


def note(live: Live, checked: Checked, record: Record) -> None:
    """Tell what was doubtful in a row."""
    record.warn(f"unseen-category:{name}" for name in checked.unseen)
    record.warn(f"normalised:{name}" for name in checked.normalised)
    live.behaviour.unseen(dict.fromkeys(checked.unseen, 1))
    live.behaviour.lookalikes(dict.fromkeys(checked.lookalikes, 1))
    live.behaviour.normalised(checked.normalised)
