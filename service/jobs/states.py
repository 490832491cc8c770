"""The states of a job and the one table of their transitions."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class State(StrEnum):
    """The state of a job, as a record stores it and a reply shows it."""

    ACCEPTED = "accepted"
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    DEAD = "dead"


class Event(StrEnum):
    """What happens to a job."""

    QUEUE = "queue"
    CLAIM = "claim"
    RETRY = "retry"
    SUCCEED = "succeed"
    FAIL = "fail"
    CANCEL = "cancel"
    EXPIRE = "expire"
    KILL = "kill"
    REQUEUE = "requeue"


TRANSITIONS: Final[Mapping[tuple[State, Event], State]] = MappingProxyType(
    {
        (State.ACCEPTED, Event.QUEUE): State.QUEUED,
        (State.ACCEPTED, Event.CANCEL): State.CANCELLED,
        (State.ACCEPTED, Event.EXPIRE): State.EXPIRED,
        # A message can be delivered before the publisher's confirmation is recorded.
        (State.ACCEPTED, Event.CLAIM): State.RUNNING,
        (State.ACCEPTED, Event.KILL): State.DEAD,
        (State.QUEUED, Event.CLAIM): State.RUNNING,
        (State.QUEUED, Event.CANCEL): State.CANCELLED,
        (State.QUEUED, Event.EXPIRE): State.EXPIRED,
        (State.QUEUED, Event.KILL): State.DEAD,
        # A takeover: after the lease, or when the broker delivers the message again.
        (State.RUNNING, Event.CLAIM): State.RUNNING,
        (State.RUNNING, Event.RETRY): State.QUEUED,
        (State.RUNNING, Event.SUCCEED): State.SUCCEEDED,
        (State.RUNNING, Event.FAIL): State.FAILED,
        # The caller's wish is a flag of the record; the worker that reads it cancels.
        (State.RUNNING, Event.CANCEL): State.CANCELLED,
        (State.RUNNING, Event.EXPIRE): State.EXPIRED,
        (State.RUNNING, Event.KILL): State.DEAD,
        (State.DEAD, Event.REQUEUE): State.ACCEPTED,
    }
)
"""The state after an event, for each state in which the event is allowed."""

TERMINAL: Final = frozenset(
    {State.SUCCEEDED, State.FAILED, State.CANCELLED, State.EXPIRED, State.DEAD}
)
"""The states that end a job; only an operator brings one back, from DEAD."""


class TransitionError(ValueError):
    """An event is not allowed in the state of the job."""

    def __init__(self, state: State, event: Event) -> None:
        super().__init__(f"a job that is {state} does not allow {event}")


def next_state(state: State, event: Event) -> State:
    """Return the state of a job after `event`.

    Raises TransitionError where the table has no such transition.
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise TransitionError(state, event) from None
