"""Where the live scorer is."""

from model.regno import RegnoScorer
from service.batching import Batcher
from service.metrics import Metrics


class Live:
    """A scorer that serves, and the batcher of its single rows."""

    def __init__(self, scorer: RegnoScorer, metrics: Metrics) -> None:
        self.scorer = scorer
        self.batcher = Batcher(scorer, metrics.count_batch)
        self.version = scorer.version


class Slot:
    """Holds what serves. A request reads `current` once, so it never sees two.

    To serve another, assign `current`: one reference, changed at once.
    """

    def __init__(self, scorer: RegnoScorer, metrics: Metrics) -> None:
        self.current = Live(scorer, metrics)
        self.warm = False

    def warm_up(self) -> None:
        """Score the golden rows in this process; ready from then on. Raises ModelRefused."""
        self.current.scorer.warm()
        self.warm = True
