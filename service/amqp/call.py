"""One request over AMQP, and how its outcome becomes a message."""

from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any, Final

from service.http import errors
from service.http.deadline import seconds_since
from service.http.query import flag
from service.http.reply import Reply
from service.routes.score_call import HttpCall

# Where replies may go: the requester's own queues. A request must not make the service write into
# a queue of another.
_DIRECT: Final = "amq.rabbitmq.reply-to."
_REPLY_QUEUES: Final = (_DIRECT, "amq.gen-", "reply.")


class AmqpCall(HttpCall, kw_only=True):
    """A delivery whose request is scored; `done` is called with the call and its reply, once."""

    delivery: Any
    done: Callable[["AmqpCall", Reply], None]
    began: float

    def send(self, response: Reply) -> None:
        """Hand the reply on."""
        self.record.status = response.status
        self.record.seconds = perf_counter() - self.began
        self.done(self, response)

    def fail(self, error: Exception) -> None:
        """Reply by the table of errors."""
        self.send(errors.answer(error, self.record))


def wants_details(headers: Mapping[str, Any]) -> bool:
    """Whether the header `detail` asks for details. Raises InvalidRequest unless it is 0 or 1."""
    return flag("detail", str(headers.get("detail", "0")))


def may_reply_to(queue: str | None) -> bool:
    """Whether a request may have its reply sent to a queue of this name."""
    return bool(queue) and str(queue).startswith(_REPLY_QUEUES)


def is_direct(queue: str) -> bool:
    """Whether it is direct reply-to: RabbitMQ returns its mandatory replies and delivers them."""
    return str(queue).startswith(_DIRECT)


def age_of(headers: Mapping[str, Any]) -> float:
    """The seconds since the header `x-request-start` (t=seconds since 1970), 0 without one."""
    return seconds_since(str(headers.get("x-request-start", "")).removeprefix("t=")) or 0.0


def seconds_left(expiration: str | None, age: float) -> float | None:
    """The seconds that are left of the request's `expiration`, None if it states none.

    The broker has checked that it is a whole number of milliseconds.
    """
    return int(expiration) / 1000 - age if expiration else None
