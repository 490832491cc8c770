"""The addresses of the Open Inference Protocol, and how replies and errors look there.

What answers them is passed in: the scoring processes for rows, the web processes for pictures.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

import msgspec
from flask import Blueprint, request
from msgspec import Struct
from werkzeug.exceptions import HTTPException

from service.http import errors
from service.http.inference.errors import in_protocol
from service.http.inference.messages import Encoded
from service.http.inference.metadata import Live, Ready
from service.http.reply import Reply
from service.telemetry.record import record_of

if TYPE_CHECKING:
    from werkzeug.sansio.response import Response

PATH: Final = "/v2"
_BINARY_HEADER: Final = "Inference-Header-Content-Length"

Answer: TypeAlias = Callable[[Exception], Reply]


class Answers(Protocol):
    """What replies at the addresses that need a key; `version` is "" for whichever is live."""

    def server(self) -> Reply:
        """What this server is."""

    def index(self) -> Reply:
        """All models: Triton's address for what the protocol has none for."""

    def model(self, name: str, version: str = "") -> Reply:
        """The inputs and outputs of a model. Raises Refused."""

    def model_ready(self, name: str, version: str = "") -> Reply:
        """Whether a model is ready. Raises Refused."""

    def infer(self, name: str, version: str = "") -> Reply:
        """Read, score, reply."""


def blueprint(
    route: Answers,
    protect: Callable[[Blueprint], None],
    answers: Mapping[type[Exception], Answer] = MappingProxyType({}),
) -> Blueprint:
    """All addresses of the protocol but those of health, for callers with a key.

    `protect` lets only those pass; `answers` are the replies to errors beyond the usual ones.
    """
    routes = Blueprint("inference", __name__)
    protect(routes)
    _report_in_protocol(routes, answers)
    routes.add_url_rule(PATH, "server", route.server, methods=["GET"])
    routes.add_url_rule(f"{PATH}/repository/index", "index", route.index, methods=["POST"])
    for number, path in enumerate(("<name>", "<name>/versions/<version>")):
        address = f"{PATH}/models/{path}"
        for rest, view, method in (
            ("", route.model, "GET"),
            ("/ready", route.model_ready, "GET"),
            ("/infer", route.infer, "POST"),
        ):
            named = f"{view.__name__}{number}"
            routes.add_url_rule(f"{address}{rest}", named, view, methods=[method])
    return routes


def health(is_ready: Callable[[], bool]) -> Blueprint:
    """The addresses of health, which need no key."""
    routes = Blueprint("inference-health", __name__)
    routes.add_url_rule(f"{PATH}/health/live", "live", live, methods=["GET"])
    routes.add_url_rule(f"{PATH}/health/ready", "ready", partial(ready, is_ready), methods=["GET"])
    return routes


def live() -> Reply:
    """That of /v2/health/live."""
    return ok(Live(live=True))


def ready(is_ready: Callable[[], bool]) -> Reply:
    """That of /v2/health/ready; 503 when /readyz has it."""
    found = is_ready()
    return ok(Ready(found), 200 if found else 503)


def ok(shown: Struct | Sequence[Struct], status: int = 200) -> Reply:
    """A reply that shows something."""
    return Reply(status, msgspec.json.encode(shown))


def reply_of(encoded: Encoded) -> Reply:
    """The reply with the outputs of an inference."""
    response = Reply(200, encoded.body)
    if encoded.json_bytes < len(encoded.body):
        response.fields = response.fields.replace(b"application/json", b"application/octet-stream")
        response.add(_BINARY_HEADER, str(encoded.json_bytes))
    return response


def _report_in_protocol(routes: Blueprint, answers: Mapping[type[Exception], Answer]) -> None:
    """Report the errors of these routes, and of addresses below theirs, as the protocol says."""

    def usual(error: Exception) -> Reply:
        return errors.answer(error, record_of(request.environ))

    for kind, answer in {**dict.fromkeys(errors.KINDS, usual), **answers}.items():
        routes.register_error_handler(kind, lambda error, answer=answer: in_protocol(answer(error)))
    routes.register_error_handler(500, lambda error: in_protocol(errors.unexpected(error)))
    for status in (404, 405):
        routes.app_errorhandler(status)(_of_routing)


def _of_routing(error: HTTPException) -> "Reply | Response":
    response = errors.of_routing(error)
    is_ours = request.path == PATH or request.path.startswith(f"{PATH}/")
    return in_protocol(response) if is_ours and isinstance(response, Reply) else response
