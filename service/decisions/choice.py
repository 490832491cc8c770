"""Which entries of the log are meant: by time, version, decision and audit draw."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


class Condition(NamedTuple):
    """A condition of SQL with its values."""

    text: str
    values: list[Any]


def condition(
    since: float | None = None,
    until: float | None = None,
    version: str | None = None,
    decision: str | None = None,
    *,
    audited: bool = False,
) -> Condition:
    """The condition on entries that all of these state; None states nothing."""
    wanted = {
        "time >= ?": since,
        "time < ?": until,
        "version = ?": version,
        "decision = ?": decision,
        "audited > ?": 0 if audited else None,
    }
    stated = {text: value for text, value in wanted.items() if value is not None}
    return Condition(" AND ".join(stated) or "1", list(stated.values()))


def moment(text: str) -> float:
    """A time of ISO 8601, or how long ago: 90m, 12h, 30d. Raises ValueError, which says so."""
    number, unit = text[:-1], text[-1:]
    try:
        if number.isdecimal() and unit in _UNITS:
            age = timedelta(seconds=int(number) * _UNITS[unit])
            return (datetime.now(UTC) - age).timestamp()
        stated = datetime.fromisoformat(text)
        return (stated if stated.tzinfo else stated.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise ValueError("must be a time such as 2026-11-30, or an age such as 12h") from None
