"""Webhooks: the endpoints of callers, and messages to them, signed by Standard Webhooks.

A message holds the job's id, model and state, and where its result is: never a plate. Endpoints
are registered in a file by the operator: a request only names one of them. Messages are sent by
`service.jobs.webhook_sender`.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from model.utf8 import file_text
from service.config.settings import Settings, SettingsError, variable
from service.jobs.records import Event
from service.outbound import request

_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_PREFIX: Final = "whsec_"
_KEY_BYTES: Final = range(24, 65)
# An endpoint must answer within so many seconds.
_SECONDS: Final = 15.0

Post = Callable[[str, bytes, Mapping[str, str], float, Collection[str]], int]


class BadEndpoints(ValueError):
    """A file of endpoints that can't be used; the text names the line, and no secret."""


class Endpoint(NamedTuple):
    """Where messages for a caller go. The newest secret is the first; all of them sign."""

    owner: str
    name: str
    url: str
    secrets: tuple[bytes, ...]


class Endpoints:
    """The endpoints of the file that the settings name, read again when it has changed."""

    def __init__(self, path: Path | None, allowed: Collection[str]) -> None:
        """Raises BadEndpoints or OSError. `allowed` hosts may be private ones."""
        self._path = path
        self.allowed = allowed
        self._stamp: tuple[int, ...] = ()
        self._known: dict[tuple[str, str], Endpoint] = {}
        self.reload()

    def of(self, owner: str, name: str) -> Endpoint | None:
        """An owner's endpoint."""
        return self._known.get((owner, name))

    def all(self) -> list[Endpoint]:
        """All endpoints, by owner and name."""
        return [self._known[key] for key in sorted(self._known)]

    def reload(self) -> None:
        """Read the file if it has changed. Raises BadEndpoints or OSError; the old ones stay."""
        if self._path is None:
            return
        status = self._path.stat()
        stamp = (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)
        if stamp != self._stamp:
            endpoints = parsed(file_text(self._path.read_bytes()), self.allowed)
            self._known = {(one.owner, one.name): one for one in endpoints}
            self._stamp = stamp


def endpoints_of(settings: Settings) -> Endpoints:
    """The endpoints that the settings name. Raises SettingsError."""
    allowed = frozenset(settings.webhook_allowed_hosts.replace(",", " ").split())
    path = Path(settings.webhooks_file) if settings.webhooks_file else None
    try:
        return Endpoints(path, allowed)
    except BadEndpoints as error:
        raise SettingsError(variable("webhooks_file"), str(error)) from None
    except OSError as error:
        reason = f"{settings.webhooks_file} can't be read: {error.strerror}"
        raise SettingsError(variable("webhooks_file"), reason) from error


def parsed(text: str, allowed: Collection[str]) -> Iterator[Endpoint]:
    """The endpoints of a file: KEY_NAME NAME URL SECRET…, one a line, # begins a comment.

    Raises BadEndpoints.
    """
    for number, line in enumerate(text.split("\n"), start=1):
        words = line.partition(" #")[0].split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) < 4:
            raise BadEndpoints(f"line {number} must be: KEY_NAME NAME URL SECRET")
        owner, name, url, *secrets = words
        if not (_NAME.fullmatch(owner) and _NAME.fullmatch(name)):
            raise BadEndpoints(f"a name in line {number} holds more than letters, digits, . _ -")
        try:
            request.check(url, allowed)
            keys = tuple(map(_key, secrets))
        except ValueError as reason:
            raise BadEndpoints(f"line {number}: {reason}") from None
        yield Endpoint(owner, name, url, keys)


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not secret.startswith(_PREFIX) or len(key) not in _KEY_BYTES:
        raise ValueError("a secret is whsec_ and 24 to 64 bytes in Base64")
    return key


def signed(event: str, body: bytes, secrets: Collection[bytes], now: float) -> dict[str, str]:
    """The headers that prove a message: id, time and one signature for each secret."""
    time = str(int(now))
    text = b"%b.%b.%b" % (event.encode(), time.encode(), body)
    signatures = (base64.b64encode(hmac.digest(key, text, sha256)).decode() for key in secrets)
    return {
        "Content-Type": "application/json",
        "User-Agent": "plate-scoring",
        "webhook-id": event,
        "webhook-timestamp": time,
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


def payload(event: Event) -> bytes:
    """The message of an event."""
    time = datetime.fromtimestamp(event.created, UTC).isoformat().replace("+00:00", "Z")
    data = {
        "id": event.job,
        "model": event.model,
        "state": event.type.removeprefix("job."),
        "result_url": f"/jobs/{event.job}/result",
    }
    return msgspec.json.encode({"type": event.type, "timestamp": time, "data": data})


def deliver(
    endpoint: Endpoint, event: Event, now: float, allowed: Collection[str],
    post: Post = request.post,
) -> int:  # fmt: skip
    """The status with which an endpoint answers a message. Raises Unreachable or NotAllowed."""
    body = payload(event)
    return post(
        endpoint.url, body, signed(event.id, body, endpoint.secrets, now), _SECONDS, allowed
    )
