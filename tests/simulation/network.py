"""Sockets and a listener of a simulated network, in the simulated loop.

detangle has a network of its own, but its transports never fill up, never pause a writer, and do
not reset a connection that is closed with bytes unread. Half of what can go wrong in a server is
there, so only the loop, its clock and its choices are detangle's.

As Linux does: a program that closes with unread bytes in its socket resets the connection, and so
do bytes that come after a close. A reset takes effect behind what was sent before it, but what a
program that reads slowly has not read by then is lost.
"""

from asyncio import (
    AbstractEventLoop,
    BaseProtocol,
    Future,
    Protocol,
    Transport,
    current_task,
    get_running_loop,
    sleep,
)
from collections import deque
from collections.abc import Callable
from enum import Enum
from socket import SO_RCVBUF
from typing import Any, Final, cast

import detangle

# How long bytes may be on their way; in a quiet network, where all that is sent at the same time
# comes at the same time, it is always as long.
_DELAYS: Final = (0.0005, 0.0005, 0.002, 0.03)
_QUIET: Final = (0.0005,)
# How long a thread may take to begin with a job.
_THREAD_DELAYS: Final = (0.001, 0.001, 0.05, 0.5)
# A transport pauses its writer above the one and resumes it below the other: less than asyncio's
# 64 KiB, so that small replies reach them.
_HIGH: Final = 4096
_LOW: Final = 1024
_READ_AT_ONCE: Final = 64 * 1024
_SYN_AGAIN: Final = 1.0
ROOM: Final = 64 * 1024


class Mark(Enum):
    """What may come instead of bytes: the end of the other side's, or a reset."""

    FIN = "FIN"
    RST = "RST"


class Watcher:
    """Sees what a server's socket does."""

    def received(self, data: bytes) -> None:
        """Bytes are handed to the protocol."""

    def ended(self) -> None:
        """The protocol is about to learn that the client sends no more."""

    def wrote(self, data: bytes) -> None:
        """The protocol writes."""

    def closes(self, how: str) -> None:
        """The protocol closes its transport or aborts it, or the other side has reset it."""

    def lost(self) -> None:
        """The connection is gone."""


class Socket(Transport):
    """One end of a connection: the transport that its protocol uses, and the kernel's buffers.

    `room` is how many bytes the kernel keeps for a protocol that does not read.
    """

    def __init__(self, network: "Network", name: str, room: int, watcher: Watcher) -> None:
        super().__init__({"peername": ("192.0.2.1", 40_000)})
        self.name = name
        self.watcher = watcher
        self.peer: Socket = self
        self.is_paused = False  # its protocol does not want to read
        self.is_stuffed = False  # its protocol was paused for writing
        self.is_lost = False
        self.is_joining = False  # accepted, and perhaps not yet known to its worker
        self.sent_reset = False
        self._network = network
        self._loop = network.loop
        self._room = room
        self._protocol: Any = None
        self._unsent = bytearray()
        self._ahead = 0  # bytes on the way to the peer's protocol
        self._arriving: deque[tuple[float, bytes | Mark]] = deque()
        self._last_due = 0.0
        self._closing = False
        self._writes_no_more = False
        self._sent_fin = False
        self._was_reset = False

    def __repr__(self) -> str:
        return f"<Socket {self.name}>"

    # The transport, as its protocol sees it.

    def set_protocol(self, protocol: BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> BaseProtocol:
        return cast("BaseProtocol", self._protocol)

    def is_closing(self) -> bool:
        return self._closing

    def get_write_buffer_size(self) -> int:
        return len(self._unsent)

    def write(self, data: Any) -> None:
        if self._writes_no_more and not self._closing:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self._closing:
            return
        self.watcher.wrote(bytes(data))
        if self._was_reset:
            self._break(BrokenPipeError())
            return
        self._unsent += data
        self._send()
        if len(self._unsent) > _HIGH and not self.is_stuffed:
            self.is_stuffed = True
            self._protocol.pause_writing()

    def write_eof(self) -> None:
        self._writes_no_more = True
        self._send()

    def can_write_eof(self) -> bool:
        return True

    def is_reading(self) -> bool:
        return not self.is_paused and not self._closing

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        if self.is_paused and not self._closing:
            self.is_paused = False
            self._loop.call_soon(self._read)

    def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        self.watcher.closes("close")
        if not self._unsent:
            self._end()

    def abort(self) -> None:
        if self.is_lost:
            return
        self._closing = True
        self.watcher.closes("abort")
        self._unsent.clear()
        self._end()

    # The kernel.

    def setblocking(self, flag: bool) -> None:  # noqa: FBT001 - as in socket.socket
        """It never blocks."""

    def open(self, protocol: Protocol) -> None:
        """Its program has accepted it, or is connected."""
        self._protocol = protocol
        protocol.connection_made(self)
        self._loop.call_soon(self._read)

    def joined(self) -> None:
        """Its worker knows it."""
        self.is_joining = False

    def reset(self) -> None:
        """End the connection without further ado, whatever is unsent or unread."""
        self._closing = True
        self._unsent.clear()
        self._reset_peer()
        self._loop.call_soon(self._lose, None)

    def _send(self) -> None:
        """Hand the kernel what it has room for, and what follows when all is sent."""
        if self._was_reset:
            self._break(BrokenPipeError())
            return
        while self._unsent and (room := self.peer._room - self._ahead) > 0:
            piece = bytes(self._unsent[:room])
            del self._unsent[:room]
            self._ahead += len(piece)
            self.peer._arrives(piece)
        if self.is_stuffed and len(self._unsent) <= _LOW:
            self.is_stuffed = False
            if not self.is_lost:
                self._protocol.resume_writing()
        if self._unsent or self._sent_fin:
            return
        if self._closing:
            self._end()
        elif self._writes_no_more:
            self._sent_fin = True
            self.peer._arrives(Mark.FIN)

    def _arrives(self, what: bytes | Mark) -> None:
        self._last_due = max(self._last_due, self._loop.time() + self._network.delay())
        self._arriving.append((self._last_due, what))
        self._loop.call_at(self._last_due, self._read)

    def _is_due(self) -> bool:
        return bool(self._arriving) and self._arriving[0][0] <= self._loop.time()

    def _read(self) -> None:
        """Hand the protocol what has come."""
        while self._is_due():
            what = self._arriving[0][1]
            if what is Mark.RST:
                self._take_reset()
                return
            if self.is_lost:
                self._arriving.popleft()
                if isinstance(what, bytes) and not self.sent_reset:
                    self._reset_peer()
            elif self._protocol is None or not self.is_reading():
                self._look_for_reset()
                return
            elif isinstance(what, bytes):
                self._hand_over()
            else:
                self._arriving.popleft()
                self.watcher.ended()
                if not self._protocol.eof_received():
                    self.close()

    def _hand_over(self) -> None:
        pieces, size = [], 0
        while self._is_due() and size < _READ_AT_ONCE:
            piece = self._arriving[0][1]
            if not isinstance(piece, bytes):
                break
            self._arriving.popleft()
            pieces.append(piece)
            size += len(piece)
        self._loop.call_later(self._network.delay(), self.peer._has_space, size)
        data = b"".join(pieces)
        self.watcher.received(data)
        self._protocol.data_received(data)

    def _has_space(self, size: int) -> None:
        self._ahead -= size
        if not self.is_lost:
            self._send()

    def _look_for_reset(self) -> None:
        """A reset overtakes what is not read."""
        now = self._loop.time()
        if any(what is Mark.RST and due <= now for due, what in self._arriving):
            self._take_reset()

    def _take_reset(self) -> None:
        """A program that neither reads nor writes does not see it yet."""
        self._arriving.clear()
        self._was_reset = True
        is_seen = not self.is_paused or self._unsent or self._closing
        if self._protocol is not None and is_seen:
            self._break(ConnectionResetError())
        else:
            self._arriving.append((0.0, Mark.RST))

    def _break(self, error: OSError) -> None:
        if not self.is_lost:
            self._closing = True
            self._unsent.clear()
            self.watcher.closes("reset")
            self._loop.call_soon(self._lose, error)

    def _end(self) -> None:
        if self._is_due() and self._arriving[0][1] is not Mark.FIN:
            self._reset_peer()
        elif not self._sent_fin:
            self._sent_fin = True
            self.peer._arrives(Mark.FIN)
        self._loop.call_soon(self._lose, None)

    def _reset_peer(self) -> None:
        self.sent_reset = self._sent_fin = True
        self._arriving.clear()
        self.peer._arrives(Mark.RST)

    def _lose(self, error: Exception | None) -> None:
        if not self.is_lost:
            self.is_lost = self._closing = True
            self.watcher.lost()
            if self._protocol is not None:
                self._protocol.connection_lost(error)


class Listener:
    """A listening address. Each worker that shares it has a `Listening` of its own."""

    def __init__(self) -> None:
        self.backlog: deque[Socket] = deque()
        self.is_deaf = False
        self.open: list[Listening] = []


class Listening:
    """One worker's descriptor of a listening socket: as much of `socket.socket` as it uses."""

    def __init__(self, listener: Listener, loop: AbstractEventLoop) -> None:
        self._listener = listener
        self._loop = loop
        self._callback: Callable[[], None] | None = None
        self._accepted: list[Socket] = []
        listener.open.append(self)

    @property
    def sock(self) -> "Listening":
        """Itself, as gunicorn wraps sockets."""
        return self

    @property
    def is_open(self) -> bool:
        """Whether it is not closed."""
        return self in self._listener.open

    def left(self) -> list[Socket]:
        """The connections that its worker has open."""
        return [socket for socket in self._accepted if not socket.is_lost]

    @property
    def connections(self) -> int:
        """How many: one that is just being accepted counts twice, for a moment."""
        return sum(1 + socket.is_joining for socket in self.left())

    def getsockname(self) -> tuple[str, int]:
        """Its address."""
        return ("127.0.0.1", 5000)

    def setblocking(self, flag: bool) -> None:  # noqa: FBT001 - as in socket.socket
        """Nothing: this one never blocks."""

    def setsockopt(self, level: int, option: int, value: object) -> None:
        """Attach a packet filter; what the kernel keeps of bytes is of no matter here."""
        del level, value
        if option != SO_RCVBUF:
            self._listener.is_deaf = True

    def accept(self) -> tuple[Socket, object]:
        """The connection that has waited longest."""
        if not self._listener.backlog:
            raise BlockingIOError
        socket = self._listener.backlog.popleft()
        socket.is_joining = True
        self._accepted.append(socket)
        return socket, None

    def close(self) -> None:
        """The last to close resets the connections that wait."""
        if self._listener.open == [self]:
            while self._listener.backlog:
                waiting = self._listener.backlog.popleft()
                waiting.watcher.closes("no place")
                waiting.reset()
        if self.is_open:
            self._listener.open.remove(self)

    def watch(self, callback: Callable[[], None] | None) -> None:
        """Call back while connections wait, as epoll does."""
        self._callback = callback
        self.look()

    def look(self) -> None:
        """Connections may wait."""
        if self._callback is not None and self._listener.backlog:
            self._loop.call_soon(self._call)

    def _call(self) -> None:
        if self._callback is not None and self._listener.backlog:
            self._callback()
            self.look()


class Network:
    """The simulated loop's part of the outside world: sockets, signals and threads."""

    def __init__(self) -> None:
        self.loop = loop = get_running_loop()
        self.listener = Listener()
        self.jobs = 0  # that threads have not done
        self._delays = detangle.choice((_DELAYS, _QUIET))
        self._handlers: dict[tuple[object, int], Callable[[], None]] = {}
        stand_ins: dict[str, Callable[..., Any]] = {
            "add_reader": lambda listening, callback: listening.watch(callback),
            "remove_reader": lambda listening: listening.watch(None),
            "connect_accepted_socket": self._connect_accepted,
            "add_signal_handler": self._add_signal_handler,
            "run_in_executor": self._run_in_executor,
        }
        for name, function in stand_ins.items():
            setattr(loop, name, function)

    def delay(self) -> float:
        """How long the next bytes are on their way."""
        return detangle.choice(self._delays)

    def listen(self) -> Listening:
        """One more worker's descriptor of the address."""
        return Listening(self.listener, self.loop)

    async def connect(self, name: str, room: int, watcher: Watcher, program: Protocol) -> Socket:
        """Connect a client to the address. Raises ConnectionRefusedError."""
        await sleep(self.delay())
        for _ in range(detangle.randint(0, 4)):  # before or after whatever else is due by then
            await sleep(0)
        while self.listener.is_deaf and self.listener.open:  # noqa: ASYNC110 - as TCP does
            await sleep(_SYN_AGAIN)
        if not self.listener.open:
            raise ConnectionRefusedError
        client = Socket(self, name, room, Watcher())
        server = Socket(self, f"server's {name}", ROOM, watcher)
        client.peer, server.peer = server, client
        self.listener.backlog.append(server)
        for listening in self.listener.open:
            listening.look()
        client.open(program)
        return client

    def signal(self, task: object, number: int, heard: Callable[[], None]) -> None:
        """Send a signal to the worker that a task runs; it is `heard` just before it is obeyed."""
        self.loop.call_soon(heard)
        self.loop.call_soon(self._handlers[task, number])

    def _add_signal_handler(self, number: int, callback: Callable[..., None], *args: Any) -> None:
        self._handlers[current_task(), number] = lambda: callback(*args)

    async def _connect_accepted(self, factory: Callable[[], Protocol], socket: Socket) -> None:
        self.loop.call_soon(socket.open, factory())
        await sleep(0)
        self.loop.call_soon(self.loop.call_soon, socket.joined)

    def _run_in_executor(
        self, pool: object, function: Callable[..., Any], *arguments: Any
    ) -> "Future[Any]":
        """Threads of a pool take jobs when they like; here each is over in no time."""
        del pool
        future = self.loop.create_future()

        def job() -> None:
            self.jobs -= 1
            if future.cancelled():
                return
            try:
                result = function(*arguments)
            except Exception as error:  # noqa: BLE001 - it is the caller's
                future.set_exception(error)
            else:
                future.set_result(result)

        self.jobs += 1
        self.loop.call_later(detangle.choice(_THREAD_DELAYS), job)
        return future
