"""The service for Python programs: scores, explanations, models and pictures, sync and async."""

import asyncio
import json
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, Self, TypeVar
from uuid import uuid4

from client.retries import Retries
from client.transport import Refused, Transport

T = TypeVar("T")

DEFAULT_URL: Final = "http://localhost:8085"
REGNO: Final = "/reg/"
_JSON: Final = "application/json"
_PAGE: Final = 100
_NEXT: Final = re.compile(r'<(/[^>]*)>; rel="next"')


class ServedModel(NamedTuple):
    """A model, its live version, and whether it can be asked."""

    name: str
    version: str
    state: str


class Client:
    """Asks the service. Methods raise Refused or Unreachable.

    Threads may share it. What the service can't take at the moment is sent again, after the
    seconds that `Retry-After` names; so is what broke off. `timeout` of a call is its deadline, all
    tries included; each request states what is left of it.
    """

    def __init__(
        self,
        key: str,
        url: str = DEFAULT_URL,
        *,
        timeout: float = 30.0,
        tries: int = 4,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """`timeout` is that of calls that name none. Raises ValueError for a wrong address."""
        self._transport = Transport(url, key, timeout)
        self._timeout = timeout
        self._retries = Retries(tries, sleep)

    def __enter__(self) -> Self:
        """The client itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self._transport.close()

    def score(
        self,
        given: Any,
        *,
        detail: bool = False,
        path: str = REGNO,
        timeout: float | None = None,
    ) -> Any:
        """The score of one request, or a list of those of several: rows without one hold `error`.

        `path` is the address of a model.
        """
        return self._envelope("POST", f"{path}?detail={int(detail)}", given, timeout)

    def explain(self, given: Any, *, path: str = REGNO, timeout: float | None = None) -> Any:
        """What each feature did to the score of a request, or of a few."""
        return self._envelope("POST", f"{path}explain", given, timeout)

    def models(self, *, timeout: float | None = None) -> list[ServedModel]:
        """The models that are served."""
        shown = self._asked("POST", "/v2/repository/index", b"", {}, timeout)
        return [ServedModel(one["name"], one["version"], one["state"]) for one in shown]

    def classify(self, image: bytes, filename: str = "image", **rest: Any) -> dict[str, Any]:
        """Which digit a picture shows: `prediction`, `confidence`, and the picture's `img_url`."""
        shown: dict[str, Any] = self._form("/v1/inference", "file_name", image, filename, **rest)
        return shown

    def query(
        self, image: bytes, query: str, filename: str = "image", **rest: Any
    ) -> dict[str, Any]:
        """The answer to a query such as "cat?" of a picture: `answer`, `probability`, `top`."""
        shown = self._form("/query", "image", image, filename, query=query, **rest)
        answer: dict[str, Any] = shown["body"]
        return answer

    def classified(self, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """What this key had classified, oldest first."""
        path, left = "/v1/inference", limit
        while path and (left is None or left > 0):
            if left is not None and "limit=" not in path:
                path = f"{path}?limit={min(_PAGE, left)}"
            shown, path = self._page(path)
            yield from shown[:left]
            left = None if left is None else left - len(shown)

    def _envelope(self, method: str, path: str, given: Any, timeout: float | None) -> Any:
        body = json.dumps(given, ensure_ascii=False).encode()
        return self._asked(method, path, body, {"Content-Type": _JSON}, timeout)["body"]

    def _form(
        self,
        path: str,
        field: str,
        content: bytes,
        filename: str,
        *,
        timeout: float | None = None,
        **texts: str,
    ) -> Any:
        """The reply to a form with one file."""
        boundary = uuid4().hex
        name = Path(filename).name.replace('"', "_")
        head = f'Content-Disposition: form-data; name="{field}"; filename="{name}"'
        parts = [(head, content)]
        parts += [
            (f'Content-Disposition: form-data; name="{name}"', text.encode())
            for name, text in texts.items()
        ]
        pieces = [f"--{boundary}\r\n{head}\r\n\r\n".encode() + body for head, body in parts]
        body = b"\r\n".join([*pieces, f"--{boundary}--\r\n".encode()])
        kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        return self._asked("POST", path, body, kind, timeout)

    def _page(self, path: str) -> tuple[list[dict[str, Any]], str]:
        """A page of a list, and the path of the next one, "" for none."""

        def send() -> tuple[list[dict[str, Any]], str]:
            with self._transport.request("GET", path) as response:
                shown = _decoded(response.status, response.read())
                following = _NEXT.search(response.headers.get("Link", ""))
            return shown, following[1] if following else ""

        return self._retries.call(send)

    def _asked(
        self,
        method: str,
        path: str,
        body: bytes | None,
        headers: dict[str, str],
        timeout: float | None,
    ) -> Any:
        """The JSON of a reply, by the deadline."""
        end = time.monotonic() + (self._timeout if timeout is None else timeout)

        def send() -> Any:
            left = max(0.001, end - time.monotonic())
            told = {"X-Request-Timeout-Ms": str(max(1, int(left * 1000)))} if timeout else {}
            with self._transport.request(
                method, path, {**headers, **told}, body, timeout=left
            ) as response:
                text = response.read()
            return _decoded(response.status, text)

        return self._retries.call(send, end)


def _decoded(status: int, text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise Refused(status, "the reply is none of this service") from None


class AsyncClient:
    """The same for coroutines. Each call takes one of its threads, `connections` at a time.

    A call that is cancelled runs to its end in its thread, unseen.
    """

    def __init__(
        self, key: str, url: str = DEFAULT_URL, *, connections: int = 16, **rest: Any
    ) -> None:
        """`rest` is as a Client has it. Raises ValueError for a wrong address."""
        self._client = Client(key, url, **rest)
        self._threads = ThreadPoolExecutor(connections, "plate-scoring-client")

    async def __aenter__(self) -> Self:
        """The client itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        await self.close()

    async def close(self) -> None:
        """Wait for its calls, and close its connections."""
        await asyncio.to_thread(self._threads.shutdown)
        self._client.close()

    async def score(self, given: Any, **rest: Any) -> Any:
        """As `Client.score`."""
        return await self._run(partial(self._client.score, given, **rest))

    async def explain(self, given: Any, **rest: Any) -> Any:
        """As `Client.explain`."""
        return await self._run(partial(self._client.explain, given, **rest))

    async def models(self, **rest: Any) -> list[ServedModel]:
        """As `Client.models`."""
        return await self._run(partial(self._client.models, **rest))

    async def classify(self, image: bytes, filename: str = "image", **rest: Any) -> dict[str, Any]:
        """As `Client.classify`."""
        return await self._run(partial(self._client.classify, image, filename, **rest))

    async def query(
        self, image: bytes, query: str, filename: str = "image", **rest: Any
    ) -> dict[str, Any]:
        """As `Client.query`."""
        return await self._run(partial(self._client.query, image, query, filename, **rest))

    async def _run(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)
