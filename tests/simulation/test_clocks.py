"""The core takes each clock by name, from `time`: else it would not see the simulated one."""

import ast
import time
from pathlib import Path

import pytest

from service.server import connection
from tests.simulation import clocks
from tests.support.paths import ROOT

_MODULES = [
    path
    for room in ("server", "overload", "scoring")
    for path in sorted((ROOT / "service" / room).glob("*.py"))
]


def test_clocks_are_simulated_within_the_simulation_only() -> None:
    """This room's tests are all within one."""
    assert vars(connection)["monotonic"] is clocks.monotonic
    assert not clocks.names()
    assert time.monotonic is not clocks.monotonic


@pytest.mark.parametrize("path", _MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_there_is_no_other_way_to_a_clock(path: Path) -> None:
    modules = {
        alias.name
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    assert modules.isdisjoint({"time", "datetime"})
