"""POST to an address of inferences straight from the parser, so that single rows share batches.

Its replies are those of `service.routes.inference`, the same route for any WSGI server.
"""

from typing import TYPE_CHECKING, Final

from service.http import body, errors
from service.http.authentication import Guard
from service.http.inference.errors import in_protocol
from service.http.reply import Reply
from service.overload.admission import FULL, Admission
from service.routes.inference import LONGEST_BODY, InferCall, InferenceRoute, least
from service.routes.score_endpoint import seconds_left

if TYPE_CHECKING:
    from service.server.connection import Connection
    from service.server.request import Request

_JSON_LENGTH: Final = b"inference-header-content-length"


class InferenceEndpoint:
    """The way from the parser for one model, or for one version of it."""

    def __init__(
        self, route: InferenceRoute, guard: Guard, admission: Admission, name: str, version: str
    ) -> None:
        """`version` is "" for whichever is live. A check of the head needs no body."""
        self._route = route
        self._guard = guard
        self._admission = admission
        self._of = route.models[name]
        self._version = version

    def admit(self, request: "Request") -> int:
        """Check key, version and load by the head alone: a body that is not wanted is not read."""
        record, headers = request.record, request.headers
        record.route = self._of.route
        record.model_version = self._of.service.slot.current.version
        try:
            self._guard.admit(headers, record)
            self._route.named(self._of.name, self._version)
            body.check_encoding(headers.get(b"content-encoding"))
            if request.missing > LONGEST_BODY:
                raise body.too_long(LONGEST_BODY)  # noqa: TRY301 - answered as all others
            self._admission.check_head(request.missing)
        except Exception as error:  # noqa: BLE001 - answered by the table of errors
            request.refusal = in_protocol(errors.answer(error, record))
        return LONGEST_BODY

    def full(self, request: "Request") -> Reply:
        """The rejection of a request for whose bytes there is no room."""
        return in_protocol(errors.answer(self._admission.overloaded(FULL), request.record))

    def answer(self, request: "Request", connection: "Connection") -> None:
        """Have the request scored, and replied to."""
        of, service = self._of, self._of.service
        call = ParserInferCall(
            service, request.record, b"", of=of, request=request, connection=connection
        )
        stated = request.headers.get(_JSON_LENGTH)
        try:
            self._route.named(of.name, self._version)  # another may be live by now
            json_bytes = None if stated is None else stated.decode("latin-1")
            inference = self._route.read(of, request.body, json_bytes)
            call.take(inference)
            service.submit(call, least(inference.seconds, seconds_left(request)))
        except Exception as error:  # noqa: BLE001 - answered by the table of errors
            service.fail(call, error)


class ParserInferCall(InferCall, kw_only=True):
    """One that came from the parser."""

    request: "Request"
    connection: "Connection"

    def send(self, response: Reply) -> None:
        """Send the reply."""
        self.connection.reply(self.request, response)

    def fail(self, error: Exception) -> None:
        """Reply by the table of errors, in the protocol's form."""
        self.connection.reply(self.request, in_protocol(errors.answer(error, self.record)))
