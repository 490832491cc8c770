"""The record of a job, and its id."""

import secrets
from math import inf
from typing import Final

from msgspec import Struct, structs

from service.config.settings import Settings
from service.jobs.states import State

# The kinds of jobs: a body of a model's own route, a file of readings, and a data set to learn.
SCORE: Final = "score"
TABLE: Final = "table"
TRAIN: Final = "train"
KINDS: Final = (SCORE, TABLE, TRAIN)

# Crockford's digits: their order is that of their characters.
_DIGITS: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_TIME_DIGITS: Final = 10
_RANDOM_DIGITS: Final = 16


def usual_kinds(settings: Settings) -> tuple[str, ...]:
    """The kinds that a worker does unless it is set to others: training if any key may train."""
    return KINDS if settings.trainer_names else (SCORE, TABLE)


class Job(Struct, frozen=True, kw_only=True):
    """What is known of a job. Times are seconds since 1970, 0 where there is none yet.

    `owner` is the name of the key that submitted it. `kind` names what is done with the input
    (`service.jobs.kinds`), `input` and `result` are references to `service.jobs.blobs`.
    `fingerprint` is the SHA-256 of kind, model, parameters, webhook and input. A worker holds the
    job until `lease_until`, `lease` seconds after its last sign of life; `fence` counts the claims,
    and only the newest may change the record. `due` is when the next attempt may begin, `published`
    when the queue last got the job.
    `without_room_since` is when its attempts began to end for lack of room for its blobs.
    `cancelling` is the caller's wish while the job runs. `keep` is for how many seconds the record
    stays after the job's end. `error` is for the caller: "field: reason", never an exception's
    text or a plate.
    """

    id: str
    owner: str
    kind: str
    model: str
    fingerprint: str
    input: str
    media_type: str
    parameters: dict[str, str] = {}
    request_id: str = ""
    webhook: str = ""
    state: State = State.ACCEPTED
    created: float
    keep: float
    deadline: float = 0.0
    started: float = 0.0
    finished: float = 0.0
    expires: float = 0.0
    due: float = 0.0
    published: float = 0.0
    attempts: int = 0
    max_attempts: int = 3
    fence: int = 0
    worker: str = ""
    lease_until: float = 0.0
    lease: float = 0.0
    without_room_since: float = 0.0
    cancelling: bool = False
    done: int = 0
    total: int = 0
    checkpoint: str = ""
    version: str = ""
    result: str = ""
    result_type: str = ""
    error: str = ""

    def __post_init__(self) -> None:
        """A job that names no time for its first attempt is due when it is created."""
        if not self.due:
            structs.force_setattr(self, "due", self.created)


def new_id(now: float) -> str:
    """Return an id that can't be guessed; ids of later milliseconds sort behind it.

    Its form is that of a ULID in lower case: the milliseconds since 1970, and 80 random bits.
    """
    time = _digits(int(now * 1000), _TIME_DIGITS)
    return time + _digits(secrets.randbits(5 * _RANDOM_DIGITS), _RANDOM_DIGITS)


def _digits(number: int, count: int) -> str:
    return "".join(_DIGITS[number >> 5 * place & 31] for place in reversed(range(count)))


def created_at(job: str) -> float:
    """Return when an id was made, in seconds since 1970; infinity for what is not an id."""
    if len(job) != _TIME_DIGITS + _RANDOM_DIGITS:
        return inf
    try:
        digits = [_DIGITS.index(digit) for digit in job[:_TIME_DIGITS]]
    except ValueError:
        return inf
    return sum(digit << 5 * place for place, digit in enumerate(reversed(digits))) / 1000
