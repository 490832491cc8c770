"""Takes requests from the models' queues, has them scored, and publishes their replies.

All requests that have come in one iteration of the event loop share a call of the model, as those
over HTTP do. A request is acknowledged when its reply has been handed to the broker. One that is
delivered again was taken by a worker that then died, perhaps of it: it is not scored again, but
answered with 503, since its sender can repeat it, and a request that kills workers must not go on.
"""

from asyncio import sleep
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from time import monotonic, perf_counter
from typing import Any, Final

from pika import BasicProperties, spec

from service.amqp import topology
from service.amqp.call import (
    AmqpCall,
    age_of,
    is_direct,
    may_reply_to,
    seconds_left,
    wants_details,
)
from service.amqp.connection import Connection
from service.amqp.requesters import Requesters
from service.config.settings import Settings
from service.http import body, errors
from service.http.errors import Refused
from service.http.reply import Reply, fail
from service.http.request_ids import RequestIds, new_id
from service.overload.admission import ARRAY_BYTES
from service.scoring.service import ScoringService
from service.server.iteration import EndOfIteration
from service.telemetry.metrics.amqp import AmqpMetrics
from service.telemetry.record import Record

# Requests that the broker hands over ahead of their replies: some full batches.
_PREFETCH: Final = 512
_STOP_INTERVAL: Final = 0.02
_JSON: Final = "application/json"
_PASSED_ON: Final = ("Retry-After", "X-Score-Warnings")
# Whether anybody waits is worth a question, which takes as long as scoring some twenty rows, for
# arrays, and for requests that are as old as this, in seconds.
_OLD: Final = 1.0
_TAKEN_BEFORE: Final = "the worker that had this request ended: send it again"
_NOT_ROUTABLE: Final = "there is no model of this name"


class Consumer:
    """The requests of one process. Must be made and used in an event loop."""

    def __init__(
        self,
        settings: Settings,
        services: Mapping[str, ScoringService],
        ids: RequestIds,
        metrics: AmqpMetrics,
        answered: Callable[[Sequence[Record]], None],
    ) -> None:
        """`services` are the scoring cores by the names of their models.

        `answered` is called with the records of the requests that were answered in an iteration.
        """
        self._services = services
        self._ids = ids
        self._metrics = metrics
        self._answered = answered
        self._records: list[Record] = []
        self._end = EndOfIteration(self._hand_on)
        self._in_flight = 0
        self._channel: Any = None
        self._tags: list[str] = []
        self._limits = settings.max_body, settings.max_array_body
        self._connection = Connection(settings.broker, self._opened, self._lost)

    @property
    def _is_busy(self) -> bool:
        return self._channel is not None and bool(self._tags or self._in_flight)

    def start(self) -> None:
        """Connect, and consume from then on."""
        self._connection.open()

    async def stop(self, seconds: float) -> None:
        """Take no more requests, answer those that are here, and disconnect."""
        latest = monotonic() + seconds
        if self._channel is not None and self._channel.is_open:
            self._cancel(self._channel)
        while self._is_busy and monotonic() < latest:  # noqa: ASYNC110
            await sleep(_STOP_INTERVAL)
        self._connection.close()
        await sleep(_STOP_INTERVAL)  # the last replies and the close leave the socket

    def _opened(self, channel: Any) -> None:
        channel.basic_qos(prefetch_count=_PREFETCH)
        topology.declare(channel, list(self._services), partial(self._consume, channel))

    def _consume(self, channel: Any) -> None:
        self._channel = channel
        self._requesters = Requesters(channel.connection)
        channel.add_on_return_callback(self._returned)
        # Its queue was deleted, or has moved: all is declared again after a new connection.
        channel.add_on_cancel_callback(lambda _frame: channel.connection.close())
        self._tags = [
            channel.basic_consume(topology.queue_of(model), partial(self._take, model, service))
            for model, service in self._services.items()
        ]
        self._tags.append(channel.basic_consume(topology.UNROUTABLE, self._take_unroutable))
        self._metrics.consuming(yes=True)

    def _cancel(self, channel: Any) -> None:
        """End the deliveries; `_tags` is empty after the last one.

        pika's `basic_cancel` rejects those that are on their way: they would be delivered again.
        """
        for tag in self._tags:
            channel._send_method(spec.Basic.Cancel(tag, nowait=True))  # noqa: SLF001
        # The broker works in order: its answer to any other method comes after them.
        channel.queue_declare(
            topology.UNROUTABLE, passive=True, callback=lambda _frame: self._tags.clear()
        )

    def _lost(self) -> None:
        """What is in flight has no channel for its reply: the broker delivers it again."""
        self._channel, self._tags, self._in_flight = None, [], 0
        self._metrics.consuming(yes=False)

    def _returned(self, _channel: Any, _method: Any, _properties: Any, _body: bytes) -> None:
        self._metrics.unanswered("requester gone")

    # One request.

    def _take(  # noqa: PLR0913, PLR0917 - pika's callback
        self, model: str, service: ScoringService, channel: Any, method: Any, properties: Any,
        text: bytes,
    ) -> None:  # fmt: skip
        """A delivery from a model's queue."""
        age = age_of(properties.headers or {})
        seconds = seconds_left(properties.expiration, age)
        if seconds is not None and seconds <= 0:
            self._drop(channel, method.delivery_tag, "expired")
            return
        if not may_reply_to(properties.reply_to):
            self._drop(channel, method.delivery_tag, "no reply_to")
            return
        self._in_flight += 1
        self._metrics.waited(model, age)
        record = self._record(properties, topology.queue_of(model), len(text))
        record.model_version = service.slot.current.version
        call = AmqpCall(
            service,
            record,
            text,
            delivery=(channel, method.delivery_tag, properties),
            done=self._reply,
            began=perf_counter(),
        )
        try:
            self._check(call, properties, redelivered=method.redelivered)
        except Exception as error:  # noqa: BLE001 - answered by the table of errors
            service.fail(call, error)
            return
        if age > _OLD or len(text) > ARRAY_BYTES:
            self._requesters.ask(properties.reply_to, partial(self._submit_if, call, seconds))
        else:
            self._submit(call, seconds)

    def _check(self, call: AmqpCall, properties: Any, *, redelivered: bool) -> None:
        """Check what a request says of itself. Raises Refused or InvalidRequest."""
        if redelivered:
            raise Refused(503, _TAKEN_BEFORE, errors.retry_after())
        encoding = properties.content_encoding
        kind = _octets(properties.content_type or _JSON)
        body.check_kind(kind, _octets(encoding) if encoding else None)
        body.check_size(call.body, *self._limits)
        call.detail = wants_details(properties.headers or {})

    def _submit_if(self, call: AmqpCall, seconds: float | None, requester_waits: bool) -> None:  # noqa: FBT001 - an answer
        channel, tag, _ = call.delivery
        if not channel.is_open:
            return
        if requester_waits:
            self._submit(call, seconds)
            return
        self._in_flight -= 1
        self._drop(channel, tag, "requester gone")

    @staticmethod
    def _submit(call: AmqpCall, seconds: float | None) -> None:
        try:
            call.service.submit(call, seconds)
        except Exception as error:  # noqa: BLE001 - answered by the table of errors
            call.service.fail(call, error)

    def _take_unroutable(self, channel: Any, method: Any, properties: Any, text: bytes) -> None:
        """A request whose routing key names no model."""
        if not may_reply_to(properties.reply_to):
            self._drop(channel, method.delivery_tag, "no reply_to")
            return
        record = self._record(properties, "unmatched", len(text))
        record.status = 404
        self._in_flight += 1
        self._publish((channel, method.delivery_tag, properties), fail(404, _NOT_ROUTABLE), record)

    def _record(self, properties: Any, route: str, size: int) -> Record:
        """Its record; the broker has checked that `user_id` is the publisher's."""
        record = Record(new_id(), "AMQP", route, key_name=properties.user_id or "", body_bytes=size)
        if isinstance(properties.message_id, str):
            self._ids.take(record, properties.message_id)
        return record

    def _drop(self, channel: Any, tag: int, reason: str) -> None:
        self._metrics.unanswered(reason)
        channel.basic_ack(tag)

    def _reply(self, call: AmqpCall, response: Reply) -> None:
        self._publish(call.delivery, response, call.record)

    def _publish(self, delivery: tuple[Any, int, Any], response: Reply, record: Record) -> None:
        channel, tag, properties = delivery
        self._records.append(record)
        self._end.schedule()
        if channel is not self._channel or not channel.is_open:
            return  # it is lost, and the broker delivers the request again
        self._in_flight -= 1
        channel.basic_publish(
            "",
            properties.reply_to,
            response.body,
            BasicProperties(
                content_type=_JSON,
                correlation_id=properties.correlation_id,
                headers=_headers(response, record),
            ),
            mandatory=not is_direct(properties.reply_to),
        )
        channel.basic_ack(tag)

    def _hand_on(self) -> None:
        records, self._records = self._records, []
        self._metrics.answered(records)
        self._answered(records)


def _octets(text: str | bytes) -> bytes:
    """A property as it came; pika leaves what is not UTF-8 as it is."""
    return text if isinstance(text, bytes) else text.encode()


def _headers(response: Reply, record: Record) -> dict[str, Any]:
    """The headers of a reply's message: the status, and some of those of HTTP."""
    headers: dict[str, Any] = {"status": response.status, "x-request-id": record.replied_id}
    if record.model_version:
        headers["x-model-version"] = record.model_version
    if record.warnings or response.status != 200:
        for line in response.fields.decode("latin-1").splitlines():
            name, _, value = line.partition(": ")
            if name in _PASSED_ON:
                headers[name.lower()] = value
    return headers
