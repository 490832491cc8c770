"""One file by a URL that a caller names: from hosts of a list alone, and never from a private one.

The caller learns nothing of why there is no file: what is open, closed or missing in this network
is not for him. The log and the metric have the reason.
"""

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from http.client import HTTPResponse
from threading import BoundedSemaphore
from time import monotonic
from typing import Final, NamedTuple
from urllib.parse import SplitResult

from service.outbound.addresses import NotAllowed
from service.outbound.request import Message, Unreachable, check, exchange, judged

# In the list of hosts: all that have public addresses.
ANY: Final = "*"
# The reasons, for a metric.
REASONS: Final = ("off", "url", "host", "address", "busy", "network", "status", "size", "encoding")
_HEADERS: Final = {
    "Accept": "image/*",
    "Accept-Encoding": "identity",  # a small file could unpack to a large one
    "User-Agent": "plate-scoring",
}


class NotFetched(Exception):
    """There is no file. The text is the same for all reasons; `reason` is one of `REASONS`.

    `detail` is for the log: it has the host at most, never the rest of the URL.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__("the image can't be fetched")
        self.reason = reason
        self.detail = detail


class Limits(NamedTuple):
    """Of one file: its bytes, and the seconds by the wall clock; and how many come at a time."""

    file_bytes: int = 8 << 20
    seconds: float = 5.0
    at_a_time: int = 4


LIMITS: Final = Limits()


class Fetcher:
    """Fetches files from some hosts, for all threads of this process."""

    def __init__(
        self, hosts: Collection[str], private: Collection[str] = (), limits: Limits = LIMITS
    ) -> None:
        """`hosts` may be fetched from by https, `ANY` means all: their addresses must be public.

        Those of `private` hosts need not be, and they may be named by http and with a port.
        """
        self._hosts = frozenset(host.lower() for host in (*hosts, *private))
        self._private = frozenset(host.lower() for host in private)
        self._limits = limits
        self._threads = ThreadPoolExecutor(limits.at_a_time, "fetch")
        # Callers hold a thread each, and others need some: few may wait for those that fetch.
        self._places = BoundedSemaphore(2 * limits.at_a_time)

    @property
    def is_on(self) -> bool:
        """Whether there is any host to fetch from."""
        return bool(self._hosts)

    def fetched(self, url: str) -> bytes:
        """The file of a URL. Raises NotFetched."""
        parts = self._checked(url)
        if not self._places.acquire(blocking=False):
            raise NotFetched("busy", f"{parts.hostname}: too many wait")
        try:
            # In a thread, since a look-up of a name can't be ended.
            future = self._threads.submit(self._get, parts)
            return future.result(self._limits.seconds)
        except TimeoutError:
            reason = "busy" if future.cancel() else "network"
            raise NotFetched(reason, f"{parts.hostname}: out of time") from None
        finally:
            self._places.release()

    def _checked(self, url: str) -> SplitResult:
        if not self.is_on:
            raise NotFetched("off")
        try:
            parts = check(url, self._private)
        except ValueError as reason:
            raise NotFetched("url", str(reason)) from None
        if ANY not in self._hosts and parts.hostname not in self._hosts:
            raise NotFetched("host", "it is not in the list")
        return parts

    def _get(self, parts: SplitResult) -> bytes:
        latest = monotonic() + self._limits.seconds
        try:
            target = judged(parts, self._private)
            return exchange(target, Message("GET", _HEADERS), latest - monotonic(), self._read)
        except NotAllowed as reason:
            raise NotFetched("address", str(reason)) from None
        except Unreachable as reason:
            raise NotFetched("network", f"{parts.hostname}: {reason}") from None

    def _read(self, reply: HTTPResponse) -> bytes:
        if reply.status != HTTPStatus.OK:  # of redirects, too
            raise NotFetched("status", str(reply.status))
        if reply.getheader("Content-Encoding", "identity").strip().lower() != "identity":
            raise NotFetched("encoding")
        most = self._limits.file_bytes
        if reply.length is not None and reply.length > most:
            raise NotFetched("size")
        file = reply.read(most + 1)
        if len(file) > most:
            raise NotFetched("size")
        return file
