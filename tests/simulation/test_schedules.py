"""So many seeded schedules keep all rules; `make soak` plays a hundred times as many."""

import pytest

from tests.simulation.many import play

_SIZE = 125

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("first", range(0, 1000, _SIZE))
def test_schedules_break_no_rule(first: int) -> None:
    broken = play(first, _SIZE)
    assert broken is None, str(broken)
