"""A bare ASGI app: the cost of the interface and uvicorn, with the service's scorer and batches."""

import asyncio
import os
from functools import partial
from hashlib import sha256
from typing import Any, Final

import msgspec

from loadgen.bench.limits.batch import Batch
from model.regno import RegnoScorer

# uvicorn passes only the environment to its workers.
_KEY: Final = sha256(os.environ["LIMIT_KEY"].encode()).digest()  # noqa: TID251
_SCORER: Final = RegnoScorer.load(os.environ["LIMIT_MODEL"])  # noqa: TID251
_BATCH: Final = Batch(_SCORER)
_decode: Final = RegnoScorer.decoder(1)
_encode: Final = msgspec.json.Encoder().encode


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Score one reading."""
    if scope["type"] != "http":
        return
    if sha256(dict(scope["headers"]).get(b"x-api-key", b"")).digest() != _KEY:
        await _reply(send, 401, b"")
        return
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    future = asyncio.get_running_loop().create_future()
    reading: Any = _decode(body)
    _BATCH.add(_SCORER.row(reading), partial(_take, future))
    await _reply(send, 200, _encode({"body": await future, "status": "ok"}))


def _take(future: "asyncio.Future[Any]", score: Any, _began: float, _ended: float) -> None:
    if not future.done():
        future.set_result(score)


async def _reply(send: Any, status: int, body: bytes) -> None:
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
