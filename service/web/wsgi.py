"""The WSGI entry of the web processes: settings → keys, metrics → stores → app.

gunicorn imports it once in the master, before the workers are forked. Stores are opened in the
workers: neither SQLite nor a client of Redis survives a fork.
"""

from collections.abc import Callable, Iterable, Sequence
from ipaddress import ip_address
from itertools import product
from threading import Lock
from typing import TYPE_CHECKING, Final

from model import catalog
from service.config.models import served
from service.config.settings import SettingsError, refuse_start
from service.http.api_keys import ApiKeys
from service.images.client import Pictures
from service.jobs.job import KINDS, usual_kinds
from service.jobs.states import State
from service.jobs.stores import is_embedded, open_stores
from service.jobs.train_kind import check_packages
from service.jobs.webhooks import Endpoints, endpoints_of
from service.runtime import runtime
from service.telemetry.metrics import ServerMetrics
from service.telemetry.metrics.http import Series, common_series
from service.telemetry.metrics.jobs import JobMetrics
from service.telemetry.metrics.pictures import PREFIX, PictureMetrics
from service.telemetry.metrics.process import ProcessMetrics
from service.telemetry.metrics.review import ReviewMetrics
from service.telemetry.metrics.uncounted import uncounted
from service.telemetry.record import Record, record_of
from service.telemetry.tracing import traces
from service.web.app import Parts, create_app, create_metrics_app
from service.web.job_counts import JobCounts
from service.web.review_counts import ReviewCounts
from service.web.webhooks import Webhooks

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_OF_DECISIONS: Final = ("401", "403", "429", "500", "501", "503")
_ROUTES: Final = (
    (
        "/jobs",
        "POST",
        ("200", "202", "400", "401", "408", "409", "413", "415", "422", "429", "500", "503"),
    ),
    ("/jobs", "GET", ("200", "400", "401", "429", "500", "503")),
    ("/jobs/<job_id>", "GET", ("200", "304", "400", "401", "404", "429", "500", "503")),
    ("/jobs/<job_id>", "DELETE", ("200", "202", "400", "401", "404", "409", "429", "500", "503")),
    ("/home", "GET", ("200", "303", "401", "500", "503")),
    ("/home", "POST", ("200", "400", "401", "403", "404", "413", "429", "500", "503")),
    ("/home/sign-in", "POST", ("303", "401", "403", "413", "429", "500")),
    ("/home/sign-out", "POST", ("303", "403", "500")),
    ("/home/plates", "GET", ("200", "401", "500", "503")),
    ("/home/plates", "POST", ("200", "400", "401", "403", "413", "429", "500", "503")),
    ("/home/plates/<job_id>", "GET", ("200", "401", "404", "410", "500", "503")),
    ("/home/tables", "POST", ("303", "400", "401", "403", "408", "413", "429", "500", "503")),
    ("/home/tables/<job_id>", "GET", ("200", "401", "404", "500", "503")),
    ("/home/tables/<job_id>/result", "GET", ("200", "401", "404", "409", "410", "500", "503")),
    ("/home/models", "GET", ("200", "401", "500")),
    ("/home/pictures", "GET", ("200", "401", "500")),
    ("/home/pictures/delete", "POST", ("303", "401", "403", "500", "503")),
    ("/decisions", "GET", ("200", "400", *_OF_DECISIONS)),
    ("/decisions/<request_id>", "GET", ("200", "400", "404", "410", *_OF_DECISIONS)),
    ("/decisions/<request_id>/proof", "GET", ("200", "400", "404", "410", *_OF_DECISIONS)),
    ("/decisions/<request_id>/evidence", "GET", ("200", "400", "404", "410", *_OF_DECISIONS)),
    ("/review", "GET", ("200", "400", *_OF_DECISIONS)),
    ("/review", "POST", ("303", "400", "413", *_OF_DECISIONS)),
    ("/feedback", "POST", ("200", "400", "404", "410", "413", "415", *_OF_DECISIONS)),
    ("/digits/classify", "POST", ("201", "400", "401", "413", "415", "429", "500", "501", "503")),
    (
        "/digits/train",
        "POST",
        (
            "201",
            "202",
            *("400", "401", "403", "409", "413", "415", "422", "429"),
            "500",
            "501",
            "503",
        ),
    ),
    ("/v1/inference", "POST", ("200", "400", "401", "413", "415", "429", "500", "501", "503")),
    ("/v1/inference", "GET", ("200", "400", "401", "429", "500", "503")),
    ("/query", "POST", ("200", "400", "401", "404", "413", "415", "429", "500", "501", "503")),
    ("/query", "GET", ("200", "401", "429", "500")),
    ("/uploads/<digest>.png", "GET", ("200", "304", "401", "404", "429", "500", "503")),
    ("/uploads/<digest>.png", "DELETE", ("200", "401", "404", "429", "500", "503")),
    ("/v2", "GET", ("200", "401", "429", "500")),
    ("/v2/repository/index", "POST", ("200", "401", "429", "500")),
    ("/v2/health/live", "GET", ("200",)),
    ("/v2/health/ready", "GET", ("200", "503")),
    *(
        (f"/v2/models/<name>{version}{rest}", method, statuses)
        for version in ("", "/versions/<version>")
        for rest, method, statuses in (
            ("", "GET", ("200", "401", "404", "429", "500")),
            ("/ready", "GET", ("200", "401", "404", "429", "500")),
            ("/infer", "POST", ("200", "400", "401", "404", "413", "429", "500", "503")),
        )
    ),
    ("/static/<name>", "GET", ("200", "304", "404")),
    (
        "/jobs/<job_id>/result",
        "GET",
        ("200", "400", "401", "404", "409", "410", "429", "500", "503"),
    ),
)


class WebMetrics(ServerMetrics):
    """The series of the web processes."""

    def __init__(self, key_names: Iterable[str], *, kept: bool) -> None:
        super().__init__(key_names, series(), kept=kept)
        self.jobs = JobMetrics(self.registry, KINDS, State)
        self.review = ReviewMetrics(self.registry)
        self.pictures = (
            PictureMetrics(self.registry, catalog.picture_models())
            if kept
            else uncounted(PictureMetrics)
        )
        self.picture_processes = ProcessMetrics(self.registry, PREFIX)


class Application:
    """What gunicorn loads. `begin` makes it answer, in a worker."""

    def __init__(self, keys: ApiKeys, metrics: WebMetrics, endpoints: Endpoints) -> None:
        self.keys = keys
        self._endpoints = endpoints
        self.webhooks: Webhooks | None = None
        self.metrics = metrics
        self.job_counts: JobCounts | None = None
        self.review_counts: ReviewCounts | None = None
        self._public: WSGIApplication | None = None
        self._metrics_page: WSGIApplication | None = None

    def begin(self, log: Callable[[Sequence[Record]], None]) -> Callable[[Sequence[Record]], None]:
        """Open the stores; `log` writes the access lines. Returns what observes other requests.

        Raises SettingsError or RecordsUnavailable.
        """
        shared, lock = runtime(), Lock()

        def observe(records: Sequence[Record]) -> None:
            with lock:  # threads share the counts and the lines
                self.metrics.http.observe(records)
                log(records)

        stores = open_stores(shared.settings)
        parts = Parts(
            *(shared.settings, self.keys, self.metrics, shared.scoreboard),
            *(stores, self._endpoints, _pictures(self.metrics)),
        )
        if shared.settings.webhooks_file:
            self.webhooks = Webhooks(self._endpoints, stores.records, self.metrics.jobs)
            self.webhooks.start()
        self.job_counts = JobCounts(stores, self.metrics.jobs)
        if shared.settings.decisions_dir and shared.settings.reviewer_names:
            self.review_counts = ReviewCounts(shared.settings, self.metrics.review)
        self._public = create_app(parts, observe)
        self._metrics_page = create_metrics_app(parts, observe)
        return observe

    def __call__(self, environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        """The WSGI interface; the address decides what is served."""
        app = self._metrics_page if _is_of_metrics(environ) else self._public
        assert app is not None, "`begin` was called"  # noqa: S101
        answer = app(environ, start)
        if traces.spans is not None:
            caller = environ.get("HTTP_TRACEPARENT", "").encode("latin-1")
            traces.spans.make(record_of(environ), caller)
        return answer


def _pictures(metrics: WebMetrics) -> Pictures:
    """The picture process; other threads than those that wait for it are left for jobs."""
    shared = runtime()
    most = max(1, shared.settings.web_threads * 3 // 8)
    return Pictures(shared.run_folder.path, metrics.pictures, most)


def _is_of_metrics(environ: "WSGIEnvironment") -> bool:
    """Whether a request came to the address of the metrics."""
    address = runtime().settings.metrics_address
    if address is None:
        return False
    host, port = address
    local = environ["gunicorn.socket"].getsockname()  # a path at a Unix socket
    return bool(local[1] == port and (local[0] == host or ip_address(host).is_unspecified))


def series() -> Iterable[Series]:
    """Route, method and status of the series that begin at 0."""
    for route, method, statuses in _ROUTES:
        yield from product((route,), (method,), statuses)
    yield from common_series()


def build() -> Application:
    """The app. Stops the process when a setting can't be used."""
    settings = runtime().settings
    try:
        keys = ApiKeys(settings)
        open_stores(settings)  # and close them again: workers open their own
        endpoints = endpoints_of(settings)
        if is_embedded(settings):
            check_packages(usual_kinds(settings))
        for entry in served(settings).values():
            entry.load()  # once, for all workers: their inputs are checked
    except SettingsError as error:
        refuse_start(error)
    return Application(keys, WebMetrics(keys.names, kept=settings.metrics_kept), endpoints)


app = build()
