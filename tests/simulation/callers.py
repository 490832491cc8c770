"""Callers: how they send, how they read, and how they leave."""

from asyncio import Event, Protocol, get_running_loop, sleep, timeout
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import detangle

from tests.simulation.dialogue import Dialogue
from tests.simulation.network import ROOM, Socket
from tests.simulation.requests import Reply, Requests, Spec, take_reply

if TYPE_CHECKING:
    from tests.simulation.world import World

# In all of these the first is what a good caller does.
_STARTS: Final = (0.0, 0.0, 0.0, 0.1, 1.0, 3.0)
_SIZES: Final = (1, 1, 2, 3, 5)
_PIECES: Final = (1, 1, 1, 2, 4)
_PAUSES: Final = (0.0, 0.0, 0.0, 0.02, 0.4, 8.0)
_THINKS: Final = (0.0, 0.0, 0.0, 0.3, 2.98, 5.99)
_READS: Final = (*("at once",) * 6, "when all is sent", "late", "in sips", "never")
_ROOMS: Final = (ROOM, ROOM, 5000, 200)
_LEAVES: Final = (*("closes",) * 4, "half closes", "half closes", "stays", "resets")
# How long it waits for a 100, and for a reply.
_CONTINUE_SECONDS: Final = 1.0
_REPLY_SECONDS: Final = 30.0
_SIP: Final = 0.5


class Client(Protocol):
    """A client with one connection."""

    def __init__(self, world: "World", name: str) -> None:
        self.name = name
        self.world = world
        self.dialogue = Dialogue(world.audit, name)
        self.replies: list[Reply] = []
        self.is_over = False  # the server has ended the connection
        self._socket: Socket | None = None
        self._buffer = bytearray()
        self._may_go_on = False  # a 100 has come
        self._changed = Event()
        world.audit.dialogues.append(self.dialogue)

    @property
    def socket(self) -> Socket:
        """Its end of the connection."""
        if self._socket is None:
            raise RuntimeError("it is not connected")
        return self._socket

    # What comes.

    def data_received(self, data: bytes) -> None:
        self.dialogue.read += len(data)
        self._buffer += data
        while self._buffer:
            place, specs = len(self.replies), self.dialogue.specs
            has_no_body = place < len(specs) and specs[place].has_no_body
            reply = take_reply(self._buffer, has_no_body=has_no_body)
            if reply is None:
                break
            if reply.status == 100:
                self._may_go_on = True
            else:
                self.replies.append(reply)
        self._changed.set()

    def eof_received(self) -> bool:
        self.is_over = True
        self._changed.set()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.eof_received()

    # What it does.

    async def connect(self, room: int = ROOM) -> None:
        """Connect. Raises ConnectionRefusedError."""
        network, dialogue = self.world.network, self.dialogue
        self._socket = await network.connect(self.name, room, dialogue, self)

    async def send(self, spec: Spec) -> None:
        """Send a request, its body once a 100 has come if it expects that."""
        self.dialogue.begin(spec)
        self._may_go_on = False
        number = len(self.dialogue.specs)
        if spec.expects:
            await self.write(spec.raw[: spec.head])
            await self.until(number, _CONTINUE_SECONDS, go_on=True)
            await self.write(spec.raw[spec.head :])
        else:
            await self.write(spec.raw)

    async def write(self, data: bytes) -> None:
        """Write some bytes."""
        if data and not self.is_over:
            self.socket.write(data)
            self.dialogue.sent(len(data))

    async def until(
        self, replies: int, seconds: float = _REPLY_SECONDS, *, go_on: bool = False
    ) -> None:
        """Until there are so many replies or no more can come, for so long."""
        with suppress(TimeoutError):
            async with timeout(seconds):
                while len(self.replies) < replies and not self.is_over:
                    if go_on and self._may_go_on:
                        return
                    self._changed.clear()
                    await self._changed.wait()


class Caller(Client):
    """One that does what the schedule has it do."""

    def __init__(self, world: "World", name: str, requests: Requests) -> None:
        super().__init__(world, name)
        self._requests = requests
        self._reads = "at once"
        self._has_reset = False

    async def run_some_time(self) -> None:
        """Call, perhaps later, and leave."""
        await sleep(detangle.choice(_STARTS))
        await self.run()

    async def run(self) -> None:
        """Call, and leave."""
        audit = self.world.audit
        self._reads = detangle.choice(_READS)
        room = detangle.choice(_ROOMS)
        try:
            await self.connect(room)
        except ConnectionRefusedError:
            audit.note(f"{self.name} is not let in", "a refused connection")
            return
        audit.note(f"{self.name} connects; it reads {self._reads}, room {room}")
        if self._reads != "at once":
            self.socket.pause_reading()
            get_running_loop().create_task(self._read())
        if detangle.flip(0.05):
            get_running_loop().create_task(self._reset_soon())
        await self._send_all()
        await self._leave()

    async def _send_all(self) -> None:
        pipelines = detangle.flip(0.3)
        size, thinks = detangle.choice(_SIZES), detangle.choice(_THINKS)
        for number in range(size):
            if self.is_over or (self.replies and self.replies[-1].closes):
                return
            if number:
                await sleep(thinks)
            await self.send(self._requests.draw(f"{self.name}.{number}"))
            if self._reads == "when all is sent":
                self.socket.resume_reading()
            if not pipelines:
                await self.until(number + 1)
        await self.until(size)

    async def write(self, data: bytes) -> None:
        """The same in pieces, cut anywhere; no more of them once their request is refused."""
        pieces, pause = detangle.choice(_PIECES), detangle.choice(_PAUSES)
        cuts = sorted(detangle.randint(0, len(data)) for _ in range(pieces - 1))
        for begin, end in pairwise((0, *cuts, len(data))):
            if begin:
                await sleep(pause)
            if self._is_refused:
                return
            await super().write(data[begin:end])

    @property
    def _is_refused(self) -> bool:
        number = len(self.dialogue.specs)
        return len(self.replies) >= number and self.replies[number - 1].closes

    async def _leave(self) -> None:
        how = detangle.choice(_LEAVES)
        self.world.audit.note(f"{self.name} leaves: {how}", f"a client {how}")
        if how == "resets":
            self._reset()
        elif how == "half closes":
            self.socket.write_eof()
        if how in {"half closes", "stays"}:
            await self.until(1000)
        reads = self._reads in {"at once", "when all is sent"}
        self.dialogue.reads_all = reads and self.is_over and not self._has_reset
        self.socket.close()

    async def _read(self) -> None:
        """Read as this client does."""
        if self._reads == "late":
            await sleep(detangle.choice((0.5, 4.0)))
            self.socket.resume_reading()
        while self._reads == "in sips" and not self.is_over:
            await sleep(_SIP)
            self.socket.resume_reading()
            await sleep(0)
            await sleep(0)
            self.socket.pause_reading()

    async def _reset_soon(self) -> None:
        await sleep(detangle.uniform(0.0, 1.0))
        self._reset()

    def _reset(self) -> None:
        self.world.audit.note(f"{self.name} resets the connection", "a reset")
        self._has_reset = True
        self.socket.reset()
