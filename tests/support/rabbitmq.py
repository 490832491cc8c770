"""A real RabbitMQ server of Debian's package, on loopback, with a data folder of its own."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Final

import pytest

from loadgen.common.processes import Program, free_port
from tests.support.data_servers import DataServer

_SERVER: Final = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
_USER: Final = "tests"
_PASSWORD: Final = "planted"
_COOKIE: Final = "planted"
_WATERMARK: Final = "{absolute, 1000000000}"
_CONFIG: Final = """\
listeners.tcp.1 = 127.0.0.1:{port}
default_user = {user}
default_pass = {password}
vm_memory_high_watermark.absolute = 1000000000
disk_free_limit.absolute = 1000000
log.file = false
log.console = true
log.console.level = warning
"""


def _installed() -> str:
    """The path of `erl_call`; the test fails where RabbitMQ is missing."""
    found = sorted(Path("/usr/lib/erlang").glob("erts-*/bin/erl_call"))
    if not (_SERVER.exists() and found and shutil.which("epmd")):
        pytest.fail("RabbitMQ is missing (Debian: apt-get install rabbitmq-server)")
    return str(found[-1])


class RabbitMQ(DataServer):
    """A node with an own registrar of names (epmd), so that it leaves no process behind."""

    def __init__(self, folder: Path) -> None:
        self._erl_call = _installed()
        self.port, dist_port, epmd_port = free_port(), free_port(), free_port()
        self._node = f"tests{self.port}@localhost"
        config = folder / "rabbitmq.conf"
        config.write_text(_CONFIG.format(port=self.port, user=_USER, password=_PASSWORD))
        (folder / "plugins").write_text("[].\n")
        environment = {
            "HOME": str(folder),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(epmd_port),
            "RABBITMQ_NODENAME": self._node,
            "RABBITMQ_CONFIG_FILE": str(config),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_DIST_PORT": str(dist_port),
            # The script then becomes the node, in place of waiting for it.
            "RUNNING_UNDER_SYSTEMD": "true",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"-setcookie {_COOKIE} +S 1:1 +sbwt none "
            "-kernel inet_dist_use_interface {127,0,0,1}",
        }
        super().__init__([_SERVER], folder, environment)
        self._vhosts = (f"tests-{n}" for n in count(1))
        self._epmd = Program(
            ["epmd", "-port", str(epmd_port), "-address", "127.0.0.1"],
            folder,
            folder / "epmd.log",
            environment,
        )

    def answers(self) -> bool:
        """Whether it takes connections."""
        with suppress(OSError, RuntimeError):
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return self.evaluate("rabbit:is_running()") == "true"
        return False

    def close(self) -> None:
        """End all of its processes."""
        with ExitStack() as ended:
            ended.callback(self._epmd.close)
            super().close()

    @contextmanager
    def memory_alarm(self) -> Iterator[None]:
        """The memory alarm while the block runs: the node reads nothing from publishers."""
        self.evaluate("vm_memory_monitor:set_vm_memory_high_watermark(0.00001)")
        try:
            yield
        finally:
            self.evaluate(f"vm_memory_monitor:set_vm_memory_high_watermark({_WATERMARK})")

    def close_connections(self) -> None:
        """Close all connections that there are now."""
        every = "rabbit_networking:connections()"
        self.evaluate(f'[rabbit_networking:close_connection(C, "test") || C <- {every}]')

    def evaluate(self, expression: str) -> str:
        """The result of an Erlang expression in the node; what rabbitmqctl does, but in 50 ms."""
        done = subprocess.run(
            [self._erl_call, "-sname", self._node, "-c", _COOKIE, "-e"],
            input=f"{expression}.\n",
            env={**os.environ, **self._environment},  # noqa: TID251 - passed on
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if not done.stdout.startswith("{ok, "):
            raise RuntimeError(f"{expression}: {done.stdout}{done.stderr}")
        return done.stdout.removeprefix("{ok, ").removesuffix("}")

    def url(self, vhost: str, user: str = _USER) -> str:
        """The address of a virtual host for a user."""
        return f"amqp://{user}:{_PASSWORD}@127.0.0.1:{self.port}/{vhost}"

    def add_vhost(self) -> str:
        """Add a virtual host; its name. It stays: deleting one whose queues are young is a race."""
        name = next(self._vhosts)
        self.evaluate(f'rabbit_vhost:add(<<"{name}">>, <<"{_USER}">>)')
        self._permit(_USER, name, ".*", ".*", ".*")
        return name

    def add_user(self, name: str, vhost: str, configure: str, write: str, read: str) -> str:
        """Add a user with these permissions; their address of the virtual host."""
        self.evaluate(
            f'rabbit_auth_backend_internal:add_user(<<"{name}">>, <<"{_PASSWORD}">>, <<"{_USER}">>)'
        )
        self._permit(name, vhost, configure, write, read)
        return self.url(vhost, name)

    def _permit(self, user: str, vhost: str, configure: str, write: str, read: str) -> None:
        given = ", ".join(f'<<"{text}">>' for text in (user, vhost, configure, write, read, _USER))
        self.evaluate(f"rabbit_auth_backend_internal:set_permissions({given})")
