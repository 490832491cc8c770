"""A real receiver of Sentry reports: `kent`, in its own process."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from loadgen.common.processes import free_port, running


class Kent:
    """The received reports, as events and as bytes."""

    def __init__(self, port: int, log: Path) -> None:
        self.dsn = f"http://public@127.0.0.1:{port}/1"
        self._url = f"http://127.0.0.1:{port}/api"
        self._log = log

    def answers(self) -> bool:
        """Whether it is up."""
        try:
            return httpx.get(f"{self._url}/eventlist/").status_code == 200
        except httpx.TransportError:
            return False

    def events(self) -> list[Any]:
        """The received events, oldest first; it keeps a hundred."""
        listed = httpx.get(f"{self._url}/eventlist/").json()["events"]
        replies = (httpx.get(f"{self._url}/event/{event['event_id']}").json() for event in listed)
        return [event["payload"]["body"] for event in replies]

    def everything(self) -> str:
        """All bodies and headers it was ever sent."""
        return self._log.read_text() + str(self.events())


@contextmanager
def kent(folder: Path) -> Iterator[Kent]:
    """A receiver that keeps its log in `folder`."""
    program = Path(sys.executable).with_name("kent-server")
    assert program.exists(), "kent is not installed: pip install kent"
    port, log = free_port(), folder / "kent.log"
    receiver = Kent(port, log)
    command = (str(program), "run", "--host", "127.0.0.1", "--port", str(port))
    # In its development mode it logs the bodies and headers of what it receives.
    settings = {"TMPDIR": str(folder), "KENT_DEV": "1"}
    with running(command, log, receiver.answers, settings):
        yield receiver
