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
from loadgen.load.replies import fault, is_golden
from loadgen.load.sender import Call
from loadgen.load.stats import Completed


def _tenths(milliseconds: float) -> float:
    """Round to 0.1 ms: Locust rounds to two digits, which is 10 ms at 100."""
    return round(milliseconds, 1)


stats.bucket_response_time = _tenths


class Caller(FastHttpUser):
    """A user with one connection, which sends the next due request until there are none."""

    concurrency = 1
    # Locust's default is no check, so any server could get the key. SSL_CERT_FILE names own CAs.
    insecure = False
    # Shared by all connections: loading the machine's CAs takes 25 ms.
    ssl_context_factory = staticmethod(cache(gevent.ssl.create_default_context))

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._timeout = 0.0
        # No cookies, and no status is an error before the reply is checked.
        self.client.client.cookiejar = None
        self.client.client.valid_response_codes = frozenset(range(100, 600))

    @task
    def send(self) -> None:
        """Send the requests of a run."""
        sender = session.of(self.environment).sender
        self._set_timeout(sender.wait_for_shape().generator.timeout_seconds)
        for call in sender.calls():
            sender.done(self._send(call))
        sender.rest()

    def _set_timeout(self, seconds: float) -> None:
        """Set the timeout of the run's shape, which a worker gets at the start of a run.

        Locust's own timeouts are for each read: a reply that arrives byte by byte would never
        time out.
        """
        self._timeout = seconds
        arguments = self.client.client.clientpool.client_args
        arguments.update(network_timeout=seconds, connection_timeout=seconds)

    def _send(self, call: Call) -> Completed:
        due, spec = call
        # After a redirect a POST becomes a GET of another resource: the redirect is a wrong reply.
        with (
            gevent.Timeout(self._timeout, TimeoutError),
            self.client.post(
                "/reg/", data=spec.body, headers=spec.headers, name=spec.kind, catch_response=True,
                allow_redirects=False,
            ) as reply,
        ):  # fmt: skip
            ended = session.of(self.environment).sender.now()
            model = reply.headers.get("x-model-version") if reply.headers else None
            wrong = self._fault(call, reply, model)
            # Latency counts from the due time on Locust's own page, too.
            reply.request_meta["response_time"] = (ended - due) * 1000
            if wrong:
                reply.failure(wrong)
            else:
                reply.success()
        return Completed(spec.kind, due, ended, wrong, is_golden(spec, model), model)

    def _fault(self, call: Call, reply: Any, model: str | None) -> str | None:
        broken = reply.request_meta["exception"]
        if broken is not None:  # refused, reset, timed out, or cut off in the body
            cause = getattr(broken, "original", None) or broken
            return f"{call.spec.kind}: {type(cause).__name__}"
        return fault(call.spec, reply.status_code, reply.content or b"", model)


@events.init_command_line_parser.add_listener
def _arguments(parser: Any) -> None:
    session.add_arguments(parser)


@events.init.add_listener
def _init(environment: Environment, runner: Any, **_rest: Any) -> None:
    session.create(environment, runner, is_worker=isinstance(runner, WorkerRunner))
