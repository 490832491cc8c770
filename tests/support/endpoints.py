"""A site with one endpoint whose replies a test controls."""

from typing import TYPE_CHECKING

from service.http.reply import Reply, fail, ok
from service.server.connection import Connection
from service.server.request import Request
from service.server.site import Budget, Events, Site
from service.telemetry.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT = 1 << 20


class Echo:
    """Replies with its request, at once, or when the test says so if `holds`."""

    def __init__(self) -> None:
        self.limit = LIMIT
        self.holds = False
        self.refusal: Callable[[Request], Reply | None] = lambda _: None
        self.make: Callable[[Request], Reply] = lambda request: ok(
            [request.method.decode(), request.target.decode(), request.body.decode("latin-1")]
        )
        self.admitted: list[Request] = []
        self.held: list[tuple[Request, Connection]] = []

    def admit(self, request: Request) -> int:
        """Note a request whose head has come."""
        self.admitted.append(request)
        request.refusal = self.refusal(request)
        return self.limit

    @staticmethod
    def full(request: Request) -> Reply:
        """The refusal of a body for which there is no room."""
        del request
        return fail(429, "full")

    def answer(self, request: Request, connection: Connection) -> None:
        """Reply, or hold the request."""
        if self.holds:
            self.held.append((request, connection))
        else:
            connection.reply(request, self.make(request))

    def let_go(self) -> None:
        """Reply to all that is held."""
        held, self.held = self.held, []
        for request, connection in held:
            connection.reply(request, self.make(request))


class EchoSite:
    """A site that has only this endpoint, the requests that it reported, and its budget."""

    def __init__(self, budget: int = 4 * LIMIT) -> None:
        self.endpoint = Echo()
        self.bodies = Budget(budget)
        self.drains = 0
        self.answered: list[Request] = []
        self.failed: list[BaseException] = []
        self.record: Callable[[bytes], Record] = lambda _: Record("id", model_version="v1")
        self.site = Site(
            {},
            lambda _: self.endpoint,
            self.bodies,
            Events(
                lambda method, _: self.record(method),
                lambda: self.drains,
                self.answered.extend,
                self.failed.append,
            ),
        )

    @property
    def statuses(self) -> list[int]:
        """Those of the replies so far."""
        return [request.record.status for request in self.answered]
