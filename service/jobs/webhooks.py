"""Webhooks: tells an endpoint of a caller that a job has ended, signed by Standard Webhooks.

A message holds the job's id, model and state, and where its result is: never a plate. Endpoints
are registered in a file by the operator: a request only names one of them.
"""

import base64
import binascii
import hmac
import logging
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from random import uniform
from typing import Final, NamedTuple

import msgspec

from model.utf8 import file_text
from service.config.settings import Settings, SettingsError, variable
from service.jobs.records import Event, Records, RecordsUnavailable
from service.outbound import request
from service.outbound.addresses import NotAllowed
from service.outbound.request import Unreachable

_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_PREFIX: Final = "whsec_"
_KEY_BYTES: Final = range(24, 65)
# Seconds from an attempt that failed to the next, by the specification; after the last, none.
SCHEDULE: Final = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
_JITTER: Final = 0.2
# An endpoint must answer within so many seconds; an event belongs to its sender a little longer.
_SECONDS: Final = 15.0
_LEASE_SECONDS: Final = 60.0
_SENDERS: Final = 8
# The endpoint asks for no more messages.
_GONE: Final = 410

Post = Callable[[str, bytes, Mapping[str, str], float, Collection[str]], int]

log = logging.getLogger("scoring")


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


class Sender:
    """Sends the events of the outbox, each until it is taken or given up."""

    def __init__(
        self,
        records: Records,
        endpoints: Endpoints,
        now: Callable[[], float],
        count: Callable[[str, float], None],
        post: Post = request.post,
    ) -> None:
        """`count` gets the result of each attempt, sent, failed or dead, and the event's age."""
        self._records = records
        self._endpoints = endpoints
        self._now = now
        self._count = count
        self._post = post
        self._threads = ThreadPoolExecutor(_SENDERS, "webhooks")

    def send_due(self) -> int:
        """Send what is due, and wait for it; how many events there were.

        Raises RecordsUnavailable.
        """
        events = self._records.events(self._now(), _LEASE_SECONDS, _SENDERS)
        list(self._threads.map(self._send, events))
        return len(events)

    def close(self) -> None:
        """Let attempts end that are under way."""
        self._threads.shutdown()

    def _send(self, event: Event) -> None:
        result, error = self._attempt(event)
        try:
            if result == "sent":
                self._records.sent(event.id)
            else:
                self._records.unsent(event.id, self._next(event), error, dead=result == "dead")
        except RecordsUnavailable:
            return  # its lease ends, and it is sent again, with the same id
        self._count(result, self._now() - event.created)

    def _attempt(self, event: Event) -> tuple[str, str]:
        """The result of an attempt, `sent`, `failed` or `dead`, and why."""
        endpoint = self._endpoints.of(event.owner, event.webhook)
        if endpoint is None:
            return "dead", "the endpoint is not registered any more"
        last = event.attempts >= len(SCHEDULE)
        try:
            status = deliver(endpoint, event, self._now(), self._endpoints.allowed, self._post)
        except (Unreachable, NotAllowed) as reason:
            log.warning("Webhook %s of %s failed: %s", endpoint.name, endpoint.owner, reason)
            return "dead" if last else "failed", "it can't be reached"
        if 200 <= status < 300:
            return "sent", ""
        return "dead" if last or status == _GONE else "failed", f"it answered {status}"

    def _next(self, event: Event) -> float:
        wait = SCHEDULE[min(event.attempts, len(SCHEDULE) - 1)]
        return self._now() + wait * uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - no secret


def deliver(
    endpoint: Endpoint, event: Event, now: float, allowed: Collection[str],
    post: Post = request.post,
) -> int:  # fmt: skip
    """The status with which an endpoint answers a message. Raises Unreachable or NotAllowed."""
    body = payload(event)
    return post(
        endpoint.url, body, signed(event.id, body, endpoint.secrets, now), _SECONDS, allowed
    )
