"""What callers send, and how each of it may be answered."""

import json
from collections.abc import Callable, Iterator
from itertools import count
from math import isclose
from typing import Any, Final

import detangle
from msgspec import Struct

from service.config.settings import Settings
from tests.simulation import model
from tests.support.odd_requests import REFUSED
from tests.support.server import KEY

# Small, so that a few requests fill them.
SETTINGS: Final = Settings(
    api_keys=f"caller:{KEY}",
    keepalive=6,
    graceful_timeout=40,
    max_body=3000,
    max_array_body=32 * 1024,
    max_rows=20,
    max_waiting=2,
    max_wait_ms=150,
    registry_poll_seconds=0.3,
    shadow_share=1.0,
    explain_rows=2,
)
_DEADLINES_MS: Final = (None, None, None, 2000, 300, 100, 20, 1)
_OK: Final = 200
_NO_JSON: Final = 415
_OVERLOADED: Final = 429
# Refusals of a request of which the rest need not come: key, type, size, load, and the time that
# its body takes.
_BY_HEAD: Final = frozenset((400, 401, 408, 413, _NO_JSON, 417, _OVERLOADED, 431, 503))


class Reply(Struct):
    """A reply as it was sent."""

    status: int
    fields: dict[str, str]
    body: bytes

    @property
    def closes(self) -> bool:
        """Whether the server says that it ends the connection."""
        return self.fields["connection"] == "close"

    @property
    def version(self) -> str:
        """The version of the model that it names."""
        return self.fields["x-model-version"]


class Spec(Struct, eq=False):
    """One request, and the replies that are right.

    `statuses` are those of the replies once all of it has come; `rows` the numbers of its rows,
    None for one that can't be read, () if it has no scores. `seconds` is its deadline, `head` the
    length of its head, `size` that of its body without chunks. `closes` says that it asks for the
    connection's end, `is_named` that its reply has its id: it can be read, and came with a good key
    that was asked for. The rest is noted while it is sent and answered: `begin` and `end` are
    places among its connection's bytes, the others are times.
    """

    name: str
    kind: str
    raw: bytes
    statuses: frozenset[int]
    head: int
    rows: tuple[int | None, ...] = ()
    size: int = 0
    seconds: float | None = None
    closes: bool = False
    is_named: bool = True
    has_no_body: bool = False  # its reply, that is
    expects: bool = False
    waits_in_thread: bool = False
    begin: int = 0
    began: float | None = None
    head_came: float | None = None
    came: float | None = None
    sent: float | None = None
    latest: float | None = None  # when it must be begun
    calls_then: int | None = None  # of the model, when that time had passed
    free_then: float = 0.0  # the time then, without what calls took
    scoring_began: float | None = None
    answered: float | None = None
    reply: Reply | None = None

    @property
    def end(self) -> int:
        """Where it ends."""
        return self.begin + len(self.raw)

    def fault_of(self, reply: Reply, *, came: bool) -> str:
        """What is wrong with a reply, "" if nothing; `came` is whether all of it had come."""
        fields = reply.fields
        if self.is_named != (fields["x-request-id"] == self.name):
            return f"it is for {fields['x-request-id']}"
        if reply.status not in (self.statuses | _BY_HEAD if not came else self.statuses):
            return f"{reply.status} is not an answer to {self.kind}"
        if not came and reply.status not in _BY_HEAD:
            return f"{reply.status} before all of it had come"
        if self.closes and not reply.closes:
            return "the connection is kept"
        if reply.status == _OK and self.rows:
            return self._fault_of_scores(json.loads(reply.body), reply.version)
        return ""

    def _fault_of_scores(self, envelope: Any, version: str) -> str:
        if version not in model.VERSIONS:
            return f"the version is {version!r}"
        scores = envelope["body"] if isinstance(envelope["body"], list) else [envelope["body"]]
        partial = "partial" if None in self.rows else "ok"
        if envelope["status"] != partial or len(scores) != len(self.rows):
            return f"{envelope['status']}, {len(scores)} scores of {len(self.rows)} rows"
        for number, score in zip(self.rows, scores, strict=True):
            if number is None:
                if list(score) != ["error"]:
                    return "a row that can't be read has a score"
            elif not isclose(score["positive"], model.expected(version, number), abs_tol=1e-12):
                return f"row {number} has not the score of {version}: {score}"
            elif score.get("model", version) != version:
                return f"row {number} is said to be scored by {score['model']}"
        return ""


class Requests:
    """Makes them. Each row of a schedule has a number of its own."""

    def __init__(self) -> None:
        self._kinds = detangle.choice(_MIXES)
        self._rows = count()
        self._poison = count(model.POISON)

    def draw(self, name: str) -> Spec:
        """One of any kind."""
        return detangle.choice(self._kinds)(self, name)

    def numbers(self, size: int) -> list[int]:
        """Rows that were not sent before."""
        return [next(self._rows) for _ in range(size)]

    def single(self, name: str) -> Spec:
        """A row; sometimes with its deadline, with details, or by an old or a last request."""
        numbers = self.numbers(1)
        query = detangle.choice(("", "", "", "?detail=1"))
        body = model.row(numbers[0])
        return _with_deadline(name, "a row", "/reg/" + query, body, tuple(numbers))

    def bad_row(self, name: str) -> Spec:
        """A row without its fields."""
        return _post(name, "a bad row", "/reg/", b'{"direction": 1}', {400, _OVERLOADED})

    def poisoned(self, name: str) -> Spec:
        """A row that can't be scored."""
        body = model.row(next(self._poison))
        return _post(name, "a poisoned row", "/reg/", body, {500, _OVERLOADED})

    def pair(self, name: str) -> Spec:
        """An array that is short enough for a single request's way."""
        numbers = self.numbers(2)
        return _with_deadline(name, "a pair", "/reg", _array(numbers), tuple(numbers))

    def array(self, name: str, size: int = 0, milliseconds: int | None = None) -> Spec:
        """An array that takes several steps; its size and its deadline are drawn if not given."""
        numbers = self.numbers(size or detangle.choice((4, 9, 20)))
        body = _array(numbers)
        return _with_deadline(name, "an array", "/reg/", body, tuple(numbers), milliseconds)

    def partial(self, name: str) -> Spec:
        """An array with a row that can't be read."""
        numbers: list[int | None] = [*self.numbers(2), None, *self.numbers(3)]
        return _with_deadline(name, "a partial array", "/reg/", _array(numbers), tuple(numbers))

    def poisoned_array(self, name: str) -> Spec:
        """An array with a row that can't be scored."""
        body = _array([*self.numbers(3), next(self._poison)])
        return _post(name, "a poisoned array", "/reg/", body, {500, _OVERLOADED})

    def too_many(self, name: str) -> Spec:
        """An array of too many rows."""
        body = _array(self.numbers(SETTINGS.max_rows + 1))
        return _post(name, "too many rows", "/reg/", body, {413, _OVERLOADED})

    def long_row(self, name: str) -> Spec:
        """A row among blanks: for an array, and for a single request, too long or not."""
        number = self.numbers(1)
        body = model.row(number[0]).ljust(detangle.choice((2500, 3500, 40_000, 80_000)))
        if len(body) > SETTINGS.max_body:
            return _post(name, "too long a row", "/reg/", body, {413, _OVERLOADED})
        return _post(name, "a long row", "/reg/", body, {_OK, _OVERLOADED}, rows=tuple(number))

    def explanation(self, name: str) -> Spec:
        """A row that is to be explained."""
        number = self.numbers(1)
        body, rows = model.row(number[0]), tuple(number)
        spec = _with_deadline(name, "an explanation", "/reg/explain", body, rows)
        spec.waits_in_thread = True
        return spec

    def wrong_key(self, name: str) -> Spec:
        """A row with an unknown key."""
        body = model.row(0)
        spec = _post(name, "a wrong key", "/reg/", body, {401}, fields=("x-api-key: 654321",))
        spec.is_named = False
        return spec

    def no_json(self, name: str) -> Spec:
        """A row that is not declared as JSON."""
        fields = (f"x-api-key: {KEY}", "Content-Type: text/csv")
        return _post(name, "no JSON", "/reg/", b"1;2;3", {_NO_JSON}, fields=fields)

    def no_deadline(self, name: str) -> Spec:
        """A row with a deadline that is none."""
        body = model.row(0)
        return _post(name, "no deadline", "/reg/", body, {400, _OVERLOADED}, deadline="soon")

    def health(self, name: str) -> Spec:
        """A probe, or the check of a key."""
        method, path = detangle.choice((("GET", "/healthz"), ("HEAD", "/healthz"), ("GET", "/")))
        return _bare(name, "a probe", method, path, {_OK})

    def readiness(self, name: str) -> Spec:
        """The other probe."""
        return _bare(name, "a readiness probe", "GET", "/readyz", {_OK, 503})

    def other(self, name: str) -> Spec:
        """An address or a method that there is not."""
        path, status = detangle.choice((("/nothing", 404), ("/reg/", 405)))
        return _bare(name, "nothing", "GET", path, {status})

    def page(self, name: str) -> Spec:
        """A page, longer than any reply with scores: from a thread or not."""
        path = detangle.choice(("/openapi.json", "/docs/swagger-ui.css"))
        return _bare(name, "a page", "GET", path, {_OK, 503})

    def last(self, name: str) -> Spec:
        """The last of its connection, as it says."""
        field = detangle.choice(("Connection: close", "1.0"))
        fields = () if field == "1.0" else (field,)
        raw = _raw("GET", "/", name, (f"x-api-key: {KEY}", *fields))
        if field == "1.0":
            raw = raw.replace(b"HTTP/1.1", b"HTTP/1.0")
        return _spec(name, "a last check", raw, {_OK}, closes=True)

    def upgrade(self, name: str) -> Spec:
        """One that would like to speak another protocol."""
        number = self.numbers(1)
        wishes = ("Upgrade: h2c", "Connection: Upgrade")
        spec = _post(name, "an upgrade", "/reg/", model.row(number[0]), {_OK, _OVERLOADED}, wishes)
        spec.rows = tuple(number)
        return spec

    def malformed(self, name: str) -> Spec:
        """Bytes that are not a request."""
        odd = detangle.choice(_ODD)
        spec = _spec(name, "a malformed request", odd.data, set(odd.statuses), closes=True)
        spec.is_named = False
        return spec


_ODD: Final = tuple(odd for odd in REFUSED if len(odd.data) < 500)

Kind = Callable[[Requests, str], Spec]

_ALL: Final[tuple[Kind, ...]] = (
    *(Requests.single,) * 12,
    *(Requests.array,) * 4,
    *(Requests.bad_row, Requests.poisoned, Requests.pair, Requests.partial),
    *(Requests.poisoned_array, Requests.too_many, Requests.long_row, Requests.long_row),
    *(Requests.explanation, Requests.explanation, Requests.wrong_key, Requests.no_json),
    *(Requests.no_deadline, Requests.health, Requests.readiness, Requests.other, Requests.page),
    *(Requests.last, Requests.upgrade, Requests.malformed),
)
_ROWS: Final[tuple[Kind, ...]] = (*(Requests.single,) * 9, Requests.poisoned)
_MIXES: Final = (_ALL, _ALL, _ROWS, (*_ROWS, *(Requests.array,) * 5))


def _array(numbers: "list[int] | list[int | None]") -> bytes:
    rows = (b'{"direction": 2}' if number is None else model.row(number) for number in numbers)
    return b"[" + b",".join(rows) + b"]"


def _with_deadline(  # noqa: PLR0913, PLR0917 - what a request is made of
    name: str,
    kind: str,
    path: str,
    body: bytes,
    rows: tuple[int | None, ...],
    milliseconds: int | None = None,
) -> Spec:
    milliseconds = milliseconds or detangle.choice(_DEADLINES_MS)
    deadline = "" if milliseconds is None else str(milliseconds)
    spec = _post(name, kind, path, body, {_OK, _OVERLOADED}, rows=rows, deadline=deadline)
    spec.seconds = None if milliseconds is None else milliseconds / 1000
    return spec


def _post(  # noqa: PLR0913, PLR0917 - what a request is made of
    name: str,
    kind: str,
    path: str,
    body: bytes,
    statuses: set[int],
    fields: tuple[str, ...] = (),
    *,
    rows: tuple[int | None, ...] = (),
    deadline: str = "",
) -> Spec:
    """A request with a body: of stated length or in chunks, and perhaps one that is held back."""
    lines = list(fields)
    if not any(line.startswith("x-api-key") for line in fields):
        lines.append(f"x-api-key: {KEY}")
    if not any(line.startswith("Content-Type") for line in fields):
        lines.append("Content-Type: application/json")
    if deadline:
        lines.append(f"X-Request-Timeout-Ms: {deadline}")
    size, expects = len(body), detangle.flip(0.1)
    if expects:
        lines.append("Expect: 100-continue")
    chunk = detangle.choice((0, 0, 0, 0, 5000, 300))
    if chunk:
        lines.append("Transfer-Encoding: chunked")
        body = b"".join(_chunks(body, chunk))
    else:
        lines.append(f"Content-Length: {len(body)}")
    head = _raw("POST", path, name, tuple(lines))
    spec = _spec(name, kind, head + body, statuses)
    spec.head, spec.size, spec.rows, spec.expects = len(head), size, rows, expects
    return spec


def _chunks(body: bytes, size: int) -> Iterator[bytes]:
    for at in range(0, len(body), size):
        piece = body[at : at + size]
        yield b"%x\r\n%b\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


def _bare(name: str, kind: str, method: str, path: str, statuses: set[int]) -> Spec:
    spec = _spec(name, kind, _raw(method, path, name, (f"x-api-key: {KEY}",)), statuses)
    spec.has_no_body = method == "HEAD"
    spec.is_named = path == "/"  # the others ask for no key
    return spec


def _spec(name: str, kind: str, raw: bytes, statuses: set[int], *, closes: bool = False) -> Spec:
    return Spec(name, kind, raw, frozenset(statuses), len(raw), closes=closes)


def _raw(method: str, path: str, name: str, fields: tuple[str, ...]) -> bytes:
    lines = (f"{method} {path} HTTP/1.1", "Host: scoring", f"X-Request-Id: {name}", *fields)
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode()


def take_reply(buffer: bytearray, *, has_no_body: bool) -> Reply | None:
    """The next reply out of what a server has sent; None until it is there to its end."""
    head, end, _ = buffer.partition(b"\r\n\r\n")
    if not end:
        return None
    status, *lines = head.decode().split("\r\n")
    fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    size = 0 if has_no_body else int(fields.get("content-length", 0))
    begin = len(head) + len(end)
    if len(buffer) < begin + size:
        return None
    body = bytes(buffer[begin : begin + size])
    del buffer[: begin + size]
    return Reply(int(status.split()[1]), fields, body)
