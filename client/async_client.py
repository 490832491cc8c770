"""The service for coroutines: scores, explanations, models and pictures."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from time import monotonic
from typing import Any, Self, TypeVar

from client import calls
from client.async_transport import AsyncTransport
from client.calls import REGNO, Call, ServedModel
from client.client import DEFAULT_URL
from client.retries import AsyncRetries

T = TypeVar("T")


class AsyncClient:
    """Asks the service, as a Client does. Methods raise Refused or Unreachable.

    Any number of coroutines of one event loop may share it: `connections` of their calls are under
    way at a time, the others wait. A call that is cancelled ends its connection.
    """

    def __init__(  # noqa: PLR0913 - as a Client, and its connections
        self,
        key: str,
        url: str = DEFAULT_URL,
        *,
        timeout: float = 30.0,
        tries: int = 4,
        connections: int = 16,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """`timeout` is that of calls that name none. Raises ValueError for a wrong address."""
        self._transport = AsyncTransport(url, key, connections)
        self._timeout = timeout
        self._retries = AsyncRetries(tries, sleep)

    async def __aenter__(self) -> Self:
        """The client itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        await self.close()

    async def close(self) -> None:
        """Close its connections."""
        await self._transport.close()

    async def score(
        self,
        given: Any,
        *,
        detail: bool = False,
        path: str = REGNO,
        timeout: float | None = None,  # noqa: ASYNC109 - as a Client has it
    ) -> Any:
        """As `Client.score`."""
        return await self._asked(calls.score(given, detail=detail, path=path), timeout)

    async def explain(
        self,
        given: Any,
        *,
        path: str = REGNO,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> Any:
        """As `Client.explain`."""
        return await self._asked(calls.explain(given, path=path), timeout)

    async def models(self, *, timeout: float | None = None) -> list[ServedModel]:  # noqa: ASYNC109
        """As `Client.models`."""
        return await self._asked(calls.models(), timeout)

    async def classify(
        self,
        image: bytes,
        filename: str = "image",
        *,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> dict[str, Any]:
        """As `Client.classify`."""
        return await self._asked(calls.classify(image, filename), timeout)

    async def query(
        self,
        image: bytes,
        query: str,
        filename: str = "image",
        *,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> dict[str, Any]:
        """As `Client.query`."""
        return await self._asked(calls.query(image, query, filename), timeout)

    async def classified(self, limit: int | None = None) -> AsyncIterator[dict[str, Any]]:
        """As `Client.classified`."""
        path, left = calls.first_page(limit), limit
        while path and (left is None or left > 0):
            found = await self._asked(calls.page(path), None)
            shown, path = found.entries, found.following
            for entry in shown[:left]:
                yield entry
            left = None if left is None else left - len(shown)

    async def _asked(self, call: Call[T], seconds: float | None) -> T:
        """The answer, by the deadline."""
        end = monotonic() + (self._timeout if seconds is None else seconds)

        async def send() -> T:
            left = max(0.001, end - monotonic())
            headers = call.headers if seconds is None else call.by(left)
            return call.read(
                await self._transport.request(call.method, call.path, headers, call.body, left)
            )

        return await self._retries.call(send, end)
