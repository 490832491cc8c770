"""Which worker accepts a new connection: simulated workers at one listening socket."""

import asyncio
import socket
from asyncio import get_running_loop
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, suppress

import pytest
import uvloop

from service.runtime.scoreboard import Scoreboard
from service.server.acceptor import Acceptor, FairAcceptor
from tests.support.connections import GET, until
from tests.support.endpoints import EchoSite

pytestmark = pytest.mark.anyio


class Listener:
    """A listening socket and its clients."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.socket = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=128))

    def shared(self) -> socket.socket:
        """The same socket, as another worker has it."""
        return self._stack.enter_context(self.socket.dup())

    def connect(self, seconds: float = 5) -> socket.socket:
        """A client that has connected, accepted by a worker or not."""
        client = self._stack.enter_context(
            socket.create_connection(self.socket.getsockname(), seconds)
        )
        client.setblocking(False)  # noqa: FBT003
        return client

    def hears(self) -> bool:
        """Whether the kernel lets another client connect."""
        with suppress(TimeoutError):
            return bool(self.connect(0.3))
        return False

    def many(self, count: int) -> list[socket.socket]:
        return [self.connect() for _ in range(count)]


async def status(client: socket.socket) -> bytes:
    """That of the reply to a request of a client."""
    loop = get_running_loop()
    async with asyncio.timeout(20):
        await loop.sock_sendall(client, GET)
        return (await loop.sock_recv(client, 65536))[9:12]


async def reads_end(client: socket.socket) -> bool:
    async with asyncio.timeout(20):
        return await get_running_loop().sock_recv(client, 1) == b""


@pytest.fixture
def listener() -> Iterator[Listener]:
    with ExitStack() as stack:
        yield Listener(stack)


@pytest.fixture
def echo() -> EchoSite:
    return EchoSite()


async def closed(acceptor: Acceptor) -> None:
    """Close an acceptor and its connections, and wait until they are gone."""
    if acceptor.listener.fileno() >= 0:
        acceptor.close()
    acceptor.site.abort()
    await until(lambda: not acceptor.connections)


class Worker:
    """A worker, as far as acceptors go."""

    def __init__(
        self, listener: Listener, scoreboard: Scoreboard, *, inherited: bool, places: int
    ) -> None:
        self.echo = EchoSite()
        self.place = scoreboard.take()
        self.acceptor = FairAcceptor(
            *(get_running_loop(), listener.shared(), self.echo.site, places),
            scoreboard=scoreboard,
            own=self.place,
            lent=inherited,
        )

    def __len__(self) -> int:
        return len(self.echo.site.connections)


@pytest.fixture
def scoreboard() -> Scoreboard:
    return Scoreboard(4)


Hire = Callable[..., Worker]


@pytest.fixture
async def hire(listener: Listener, scoreboard: Scoreboard) -> AsyncIterator[Hire]:
    """Makes workers at the listener."""
    hired: list[Worker] = []

    def hire(*, inherited: bool = False, places: int = 100) -> Worker:
        hired.append(Worker(listener, scoreboard, inherited=inherited, places=places))
        return hired[-1]

    yield hire
    for worker in hired:
        await closed(worker.acceptor)


@pytest.fixture
async def one(listener: Listener, echo: EchoSite) -> AsyncIterator[Acceptor]:
    """An acceptor of three connections at most."""
    acceptor = Acceptor(get_running_loop(), listener.shared(), echo.site, 3)
    acceptor.start()
    yield acceptor
    await closed(acceptor)


async def test_connections_are_accepted_and_answered(listener: Listener, one: Acceptor) -> None:
    assert [await status(client) for client in listener.many(3)] == [b"200"] * 3
    assert one.is_full


async def test_the_kernel_keeps_little_of_what_a_client_sends(
    listener: Listener, one: Acceptor, echo: EchoSite
) -> None:
    await status(listener.connect())
    (connection,) = echo.site.connections
    accepted = connection.transport.get_extra_info("socket")
    kept = accepted.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    assert kept == 2 * 64 * 1024, "Linux doubles it, for its own records"
    assert one.connections == 1


async def test_where_all_places_are_taken_the_next_waits_for_one(
    listener: Listener, one: Acceptor, echo: EchoSite
) -> None:
    clients = listener.many(4)
    for client in clients[:3]:
        assert await status(client) == b"200"
    waiting = asyncio.create_task(status(clients[3]))
    await asyncio.sleep(0.15)
    assert not waiting.done()
    assert (len(echo.site.connections), one.connections) == (3, 3)
    clients[0].close()
    assert await waiting == b"200"


async def test_an_idle_connection_is_closed_for_a_new_one(
    listener: Listener, one: Acceptor, echo: EchoSite
) -> None:
    clients = listener.many(3)
    for client in clients:
        assert await status(client) == b"200"
    assert one.is_full
    for age, connection in enumerate(echo.site.connections):
        connection.since -= 2.0 + age
    late = listener.connect()
    assert await status(late) == b"200"
    assert len(echo.site.connections) == 3


async def test_no_connection_is_closed_while_none_waits_for_a_place(
    listener: Listener, one: Acceptor, echo: EchoSite
) -> None:
    clients = listener.many(2)
    for client in clients:
        assert await status(client) == b"200"
    for connection in echo.site.connections:
        connection.since -= 2.0
    assert await status(listener.connect()) == b"200"
    await asyncio.sleep(0.1)
    assert one.is_full
    assert [await status(client) for client in clients] == [b"200"] * 2


async def test_connections_reset_at_once_leave_nothing_behind(
    listener: Listener, one: Acceptor, echo: EchoSite
) -> None:
    for client in listener.many(3):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
    assert await status(listener.connect()) == b"200"
    await until(lambda: one.connections == 1)
    assert len(echo.site.connections) == 1


class Exhausted(socket.socket):
    """A listening socket of a process that may open no more files, for a while."""

    failures = 3

    def accept(self) -> tuple[socket.socket, object]:
        if self.failures:
            self.failures -= 1
            raise OSError(24, "Too many open files")
        return super().accept()


@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_an_unfinished_accept_at_the_end_of_the_loop_is_no_error(
    listener: Listener, factory: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    errors: list[object] = []

    async def main() -> None:
        loop = get_running_loop()
        loop.set_exception_handler(lambda _, context: errors.append(context))
        acceptor = Acceptor(loop, listener.shared(), EchoSite().site, 10)
        listener.connect()
        assert acceptor.accept_one()

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())
    assert errors == []


async def test_a_lack_of_files_is_waited_for(listener: Listener, echo: EchoSite) -> None:
    exhausted = Exhausted(fileno=listener.socket.dup().detach())
    acceptor = Acceptor(get_running_loop(), exhausted, echo.site, 3)
    acceptor.start()
    assert await status(listener.connect()) == b"200"
    assert exhausted.failures == 0
    await closed(acceptor)


async def test_once_closed_it_accepts_no_more(
    listener: Listener, one: Acceptor, echo: EchoSite
) -> None:
    client = listener.connect()
    assert await status(client) == b"200"
    one.close()
    listener.connect()
    await asyncio.sleep(0.1)
    assert len(echo.site.connections) == 1
    assert await status(client) == b"200"


# Among others.


async def test_workers_share_connections_evenly(listener: Listener, hire: Hire) -> None:
    workers = [hire() for _ in range(3)]
    for worker in workers:
        worker.acceptor.start()
    for count in (3, 30, 90):
        missing = count - sum(map(len, workers))
        listener.many(missing)
        await until(lambda at=count: sum(map(len, workers)) == at)  # type: ignore[misc]
        assert max(map(len, workers)) - min(map(len, workers)) <= 2 + count // 3 // 10


async def test_the_worker_with_fewer_connections_accepts_the_next(
    listener: Listener, hire: Hire
) -> None:
    crowded, other = hire(), hire()
    crowded.acceptor.start()
    listener.many(10)
    await until(lambda: len(crowded) == 10)
    other.acceptor.start()
    listener.many(8)
    await until(lambda: len(crowded) + len(other) == 18)
    assert len(other) == 8


async def test_a_worker_that_accepts_nothing_delays_no_other(
    listener: Listener, hire: Hire
) -> None:
    """A hanging worker's count stays as it is, and the other worker accepts all connections."""
    worker, _hanging = hire(), hire()
    worker.acceptor.start()
    clients = listener.many(10)
    assert [await status(client) for client in clients] == [b"200"] * 10


async def test_a_full_worker_closes_nothing_while_another_has_free_places(
    listener: Listener, hire: Hire
) -> None:
    full, other = hire(places=5), hire()
    full.acceptor.start()
    clients = listener.many(5)
    assert [await status(client) for client in clients] == [b"200"] * 5
    for connection in full.echo.site.connections:
        connection.since -= 2.0
    other.acceptor.start()
    for count in range(1, 4):
        assert await status(listener.connect()) == b"200"
        assert (len(full), len(other)) == (5, count)
    assert [await status(client) for client in clients] == [b"200"] * 5


async def test_connections_are_published(
    listener: Listener, scoreboard: Scoreboard, hire: Hire
) -> None:
    worker = hire()
    other = scoreboard.take()
    worker.acceptor.start()
    clients = listener.many(4)
    await until(lambda: worker.acceptor.connections == 4)
    worker.acceptor.publish()
    assert scoreboard.least(other) == 4
    clients[0].close()
    await until(lambda: worker.acceptor.connections == 3)
    worker.acceptor.publish()
    assert scoreboard.least(other) == 3


# At the end.


@pytest.mark.parametrize(
    ("stopping", "inherited", "others", "takes"),
    [
        (True, False, 0, True),
        (True, True, 0, False),
        (True, False, 1, False),
        (False, False, 0, False),
    ],
)
async def test_the_last_worker_of_a_stopping_server_accepts_all_that_wait(  # noqa: PLR0913
    listener: Listener,
    scoreboard: Scoreboard,
    hire: Hire,
    *,
    stopping: bool,
    inherited: bool,
    others: int,
    takes: bool,
) -> None:
    worker = hire(inherited=inherited)
    for _ in range(others):
        scoreboard.take()
    clients = listener.many(5)
    if stopping:
        scoreboard.begin_stop()
    scoreboard.close(worker.place)
    worker.acceptor.close()
    await asyncio.sleep(0)
    assert worker.acceptor.connections == (5 if takes else 0)
    if takes:
        assert [await status(client) for client in clients] == [b"200"] * 5


@pytest.mark.parametrize("inherited", [False, True])
async def test_an_inherited_socket_gets_no_packet_filter(
    listener: Listener, scoreboard: Scoreboard, hire: Hire, *, inherited: bool
) -> None:
    worker = hire(inherited=inherited)
    scoreboard.begin_stop()
    scoreboard.close(worker.place)
    worker.acceptor.close()
    # Only at an inherited socket, which stays open, may a client still begin to connect.
    assert listener.hears() is inherited
