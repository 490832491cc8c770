"""The load test in Locust: its users, processes, messages between them, and the web page.

By hand: `LOADGEN_API_KEY=… python -m locust -f loadgen/locustfile.py --headless -H URL --shape
smoke`; with `--master --expect-workers 2`, and twice `--worker`, by several processes.
"""

from functools import cache
from typing import Any

import gevent
import gevent.ssl
from locust import FastHttpUser, events, stats, task
from locust.env import Environment
from locust.runners import WorkerRunner

from loadgen.load import session
from loadgen.load.job_follower import Get, Reply
from loadgen.load.replies import fault, is_golden, job_of
from loadgen.load.sender import Call
from loadgen.load.shapes import Shape
from loadgen.load.stats import Completed
from loadgen.load.workload import JOBS


def _tenths(milliseconds: float) -> float:
    """Round to 0.1 ms: Locust rounds to two digits, which is 10 ms at 100."""
    return round(milliseconds, 1)


stats.bucket_response_time = _tenths


class Connection(FastHttpUser):
    """A user with one connection, and a limit for each whole reply."""

    abstract = True
    concurrency = 1
    # Locust's default is not a check, so any server could get the key. SSL_CERT_FILE names own CAs.
    insecure = False
    # Shared by all connections: loading the machine's CAs takes 25 ms.
    ssl_context_factory = staticmethod(cache(gevent.ssl.create_default_context))

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.timeout = 0.0
        # No cookies, and no status is an error before the reply is checked.
        self.client.client.cookiejar = None
        self.client.client.valid_response_codes = frozenset(range(100, 600))

    def set_timeout(self, seconds: float) -> None:
        """Set the timeout of the run's shape, which a worker gets at the start of a run.

        Locust's own timeouts are for each read: a reply that arrives byte by byte would never
        time out.
        """
        self.timeout = seconds
        arguments = self.client.client.clientpool.client_args
        arguments.update(network_timeout=seconds, connection_timeout=seconds)


class Caller(Connection):
    """A user that sends the next due request, a job as any other, until there are none."""

    @task
    def send(self) -> None:
        """Send the requests of a run."""
        sender = session.of(self.environment).sender
        self.set_timeout(sender.wait_for_shape().generator.timeout_seconds)
        for call in sender.calls():
            sender.done(self._send(call))
        sender.rest()

    def _send(self, call: Call) -> Completed:
        due, spec = call
        sender = session.of(self.environment).sender
        # After a redirect a POST becomes a GET of another resource: the redirect is a wrong reply.
        with (
            gevent.Timeout(self.timeout, TimeoutError),
            self.client.post(
                spec.path, data=spec.body, headers=spec.headers, name=spec.kind,
                catch_response=True, allow_redirects=False,
            ) as reply,
        ):  # fmt: skip
            ended = sender.now()
            model = reply.headers.get("x-model-version") if reply.headers else None
            wrong = self._fault(call, reply, model)
            # Latency counts from the due time on Locust's own page, too.
            reply.request_meta["response_time"] = (ended - due) * 1000
            if wrong:
                reply.failure(wrong)
            else:
                reply.success()
                if spec.kind in JOBS:
                    sender.follow(job_of(reply.content), call, ended)
        return Completed(spec.kind, due, ended, wrong, is_golden(spec, model), model)

    def _fault(self, call: Call, reply: Any, model: str | None) -> str | None:
        broken = reply.request_meta["exception"]
        if broken is not None:  # refused, reset, timed out, or cut off in the body
            cause = getattr(broken, "original", None) or broken
            return f"{call.spec.kind}: {type(cause).__name__}"
        return fault(call.spec, reply.status_code, reply.content or b"", model)


class JobReader(Connection):
    """The connection of a process on which it follows its jobs; Locust starts none itself."""

    abstract = True

    def __init__(self, environment: Environment) -> None:
        self.host = environment.host  # Locust sets that of the users that it starts
        super().__init__(environment)

    def get(self, path: str, key: str) -> Reply:
        """The reply to a GET request; Locust's own table has all of them in one line."""
        try:
            with (
                gevent.Timeout(self.timeout, TimeoutError),
                self.client.get(
                    path, headers={"x-api-key": key}, name="followed jobs", catch_response=True,
                    allow_redirects=False,
                ) as reply,
            ):  # fmt: skip
                reply.success()
                model = reply.headers.get("x-model-version") if reply.headers else None
                return Reply(reply.status_code, reply.content or b"", model)
        except TimeoutError:
            return Reply(0, b"", None)


def _make_get(environment: Environment, shape: Shape, key: str) -> Get:
    reader = JobReader(environment)
    reader.set_timeout(shape.generator.timeout_seconds)
    return lambda path: reader.get(path, key)


@events.init_command_line_parser.add_listener
def _arguments(parser: Any) -> None:
    session.add_arguments(parser)


@events.init.add_listener
def _init(environment: Environment, runner: Any, **_rest: Any) -> None:
    session.create(environment, runner, _make_get, is_worker=isinstance(runner, WorkerRunner))
