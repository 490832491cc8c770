"""Building the parts: the scorer that a server starts with, and each worker's follower."""

import logging
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Final, NoReturn

from model import ModelRefused
from model.registry import Registry, RegistryError, open_registry
from model.regno import RegnoScorer
from service import workdir
from service.board import board
from service.failures import log_exception
from service.settings import Settings, SettingsError, variable
from service.shadow import Shadow
from service.swap.follower import Follower, Place
from service.swap.kept import Kept
from service.swap.loading import Examination, Loader
from service.swap.whiteboard import Note, Order, Target, whiteboard

if TYPE_CHECKING:
    from service.admission import Admission
    from service.metrics import Metrics
    from service.slots import Slot

# A worker that can't begin is started anew by the master at once; the disk gets a rest.
_REST_SECONDS: Final = 1.0

log = logging.getLogger("gunicorn.error")


def registry_of(settings: Settings) -> Registry:
    """The registry that the settings name. Raises RegistryError."""
    cache = Path(settings.models_cache) if settings.models_cache else None
    return open_registry(settings.models, cache=cache)


def loader_of(settings: Settings, registry: Registry) -> Loader:
    """What loads versions in this worker."""
    folder = workdir.metrics_folder()
    return Loader(registry, Examination(folder), Kept(folder), settings.max_slowdown)


def first(settings: Settings) -> RegnoScorer:
    """In the master: the scorer of the live version, which all workers begin with.

    Raises SettingsError.
    """
    try:
        registry = registry_of(settings)
        aliases = registry.aliases()
        if not aliases.live:
            raise SettingsError(
                variable("models"), f"{registry.where} has no live version: promote one"
            )
        path = registry.fetch(aliases.live)
        scorer = RegnoScorer.load(path)
        Kept(workdir.metrics_folder()).keep(aliases.live, path.parent)
    except (RegistryError, ModelRefused) as reason:
        raise SettingsError(variable("models"), str(reason)) from reason
    target = Target(aliases.live, aliases.generation)
    # The way back of before a restart stays one, however slow.
    order = Order(target, monotonic(), aliases.previous)
    whiteboard().give(order, instead_of=None)
    return scorer


def join(
    settings: Settings, slot: "Slot", metrics: "Metrics", admission: "Admission", number: int
) -> Callable[[], None]:
    """In a worker, before its first connection: serve what the others do.

    What is returned follows the registry with them, once the event loop runs.
    """
    if not settings.models:
        serving = Target(slot.current.version, 0)
        whiteboard().put(number, Note(number, os.getpid(), "serving", serving, monotonic()))
        return lambda: None
    try:
        follower = _follower(settings, slot, metrics, admission, number)
        follower.catch_up()
    except (RegistryError, ModelRefused) as reason:
        _give_up(metrics, str(reason))
    except Exception as error:  # noqa: BLE001 - uncaught, it would end the whole server
        log_exception(error, "of a worker's start")
        _give_up(metrics, type(error).__name__)
    return follower.start


def _follower(
    settings: Settings, slot: "Slot", metrics: "Metrics", admission: "Admission", number: int
) -> Follower:
    registry = registry_of(settings)
    return Follower(
        registry,
        loader_of(settings, registry),
        slot,
        Place(number, board(), whiteboard()),
        metrics.swaps,
        settings.models_poll_seconds,
        lambda scorer: Shadow(
            scorer,
            settings,
            metrics.shadow,
            live_version=lambda: slot.current.version,
            busy=lambda: admission.crowded,
        ),
    )


def _give_up(metrics: "Metrics", reason: str) -> NoReturn:
    """End this worker in a way that the master starts another for it."""
    metrics.scoring.loaded("refused")
    log.critical("The version that this host serves can't be had: %s", reason)
    time.sleep(_REST_SECONDS)
    sys.exit(1)
