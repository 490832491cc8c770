"""What a worker serves at its addresses: which endpoint answers which requests."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from flask import Flask

from service.app import App, Parts
from service.http import errors
from service.http.reply import Reply
from service.http.request_ids import new_id
from service.overload.admission import EXPLAIN
from service.routes import health, inference_addresses
from service.routes.explain import ExplainRoute
from service.routes.inference_endpoint import InferenceEndpoint
from service.routes.score_endpoint import ScoreEndpoint
from service.scoring.live import Slot
from service.server.iteration import WorkQueue
from service.server.request import Request, path_of
from service.server.site import Budget, Endpoint, Events, Site
from service.server.wsgi import ProbeEndpoint, ThreadedWsgiEndpoint, WsgiEndpoint
from service.telemetry import failures
from service.telemetry.metrics.bearer import bears
from service.telemetry.record import METHODS, Record, record_of

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

Answered = Callable[[Sequence[Request]], None]

# Bodies of requests may hold so many bytes in a worker: as much as so many of the greatest.
_LARGEST_BODIES: Final = 4
# What may block goes to threads: metrics are put together from files, the live model is changed.
# Busy threads hold up the event loop, a few milliseconds each time: so few run at a time, and of
# pages that anybody may ask for only one.
_METRICS: Final = b"/metrics"
_MODEL: Final = b"/model/"
_INFERENCES: Final = b"/v2/models/"
_PAGES: Final = (b"/docs", b"/openapi.json")
_WAITING: Final = 8
# All else is answered in the event loop, so long in an iteration.
_TURN_SECONDS: Final = 0.002
_METHODS: Final = {method.encode(): method for method in METHODS}


def public_site(app: App, parts: Parts, answered: Answered) -> Site:
    """The site of the public address; `answered` is called with the answered requests."""
    endpoints: dict[tuple[bytes, bytes], Endpoint] = {}
    for scoring in app.scoring:
        endpoint = ScoreEndpoint(scoring, parts.guard, parts.admission)
        endpoints.update(((b"POST", path.encode()), endpoint) for path in scoring.paths)
    for explaining in app.explaining:
        explained = _ExplainEndpoint(explaining, app.flask, parts)
        endpoints.update(((b"POST", path.encode()), explained) for path in explaining.paths)
    endpoints.update(_inferences(app, parts))
    return _site(_others(app.flask, parts, _versions(app, parts)), parts, endpoints, answered)


def metrics_site(app: Flask, parts: Parts, answered: Answered) -> Site:
    """That of the address of the metrics."""
    others = _others(app, parts, lambda _request, _path: None)
    return _site(others, parts, {}, answered, is_public=False)


def _site(
    others: Callable[[Request], Endpoint],
    parts: Parts,
    endpoints: Mapping[tuple[bytes, bytes], Endpoint],
    answered: Answered,
    *,
    is_public: bool = True,
) -> Site:
    probes = {
        (b"GET", b"/healthz"): ProbeEndpoint(health.alive),
        (b"GET", b"/readyz"): ProbeEndpoint(partial(health.ready, parts.slot, parts.scoreboard)),
    }
    events = Events(
        _record_maker(parts.slot),
        parts.scoreboard.drains,
        answered,
        lambda error: failures.report(error, Record(new_id())),
    )
    budget = Budget(_LARGEST_BODIES * parts.settings.max_array_body)
    return Site({**endpoints, **probes}, others, budget, events, is_public=is_public)


def _inferences(app: App, parts: Parts) -> Iterator[tuple[tuple[bytes, bytes], Endpoint]]:
    """The endpoints of the Open Inference Protocol that floods may reach."""
    yield (b"GET", b"/v2/health/live"), ProbeEndpoint(inference_addresses.live)
    ready = partial(inference_addresses.ready, parts.is_ready)
    yield (b"GET", b"/v2/health/ready"), ProbeEndpoint(ready)
    for name, of in app.inference.models.items():
        endpoint = InferenceEndpoint(app.inference, parts.guard, parts.admission, name, "")
        yield (b"POST", of.route.encode()), endpoint


def _versions(app: App, parts: Parts) -> Callable[[Request, bytes], Endpoint | None]:
    """What finds the endpoint of an inference that names a model's version."""

    def versions(request: Request, path: bytes) -> Endpoint | None:
        if request.method != b"POST" or not path.startswith(_INFERENCES):
            return None
        target = app.inference.target(path.decode("latin-1"))
        if target is None:
            return None
        return InferenceEndpoint(app.inference, parts.guard, parts.admission, *target)

    return versions


def _others(
    app: Flask, parts: Parts, versions: Callable[[Request, bytes], Endpoint | None]
) -> Callable[[Request], Endpoint]:
    """What chooses between loop and threads for the requests that Flask answers.

    `versions` gives the endpoint of a request that names a model's version.
    """
    shared = app, _failed, parts.settings.max_body, WorkQueue(_TURN_SECONDS).add
    quick = WsgiEndpoint(*shared)
    blocking = ThreadedWsgiEndpoint(*shared, threads=2, waiting=_WAITING)
    pages = ThreadedWsgiEndpoint(*shared, threads=1, waiting=_WAITING, for_anybody=True)

    def others(request: Request) -> Endpoint:
        path = path_of(request.target)
        if path.startswith(_PAGES):
            return pages
        # Callers without the right are refused at once, without one of the few threads.
        if path.startswith(_METRICS):
            given = request.headers.get(b"authorization", b"").decode("latin-1")
            return blocking if bears(given, parts.settings.metrics_token) else quick
        if path.startswith(_MODEL):
            name = parts.keys.name_of(request.headers.get(b"x-api-key", b""))
            return blocking if name in parts.settings.admin_names else quick
        return versions(request, path) or quick

    return others


def _record_maker(slot: Slot) -> Callable[[bytes, Mapping[bytes, bytes]], Record]:
    def record(method: bytes, _headers: Mapping[bytes, bytes]) -> Record:
        version = slot.current.version
        return Record(new_id(), _METHODS.get(method, "other"), model_version=version)

    return record


def _failed(error: Exception, environ: "WSGIEnvironment") -> Reply:
    return errors.answer(error, record_of(environ))


class _ExplainEndpoint(ThreadedWsgiEndpoint):
    """Refuses explanations by their heads, while rows wait for their scores."""

    def __init__(self, route: ExplainRoute, app: Flask, parts: Parts) -> None:
        longest = route.limits[1]
        queue = WorkQueue(_TURN_SECONDS).add  # for none: it works in threads
        super().__init__(app, _failed, longest, queue, threads=1, waiting=_WAITING)
        self._route = route
        self._guard = parts.guard
        self._admission = parts.admission

    def admit(self, request: Request) -> int:
        """Check key and load by the head alone."""
        record = request.record
        record.route = self._route.path
        try:
            self._guard.admit(request.headers, record)
            self._route.check()
        except Exception as error:  # noqa: BLE001 - answered by the table of errors
            request.refusal = errors.answer(error, record)
        return super().admit(request)

    def full(self, request: Request) -> Reply:
        """The refusal of one that would have to wait for too many others."""
        return errors.answer(self._admission.overloaded(EXPLAIN), request.record)
