"""Where the live scorer is."""

from model.regno import RegnoScorer


class Slot:
    """Holds the scorer that serves. A request reads `current` once, so it never sees two.

    To serve another, assign `current`: one reference, changed at once.
    """

    def __init__(self, scorer: RegnoScorer) -> None:
        self.current = scorer
        self.warm = False

    def warm_up(self) -> None:
        """Score the golden rows in this process; ready from then on. Raises ModelRefused."""
        self.current.warm()
        self.warm = True
