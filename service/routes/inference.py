"""/v2: the Open Inference Protocol, for all models that are served.

A request is turned into a body of the model's own route and scored as that one is: guards, shadow,
limits and metrics are the same.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
from flask import Blueprint, request
from msgspec import Struct, field
from werkzeug.exceptions import HTTPException

from model import InvalidRequest, catalog
from service.config.settings import Settings
from service.http import body, deadline, errors
from service.http.authentication import Guard
from service.http.errors import Refused
from service.http.inference import messages
from service.http.inference.errors import in_protocol
from service.http.inference.messages import Encoded, Inference
from service.http.inference.metadata import (
    IndexedModel,
    Live,
    ModelMetadata,
    ModelReady,
    Ready,
    ServerMetadata,
)
from service.http.inference.signature import Signature, described, signature_of
from service.http.reply import Reply
from service.routes.score import ScoreRoute
from service.routes.score_call import described as with_headers
from service.runtime.scoreboard import Scoreboard
from service.scoring.core import Outcome
from service.scoring.live import Slot
from service.scoring.service import Call, ScoringService
from service.telemetry.record import record_of

if TYPE_CHECKING:
    from werkzeug.sansio.response import Response

PATH: Final = "/v2"
# It is read at once, which takes some milliseconds: more rows are for the model's own route.
LONGEST_BODY: Final = 256 * 1024
_VERSIONED: Final = re.compile(rf"{PATH}/models/([^/]+)/versions/([^/]+)/infer")
_BINARY_HEADER: Final = "Inference-Header-Content-Length"


class InferModel(NamedTuple):
    """A model as the protocol has it; `route` is the template of its inferences."""

    name: str
    route: str
    platform: str
    signature: Signature
    service: ScoringService


class InferCall(Call, kw_only=True):
    """Makes the reply of the protocol; a row that can't be scored fails the whole request."""

    of: InferModel
    inference: Any = None
    outcomes: list[Outcome] = field(default_factory=list)

    def send(self, response: Reply) -> None:
        """Send the reply."""
        raise NotImplementedError

    def take(self, inference: Inference) -> None:
        """Have this inference made."""
        self.inference = inference
        self.body = inference.body
        self.detail = inference.needs_detail

    def answer(self, outcome: Outcome) -> None:
        """Reply with the outputs of one row."""
        self.outcomes = [outcome]
        self.end()

    def add(self, outcomes: Sequence[Outcome]) -> None:
        """Keep the next outcomes."""
        self.outcomes += outcomes

    def end(self) -> None:
        """Reply with all rows. Raises Refused for the first one without a score."""
        for row, outcome in enumerate(self.outcomes):
            if isinstance(outcome, InvalidRequest):  # counted by the core
                raise Refused(400, f"row {row}: {outcome}")
        version = self.record.model_version
        encoded = messages.encoded(self.inference, self.of.name, version, self.outcomes)
        self.send(with_headers(_reply(encoded), self.record))


class WsgiInferCall(InferCall):
    """One that came by WSGI, where errors are raised; its `reply` is for the route."""

    reply: Any = None

    def send(self, response: Reply) -> None:
        """Keep the reply."""
        self.reply = response


class InferenceRoute:
    """All addresses of the protocol."""

    def __init__(
        self,
        scored: Iterable[ScoreRoute],
        settings: Settings,
        scoreboard: Scoreboard,
    ) -> None:
        """`scored` are the models' own routes."""
        self.models = {
            route.name: InferModel(
                route.name,
                f"{PATH}/models/{route.name}/infer",
                f"plate_scoring_{PurePath(catalog.entry(route.name).artifact).suffix[1:]}",
                signature_of(route.model),
                route.service,
            )
            for route in scored
        }
        self._max_rows = settings.max_rows
        self._scoreboard = scoreboard

    def server(self) -> Reply:
        """What this server is."""
        return _ok(ServerMetadata())

    def index(self) -> Reply:
        """All models: Triton's address for what the protocol has none for."""
        return _ok([IndexedModel(of.name, *self._state(of)) for of in self.models.values()])

    def model(self, name: str, version: str = "") -> Reply:
        """The inputs and outputs of a model. Raises Refused."""
        of = self.named(name, version)
        return _ok(
            ModelMetadata(
                of.name,
                [of.service.slot.current.version],
                of.platform,
                described(of.signature.inputs),
                described(of.signature.outputs),
            )
        )

    def model_ready(self, name: str, version: str = "") -> Reply:
        """Whether a model can be asked. Raises Refused."""
        of = self.named(name, version)
        is_ready = self._state(of)[1] == "READY"
        return _ok(ModelReady(of.name, is_ready), 200 if is_ready else 503)

    def _state(self, of: InferModel) -> tuple[str, str]:
        slot = of.service.slot
        is_ready = slot.warm and not self._scoreboard.stopping
        return slot.current.version, "READY" if is_ready else "UNAVAILABLE"

    def infer(self, name: str, version: str = "") -> Reply:
        """Read, score, reply. Raises InvalidRequest, Refused or Overloaded."""
        environ = request.environ
        record = record_of(environ)
        of = self.named(name, version)
        record.route = of.route
        live = of.service.live(record)
        text = body.read_any(environ, LONGEST_BODY)
        call = WsgiInferCall(of.service, record, b"", of=of)
        try:
            inference = self.read(of, text, environ.get("HTTP_INFERENCE_HEADER_CONTENT_LENGTH"))
            call.take(inference)
            seconds = least(inference.seconds, deadline.left_in(environ))
            of.service.score(live, call, seconds)
        except InvalidRequest as fault:
            of.service.scoring.refused(fault)
            raise
        response: Reply = call.reply
        return response

    def read(self, of: InferModel, text: bytes, json_bytes: str | None) -> Inference:
        """A request to a model. Raises InvalidRequest."""
        return messages.read(text, json_bytes, of.signature, self._max_rows)

    def target(self, path: str) -> tuple[str, str] | None:
        """The model and the version that a path of inferences names, None for other paths."""
        found = _VERSIONED.fullmatch(path)
        return (found[1], found[2]) if found and found[1] in self.models else None

    def named(self, name: str, version: str) -> InferModel:
        """A model, if its live version is this one, or any will do. Raises Refused."""
        of = self.models.get(name)
        if of is None:
            raise Refused(404, f"there is no model of this name, only {', '.join(self.models)}")
        live = of.service.slot.current.version
        if version and version != live:
            raise Refused(404, f"this version of {name} is not served here, only {live}")
        return of


def blueprint(route: InferenceRoute, guard: Guard) -> Blueprint:
    """All addresses of the protocol but those of health, for callers with a key."""
    routes = Blueprint("inference", __name__)
    guard.protect(routes)
    _report_in_protocol(routes)
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


def health(slot: Slot, scoreboard: Scoreboard) -> Blueprint:
    """The addresses of health, which need no key."""
    routes = Blueprint("inference-health", __name__)
    routes.add_url_rule(f"{PATH}/health/live", "live", live, methods=["GET"])
    routes.add_url_rule(
        f"{PATH}/health/ready", "ready", lambda: ready(slot, scoreboard), methods=["GET"]
    )
    return routes


def live() -> Reply:
    """That of /v2/health/live."""
    return _ok(Live(live=True))


def ready(slot: Slot, scoreboard: Scoreboard) -> Reply:
    """That of /v2/health/ready; 503 when /readyz has it."""
    is_ready = slot.warm and not scoreboard.stopping
    return _ok(Ready(is_ready), 200 if is_ready else 503)


def _report_in_protocol(routes: Blueprint) -> None:
    """Report the errors of these routes, and of addresses below theirs, as the protocol says."""
    for kind in errors.KINDS:
        routes.register_error_handler(
            kind, lambda error: in_protocol(errors.answer(error, record_of(request.environ)))
        )
    routes.register_error_handler(500, lambda error: in_protocol(errors.unexpected(error)))
    for status in (404, 405):
        routes.app_errorhandler(status)(_of_routing)


def _of_routing(error: HTTPException) -> "Reply | Response":
    response = errors.of_routing(error)
    is_ours = request.path == PATH or request.path.startswith(f"{PATH}/")
    return in_protocol(response) if is_ours and isinstance(response, Reply) else response


def least(*seconds: float | None) -> float | None:
    """The shortest time that is given, None if none is."""
    return min((some for some in seconds if some is not None), default=None)


def _ok(shown: Struct | Sequence[Struct], status: int = 200) -> Reply:
    return Reply(status, msgspec.json.encode(shown))


def _reply(encoded: Encoded) -> Reply:
    response = Reply(200, encoded.body)
    if encoded.json_bytes < len(encoded.body):
        response.fields = response.fields.replace(b"application/json", b"application/octet-stream")
        response.add(_BINARY_HEADER, str(encoded.json_bytes))
    return response
