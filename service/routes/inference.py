"""/v2: the Open Inference Protocol, for all models that are served.

A request is turned into a body of the model's own route and scored as that one is: guards, shadow,
limits and metrics are the same.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import Any, Final, NamedTuple

from flask import request
from msgspec import field

from model import InvalidRequest, catalog
from service.config.settings import Settings
from service.http import body, deadline
from service.http.errors import Refused
from service.http.inference import messages
from service.http.inference.messages import Inference
from service.http.inference.metadata import (
    IndexedModel,
    ModelMetadata,
    ModelReady,
    ServerMetadata,
)
from service.http.inference.signature import Signature, described, signature_of
from service.http.reply import Reply
from service.routes.inference_addresses import PATH, ok, reply_of
from service.routes.score import ScoreRoute
from service.routes.score_call import described as with_headers
from service.runtime.scoreboard import Scoreboard
from service.scoring.core import Outcome
from service.scoring.service import Call, ScoringService
from service.telemetry.record import record_of

# It is read at once, which takes some milliseconds: more rows are for the model's own route.
LONGEST_BODY: Final = 256 * 1024
_VERSIONED: Final = re.compile(rf"{PATH}/models/([^/]+)/versions/([^/]+)/infer")


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
        self.send(with_headers(reply_of(encoded), self.record))


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
        return ok(ServerMetadata())

    def index(self) -> Reply:
        """All models: Triton's address for what the protocol has none for."""
        return ok([IndexedModel(of.name, *self._state(of)) for of in self.models.values()])

    def model(self, name: str, version: str = "") -> Reply:
        """The inputs and outputs of a model. Raises Refused."""
        of = self.named(name, version)
        return ok(
            ModelMetadata(
                of.name,
                [of.service.slot.current.version],
                of.platform,
                described(of.signature.inputs),
                described(of.signature.outputs),
            )
        )

    def model_ready(self, name: str, version: str = "") -> Reply:
        """Whether a model is ready. Raises Refused."""
        of = self.named(name, version)
        is_ready = self._state(of)[1] == "READY"
        return ok(ModelReady(of.name, is_ready), 200 if is_ready else 503)

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


def least(*seconds: float | None) -> float | None:
    """The shortest time that is given, None if none is."""
    return min((some for some in seconds if some is not None), default=None)
