"""/model: which version of a model serves, and the changes that a key with admin rights may make.

`?name=` names another model than the default one.
"""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from time import monotonic, time
from typing import Annotated, Any, Final, TypeAlias, TypeVar

import msgspec
from flask import Blueprint, request
from msgspec import Meta, Struct

from model import PLATE, ModelRefused, body_text, catalog, is_name, is_plate
from model.redaction import redact
from model.registry import (
    Aliases,
    Conflict,
    Moved,
    Registry,
    RegistryError,
    Unavailable,
    open_registry,
    validate,
)
from service.config.settings import Settings, variable
from service.http import body, errors, reply
from service.http.authentication import Guard
from service.http.reply import Reply
from service.rollout.loader import SharedValidation
from service.rollout.rollout_state import Target, WorkerStatus
from service.rollout.startup import Served
from service.runtime import runtime
from service.runtime.scoreboard import Scoreboard
from service.scoring.core import decisions_of
from service.telemetry.log_formats import timestamp
from service.telemetry.record import record_of

_LONGEST_BODY: Final = 4096
# For the document; `is_name` knows the names that are taken, too.
_NAME: Final = "[A-Za-z0-9][A-Za-z0-9._+-]{0,127}"
_NO_NAME: Final = "version: it is not a name of a version"

T = TypeVar("T")
C = TypeVar("C", bound="Reasons")
Check: TypeAlias = Callable[[Path], object]

log = logging.getLogger("scoring")


class Reasons(Struct, forbid_unknown_fields=True):
    """In the body of each change: why, and whether a refusal is overridden; both are on record."""

    note: str = ""
    force: bool = False


class Rollback(Reasons, forbid_unknown_fields=True):
    """The body of a rollback."""


class Promotion(Reasons, forbid_unknown_fields=True, kw_only=True):
    """The body of a promotion."""

    version: Annotated[str, Meta(pattern=f"^{_NAME}$")]


class ShadowChange(Reasons, forbid_unknown_fields=True):
    """The body of a change of the shadow: without a version there is none from then on."""

    version: Annotated[str, Meta(pattern=f"^({_NAME})?$")] = ""


class WorkerState(Struct):
    """One worker's part in a rollout: `state` is serving, loading, ready, refused or unreachable.

    `ready` is the version that it can change to, `refused` the one that it can't, for the `reason`.
    `since` is when it began to serve its version, in UTC.
    """

    worker: int
    pid: int
    state: str
    serving: Target
    since: str
    ready: Target | None
    refused: Target | None
    reason: str
    shadow: str

    @classmethod
    def of(cls, status: WorkerStatus) -> "WorkerState":
        """Of a worker's status, whose clock counts from the machine's start."""
        since = timestamp(time() - (monotonic() - status.since))
        return cls(**{**msgspec.structs.asdict(status), "since": since})


class State(Struct):
    """How this host is: `mixed` while its workers serve different versions.

    `positive` is the probability of `positive_class`, one of the model's two `classes`.
    `unexplained` is why scores can't be explained, empty if they can. `thresholds` are those of
    `positive` for decisions, up to `camera`, from `network` on; their `source` is `manifest` if the
    live version has them of its own, `costs` if SCORING_COST_* make them.
    """

    version: str
    generation: int
    registry: str
    mixed: bool
    thresholds: dict[str, float | str]
    workers: list[WorkerState]
    classes: list[str]
    positive_class: str
    unexplained: str


class Stored(Struct):
    """A version in the registry: its aliases, its file's size, and when it was added, in UTC."""

    version: str
    aliases: list[str]
    bytes: int
    added: str


class Versions(Struct):
    """What the registry has, oldest first."""

    registry: str
    generation: int
    versions: list[Stored]


class Outcome(Struct):
    """What is live after a change, and how the new version compares with the former.

    `parity` is of the model's own type.
    """

    aliases: Aliases
    parity: Any = None
    remarks: list[str] = []


class ModelRoute:
    """Shows and changes the aliases of the models that are served."""

    def __init__(
        self,
        settings: Settings,
        served: Sequence[Served],
        scoreboard: Scoreboard,
        holds_secret: Callable[[str], bool],
    ) -> None:
        """`holds_secret` tells whether a text that a client chose is or holds a key."""
        self._settings = settings
        self._served = {one.model.name: one for one in served}
        self._scoreboard = scoreboard
        self._holds_secret = holds_secret
        self._limits = _limits(settings)

    def show(self) -> Reply:
        """The order, and how each worker of this host is."""
        served = self._named()
        notes, order = self._statuses(served), served.rollout_state.order
        scorer = served.slot.current.scorer
        decides = decisions_of(served.model, self._settings)(scorer)
        state = State(
            version=scorer.version,
            generation=order.target.generation if order else 0,
            registry=self._settings.registry,
            mixed=len({note.serving.version for note in notes}) > 1,
            thresholds={**decides.limits, "source": decides.source} if decides else {},
            workers=list(map(WorkerState.of, notes)),
            classes=list(scorer.classes),
            positive_class=scorer.positive_class,
            unexplained=scorer.unexplained or "",
        )
        return reply.ok(state)

    def versions(self) -> Reply:
        """All versions of the registry and their aliases."""

        def look(registry: Registry) -> Versions:
            aliases = registry.aliases()
            stored = [
                Stored(of.version, aliases.of(of.version), of.size, timestamp(of.added))
                for of in registry.versions()
            ]
            return Versions(registry.where, aliases.generation, stored)

        return reply.ok(self._with_registry(look))

    def history(self) -> Reply:
        """Who changed the aliases, when and why; newest last."""
        return reply.ok(self._with_registry(Registry.history))

    def promote(self) -> Reply:
        """Make a version live, if it passes the gate."""
        served, wanted = self._named(), self._body(Promotion)
        live, recent = served.slot.current.scorer, list(served.slot.recent.copy())
        gate = served.model.gate(_validation(served), live, recent, self._limits)
        # The live alias may name a version that this host refused; another must be promotable.
        refused = [note.refused.version for note in self._statuses(served) if note.refused]
        named = refused[0] if refused else live.version
        moved = self._moved(
            gate,
            wanted,
            lambda registry, why: registry.promote(wanted.version, instead=named, **why),
        )
        return reply.ok(Outcome(moved.after, gate.parity, list(gate.remarks)))

    def rollback(self) -> Reply:
        """Make the previous version live again: it has proved itself, so there is no gate."""
        wanted = self._body(Rollback)
        check = _validation(self._named())
        moved = self._moved(check, wanted, lambda registry, why: registry.rollback(**why))
        return reply.ok(Outcome(moved.after))

    def shadow(self) -> Reply:
        """Have a version shadow the live one, unseen by callers; or none."""
        wanted = self._body(ShadowChange)
        check = _validation(self._named())
        moved = self._moved(
            check, wanted, lambda registry, why: registry.shadow(wanted.version, **why)
        )
        return reply.ok(Outcome(moved.after))

    def _named(self) -> Served:
        """The model that the request names, else the default one. Raises Refused."""
        served = self._served.get(request.args.get("name", catalog.DEFAULT))
        if served is None:
            known = ", ".join(self._served)
            raise errors.Refused(400, f"name: no model of this name is served, only {known}")
        return served

    def _statuses(self, served: Served) -> list[WorkerStatus]:
        """The statuses of this host's workers for a model."""
        places = self._scoreboard.open_places()
        statuses = (served.rollout_state.status(place) for place in places)
        return [status for status in statuses if status]

    def _moved(
        self, check: Check, wanted: Reasons, act: Callable[[Registry, dict[str, Any]], Moved]
    ) -> Moved:
        """What a change led to. Raises Refused with the reason."""
        who = record_of(request.environ).key_name
        why = {"who": f"key {who}", "note": wanted.note, "force": wanted.force}
        try:
            moved = self._with_registry(lambda registry: act(registry, why), check)
        except errors.Refused as reason:
            log.warning("A change of the model by %s is refused: %s", who, reason.reason)
            raise
        forced = ", forced" if wanted.force else ""
        live, shadow = moved.after.live, moved.after.shadow or "none"
        log.warning("Version %s is to be live, %s the shadow, says %s%s", live, shadow, who, forced)
        return moved

    def _with_registry(self, act: Callable[[Registry], T], check: Check = validate) -> T:
        """What a function makes of the registry. Raises Refused."""
        location, cache = self._settings.registry, self._settings.registry_cache
        name = self._named().model.name
        if not location:
            raise errors.Refused(409, f"no registry is followed: {variable('registry')} is not set")

        try:
            return act(open_registry(location, name, Path(cache) if cache else None, check))
        except (Conflict, Unavailable) as reason:
            raise errors.Refused(503, redact(str(reason))) from reason
        except (ModelRefused, RegistryError) as reason:
            raise errors.Refused(409, redact(str(reason))) from reason

    def _body(self, kind: type[C]) -> C:
        """The request's body, an empty one if there is none. Raises Refused, naming the field.

        What is in it goes to replies, the log and the registry's history: no key, no plate.
        """
        wanted = _decoded(kind)
        version = getattr(wanted, "version", "")
        if version and not is_name(version):
            raise errors.Refused(400, _NO_NAME)
        for field, text in (("version", version), ("note", wanted.note)):
            if self._holds_secret(text):
                raise errors.Refused(400, f"{field}: it holds a key")
        if is_plate(version):
            raise errors.Refused(400, f"version: {PLATE}")
        if redact(wanted.note) != wanted.note:
            raise errors.Refused(400, f"note: {PLATE}")
        return wanted


def blueprint(route: ModelRoute, guard: Guard, admins: frozenset[str]) -> Blueprint:
    """/model, for keys with admin rights only."""
    routes = Blueprint("model", __name__)
    guard.protect(routes)

    @routes.before_request
    def require_admin() -> None:
        if record_of(request.environ).key_name not in admins:
            raise errors.Refused(403, "this key has no admin rights")

    for path, view in (
        ("", route.show),
        ("/versions", route.versions),
        ("/history", route.history),
    ):
        routes.add_url_rule(f"/model{path}", view.__name__, view, methods=["GET"])
    for view in (route.promote, route.rollback, route.shadow):
        routes.add_url_rule(f"/model/{view.__name__}", view.__name__, view, methods=["POST"])
    return routes


def _limits(settings: Settings) -> dict[str, float]:
    """What the settings let pass at the gate."""
    return {
        "flips": settings.parity_max_flips,
        "flips_in_class": settings.parity_max_flips_in_class,
        "mean_difference": settings.parity_max_difference,
        "slowdown": settings.max_slowdown,
    }


def _validation(served: Served) -> SharedValidation:
    """That of a model in this server: its folder is made once it serves."""
    name = served.model.name
    return SharedValidation(runtime().run_folder.path, partial(validate, name=name), name)


def _decoded(kind: type[C]) -> C:
    text = ""
    if request.content_length:
        text = body_text(body.read(request.environ, _LONGEST_BODY, _LONGEST_BODY))
    try:
        return msgspec.json.decode(text.removeprefix("\ufeff") or "{}", type=kind)
    except msgspec.ValidationError as error:
        raise errors.Refused(400, _reason(error, kind)) from None
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise errors.Refused(400, "the body is not valid JSON") from None


def _reason(error: msgspec.ValidationError, kind: type[Reasons]) -> str:
    """The field and what is wrong with it; a field that is not known is the client's own word."""
    reason, _, path = str(error).partition(" - at `$.")
    if "unknown field" in reason:
        return f"only these fields are known: {', '.join(kind.__struct_fields__)}"
    if "regex" in reason:
        return _NO_NAME
    named = f"{path.rstrip('`')}: " if path else ""
    return named + reason.replace("`", "")
