"""Decisions and logs for tests."""

from pathlib import Path
from typing import Any

from msgspec import Raw, structs

from model import catalog
from model.regno import golden
from service.decisions.decision import Decision, Entry, Feedback, encode
from service.decisions.log import DecisionLog, Opened
from service.decisions.sealing import month_of, salts, seal
from service.decisions.segments import Frame, SegmentWriter, framed

REGNO = catalog.entry("regno").load()
_salts = salts()


def decision(number: int = 0, time: float = 1_800_000_000.0, **changed: Any) -> Decision:
    """A decision on a golden reading."""
    readings = golden.readings()
    reading = readings[number % len(readings)]
    made = Decision(
        f"request-{number}", 0, time, "example", "regno", "v1", "0" * 64, "0.1.0", 0,
        Raw(REGNO.json_of(reading)), 0.25, "manual", {"camera": 0.2, "network": 0.8},
        {"manual": 0.3}, ("readings-agree",), "required", 0.01, audited=False,
    )  # fmt: skip
    return structs.replace(made, **changed)


def sealed(log: DecisionLog, entry: Entry) -> Frame:
    """The frame of an entry, as a worker makes it."""
    month, salt = month_of(entry.time), next(_salts)
    return Frame(month, salt, seal(log.secrets.month_key(month), salt, encode(entry)))


def opened(log: DecisionLog, entry: Entry) -> Opened:
    """The same as the sink has it."""
    return log.opened(sealed(log, entry))


def add_labelled(log: DecisionLog, number: int, outcome: str, given: float, **changed: Any) -> None:
    """Add a decision that was drawn for review with a chance of one half, and its label."""
    made = decision(number, **{"audited": True, "audit_probability": 0.5, **changed})
    log.append([opened(log, made)])
    log.record([Feedback(given, made.request_id, 0, outcome, "s")])


def spool(log: DecisionLog, entries: list[Decision]) -> SegmentWriter:
    """An open segment with these entries."""
    segment = SegmentWriter(log.folder / "spool")
    segment.write(b"".join(framed(sealed(log, entry)) for entry in entries))
    return segment


def ids(log: DecisionLog) -> list[str]:
    """The ids of the decisions in a log, in order."""
    return [row.request_id for row in log.store.rows("kind = 'decision'")]


def filled(folder: Path, count: int) -> DecisionLog:
    """A log with so many decisions, in batches of seven."""
    log = DecisionLog(folder)
    for begin in range(0, count, 7):
        batch = range(begin, min(begin + 7, count))
        log.append([opened(log, decision(number)) for number in batch])
    return log
