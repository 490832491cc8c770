"""Labels that come later, from a CSV file: what became of decisions."""

import csv
from collections.abc import Iterator
from pathlib import Path
from time import time
from typing import Final, NamedTuple

from model import catalog
from service.decisions.decision import OUTCOMES, Decision, Entry, Feedback, decode
from service.decisions.log import DecisionLog, Forgotten, Unknown

# The columns: which decision, and its outcome or the true reading.
REQUEST, ROW, OUTCOME, READING = "request_id", "row", "outcome", "true_reading"
_LONGEST_NAME: Final = 200


class Unusable(Exception):
    """The file or one of its lines can't be used, for this reason."""


class Taken(NamedTuple):
    """Labels by what became of them."""

    labelled: int
    unknown: int
    forgotten: int


def take(log: DecisionLog, path: Path, source: str) -> Taken:
    """Add the labels of a file to the log, all or none. The log must be locked.

    Raises Unusable and OSError.
    """
    found, unknown, forgotten = [], 0, 0
    for line, cells in _lines(path):
        try:
            found.append(_feedback(log, line, cells, source))
        except Unknown:
            unknown += 1
        except Forgotten:
            forgotten += 1
    if found:
        log.record(found)
    return Taken(len(found), unknown, forgotten)


def _lines(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            names = set(reader.fieldnames or ())
            if REQUEST not in names or not names & {OUTCOME, READING}:
                raise Unusable(f"columns {REQUEST} and {OUTCOME} or {READING} are wanted")
            for cells in reader:
                yield reader.line_num, cells
    except (UnicodeError, csv.Error) as error:
        raise Unusable("it is no CSV in UTF-8") from error


def _feedback(log: DecisionLog, line: int, cells: dict[str, str], source: str) -> Feedback:
    """The label of a line. Raises Unknown, Forgotten, and Unusable without the line's plate."""
    request, row, outcome = cells[REQUEST], cells.get(ROW) or "0", cells.get(OUTCOME) or ""
    if not row.isdecimal():
        raise Unusable(f"line {line}: {ROW} must be a whole number")
    found = log.find(f"{request}:{row}")
    if not outcome and (truth := cells.get(READING)):
        outcome = _proved(decode(log.canonical(found)), truth)
    if outcome not in OUTCOMES:
        raise Unusable(f"line {line}: {OUTCOME} must be one of {', '.join(OUTCOMES)}")
    return Feedback(time(), request, int(row), outcome, source[:_LONGEST_NAME])


def _proved(entry: Entry, truth: str) -> str:
    """Whose reading a true one proves right."""
    if not isinstance(entry, Decision):
        raise TypeError(type(entry).__name__)
    model = catalog.entry(entry.model).load()
    return model.outcome(model.decoder(1)(bytes(entry.request)), truth)
