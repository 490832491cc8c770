"""`python -m tests.support.stalling PORT EVERY STALL`: a service with stalls.

Every so many seconds it answers nothing for a while, then what arrived meanwhile. A `STALL` of 0
makes it a fast service without a model.
"""

import asyncio
import sys
import time
from asyncio import IncompleteReadError, StreamReader, StreamWriter
from typing import Final

_ONE: Final = b'{"body":{"negative":0.75,"positive":0.25},"status":"ok"}'
_REPLY: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
    % (len(_ONE), _ONE)
)


class Stalling:
    """The service."""

    def __init__(self, every: float, stall: float) -> None:
        self._every = every
        self._stall = stall
        self._began = time.monotonic()

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Answer one connection's requests until it ends."""
        try:
            while True:
                await _read(reader)
                await self._stall_if_due()
                writer.write(_REPLY)
        except (IncompleteReadError, ConnectionError):
            writer.close()

    async def _stall_if_due(self) -> None:
        into = (time.monotonic() - self._began) % self._every
        # The stall is at the end of each period, so that a run does not begin with one.
        if into > self._every - self._stall:
            await asyncio.sleep(self._every - into)


async def _read(reader: StreamReader) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    _, _, length = head.partition(b"content-length:")
    await reader.readexactly(int(length.partition(b"\r\n")[0] or 0))


async def main() -> None:
    port, every, stall = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
    server = await asyncio.start_server(Stalling(every, stall).serve, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
