"""The service for Python programs: scores, explanations, models and pictures."""

import time
from collections.abc import Callable, Iterator
from typing import Any, Final, Self, TypeVar

from client import calls
from client.calls import REGNO, Call, Reply, ServedModel
from client.retries import Retries
from client.transport import Transport

T = TypeVar("T")

DEFAULT_URL: Final = "http://localhost:8085"


class Client:
    """Sends requests to the service. Methods raise Refused or Unreachable.

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
        return self._asked(calls.score(given, detail=detail, path=path), timeout)

    def explain(self, given: Any, *, path: str = REGNO, timeout: float | None = None) -> Any:
        """What each feature did to the score of a request, or of a few."""
        return self._asked(calls.explain(given, path=path), timeout)

    def models(self, *, timeout: float | None = None) -> list[ServedModel]:
        """The models that are served."""
        return self._asked(calls.models(), timeout)

    def classify(
        self, image: bytes, filename: str = "image", *, timeout: float | None = None
    ) -> dict[str, Any]:
        """Which digit a picture shows: `prediction`, `confidence`, and the picture's `img_url`."""
        return self._asked(calls.classify(image, filename), timeout)

    def query(
        self, image: bytes, query: str, filename: str = "image", *, timeout: float | None = None
    ) -> dict[str, Any]:
        """The answer to a query such as "cat?" of a picture: `answer`, `probability`, `top`."""
        return self._asked(calls.query(image, query, filename), timeout)

    def classified(self, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """What this key had classified, oldest first."""
        path, left = calls.first_page(limit), limit
        while path and (left is None or left > 0):
            found = self._asked(calls.page(path), None)
            shown, path = found.entries, found.following
            yield from shown[:left]
            left = None if left is None else left - len(shown)

    def _asked(self, call: Call[T], timeout: float | None) -> T:
        """The answer, by the deadline."""
        end = time.monotonic() + (self._timeout if timeout is None else timeout)

        def send() -> T:
            left = max(0.001, end - time.monotonic())
            headers = call.headers if timeout is None else call.by(left)
            with self._transport.request(
                call.method, call.path, headers, call.body, timeout=left
            ) as response:
                reply = Reply(response.status, response.headers, response.read())
            return call.read(reply)

        return self._retries.call(send, end)
