"""Labels that come later: what became of decisions, by whom, and each once."""

import csv
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from time import time
from typing import Final, NamedTuple

from model import catalog
from model.redaction import redact
from service.decisions.decision import OUTCOMES, Decision, Entry, Feedback, decode
from service.decisions.log import DecisionLog, Forgotten, Unknown
from service.decisions.store import Row

# The columns: which decision, and its outcome or the true reading.
REQUEST, ROW, OUTCOME, READING = "request_id", "row", "outcome", "true_reading"
_LONGEST_NAME: Final = 200
# The digits of a row's number.
_LONGEST_ROW: Final = 15


class Unusable(Exception):
    """The file, one of its lines or a label can't be used, for this reason."""


class Taken(NamedTuple):
    """Labels by what became of them; `repeated` are those that their source has given before."""

    labelled: int
    unknown: int
    forgotten: int
    repeated: int = 0


class Label(NamedTuple):
    """What somebody says of a decision: its outcome, or else the true reading."""

    request_id: str
    row: int
    outcome: str
    reading: str
    source: str


def take(log: DecisionLog, path: Path, source: str) -> Taken:
    """Add the labels of a file to the log, all or none. The log must be locked.

    Raises Unusable and OSError.
    """
    found, unknown, forgotten = [], 0, 0
    for line, cells in _lines(path):
        try:
            found.append(feedback_of(log, _label(cells, source)))
        except Unknown:
            unknown += 1
        except Forgotten:
            forgotten += 1
        except Unusable as error:
            raise Unusable(f"line {line}: {error}") from None
    labelled = add(log, found)
    return Taken(labelled, unknown, forgotten, len(found) - labelled)


def feedback_of(log: DecisionLog, label: Label) -> Feedback:
    """The entry of a label. Raises Unknown, Forgotten, and Unusable without the label's plate."""
    found = log.find(f"{label.request_id}:{label.row}")
    outcome = label.outcome
    if not outcome and label.reading:
        outcome = _proved(decode(log.canonical(found)), label.reading)
    if outcome not in OUTCOMES:
        raise Unusable(f"{OUTCOME} must be one of {', '.join(OUTCOMES)}")
    # The index has it in clear: a file may be named by a plate.
    source = redact(label.source[:_LONGEST_NAME])
    return Feedback(time(), label.request_id, label.row, outcome, source)


def add(log: DecisionLog, found: Sequence[Feedback]) -> int:
    """Add what its sources have not said before: how many. The log must be locked.

    Of what a source says several times of a decision here, the last counts.
    """
    last = {(one.request_id, one.row, one.source): one for one in found}
    new = [one for one in last.values() if _said(log, one) != one.outcome]
    if new:
        log.record(new)
    return len(new)


def about(log: DecisionLog, decision: Row) -> Iterator[Feedback]:
    """What was said of a decision, in order; what was forgotten is left out."""
    condition = "kind = 'feedback' AND request_id = ? AND row = ? AND idx > ?"
    named = (decision.request_id, decision.row, decision.entry)
    for row in log.store.rows(condition, *named):
        with suppress(Forgotten):
            entry = decode(log.canonical(row))
            if isinstance(entry, Feedback):
                yield entry


def _said(log: DecisionLog, label: Feedback) -> str:
    """The latest outcome that a label's source has given of its decision, "" if none."""
    decision = log.find(f"{label.request_id}:{label.row}")
    outcomes = [one.outcome for one in about(log, decision) if one.source == label.source]
    return outcomes[-1] if outcomes else ""


def _lines(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            names = set(reader.fieldnames or ())
            if REQUEST not in names or not names & {OUTCOME, READING}:
                raise Unusable(f"columns {REQUEST} and {OUTCOME} or {READING} are wanted")
            for cells in reader:
                yield reader.line_num, cells
    except OSError as error:
        raise Unusable(str(error.strerror)) from error
    except (UnicodeError, csv.Error) as error:
        raise Unusable("it is no CSV in UTF-8") from error


def _label(cells: dict[str, str], source: str) -> Label:
    row = cells.get(ROW) or "0"
    if not (row.isascii() and row.isdigit() and len(row) <= _LONGEST_ROW):
        raise Unusable(f"{ROW} must be a whole number")
    outcome, reading = cells.get(OUTCOME) or "", cells.get(READING) or ""
    return Label(cells[REQUEST], int(row), outcome, reading, source)


def _proved(entry: Entry, truth: str) -> str:
    """Whose reading a true one proves right."""
    if not isinstance(entry, Decision):
        raise TypeError(type(entry).__name__)
    model = catalog.entry(entry.model).load()
    return model.outcome(model.decoder(1)(bytes(entry.request)), truth)
