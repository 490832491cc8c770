"""`python -m loadgen.bench.images [BROKER]`: pictures a second, and `POST /reg/` beside them.

Each round measures three things. Digits: requests a second by as many callers as are busy, then
p99 at half of that rate, over HTTP and, with a RabbitMQ, over AMQP. Photos: how many the web
processes answer, in all and for each second of the CPU of the process that scores them. Plates: the
latency of POST /reg/ at a fixed rate alone, while photos keep that process busy, and beside
programs that only count, which is what the machine costs. Then
`model.imagenet.speed` compares the scorer of photos with bare onnxruntime.

Exit codes: 0 held, 1 POST /reg/ is slower than `--limit` allows or the answers differ, 2 something
is missing.
"""

import argparse
import json
import os
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from threading import Event
from time import perf_counter
from typing import Any, Final, NamedTuple

from client.amqp import AmqpClient
from loadgen.bench.callers import Call, Connect, Work, at_a_rate, at_full_speed, lasting, percentile
from loadgen.bench.counting import counting
from loadgen.bench.latency import latency
from loadgen.common import client, machine, pictures, rows, service, usage
from loadgen.common.errors import BadFile, CannotStart, WrongAnswers
from loadgen.common.options import MODEL, ROOT, ROWS, positive
from loadgen.common.pictures import Picture
from loadgen.common.service import KEY

_TIMEOUT: Final = 30.0
_DIGITS_OVER_AMQP: Final = {
    "SCORING_EXTRA_MODELS": "digits",
    "SCORING_AMQP_MODELS": "digits",
    "SCORING_MAX_BODY": "12000000",
}
_PICTURE_PROCESS: Final = "service.images"
# Callers that keep the process busy which scores photos: two batches of its network.
_BUSY: Final = 16


class Digits(NamedTuple):
    """Requests a second at full speed, and percentiles in ms at half of that rate."""

    rate: float
    p50: float
    p99: float


class Plates(NamedTuple):
    """Latencies of POST /reg/ in ms: alone, beside photos, beside programs that count.

    And the photos a second.
    """

    alone: float
    beside: float
    scheduled: float
    photos: float
    photos_by_cpu: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure as the command line says. Returns the exit code."""
    options = _options(arguments)
    try:
        with ExitStack() as started:
            bench = ImageBench(started, options)
            digits: dict[str, list[Digits]] = {way: [] for way in bench.ways}
            plates = []
            for _ in range(options.rounds):
                for way, connect in bench.ways.items():
                    digits[way].append(bench.digits(connect))
                plates.append(bench.plates())
        speed = _speed(bench.photo, options.speed_rounds)
    except (BadFile, CannotStart, OSError) as error:
        sys.stderr.write(f"Not measured. {error}\n")
        return 2
    except WrongAnswers as error:
        sys.stderr.write(f"Not measured: the answers differ. {error}\n")
        return 1
    sys.stdout.write(_report(digits, plates, speed, options))
    return int(_ratio(plates) > options.limit)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m loadgen.bench.images",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("broker", nargs="?", default="", help="amqp://USER:PASSWORD@HOST:PORT/VHOST")
    add("--seconds", type=positive, default=10, metavar="N", help="of each measurement [10]")
    add("--rounds", type=positive, default=5, metavar="N", help="of all in turn [5]")
    add("--callers", type=positive, default=16, metavar="N", help="of digits at once [16]")
    add("--rate", type=positive, default=300, metavar="N", help="of POST /reg/ a second [300]")
    add("--workers", type=positive, default=2, metavar="N", help="that score plates [2]")
    add("--speed-rounds", type=positive, default=20, metavar="N", help="of model.imagenet.speed")
    add("--limit", type=float, default=1.5, metavar="N",
        help="greatest ratio of p99 beside photos to p99 alone [1.5]")  # fmt: skip
    add("--quick", action="store_true", help="a round of a second, to see that it runs")
    options = parser.parse_args(arguments)
    if options.quick:
        options.seconds = options.rounds = options.speed_rounds = 1
    return options


class ImageBench:
    """The measurements, on a service, web processes and, with a broker, a worker over AMQP."""

    def __init__(self, started: ExitStack, options: argparse.Namespace) -> None:
        """What it starts is stopped with `started`. Raises BadFile or CannotStart."""
        self._options = options
        found = pictures.read()
        digits = [one for one in found if one.kind == "digit"]
        self._digits = _work(digits, options.callers)
        photos = [one for one in found if one.kind == "query"]
        self._photos = _work(photos, _BUSY)
        self.photo = photos[0].image
        bodies = rows.singles(rows.read(ROWS))
        self._requests = [client.raw("POST", "/reg/", KEY, body) for body in bodies]
        self._scoring = started.enter_context(service.running(MODEL, options.workers, bodies[0]))
        ready = lambda port: pictures.are_answered(port, KEY)  # noqa: E731
        self._web = started.enter_context(service.web(1, ready))
        self.ways: dict[str, Connect] = {"HTTP": lambda: _over_http(self._web.port)}
        if options.broker:
            started.enter_context(service.over_amqp(options.broker, 1, _DIGITS_OVER_AMQP))
            amqp = started.enter_context(AmqpClient(options.broker))
            self.ways["AMQP"] = lambda: _over_amqp(amqp)

    def digits(self, connect: Connect) -> Digits:
        """The rate at full speed, and the latency at half of it. Raises WrongAnswers."""
        seconds = self._options.seconds
        rate = len(at_full_speed(connect, self._digits, lasting(seconds))) / seconds
        times = at_a_rate(connect, self._digits, rate / 2, seconds)
        return Digits(rate, percentile(times, 0.5), percentile(times, 0.99))

    def plates(self) -> Plates:
        """The latency alone, and beside photos. Raises CannotStart or WrongAnswers."""
        alone = self._p99()
        is_over = Event()
        with ThreadPoolExecutor(1) as thread:
            before, began = self._cpu_of_photos(), perf_counter()
            busy = thread.submit(self._send_photos, lambda: not is_over.is_set())
            try:
                beside = self._p99()
            finally:
                is_over.set()
            answered, seconds = busy.result(), perf_counter() - began
            spent = self._cpu_of_photos() - before
        with counting(os.cpu_count() or 1):
            scheduled = self._p99()
        return Plates(alone, beside, scheduled, answered / seconds, answered / spent)

    def _send_photos(self, goes_on: Callable[[], bool]) -> int:
        """How many photos were answered."""
        return len(at_full_speed(lambda: _over_http(self._web.port), self._photos, goes_on))

    def _p99(self) -> float:
        rate, seconds = self._options.rate, self._options.seconds
        return latency(self._scoring.port, self._requests, rate, seconds)[1]

    def _cpu_of_photos(self) -> float:
        """Seconds of the CPU that the processes have taken which decode and score pictures."""
        return usage.cpu_of_children(self._web.pid, _PICTURE_PROCESS)


def _work(found: Sequence[Picture], callers: int) -> Work:
    return Work(found, [one.answer for one in found], callers)


def _over_http(port: int) -> Call:
    """A caller with a connection of its own."""
    connection = HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT)

    def call(picture: Picture) -> Any:
        connection.request("POST", picture.path, picture.image, picture.headers(KEY))
        reply = json.loads(connection.getresponse().read())
        return reply if isinstance(reply, str) else _field(reply, "answer")

    return call


def _over_amqp(amqp: AmqpClient) -> Call:
    """A caller of the one client that a process has, for digits."""

    def call(picture: Picture) -> Any:
        body = json.dumps({"image": b64encode(picture.image).decode()}).encode()
        reply = json.loads(amqp.call("digits", body, timeout=_TIMEOUT).body)
        return f"[{_field(reply, 'prediction')}]"

    return call


def _field(reply: Any, name: str) -> Any:
    """A field of a good reply; of another one its reason, which is no right answer."""
    return reply["body"][name] if reply["status"] == "ok" else reply["body"]


def _speed(photo: bytes, rounds: int) -> str:
    """What `model.imagenet.speed` prints. Raises CannotStart."""
    with TemporaryDirectory(prefix="speed-") as folder:
        file = Path(folder) / "photo.jpg"
        file.write_bytes(photo)
        command = (sys.executable, "-m", "model.imagenet.speed", str(file))
        done = subprocess.run(
            [*command, "--rounds", str(rounds)],
            capture_output=True, text=True, cwd=ROOT, check=False,
        )  # fmt: skip
    if done.returncode:
        raise CannotStart(f"model.imagenet.speed: {done.stderr}")
    return done.stdout


def _report(
    digits: dict[str, list[Digits]], plates: Sequence[Plates], speed: str, options: Any
) -> str:
    of_plates = Plates(*map(median, zip(*plates, strict=True)))
    lines = [
        machine.summary(machine.describe()),
        f"medians of {options.rounds} rounds",
        f"digits, {options.callers} callers:",
        *(f"  {way}: {_line(each)}" for way, each in digits.items()),
        f"photos, {_BUSY} callers: {of_plates.photos:.1f}/s",
        f"  for each second of the CPU, decoding included: {of_plates.photos_by_cpu:.1f}",
        *(f"  {line}" for line in speed.splitlines()),
        f"POST /reg/ at {options.rate} requests a second:",
        f"  alone: p99 {of_plates.alone:.1f} ms; beside photos: p99 {of_plates.beside:.1f} ms",
        f"  beside programs that count, one for each core: p99 {of_plates.scheduled:.1f} ms",
        f"  p99 beside photos / p99 alone: {_ratio(plates):.2f}",
    ]
    return "\n".join(lines) + "\n"


def _line(rounds: Sequence[Digits]) -> str:
    rate, p50, p99 = map(median, zip(*rounds, strict=True))
    return f"{rate:.0f} requests/s; at half of it p50 {p50:.1f} ms, p99 {p99:.1f} ms"


def _ratio(plates: Sequence[Plates]) -> float:
    """The median of the ratios of the rounds."""
    return median(one.beside / one.alone for one in plates)


if __name__ == "__main__":
    sys.exit(main())
