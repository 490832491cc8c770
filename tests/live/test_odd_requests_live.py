"""The corpus of odd requests at the live server: each gets the one right answer."""

import pytest

from tests.support.odd_requests import READ, REFUSED, Odd
from tests.support.replies import replies_to
from tests.support.server import Server


@pytest.mark.parametrize("odd", [*REFUSED, *READ], ids=lambda odd: odd.name)
def test_each_has_its_right_answer(odd: Odd, live: Server) -> None:
    with replies_to(live.connect(), odd.data) as replies:
        assert replies.statuses(len(odd.statuses)) == list(odd.statuses)
        if odd.closes:
            assert replies.ended()
        else:
            assert replies.goes_on()
