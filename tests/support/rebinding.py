"""Fetches URLs where a DNS server of this process answers, and notes all connections.

`unshare --mount --net python -m tests.support.rebinding RESOLV_CONF` reads a JSON object: `zone`
has for each name its addresses, those of each look-up in turn, the last ones for ever; `urls` are
fetched in order. It writes for each URL the reason for which there is no file, the addresses to
which a connection was begun, and how many look-ups there were.
"""

import fcntl
import json
import socket
import struct
import subprocess
import sys
from collections import Counter
from ipaddress import ip_address
from threading import Thread
from typing import Any

from service.outbound.fetch import ANY, Fetcher, NotFetched

_NAMESERVER = "127.0.0.1"
_KINDS = {1: 4, 28: 6}  # A and AAAA


class Zone:
    """A DNS server on loopback."""

    def __init__(self, addresses: dict[str, list[list[str]]]) -> None:
        self._addresses = addresses
        self.asked: Counter[tuple[str, int]] = Counter()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((_NAMESERVER, 53))

    def serve(self) -> None:
        """Answer for ever."""
        while True:
            query, sender = self._socket.recvfrom(4096)
            self._socket.sendto(self._answer(query), sender)

    def _answer(self, query: bytes) -> bytes:
        at, labels = 12, []
        while length := query[at]:
            labels.append(query[at + 1 : at + 1 + length].decode())
            at += 1 + length
        name, end = ".".join(labels), at + 5
        (kind,) = struct.unpack_from("!H", query, at + 1)
        rounds = self._addresses.get(name, [[]])
        current = rounds[min(self.asked[name, kind], len(rounds) - 1)]
        self.asked[name, kind] += 1
        found = [ip_address(each) for each in current]
        found = [each for each in found if each.version == _KINDS.get(kind)]
        records = b"".join(
            struct.pack("!HHHIH", 0xC00C, kind, 1, 0, len(each.packed)) + each.packed
            for each in found
        )
        head = query[:2] + struct.pack("!HHHHH", 0x8180, 1, len(found), 0, 0)
        return head + query[12:end] + records


def main(resolv_conf: str) -> None:
    """Do what standard input says."""
    task = json.load(sys.stdin)
    subprocess.run(["mount", "--bind", resolv_conf, "/etc/resolv.conf"], check=True)
    _raise_loopback()
    zone = Zone(task["zone"])
    Thread(target=zone.serve, daemon=True).start()
    begun: list[str] = []
    sys.addaudithook(lambda event, given: _note(event, given, begun))
    fetcher = Fetcher([ANY])
    outcomes = []
    for url in task["urls"]:
        begun.clear()
        zone.asked.clear()
        try:
            fetcher.fetched(url)
            reason = ""
        except NotFetched as error:
            reason = error.reason
        asked = max(zone.asked.values(), default=0)
        outcomes.append({"url": url, "reason": reason, "begun": [*begun], "asked": asked})
    json.dump(outcomes, sys.stdout)


def _note(event: str, given: tuple[Any, ...], begun: list[str]) -> None:
    if event == "socket.connect":
        begun.append(given[1][0])


def _raise_loopback() -> None:
    """Have a loopback interface: a new network has it, but down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        flags = struct.pack("16sh", b"lo", 1)  # IFF_UP
        fcntl.ioctl(any_socket, 0x8914, flags)  # SIOCSIFFLAGS


if __name__ == "__main__":
    main(*sys.argv[1:])
