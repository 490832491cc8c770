"""The figures that workers share."""

from service.runtime.scoreboard import Scoreboard


def test_the_least_is_reported_of_others_only() -> None:
    scoreboard = Scoreboard(4)
    mine, other, third = (scoreboard.take() for _ in range(3))
    scoreboard.publish(mine, 1)
    scoreboard.publish(other, 7)
    scoreboard.publish(third, 5)
    assert scoreboard.least(mine) == 5
    scoreboard.leave(third)
    assert scoreboard.least(mine) == 7
    scoreboard.leave(other)
    assert scoreboard.least(mine) is None


def test_nothing_is_left_to_a_worker_that_has_closed_though_it_still_serves() -> None:
    scoreboard = Scoreboard(3)
    mine, closing = scoreboard.take(), scoreboard.take()
    scoreboard.publish(closing, 2)
    scoreboard.close(closing)
    scoreboard.publish(closing, 1)
    assert scoreboard.least(mine) is None
    # Its metrics are still in use: no worker gets the place before it is gone.
    assert scoreboard.take() not in {mine, closing}
    scoreboard.leave(closing)
    assert scoreboard.take() == closing
