"""The processes: memory, CPU, workers that are up, connections that wait to be accepted."""

import os
import socket
import struct
from collections.abc import Iterable
from pathlib import Path
from time import process_time
from typing import Final, Literal, TypeAlias

from prometheus_client import CollectorRegistry, Counter, Gauge

# How the values of the workers' gauges become one.
Mode: TypeAlias = Literal["livesum", "livemax", "livemin"]

_STATM: Final = Path("/proc/self/statm")
# Of Linux' struct tcp_info: eight bytes, then 32-bit numbers, of which `tcpi_unacked` is the
# fifth. For a listening socket the kernel puts the length of its accept queue there.
_UNACKED: Final = struct.Struct("=8x16xI")


class ProcessMetrics:
    """The metrics of one worker, in files that its successor continues."""

    def __init__(self, registry: CollectorRegistry, prefix: str = "scoring") -> None:
        """`prefix` begins the names of the series, of which each kind of process has its own."""

        def gauge(name: str, text: str, mode: Mode, *labels: str) -> Gauge:
            name = f"{prefix}_{name}"
            return Gauge(name, text, labels, multiprocess_mode=mode, registry=registry)

        self._memory = gauge(
            "process_resident_memory_bytes",
            "Resident memory of a worker, including pages that it shares with others.",
            "livesum",
            "worker",
        )
        self._up = gauge("worker_up", "1 while a worker serves.", "livesum", "worker")
        self._configured = gauge(
            "workers_configured", "Workers that the server should have.", "livemax"
        )
        self._cpu = Counter(
            f"{prefix}_process_cpu_seconds",
            "CPU time of a worker and its predecessors at the same place.",
            ("worker",),
            registry=registry,
        )
        self._starts = Counter(
            f"{prefix}_worker_starts", "Workers started: first, after a crash, on a reload.",
            registry=registry,
        )  # fmt: skip
        self._worker = ""
        self._counted = 0.0
        self._statm: int | None = None

    def configured(self, workers: int) -> None:
        """Set the number of workers that there should be."""
        self._configured.set(workers)

    def start(self, worker: str) -> None:
        """Count the start of a worker."""
        self._worker = worker
        self._counted = process_time()
        if _STATM.exists():  # Linux. Kept open: later there may be no more files to be had
            self._statm = os.open(_STATM, os.O_RDONLY)
        self._starts.inc()
        self._up.labels(worker).set(1)

    def publish(self) -> None:
        """Set memory and CPU time as they are now."""
        if self._statm is not None:
            self._memory.labels(self._worker).set(_resident_bytes(self._statm))
        used = process_time()
        self._cpu.labels(self._worker).inc(used - self._counted)
        self._counted = used


class AcceptMetrics:
    """Connections that wait in front of the workers."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._queue = Gauge(
            "scoring_accept_queue_length",
            "Connections that no worker has accepted yet.",
            multiprocess_mode="livemax",
            registry=registry,
        )

    def publish(self, sockets: Iterable[socket.socket]) -> None:
        """Set the length of the longest queue of these listening sockets."""
        self._queue.set(max(map(_queue_length, sockets), default=0))


def _resident_bytes(statm: int) -> int:
    return int(os.pread(statm, 256, 0).split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _queue_length(listener: socket.socket) -> int:
    if listener.family not in (socket.AF_INET, socket.AF_INET6) or not hasattr(socket, "TCP_INFO"):
        return 0
    info = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _UNACKED.size)
    return int(_UNACKED.unpack(info)[0])
