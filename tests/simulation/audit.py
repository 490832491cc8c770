"""The auditor: what happened in a schedule, and the rules that it was held to.

A rule that is broken ends the schedule at its next step. Raised where it is seen, it would end in
the server's own handling of errors.
"""

import re
from asyncio import get_running_loop
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from detangle import History
from detangle.lin import Register

from tests.simulation.model import VERSIONS, Call

if TYPE_CHECKING:
    from tests.simulation.dialogue import Dialogue
    from tests.simulation.requests import Spec
    from tests.simulation.server import Server

# Of the moments in which a swap happens and a reply is on its way, no order is known.
_FIRST, _SECOND, _THIRD, _LAST = range(4)
_EXACT: Final = 1e-9


_NUMBERS: Final = re.compile(r"\d[\d.]*")


class Broken(AssertionError):
    """A rule is broken."""


def kind_of(rule: str) -> str:
    """A broken rule without its numbers."""
    return _NUMBERS.sub("#", rule)


class Audit:
    """Keeps the history of a schedule. Its dialogues and servers have rules of their own."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.counts: Counter[str] = Counter()
        self.dialogues: list[Dialogue] = []
        self.servers: list[Server] = []
        self.due: dict[Dialogue, Spec] = {}  # requests that wait, with a deadline
        self.held = 0.0  # seconds for which calls of the model have held up the loop
        self.calls = 0  # of the model
        self.stopped: float | None = None  # when the server got its stop signal
        self.was_hurried = False  # that is, at once
        self.broken = ""
        self.only = ""  # the kind of rule to look at, all if it is ""
        self._rows: dict[int, tuple[Dialogue, Spec]] = {}
        self._answered: Counter[str] = Counter()
        self._loop: Any = get_running_loop()

    @property
    def now(self) -> float:
        """The time."""
        return float(self._loop.time())

    def note(self, text: str, counted: str = "") -> None:
        """Something happened; `counted` is what kind of thing it was."""
        self.events.append(f"{self.now:9.4f}  {text}")
        if counted:
            self.counts[counted] += 1

    def breaks(self, rule: str) -> None:
        """A rule is broken."""
        self.note(f"BROKEN: {rule}")
        if self.only in {"", kind_of(rule)}:
            self.broken = self.broken or rule

    def expect(self, dialogue: "Dialogue", spec: "Spec") -> None:
        """A request is being sent."""
        rows = (number for number in spec.rows if number is not None)
        self._rows.update(dict.fromkeys(rows, (dialogue, spec)))

    def called(self, call: Call, seconds: float) -> None:
        """The model is called, and will hold up the loop for so long."""
        self.calls += 1
        size = len(call.rows)
        self.note(f"{call.version} is called with {size} rows, for {seconds:g} s", "a call")
        if size > 1:
            self.counts["a call with several rows"] += 1
        for number in call.rows:
            dialogue, spec = self._rows.get(number, (None, None))
            if dialogue is not None and spec is not None and spec.scoring_began is None:
                spec.scoring_began = dialogue.when_begun(spec)
                if spec.latest is not None and spec.scoring_began > spec.latest + _EXACT:
                    self.breaks(f"{spec.name} is begun past its deadline")

    def answered(self, request_id: str, seconds: float) -> None:
        """The server counts and logs a request."""
        self._answered[request_id] += 1
        if self._answered[request_id] > 1 or seconds < 0:
            self.breaks(f"{request_id} is counted again, or took {seconds:g} s")

    def check(self) -> None:
        """After each step of the loop."""
        for dialogue, spec in list(self.due.items()):
            dialogue.check_deadline(spec)
        for server in self.servers:
            server.check()
            if self._is_quiet:
                server.check_waiting()
        self._raise()

    @property
    def _is_quiet(self) -> bool:
        """Whether nothing more happens before time goes on."""
        loop = self._loop
        return not loop._active and not (loop._timers and loop._timers[0][0] <= loop._now)

    def finish(self) -> None:
        """When all is over."""
        for dialogue in self.dialogues:
            dialogue.finish()
        for server in self.servers:
            server.finish()
            self._check_versions(server)
        self._raise()

    def _raise(self) -> None:
        if self.broken:
            raise Broken(self.broken)

    def _check_versions(self, server: "Server") -> None:
        """A worker's version is a register: swaps write it, replies read it."""
        events: list[tuple[float, int, Any, str]] = []
        for number, (at, version) in enumerate(server.swaps):
            events += [(at, _SECOND, number, version), (at, _THIRD, number, version)]
        for dialogue in self.dialogues:
            for spec in dialogue.specs if dialogue.server is server else ():
                if spec.reply is not None and spec.began is not None and spec.answered is not None:
                    version = spec.reply.version
                    events += [(spec.began, _FIRST, spec.name, version)]
                    events += [(spec.answered, _LAST, spec.name, version)]
        history, operations = History(), {}
        for _, order, name, version in sorted(events, key=lambda event: event[:2]):
            if order == _FIRST:
                operations[name] = history.invoke(name, "read")
            elif order == _SECOND:
                operations[name] = history.invoke("swap", "write", version)
            else:
                history.ok(operations[name], version)
        result = history.check(Register(VERSIONS[0]))
        if not result.ok:
            self.breaks(f"the versions of replies are none that served: {result.explain()}")
