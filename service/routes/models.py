"""/model: which version serves, and the changes that a key with admin rights may make."""

import logging
from collections.abc import Callable
from pathlib import Path
from time import monotonic, time
from typing import Annotated, Any, Final, Literal, TypeAlias, TypeVar

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
from model.regno import Parity
from service.config.settings import Settings, variable
from service.http import body, errors, reply
from service.http.authentication import Guard
from service.http.reply import Reply
from service.rollout.loader import SharedValidation
from service.rollout.rollout_state import RolloutState, Target, WorkerStatus
from service.runtime import runtime
from service.runtime.scoreboard import Scoreboard
from service.scoring.live import Slot
from service.scoring.thresholds import threshold_choice
from service.telemetry.log_formats import timestamp
from service.telemetry.record import record_of

_LONGEST_BODY: Final = 4096
# For the document; `is_name` knows the names that are taken, too.
_NAME: Final = "[A-Za-z0-9][A-Za-z0-9._+-]{0,127}"
_NO_NAME: Final = "version: it is no name of a version"

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


class DecisionThresholds(Struct):
    """The `positive` up to which the decision is `camera`, and from which on it is `network`.

    `source` is `manifest` if they are the live version's own, `costs` if SCORING_COST_* make them.
    """

    camera: float
    network: float
    source: Literal["manifest", "costs"]


class State(Struct):
    """How this host is: `mixed` while its workers serve different versions.

    `positive` is the probability of `positive_class`, one of the model's two `classes`.
    `unexplained` is why POST /reg/explain answers 501, empty if it explains. `thresholds` are
    those of the decisions.
    """

    version: str
    generation: int
    registry: str
    mixed: bool
    thresholds: DecisionThresholds
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
    """What is live after a change, and how the new version compares with the former."""

    aliases: Aliases
    parity: Parity | None = None
    remarks: list[str] = []


class ModelRoute:
    """What operators ask about the model, and have done to it."""

    def __init__(
        self,
        settings: Settings,
        slot: Slot,
        scoreboard: Scoreboard,
        rollout_state: RolloutState,
        holds_secret: Callable[[str], bool],
    ) -> None:
        """`holds_secret` tells whether a text that a client chose is or holds a key."""
        self._settings = settings
        self._slot = slot
        self._scoreboard = scoreboard
        self._rollout_state = rollout_state
        self._holds_secret = holds_secret
        self._limits = _limits(settings)
        self._model = catalog.entry(catalog.DEFAULT).load()
        self._thresholds = threshold_choice(settings)

    def show(self) -> Reply:
        """The order, and how each worker of this host is."""
        notes, order = self._statuses(), self._rollout_state.order
        scorer = self._slot.current.scorer
        state = State(
            version=scorer.version,
            generation=order.target.generation if order else 0,
            registry=self._settings.registry,
            mixed=len({note.serving.version for note in notes}) > 1,
            thresholds=self._thresholds_of(scorer.manifest),
            workers=list(map(WorkerState.of, notes)),
            classes=list(scorer.classes),
            positive_class=scorer.positive_class,
            unexplained=scorer.unexplained or "",
        )
        return reply.ok(state)

    def _thresholds_of(self, manifest: Any) -> DecisionThresholds:
        thresholds = self._thresholds.of(manifest)
        return DecisionThresholds(
            thresholds.camera,
            thresholds.network,
            "manifest" if self._thresholds.is_own(manifest) else "costs",
        )

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
        wanted = self._body(Promotion)
        live, recent = self._slot.current.scorer, list(self._slot.recent.copy())
        gate = self._model.gate(_validation(), live, recent, self._limits)
        # A version that this host refused is live by name, and who is to help promotes another.
        refused = [note.refused.version for note in self._statuses() if note.refused]
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
        moved = self._moved(_validation(), wanted, lambda registry, why: registry.rollback(**why))
        return reply.ok(Outcome(moved.after))

    def shadow(self) -> Reply:
        """Have a version shadow the live one, unseen by callers; or none."""
        wanted = self._body(ShadowChange)
        moved = self._moved(
            _validation(), wanted, lambda registry, why: registry.shadow(wanted.version, **why)
        )
        return reply.ok(Outcome(moved.after))

    def _statuses(self) -> list[WorkerStatus]:
        """The statuses of this host's workers."""
        statuses = (self._rollout_state.status(place) for place in self._scoreboard.open_places())
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
        if not location:
            raise errors.Refused(409, f"no registry is followed: {variable('registry')} is not set")

        try:
            return act(open_registry(location, cache=Path(cache) if cache else None, check=check))
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


def _validation() -> SharedValidation:
    """That of this server: its folder is made once it serves."""
    return SharedValidation(runtime().run_folder.path)


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
