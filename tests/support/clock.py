"""A clock that stands still until a test sets it forward."""


class SteppedClock:
    """Its time is `now`, in seconds."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """The time."""
        return self.now
