"""One Locust process of a load test: its options, its sender, and the runner in the master."""

import sys
import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NoReturn, TypeAlias
from urllib.parse import urlsplit

import gevent
import msgspec
from gevent.event import Event

from loadgen.common import machine, rows
from loadgen.common.errors import BadFile, CannotStart
from loadgen.common.pictures import read as read_pictures
from loadgen.load import metrics, pages, pictures, settings, shapes, workload
from loadgen.load.job_follower import Get
from loadgen.load.runner import LoadRunner
from loadgen.load.sender import Sender
from loadgen.load.shapes import Shape
from loadgen.load.stats import Stats, packed, unpacked
from loadgen.load.verdict import EXIT_CODES, Outcome
from loadgen.load.workload import Mix, RequestSpec

# Names of messages: "stats" alone is one of Locust's own.
_SCHEDULE: Final = "loadgen-schedule"
_STATS: Final = "loadgen-stats"


def add_arguments(parser: Any) -> None:
    """Add the load test's options, each with a variable; the web page has only the shape."""
    names = _names()
    help_text = "workload and limits: loadgen/load/shapes.toml"
    settings.add(parser, "shape", names[0], help_text, choices=names)
    # As text: a master sends its options to the workers.
    settings.add_files(parser, kind=str, include_in_web_ui=False)
    settings.add(parser, "api-key", "", "key of the service", include_in_web_ui=False)
    settings.add(parser, "api-key-file", "", "file with the key", include_in_web_ui=False)
    settings.add_metrics_port(parser, include_in_web_ui=False)


def _names() -> list[str]:
    """The names of the shapes."""
    try:
        return list(shapes.read(settings.shapes_file()))
    except BadFile as error:
        _exit(error)


def _exit(error: Exception) -> NoReturn:
    # Locust logs an exception of a listener and continues, but it does not catch SystemExit.
    sys.stderr.write(f"Not started. {error}\n")
    sys.exit(2)


# Makes what sends GET requests with a key, and with a shape's time for a reply.
MakeGet: TypeAlias = Callable[[Any, Shape, str], Get]


def create(environment: Any, runner: Any, make_get: MakeGet, *, is_worker: bool) -> None:
    """Make this process a worker or the master. Exits with 2 if it can't start."""
    kind = WorkerSession if is_worker else MasterSession
    try:
        environment.loadgen = kind(environment, runner, make_get)
    except (BadFile, CannotStart, ValueError, OSError) as error:
        _exit(error)


def of(environment: Any) -> "Session":
    """The session of this process."""
    session: Session = environment.loadgen
    return session


def _key(options: Any) -> str:
    """The key of the service, from the options or the named file. Raises BadFile."""
    path: str = options.api_key_file
    if not path:
        return str(options.api_key)
    try:
        key = Path(path).read_text("ascii").strip()
    except (OSError, ValueError) as error:
        raise BadFile(f"LOADGEN_API_KEY_FILE: {path} can't be read as ASCII text") from error
    if len(key.split()) != 1:
        raise BadFile(f"LOADGEN_API_KEY_FILE: {path} must hold one key")
    return key


class Session:
    """What every process has: rows, golden rows, pictures, a key and a sender."""

    def __init__(self, environment: Any, runner: Any, make_get: MakeGet) -> None:
        self._make_get = make_get
        self.environment = environment
        self.runner = runner
        self.options = environment.parsed_options
        self.key = _key(self.options)
        self.rows = rows.read(Path(self.options.rows))
        self.golden = workload.read_golden()
        self.pictures = read_pictures()
        self.sender = Sender(self.deliver)

    @property
    def shape(self) -> Shape:
        """The chosen shape; on the web page it may change from run to run."""
        return shapes.named(self.options.shape, Path(self.options.shapes))

    def begin(self, shape: Shape, start: float, share: tuple[int, int]) -> None:
        """Send a share of a shape; `start` is a time of `time.perf_counter`."""
        requests = self._requests(shape.mix)
        get = self._make_get(self.environment, shape, self.key) if shape.mix.has_jobs else None
        self.sender.begin(shape, requests, start, share, get)

    def _requests(self, mix: Mix) -> list[RequestSpec]:
        if mix.has_pictures:
            return pictures.build_requests(mix, self.pictures, self.key)
        return workload.build_requests(mix, self.rows, self.golden, self.key)

    def deliver(self, stats: Stats) -> None:
        """Deliver the counts of the sender."""
        raise NotImplementedError


class WorkerSession(Session):
    """A process that sends the share that the master assigns."""

    def __init__(self, environment: Any, runner: Any, make_get: MakeGet) -> None:
        super().__init__(environment, runner, make_get)
        runner.register_message(_SCHEDULE, self._on_schedule)
        environment.events.test_stop.add_listener(lambda **_: self.sender.end())

    def deliver(self, stats: Stats) -> None:
        """Send the counts to the master."""
        self.runner.send_message(_STATS, packed(stats))

    def _on_schedule(self, msg: Any, **_rest: Any) -> None:
        # The shape itself, not its name: the worker's file may differ from the master's.
        shape = msgspec.convert(msg.data["shape"], Shape)
        # Seconds from now, not a time of day: the clocks of two machines may differ.
        start = time.perf_counter() + msg.data["starts_in"]
        self.key = self.key or msg.data["key"]
        self.begin(shape, start, (msg.data["index"], msg.data["count"]))


class MasterSession(Session):
    """The process with the runner; it also sends, unless it is a master of workers."""

    def __init__(self, environment: Any, runner: Any, make_get: MakeGet) -> None:
        super().__init__(environment, runner, make_get)
        _check_key(self.key)
        _check_address(environment.host, needed=self.options.headless)
        pages.prepare(Path(self.options.out))
        self.load_runner = LoadRunner(Path(self.options.out), self._senders)
        self._concluded = Event()
        self._run: Any = None
        if self.options.num_users is None:
            self.options.num_users = self.shape.connections
            self.options.spawn_rate = min(100, self.shape.connections)
        if self.options.metrics_port:
            metrics.publish(self.load_runner, self.options.metrics_port)
        self._listen()

    def deliver(self, stats: Stats) -> None:
        """Add the counts to the run."""
        self.load_runner.take(stats)

    def _listen(self) -> None:
        self.runner.register_message(_STATS, lambda msg, **_: self.deliver(unpacked(msg.data)))
        events = self.environment.events
        events.spawning_complete.add_listener(lambda **_: self._start())
        events.test_stop.add_listener(lambda **_: self._on_stop())
        events.quitting.add_listener(lambda **_: self._on_quitting())

    @property
    def _is_master(self) -> bool:
        return hasattr(self.runner, "clients")

    def _senders(self) -> Collection[str]:
        if not self._is_master:
            return ("this process",)
        clients = self.runner.clients
        return sorted(client.id for client in clients.running + clients.spawning)

    def _start(self) -> None:
        # Users that are added during a run take part in it.
        if self._run is None or self._run.ready():
            self._run = gevent.spawn(self._perform, self.shape)
            # gevent prints the error; without this link nothing would end the run.
            self._run.link_exception(lambda _: gevent.spawn(self._quit))

    def _perform(self, shape: Shape) -> None:
        about = {
            "url": _without_password(self.environment.host),
            "began": datetime.now(UTC).isoformat(timespec="seconds"),
            "generator": machine.summary(machine.describe()),
        }
        start = self.load_runner.begin(shape)
        if self._is_master:
            self._send_schedules(shape, start)
        else:
            self.begin(shape, start, (0, 1))
        self.load_runner.watch(shape)
        try:
            code = EXIT_CODES[self.load_runner.conclude(shape, about)]
        except BadFile as error:
            # The folder existed at the start. A verdict that can't be written is not a success.
            sys.stderr.write(f"Not written. {error}\n")
            code = 2
        self.environment.process_exit_code = code
        self._concluded.set()
        gevent.spawn(self._quit)

    def _quit(self) -> None:
        if self.options.headless:
            self.runner.quit()
        else:
            self.runner.stop()

    def _send_schedules(self, shape: Shape, start: float) -> None:
        senders, plain = self._senders(), msgspec.to_builtins(shape)
        for index, client in enumerate(senders):
            ahead = start - time.perf_counter()
            message = {
                "shape": plain,
                "starts_in": ahead,
                "key": self.key,
                "index": index,
                "count": len(senders),
            }
            self.runner.send_message(_SCHEDULE, message, client)

    def _on_stop(self) -> None:
        self.sender.end()
        if self._run is not None and not self._run.ready():
            self._run.kill(block=False)
            sys.stdout.write("\nStopped before its end: no verdict\n")
            # A master stops when its last worker is lost, and would then wait for a new one.
            if self.options.headless:
                gevent.spawn(self.runner.quit)

    def _on_quitting(self) -> None:
        # A run without a verdict is not a success, whatever ended it.
        if not self._concluded.is_set() and self.options.headless:
            self.environment.process_exit_code = EXIT_CODES[Outcome.NOTHING_RAN]


def _check_key(key: str) -> None:
    if not key:
        raise CannotStart("LOADGEN_API_KEY, the key of the service, is not set")
    if not key.isprintable():
        raise CannotStart("LOADGEN_API_KEY holds a character that no header can")


def _check_address(url: str | None, *, needed: bool) -> None:
    """Raise CannotStart unless the address is valid, or absent where it is not `needed`."""
    if not (url or needed):
        return
    parts = urlsplit(url or "")
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0:
        raise CannotStart("The address of the service must be like http://127.0.0.1:8000")


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
