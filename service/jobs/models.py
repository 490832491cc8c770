"""The models of a job worker: what serves over HTTP, without an event loop."""

import logging
from collections.abc import Callable, Iterable
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from msgspec import structs

from model import (
    ExplainerGone,
    InvalidRequest,
    ModelRefused,
    NotExplained,
    Unexplainable,
    catalog,
)
from model.registry import RegistryError
from model.scorer import Decoder, Model, Request
from service.config.settings import Settings
from service.jobs.job import KINDS, Job
from service.jobs.states import State
from service.overload.admission import Admission, Overloaded
from service.rollout.models import load_models
from service.rollout.startup import Served, loader_of, registry_of
from service.scoring.core import Scoring, decisions_of, reviewer_of
from service.scoring.explanations import Explaining
from service.scoring.inputs import Inputs
from service.scoring.live import Live
from service.telemetry.failures import contained
from service.telemetry.metrics import Metrics
from service.telemetry.metrics.attempts import AttemptMetrics
from service.telemetry.record import Record

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from service.telemetry.metrics.background import BackgroundMetrics

# A version that could not be loaded is tried again after so long.
_AGAIN_SECONDS: Final = 30.0
# How long an explanation may take: nobody holds a connection for it.
_EXPLAIN_SECONDS: Final = 60.0
# An input is limited in its bytes; callers over HTTP wait, and have a limit of rows.
_MAX_ROWS: Final = 2**31

log = logging.getLogger("scoring")


class JobModel(NamedTuple):
    """A model that jobs use. `artifact` is the path of what `live` was loaded from."""

    model: Model
    live: Live
    scoring: Scoring
    decoder: Decoder
    count_stages: Callable[[Record], None]
    artifact: str
    positive_class: str


class JobModels:
    """All models that are served. Made before a fork; `start` and `follow` are for after it."""

    def __init__(self, settings: Settings, metrics: Metrics, served: Iterable[Served]) -> None:
        self._settings = settings
        self._metrics = metrics
        self._attempts = AttemptMetrics(metrics.registry, KINDS, State)
        self._served = {one.model.name: one for one in served}
        self._scoring = {
            name: Scoring(one.model, one.slot, settings, metrics)
            for name, one in self._served.items()
        }
        self._decoders = {name: one.model.decoder(_MAX_ROWS) for name, one in self._served.items()}
        self._inputs = {
            name: Inputs(reviewer_of(one.model, settings)) for name, one in self._served.items()
        }
        self._explaining = Explaining(Admission(settings, metrics.http.shed))
        self._next_look = 0.0
        self._next_try: dict[tuple[str, str], float] = {}

    def start(self, worker: str) -> None:
        """In a worker process: score the golden rows. Raises ModelRefused."""
        for served in self._served.values():
            served.slot.warm_up()
            served.slot.bind_worker(worker)

    @property
    def background(self) -> "BackgroundMetrics":
        """What counts failures of background work, and reports of errors."""
        return self._metrics.background

    @property
    def cache_counter(self) -> Callable[[str, int], None]:
        """What counts lookups of results in the cache, by their result and number."""
        return self._metrics.cache.of("jobs")

    @property
    def registry(self) -> "CollectorRegistry":
        """The series of the worker's processes."""
        return self._metrics.registry

    def observe(self, job: Job, seconds: float) -> None:
        """Count an attempt at a job, and write what its rows came to."""
        self._attempts.count(job.kind, job.state, seconds)
        contained("stages", self._metrics.scoring.publish)
        for served in self._served.values():
            for live in served.slot.served:
                contained("drift", live.predictions.publish)

    def of(self, name: str) -> JobModel:
        """Return a model as it is now. Raises InvalidRequest for one that is not served."""
        if (served := self._served.get(name)) is None:
            raise InvalidRequest("model", "is not served")
        return JobModel(
            served.model,
            served.slot.current,
            self._scoring[name],
            self._decoders[name],
            self._metrics.of(name).scoring.stages,
            self._artifact(served),
            self._settings.positive_class if self._settings.model else "",
        )

    def explanation(self, served: JobModel, request: Request) -> tuple[Any, str]:
        """The explanation of a request, None where there is none, and why there is none."""
        scorer = served.live.scorer
        row, fault = self._inputs[served.model.name].uncounted(scorer, request, Record(""))
        if fault:
            return None, str(fault)
        try:
            (made,) = self._explaining.explained(scorer, [row], monotonic() + _EXPLAIN_SECONDS)
        except Unexplainable as reason:
            return None, str(reason)
        except (ExplainerGone, NotExplained, Overloaded):
            return None, "no explanation can be made now"
        return made, ""

    def follow(self) -> None:
        """Between jobs: load the versions that the registry names as live since."""
        if not self._settings.registry or monotonic() < self._next_look:
            return
        self._next_look = monotonic() + self._settings.registry_poll_seconds
        for served in self._served.values():
            try:
                self._follow(served)
            except (RegistryError, ModelRefused) as error:
                log.warning("Jobs go on with %s: %s", served.slot.current.version, error)

    def _follow(self, served: Served) -> None:
        name, slot = served.model.name, served.slot
        registry = registry_of(self._settings, name)
        version = registry.aliases().live
        if not version or version == slot.current.version:
            return
        if monotonic() < self._next_try.get((name, version), 0.0):
            return
        self._next_try[name, version] = monotonic() + _AGAIN_SECONDS
        scorer = loader_of(self._settings, registry, name).load(version, None)
        slot.change(slot.prepare(scorer))
        log.info("Jobs use version %s of %s", version, name)

    def _artifact(self, served: Served) -> str:
        name = served.model.name
        if self._settings.registry:
            version = served.slot.current.version
            return str(registry_of(self._settings, name).fetch(version))
        if name == catalog.DEFAULT and self._settings.model:
            return self._settings.model
        return str(catalog.entry(name).bundled)


def load_job_models(settings: Settings) -> JobModels:
    """Return the models that the settings name, not warm: nothing is predicted before a fork.

    Rows of jobs are neither captured nor kept for the parity check: they are not live requests. Nor
    are their decisions kept, which are those of files: an attempt may score rows again.
    Raises SettingsError.
    """
    settings = structs.replace(settings, capture=0.0, parity_rows=0, decisions="off")
    default = catalog.entry(catalog.DEFAULT).load()
    decisions = decisions_of(default, settings)
    metrics = Metrics((), default, decisions, kept=bool(settings.worker_metrics_bind))
    admission = Admission(settings, metrics.http.shed)
    return JobModels(settings, metrics, load_models(settings, metrics, admission))
