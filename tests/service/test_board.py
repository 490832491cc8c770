"""What workers let each other see."""

from service.process.scoreboard import Board


def test_the_least_is_told_of_others_only() -> None:
    board = Board(4)
    mine, other, third = (board.take() for _ in range(3))
    board.publish(mine, 1)
    board.publish(other, 7)
    board.publish(third, 5)
    assert board.least(mine) == 5
    board.leave(third)
    assert board.least(mine) == 7
    board.leave(other)
    assert board.least(mine) is None


def test_nothing_is_left_to_a_worker_that_has_closed_though_it_still_serves() -> None:
    board = Board(3)
    mine, closing = board.take(), board.take()
    board.publish(closing, 2)
    board.close(closing)
    board.publish(closing, 1)
    assert board.least(mine) is None
    # Its metrics are still its own: nobody gets the place before it is gone.
    assert board.take() not in {mine, closing}
    board.leave(closing)
    assert board.take() == closing
