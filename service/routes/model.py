"""/model: which version serves, and the changes that a key with admin rights may make."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

import msgspec
from flask import Blueprint, request
from msgspec import Struct

from model import ModelRefused
from model.registry import (
    Aliases,
    Conflict,
    Moved,
    Registry,
    RegistryError,
    Unavailable,
    open_registry,
)
from model.regno import Gate, Limits, Parity
from service import body, errors, reply, workdir
from service.auth import KeyRing
from service.board import Board
from service.deciding import thresholds_of
from service.guard import require_key
from service.record import record_of
from service.reply import Reply
from service.settings import Settings, variable
from service.slots import Slot
from service.swap.loading import Examination
from service.swap.whiteboard import Note, Whiteboard

_LONGEST_BODY: Final = 4096

T = TypeVar("T")
Check: TypeAlias = Callable[[Path], object]

log = logging.getLogger("scoring")


class Change(Struct, forbid_unknown_fields=True):
    """The body of a rollback: `note` says why; `force` overrides a refusal, and is on record."""

    note: str = ""
    force: bool = False


class Promotion(Change, forbid_unknown_fields=True, kw_only=True):
    """The body of a promotion."""

    version: str


class DecisionThresholds(Struct):
    """The `positive` up to which the decision is `camera`, and from which on it is `network`."""

    camera: float
    network: float


class State(Struct):
    """How this host is: `mixed` while its workers serve different versions.

    `positive` is the probability of `positive_class`, one of the model's two `classes`.
    `unexplained` is why POST /reg/explain answers 501, empty if it explains. `thresholds` are
    those of the decisions, by SCORING_COST_*.
    """

    version: str
    generation: int
    registry: str
    mixed: bool
    thresholds: DecisionThresholds
    workers: list[Note]
    classes: tuple[str, str]
    positive_class: str
    unexplained: str


class Outcome(Struct):
    """What is live after a change, and how the new version compares with the former."""

    aliases: Aliases
    parity: Parity | None = None
    remarks: list[str] = []


class ModelRoute:
    """What operators ask about the model, and have done to it."""

    def __init__(
        self, settings: Settings, slot: Slot, board: Board, whiteboard: Whiteboard
    ) -> None:
        self._settings = settings
        self._slot = slot
        self._board = board
        self._whiteboard = whiteboard
        self._limits = _limits(settings)
        thresholds = thresholds_of(settings)
        self._thresholds = DecisionThresholds(thresholds.camera, thresholds.network)

    def show(self) -> Reply:
        """The order, and how each worker of this host is."""
        notes, order = self._notes(), self._whiteboard.order
        scorer = self._slot.current.scorer
        state = State(
            version=scorer.version,
            generation=order.target.generation if order else 0,
            registry=self._settings.models,
            mixed=len({note.serving.version for note in notes}) > 1,
            thresholds=self._thresholds,
            workers=notes,
            classes=scorer.classes,
            positive_class=scorer.positive_class,
            unexplained=scorer.unexplained or "",
        )
        return reply.ok(state)

    def promote(self) -> Reply:
        """Make a version live, if it passes the gate."""
        wanted = _body(Promotion)
        live, recent = self._slot.current.scorer, list(self._slot.recent.copy())
        gate = Gate(_examination(), live, recent, self._limits)
        # A version that this host refused is live by name, and who is to help promotes another.
        refused = [note.refused.version for note in self._notes() if note.refused]
        named = refused[0] if refused else live.version
        moved = self._moved(
            gate,
            wanted,
            lambda registry, why: registry.promote(wanted.version, instead=named, **why),
        )
        return reply.ok(Outcome(moved.after, gate.parity, gate.remarks))

    def rollback(self) -> Reply:
        """Make the previous version live again: it has proved itself, so there is no gate."""
        wanted = _body(Change)
        moved = self._moved(_examination(), wanted, lambda registry, why: registry.rollback(**why))
        return reply.ok(Outcome(moved.after))

    def _notes(self) -> list[Note]:
        """Those of this host's workers."""
        notes = (self._whiteboard.note(place) for place in self._board.open_places())
        return [note for note in notes if note]

    def _moved(
        self, check: Check, wanted: Change, act: Callable[[Registry, dict[str, Any]], Moved]
    ) -> Moved:
        """What a change led to. Raises Refused with the reason."""
        location, cache = self._settings.models, self._settings.models_cache
        if not location:
            raise errors.Refused(409, f"no registry is followed: {variable('models')} is not set")
        who = record_of(request.environ).key_name
        why = {"who": f"key {who}", "note": wanted.note, "force": wanted.force}
        try:
            registry = open_registry(location, cache=Path(cache) if cache else None, check=check)
            moved = act(registry, why)
        except (Conflict, Unavailable) as reason:
            raise errors.Refused(503, str(reason)) from reason
        except (ModelRefused, RegistryError) as reason:
            log.warning("A change of the live model by %s is refused: %s", who, str(reason))
            raise errors.Refused(409, str(reason)) from reason
        forced = ", forced" if wanted.force else ""
        log.warning("Version %s is to be live, says %s%s", moved.after.live, who, forced)
        return moved


def blueprint(route: ModelRoute, keys: KeyRing, admins: frozenset[str]) -> Blueprint:
    """/model, for keys with admin rights only."""
    routes = Blueprint("model", __name__)
    require_key(routes, keys)

    @routes.before_request
    def require_admin() -> None:
        if record_of(request.environ).key_name not in admins:
            raise errors.Refused(403, "this key has no admin rights")

    routes.add_url_rule("/model", "show", route.show, methods=["GET"])
    routes.add_url_rule("/model/promote", "promote", route.promote, methods=["POST"])
    routes.add_url_rule("/model/rollback", "rollback", route.rollback, methods=["POST"])
    return routes


def _limits(settings: Settings) -> Limits:
    """What the settings let pass at the gate."""
    return Limits(
        flips=settings.parity_max_flips,
        flips_in_class=settings.parity_max_flips_in_class,
        mean_difference=settings.parity_max_difference,
        slowdown=settings.max_slowdown,
    )


def _examination() -> Examination:
    """That of this server: its folder is made once it serves."""
    return Examination(workdir.metrics_folder())


def _body(kind: type[T]) -> T:
    """The request's body, an empty one if there is none. Raises Refused, naming the field."""
    text = b"{}"
    if request.content_length or "HTTP_TRANSFER_ENCODING" in request.environ:
        text = body.read(request.environ, _LONGEST_BODY, _LONGEST_BODY)
    try:
        return msgspec.json.decode(text or b"{}", type=kind)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at `$.")
        named = f"{path.rstrip('`')}: " if path else ""
        raise errors.Refused(400, named + reason.replace("`", "")) from None
    except (msgspec.DecodeError, UnicodeError):
        raise errors.Refused(400, "the body is not valid JSON") from None
