"""Locust's part of a load test: users, processes, messages between them, the web page.

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
    """Locust rounds to two digits, which is 10 ms at 100."""
    return round(milliseconds, 1)


stats.bucket_response_time = _tenths


class Caller(FastHttpUser):
    """One connection: it sends what is due next, as long as anything is."""

    concurrency = 1
    # Locust's default would give the key to whoever answers. SSL_CERT_FILE names other authorities.
    insecure = False
    # One for all connections: each reads the machine's authorities for 25 ms.
    ssl_context_factory = staticmethod(cache(gevent.ssl.create_default_context))

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._patience = 0.0
        # No cookies are set, and no status is an error before the reply has been looked at.
        self.client.client.cookiejar = None
        self.client.client.valid_response_codes = frozenset(range(100, 600))

    @task
    def send(self) -> None:
        """All calls of a run."""
        sender = session.of(self.environment).sender
        self._wait_at_most(sender.begun().generator.timeout_seconds)
        for call in sender.calls():
            sender.done(self._send(call))
        sender.rest()

    def _wait_at_most(self, seconds: float) -> None:
        """As the run's shape says, which a worker learns with its start; it connects later.

        Locust's own time-outs are of each read: a reply that drips would never be late.
        """
        self._patience = seconds
        arguments = self.client.client.clientpool.client_args
        arguments.update(network_timeout=seconds, connection_timeout=seconds)

    def _send(self, call: Call) -> Completed:
        due, spec = call
        # Redirected, a POST becomes a GET of something else: that is a reply, and a wrong one.
        with (
            gevent.Timeout(self._patience, TimeoutError),
            self.client.post(
                "/reg/", data=spec.body, headers=spec.headers, name=spec.kind, catch_response=True,
                allow_redirects=False,
            ) as reply,
        ):  # fmt: skip
            ended = session.of(self.environment).sender.now()
            model = reply.headers.get("x-model-version") if reply.headers else None
            wrong = self._fault(call, reply, model)
            # From when it was due, here too: Locust's own page must not say otherwise.
            reply.request_meta["response_time"] = (ended - due) * 1000
            if wrong:
                reply.failure(wrong)
            else:
                reply.success()
        return Completed(spec.kind, due, ended, wrong, is_golden(spec, model), model)

    def _fault(self, call: Call, reply: Any, model: str | None) -> str | None:
        broken = reply.request_meta["exception"]
        if broken is not None:  # refused, reset, timed out, or ended in the middle of the body
            cause = getattr(broken, "original", None) or broken
            return f"{call.spec.kind}: {type(cause).__name__}"
        return fault(call.spec, reply.status_code, reply.content or b"", model)


@events.init_command_line_parser.add_listener
def _arguments(parser: Any) -> None:
    session.add_arguments(parser)


@events.init.add_listener
def _init(environment: Environment, runner: Any, **_rest: Any) -> None:
    session.create(environment, runner, is_worker=isinstance(runner, WorkerRunner))
