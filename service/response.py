"""gunicorn's response, written to the socket in one piece."""

from functools import lru_cache
from time import time
from typing import Any

from gunicorn import util
from gunicorn.http.wsgi import Response


class OnePieceResponse(Response):  # type: ignore[misc]
    """Head and body in one send.

    gunicorn sends them apart: a second system call, a second packet and a second wake-up
    of the client for each reply. It also formats the date anew each time.
    """

    headers_sent: bool

    def write(self, arg: bytes) -> None:
        """Send a piece of the body, with the head if it is the first and only one."""
        if self.headers_sent or self._omits_body or self.response_length != len(arg):
            super().write(arg)
            return
        head = "".join((*self.default_headers(), *(f"{k}: {v}\r\n" for k, v in self.headers)))
        self.headers_sent = True
        self.sent = len(arg)
        util.write(self.sock, b"%b\r\n%b" % (head.encode("latin-1"), arg))

    def default_headers(self) -> list[str]:
        """The status line and the server's own headers."""
        major, minor = self.req.version
        headers = [
            f"HTTP/{major}.{minor} {self.status}\r\n",
            f"Server: {self.version}\r\n",
            _date_line(int(time())),
            "Connection: close\r\n" if self.should_close() else "Connection: keep-alive\r\n",
        ]
        if self.chunked:
            headers.append("Transfer-Encoding: chunked\r\n")
        return headers


@lru_cache(maxsize=1)
def _date_line(second: int) -> str:
    date: Any = util.http_date(second)
    return f"Date: {date}\r\n"
