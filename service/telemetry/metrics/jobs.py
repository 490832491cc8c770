"""Jobs by kind and state, how long they wait, and whether records and queue can be reached.

The web processes read them from the records, which all hosts share: each shows the same.
"""

from collections.abc import Iterable, Mapping
from itertools import product

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

# Attempts to deliver a webhook: delivered, to be tried again, given up.
SENT, FAILED, DEAD = "sent", "failed", "dead"
_RESULTS = (SENT, FAILED, DEAD)
# From the end of a job to its delivery; attempts go on for three days.
_DELAYS = (0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0, 86_400.0, 259_200.0)


class JobMetrics:
    """Created once in the master of the web processes."""

    def __init__(
        self, registry: CollectorRegistry, kinds: Iterable[str], states: Iterable[str]
    ) -> None:
        """`kinds` and `states` are those of jobs; their series begin at 0."""
        self._jobs = Gauge(
            "scoring_jobs",
            "Jobs whose records are kept.",
            ("kind", "state"),
            multiprocess_mode="livemax",
            registry=registry,
        )
        self._oldest = Gauge(
            "scoring_jobs_oldest_waiting_seconds",
            "How long the oldest due job has waited; 0 without one.",
            ("kind",),
            multiprocess_mode="livemax",
            registry=registry,
        )
        self._reachable = Gauge(
            "scoring_jobs_reachable",
            "1 while this process can reach the records, or the queue, of jobs.",
            ("part",),
            multiprocess_mode="livemin",
            registry=registry,
        )
        webhooks = Counter(
            "scoring_webhooks",
            "Attempts to deliver a webhook: sent, failed (it is tried again) or dead (it is not).",
            ("result",),
            registry=registry,
        )
        self._webhooks = {result: webhooks.labels(result) for result in _RESULTS}
        self._delay = Histogram(
            "scoring_webhook_delay_seconds",
            "From the end of a job to the delivery of its webhook.",
            buckets=_DELAYS,
            registry=registry,
        )
        self._oldest_webhook = Gauge(
            "scoring_webhooks_oldest_due_seconds",
            "How long the webhook that is overdue the longest has waited for an attempt.",
            multiprocess_mode="livemax",
            registry=registry,
        )
        self._kinds, self._states = tuple(kinds), tuple(states)

    def publish(self, counts: Mapping[tuple[str, str], int], oldest: Mapping[str, float]) -> None:
        """Set the number of jobs by kind and state, and the seconds that the oldest one waits."""
        for kind, state in product(self._kinds, self._states):
            self._jobs.labels(kind, state).set(counts.get((kind, state), 0))
        for kind in self._kinds:
            self._oldest.labels(kind).set(oldest.get(kind, 0.0))

    def oldest_webhook(self, seconds: float) -> None:
        """Set for how long the oldest webhook is due; below 0 it is due in the future."""
        self._oldest_webhook.set(max(0.0, seconds))

    def reachable(self, part: str, *, yes: bool) -> None:
        """Whether `records` or `queue` can be reached."""
        self._reachable.labels(part).set(yes)

    def webhook(self, result: str, delay: float) -> None:
        """Count an attempt at a webhook, and when it was delivered its delay in seconds."""
        self._webhooks[result].inc()
        if result == SENT:
            self._delay.observe(delay)
