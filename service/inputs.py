"""From readings to rows: guarded by the policies, and what is doubtful is noted and counted."""

from typing import Any

from model import InvalidRequest
from model.regno import Checked, Guards, Reading, RegnoScorer, Row
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
    ) -> tuple[Reading, Row, InvalidRequest | None]:
        """The reading as it is scored, its row, and the fault if it is to be refused."""
        row, checked = self._settled(live.scorer, reading)
        if checked is None:
            return reading, row, None
        _warn(checked, record)
        live.behaviour.unseen(dict.fromkeys(checked.unseen, 1))
        live.behaviour.lookalikes(dict.fromkeys(checked.lookalikes, 1))
        live.behaviour.normalised(checked.normalised)
        return checked.reading or reading, checked.row, checked.fault

    def uncounted(
        self, scorer: RegnoScorer, reading: Reading, record: Record
    ) -> tuple[Row, InvalidRequest | None]:
        """The same for a reading that is no traffic of the model: told, but not counted."""
        row, checked = self._settled(scorer, reading)
        if checked is None:
            return row, None
        _warn(checked, record)
        return checked.row, checked.fault

    def _settled(self, scorer: RegnoScorer, reading: Reading) -> tuple[Row, Checked | None]:
        """The row as it was sent, and what the policies make of it if it is doubtful."""
        row = scorer.row(reading)
        unseen, lookalikes = scorer.unseen(row), scorer.lookalikes(reading)
        if not unseen and not lookalikes:
            return row, None
        return row, self._guards.settle(scorer, reading, Checked(row, unseen, lookalikes))

    @staticmethod
    def table(live: Live, readings: list[Reading], record: Record) -> Any:
        """The table of readings that are scored as they were sent."""
        table = live.scorer.table.of_readings(readings)
        unseen = live.scorer.unseen_in_table(table)
        record.warn(f"unseen-category:{name}" for name in unseen)
        live.behaviour.unseen(unseen)
        live.behaviour.lookalikes(live.scorer.count_lookalikes(readings))
        return table


def _warn(checked: Checked, record: Record) -> None:
    record.warn(f"unseen-category:{name}" for name in checked.unseen)
    record.warn(f"normalised:{name}" for name in checked.normalised)
