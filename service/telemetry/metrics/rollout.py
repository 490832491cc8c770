"""The model that serves, and its changes."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class RolloutMetrics:
    """Versions, the registry's state, and how well the workers of a host change over together."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._live = Gauge(
            "scoring_model_live",
            "1 for the version that a worker serves, 0 for those it served before.",
            ("version", "worker"),
            multiprocess_mode="livesum",
            registry=registry,
        )
        loads = Counter("scoring_model_loads", "Models loaded.", ("result",), registry=registry)
        self._loads = {result: loads.labels(result) for result in ("loaded", "refused")}
        self._mixed = Gauge(
            "scoring_model_mixed_seconds",
            "How long workers of this host served different versions in the last change.",
            multiprocess_mode="mostrecent",
            registry=registry,
        )
        self._reachable = Gauge(
            "scoring_model_registry_up",
            "1 while a worker can read the registry and it names a live version, else 0.",
            ("worker",),
            multiprocess_mode="livemin",
            registry=registry,
        )
        self._refused = Gauge(
            "scoring_model_live_refused",
            "1 while a worker refuses the registry's live version and serves another one.",
            ("worker",),
            multiprocess_mode="livemax",
            registry=registry,
        )
        self._generation = Gauge(
            "scoring_model_generation",
            "The generation of the registry's aliases that a worker uses.",
            ("worker",),
            multiprocess_mode="livemax",
            registry=registry,
        )

    def loaded(self, result: str) -> None:
        """Count a model as `loaded` or `refused`."""
        self._loads[result].inc()

    def live(self, version: str, worker: str, *, serves: bool) -> None:
        """Set whether a worker serves a version."""
        self._live.labels(version, worker).set(int(serves))

    def mixed(self, seconds: float) -> None:
        """Set how long two versions served at the same time."""
        self._mixed.set(seconds)

    def registry_up(self, worker: str, *, up: bool) -> None:
        """Set whether a worker can follow the registry."""
        self._reachable.labels(worker).set(int(up))

    def live_refused(self, worker: str, *, refused: bool) -> None:
        """Set whether a worker refuses the version that is live by name."""
        self._refused.labels(worker).set(int(refused))

    def serving(self, worker: str, generation: int) -> None:
        """Set the generation of the aliases that a worker serves by."""
        self._generation.labels(worker).set(generation)
