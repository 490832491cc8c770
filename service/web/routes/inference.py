"""/v2: the Open Inference Protocol for models of pictures, scored by the picture process."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePath
from typing import Any, Final, NamedTuple

import msgspec
from flask import request
from werkzeug.exceptions import RequestEntityTooLarge

from model import InvalidRequest, catalog
from model.pictures.decoder import LIMITS
from model.pictures.picture_decoder import MOST_PICTURES
from service.config.settings import Settings
from service.http import body
from service.http.errors import Refused
from service.http.inference import messages
from service.http.inference.metadata import (
    IndexedModel,
    ModelMetadata,
    ModelReady,
    ServerMetadata,
)
from service.http.inference.signature import Signature, described, signature_of
from service.http.reply import Reply
from service.images.client import Pictures
from service.images.messages import Answer, Task
from service.routes.inference_addresses import PATH, ok, reply_of
from service.telemetry.record import record_of
from service.web.live_versions import live_versions, picture_version

PICTURE_MODELS: Final = [one.name for one in catalog.entries().values() if one.extra == "images"]
# The largest file in base64, and a little more.
LONGEST_BODY: Final = LIMITS.file_bytes * 4 // 3 + 64 * 1024
# Pictures of a request that are decoded at the same time, to be scored in one batch.
_AT_ONCE: Final = 8


class PictureModel(NamedTuple):
    """A model of pictures as the protocol has it.

    `score` is the type of its scores; `files` reads bodies, and leaves the files as they are.
    """

    entry: catalog.Entry
    signature: Signature
    score: type[msgspec.Struct]
    files: Callable[[bytes], Any]


class PictureInference:
    """All addresses of the protocol."""

    def __init__(self, settings: Settings, pictures: Pictures, *, installed: bool) -> None:
        """`installed`: the extra `images` is; without it there are no models."""
        self._settings = settings
        self._pictures = pictures
        self._threads = ThreadPoolExecutor(_AT_ONCE, "inference")
        self._models = _models() if installed else {}

    def server(self) -> Reply:
        """What this server is."""
        return ok(ServerMetadata())

    def index(self) -> Reply:
        """All models: those of pictures, and those that the scoring processes serve.

        Whether the latter are ready is known there alone.
        """
        pictures = [
            IndexedModel(name, picture_version(of.entry, self._settings), "READY")
            for name, of in self._models.items()
        ]
        others = [
            IndexedModel(of.model, of.version, "UNKNOWN", f"GET {PATH}/models/{of.model}/ready")
            for of in live_versions(self._settings, {})
            if of.model not in self._models
        ]
        return ok([*others, *pictures])

    def model(self, name: str, version: str = "") -> Reply:
        """The inputs and outputs of a model. Raises Refused."""
        of = self._named(name)
        return ok(
            ModelMetadata(
                name,
                [self._live(of, version)],
                f"plate_scoring_{PurePath(of.entry.artifact).suffix[1:]}",
                described(of.signature.inputs),
                described(of.signature.outputs),
            )
        )

    def model_ready(self, name: str, version: str = "") -> Reply:
        """Whether a model is ready. Raises Refused."""
        self._live(self._named(name), version)
        return ok(ModelReady(name, ready=True))

    def infer(self, name: str, version: str = "") -> Reply:
        """Read, score, reply. Raises InvalidRequest or Refused, and what `Pictures.score` does."""
        of = self._named(name)
        stated = request.headers.get("Inference-Header-Content-Length")
        inference = messages.read(_body(), stated, of.signature, MOST_PICTURES)
        sent = of.files(inference.body)
        files = sent if isinstance(sent, list) else [sent]
        answers = list(
            self._threads.map(lambda numbered: self._answer(of, *numbered), enumerate(files))
        )
        live = answers[-1].version
        if version and version != live:
            raise _not_live(of, live)
        record = record_of(request.environ)
        record.model_version, record.rows = live, len(answers)
        scores = [msgspec.convert(one.score, of.score) for one in answers]
        return reply_of(messages.encoded(inference, name, live, scores))

    def _answer(self, of: PictureModel, row: int, file: Any) -> Answer:
        """The answer to a file. Raises Refused, which names the row, for one without a score."""
        try:
            if isinstance(file, InvalidRequest):
                raise file
            task = Task(of.entry.name, file.image, getattr(file, "query", ""))
            return self._pictures.score(task)
        except InvalidRequest as fault:
            raise Refused(400, f"row {row}: {fault}") from None

    def _named(self, name: str) -> PictureModel:
        if name not in self._models:
            known = ", ".join(self._models) or "none: they need the extra images"
            raise Refused(404, f"there is no model of this name here, only {known}")
        return self._models[name]

    def _live(self, of: PictureModel, version: str) -> str:
        """The live version, if it is this one, or any will do. Raises Refused."""
        live = picture_version(of.entry, self._settings)
        if version and version != live:
            raise _not_live(of, live)
        return live


def _models() -> Mapping[str, PictureModel]:
    made = {}
    for name in PICTURE_MODELS:
        entry = catalog.entry(name)
        model: Any = entry.load()  # its decoder is one of pictures
        files = model.decoder(MOST_PICTURES).files
        made[name] = PictureModel(entry, signature_of(model), model.score, files)
    return made


def _not_live(of: PictureModel, live: str) -> Refused:
    return Refused(404, f"this version of {of.entry.name} is not served here, only {live}")


def _body() -> bytes:
    body.check_encoding(request.headers.get("Content-Encoding", "identity").encode("latin-1"))
    request.max_content_length = LONGEST_BODY
    try:
        return request.get_data(cache=False)
    except RequestEntityTooLarge:
        raise body.too_long(LONGEST_BODY) from None
