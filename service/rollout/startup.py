"""The start of a rollout: the scorer that a server starts with, and each worker's followers."""

import logging
import os
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from model import ModelRefused, catalog
from model.registry import Aliases, Registry, RegistryError, open_registry, validate
from model.scorer import Model
from service.config.settings import Settings, SettingsError, variable
from service.rollout.follower import Follower, Place
from service.rollout.loader import Loader, SharedValidation
from service.rollout.local_copy import LocalCopy
from service.rollout.rollout_state import (
    Order,
    Phase,
    RolloutState,
    Target,
    WorkerStatus,
    rollout_state,
)
from service.runtime import runtime
from service.scoring.shadow import Shadow

if TYPE_CHECKING:
    from service.overload.admission import Admission
    from service.runtime.scoreboard import Scoreboard
    from service.scoring.live import Slot
    from service.telemetry.metrics import Metrics

log = logging.getLogger("scoring")


class Served(NamedTuple):
    """A model that is served: its live version, and the rollout state of this host."""

    model: Model
    slot: "Slot"
    rollout_state: RolloutState


class Shared(Protocol):
    """What a worker's followers share: the parts of its server."""

    @property
    def settings(self) -> Settings:
        """All settings."""

    @property
    def metrics(self) -> "Metrics":
        """All series."""

    @property
    def admission(self) -> "Admission":
        """Which requests are let in."""

    @property
    def scoreboard(self) -> "Scoreboard":
        """The places of the workers."""


def registry_of(settings: Settings, name: str = catalog.DEFAULT) -> Registry:
    """A model's registry, at the location that the settings name. Raises RegistryError."""
    cache = Path(settings.registry_cache) if settings.registry_cache else None
    return open_registry(settings.registry, name, cache)


def has_live(settings: Settings, name: str) -> bool:
    """Whether the registry names a live version of a model. Raises SettingsError."""
    try:
        return bool(registry_of(settings, name).aliases().live)
    except RegistryError as error:
        raise SettingsError(variable("registry"), str(error)) from error


def loader_of(settings: Settings, registry: Registry, name: str = catalog.DEFAULT) -> Loader:
    """What loads versions of a model in this worker."""
    entry, folder = catalog.entry(name), runtime().run_folder.path
    copy = LocalCopy(folder, entry.artifact, name)
    validation = SharedValidation(folder, partial(validate, name=name), name)
    return Loader(entry.load(), registry, validation, copy, settings.max_slowdown)


def initial_scorer(settings: Settings, name: str, refused: Callable[[], None]) -> Any:
    """In the master: the scorer of the live version, or of the previous one if that is refused.

    In the second case the workers retry the live version. `refused` is called for each version
    that is refused. Raises SettingsError when neither can be served.
    """
    try:
        registry = registry_of(settings, name)
        aliases = registry.aliases()
    except RegistryError as error:
        raise SettingsError(variable("registry"), str(error)) from error
    if not aliases.live:
        reason = f"{registry.where} has no live version: promote one"
        raise SettingsError(variable("registry"), reason)
    loader, refusals = loader_of(settings, registry, name), []
    for version in filter(None, (aliases.live, aliases.previous)):
        try:
            scorer = loader.read(version)
        except (RegistryError, ModelRefused) as error:
            refusals.append(f"version {version} is refused: {error}")
            refused()
            continue
        loader.keep(version)
        _set_first_order(name, version, aliases)
        if refusals:
            log.error("The previous version %s serves, as the live %s", version, refusals[0])
        return scorer
    raise SettingsError(variable("registry"), "; ".join(refusals))


def _set_first_order(name: str, version: str, aliases: Aliases) -> None:
    """Order the version that all workers begin with; a change to the other one is not timed."""
    is_live = version == aliases.live
    # No generation of the aliases names the previous version as live.
    target = Target(version, aliases.generation if is_live else 0)
    former = aliases.previous if is_live else aliases.live
    rollout_state(name).set_order(Order(target, monotonic(), former), instead_of=None)


def start_followers(parts: "Shared", served: Iterable[Served], number: int) -> Callable[[], None]:
    """In a worker, before its first connection: serve the version that the others serve.

    The function that is returned starts to follow the registry, once the event loop runs. Raises
    RegistryError or ModelRefused when that version can't be loaded.
    """
    starts = [_started(parts, one, number) for one in served]

    def start() -> None:
        for begin in starts:
            begin()

    return start


def _started(parts: "Shared", served: Served, number: int) -> Callable[[], None]:
    slot, metrics = served.slot, parts.metrics.of(served.model.name)
    if not parts.settings.registry:
        serving = Target(slot.current.version, 0)
        status = WorkerStatus(number, os.getpid(), Phase.SERVING, serving, monotonic())
        served.rollout_state.set_status(number, status)
        return lambda: None
    try:
        follower = _follower(parts, served, number)
        follower.catch_up()
    except (RegistryError, ModelRefused):
        metrics.rollout.loaded("refused")
        raise
    return follower.start


def _follower(parts: "Shared", served: Served, number: int) -> Follower:
    settings, slot, name = parts.settings, served.slot, served.model.name
    registry, metrics = registry_of(settings, name), parts.metrics.of(name)
    return Follower(
        registry,
        loader_of(settings, registry, name),
        slot,
        Place(number, parts.scoreboard, served.rollout_state),
        metrics.rollout,
        settings.registry_poll_seconds,
        lambda scorer: Shadow(
            scorer,
            settings,
            metrics.shadow,
            live_version=lambda: slot.current.version,
            busy=lambda: parts.admission.crowded,
        ),
    )
