"""The latency of `POST /reg/` at a fixed rate, whatever else the machine does meanwhile."""

from collections.abc import Sequence
from typing import Final

from loadgen.common.errors import CannotStart
from loadgen.common.open_loop import Job, streaming
from loadgen.common.schedule import Level

_CONNECTIONS: Final = 32


def latency(port: int, requests: Sequence[bytes], rate: float, seconds: int) -> tuple[float, float]:
    """p50 and p99 in ms. Raises CannotStart if a request is not scored."""
    stages = [Level(seconds, rate)]
    with streaming(Job(port, stages, _CONNECTIONS, requests)) as stream:
        stats = stream.wait()
    if set(stats.ends) != {"200"}:
        raise CannotStart(f"Not all requests were scored: {stats.counts()}")
    # Not from the due times: the generator has to wait for a processor, too.
    sent = stats.ends["200"].sent
    return sent["p50"], sent["p99"]
