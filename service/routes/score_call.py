"""How outcomes of scoring become a reply: envelopes, arrays in pieces, timing, warnings."""

from collections.abc import Sequence
from time import perf_counter
from typing import Any, Final

from msgspec import field

from model import InvalidRequest
from service.http import reply
from service.http.reply import Reply
from service.scoring.core import Outcome
from service.scoring.service import Call
from service.telemetry.record import Record

# In milliseconds.
_TIMING: Final = (
    b"Server-Timing: decode;dur=%.3f, features;dur=%.3f, wait;dur=%.3f, predict;dur=%.3f\r\n"
)


class HttpCall(Call):
    """Makes the reply; an array is encoded in pieces, all at once would hold up the event loop."""

    parts: list[bytes] = field(default_factory=list)
    partial: bool = False

    def send(self, response: Reply) -> None:
        """Send the reply."""
        raise NotImplementedError

    def answer(self, outcome: Outcome) -> None:
        """Reply with one score."""
        began = perf_counter()
        response = reply.ok(outcome)
        self.record.encode_seconds = perf_counter() - began
        self.send(described(response, self.record))

    def add(self, outcomes: Sequence[Outcome]) -> None:
        """Encode the next outcomes."""
        if not outcomes:
            return
        began = perf_counter()
        self.parts.append(reply.encode_elements(outcomes))
        self.partial = self.partial or any(isinstance(o, InvalidRequest) for o in outcomes)
        self.record.encode_seconds += perf_counter() - began

    def end(self) -> None:
        """Reply with the whole."""
        began = perf_counter()
        response = reply.ok_of_parts(self.parts, partial=self.partial)
        self.record.encode_seconds += perf_counter() - began
        self.send(described(response, self.record))


class WsgiCall(HttpCall):
    """One that came by WSGI, where errors are raised; its `reply` is for the route."""

    reply: Any = None

    def send(self, response: Reply) -> None:
        """Keep the reply."""
        self.reply = response


def described(response: Reply, record: Record) -> Reply:
    """A reply with scores, and the headers that say how they came about."""
    response.fields += _TIMING % (
        record.decode_seconds * 1e3,
        record.features_seconds * 1e3,
        record.wait_seconds * 1e3,
        record.predict_seconds * 1e3,
    )
    if record.warnings:
        response.add("X-Score-Warnings", ", ".join(record.warnings))
    return response
