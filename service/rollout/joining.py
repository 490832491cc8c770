"""Building the parts: the scorer that a server starts with, and each worker's follower."""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from model import ModelRefused
from model.registry import Aliases, Registry, RegistryError, open_registry
from model.regno import RegnoScorer
from service.config.settings import Settings, SettingsError, variable
from service.process.runtime import runtime
from service.rollout.follower import Follower, Place
from service.rollout.loader import Loader, SharedValidation
from service.rollout.local_copy import Kept
from service.rollout.rollout_state import Note, Order, Target, whiteboard
from service.scoring.shadow import Shadow

if TYPE_CHECKING:
    from service.overload.admission import Admission
    from service.scoring.live import Slot
    from service.telemetry.metrics import Metrics

log = logging.getLogger("scoring")


def registry_of(settings: Settings) -> Registry:
    """The registry that the settings name. Raises RegistryError."""
    cache = Path(settings.registry_cache) if settings.registry_cache else None
    return open_registry(settings.registry, cache=cache)


def loader_of(settings: Settings, registry: Registry) -> Loader:
    """What loads versions in this worker."""
    folder = runtime().run_folder.path
    return Loader(registry, SharedValidation(folder), Kept(folder), settings.max_slowdown)


def first(settings: Settings, refused: Callable[[], None]) -> RegnoScorer:
    """In the master: the scorer of the live version, or of the previous one if that is refused.

    In the second case the workers retry the live version. `refused` is called for each version
    that is refused. Raises SettingsError when neither can be served.
    """
    try:
        registry = registry_of(settings)
        aliases = registry.aliases()
    except RegistryError as error:
        raise SettingsError(variable("registry"), str(error)) from error
    if not aliases.live:
        reason = f"{registry.where} has no live version: promote one"
        raise SettingsError(variable("registry"), reason)
    loader, refusals = loader_of(settings, registry), []
    for version in filter(None, (aliases.live, aliases.previous)):
        try:
            scorer = loader.read(version)
        except (RegistryError, ModelRefused) as error:
            refusals.append(f"version {version} is refused: {error}")
            refused()
            continue
        loader.keep(version)
        _begin_with(version, aliases)
        if refusals:
            log.error("The previous version %s serves, as the live %s", version, refusals[0])
        return scorer
    raise SettingsError(variable("registry"), "; ".join(refusals))


def _begin_with(version: str, aliases: Aliases) -> None:
    """Order the version that all workers begin with; a change to the other one is not timed."""
    is_live = version == aliases.live
    # No generation of the aliases says that the previous version is to serve.
    target = Target(version, aliases.generation if is_live else 0)
    former = aliases.previous if is_live else aliases.live
    whiteboard().give(Order(target, monotonic(), former), instead_of=None)


def join(
    settings: Settings, slot: "Slot", metrics: "Metrics", admission: "Admission", number: int
) -> Callable[[], None]:
    """In a worker, before its first connection: serve what the others do.

    What is returned follows the registry with them, once the event loop runs. Raises RegistryError
    or ModelRefused when what they serve can't be had.
    """
    if not settings.registry:
        serving = Target(slot.current.version, 0)
        whiteboard().put(number, Note(number, os.getpid(), "serving", serving, monotonic()))
        return lambda: None
    try:
        follower = _follower(settings, slot, metrics, admission, number)
        follower.catch_up()
    except (RegistryError, ModelRefused):
        metrics.scoring.loaded("refused")
        raise
    return follower.start


def _follower(
    settings: Settings, slot: "Slot", metrics: "Metrics", admission: "Admission", number: int
) -> Follower:
    registry = registry_of(settings)
    return Follower(
        registry,
        loader_of(settings, registry),
        slot,
        Place(number, runtime().scoreboard, whiteboard()),
        metrics.rollout,
        settings.registry_poll_seconds,
        lambda scorer: Shadow(
            scorer,
            settings,
            metrics.shadow,
            live_version=lambda: slot.current.version,
            busy=lambda: admission.crowded,
        ),
    )
