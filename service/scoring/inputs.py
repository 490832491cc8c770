"""From readings to rows: guarded by the policies, and what is doubtful is noted and counted."""

from typing import Any

from model import InvalidRequest
from model.regno import NORMALISED, Checked, Guards, Reading, RegnoScorer, Row, columns_of, named
from service.scoring.live import Live
from service.telemetry.record import Record


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
        warnings = _names(checked)
        record.warn(warnings)
        live.behaviour.warned(dict.fromkeys(warnings, 1))
        return checked.reading or reading, checked.row, checked.fault

    def uncounted(
        self, scorer: RegnoScorer, reading: Reading, record: Record
    ) -> tuple[Row, InvalidRequest | None]:
        """The same for a reading that is no traffic of the model: told, but not counted."""
        row, checked = self._settled(scorer, reading)
        if checked is None:
            return row, None
        record.warn(_names(checked))
        return checked.row, checked.fault

    def _settled(self, scorer: RegnoScorer, reading: Reading) -> tuple[Row, Checked | None]:
        """The row as it was sent, and what the policies make of it if it is doubtful."""
        row = scorer.row(reading)
        warnings = self._guards.warnings(scorer, reading, row)
        if not warnings:
            return row, None
        return row, self._guards.settle(scorer, reading, row, warnings)

    @staticmethod
    def table(live: Live, readings: list[Reading], record: Record) -> Any:
        """The table of readings that are scored as they were sent."""
        columns = columns_of(readings)
        table = live.scorer.table.of_columns(columns)
        warnings = live.scorer.count_warnings(columns, table)
        record.warn(warnings)
        live.behaviour.warned(warnings)
        return table


def _names(checked: Checked) -> list[str]:
    """The warnings of a row: those that are left, and what was put right."""
    return [*checked.warnings, *(named(NORMALISED, field) for field in checked.normalised)]
