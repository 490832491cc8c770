"""The models that a process begins with: their live versions, ready to be warmed."""

import logging
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from model import ModelRefused, catalog
from model.registry import check_model
from service import VERSION
from service.config.models import served
from service.config.settings import Settings, SettingsError, variable
from service.overload.admission import Admission
from service.rollout.rollout_state import rollout_state
from service.rollout.startup import Served, has_live, initial_scorer
from service.scoring.capture import Capture
from service.scoring.core import decisions_of
from service.scoring.live import Slot

if TYPE_CHECKING:
    from model.scorer import Model, Scorer
    from service.decisions.recorder import Recorder
    from service.telemetry.metrics import Metrics

log = logging.getLogger("scoring")


def load_models(settings: Settings, metrics: "Metrics", admission: Admission) -> tuple[Served, ...]:
    """All models that are served, the default one first. Raises SettingsError.

    Nothing is predicted: CatBoost's threads would not survive a fork.
    """
    default = catalog.entry(catalog.DEFAULT).load()
    scorer = _default_scorer(settings, metrics)
    scorer.prepare()
    capture = _capture(default, scorer, settings, metrics)
    recorder = _recorder(default, settings, metrics)
    slot = Slot(scorer, metrics, admission, settings.kept_readings, capture, recorder)
    first = Served(default, slot, rollout_state())
    return (first, *_others(settings, metrics, admission))


def _default_scorer(settings: Settings, metrics: "Metrics") -> Any:
    """The default model's scorer: the one that the settings name, or the live one of the registry.

    Raises SettingsError.
    """
    if settings.registry:
        return initial_scorer(settings, catalog.DEFAULT, lambda: metrics.rollout.loaded("refused"))
    entry = catalog.entry(catalog.DEFAULT)
    path = Path(settings.model) if settings.model else entry.bundled
    try:
        if settings.model:  # the bundled one's manifest has the hash of what was tested
            check_model(Path(settings.model), settings.positive_class)
        return entry.load().load(cast("Path", path), settings.positive_class)
    except ModelRefused as reason:
        raise SettingsError(variable("model"), str(reason)) from reason


def _others(settings: Settings, metrics: "Metrics", admission: Admission) -> Iterator[Served]:
    """The catalog's other models: the live version of the registry, or the bundled file.

    One that has neither is not served, and neither is one with an extra that the settings do not
    name. Raises SettingsError.
    """
    for name, entry in served(settings).items():
        if name == catalog.DEFAULT:
            continue
        model = entry.load()
        if settings.registry:
            if not has_live(settings, name):
                log.warning("%s is not served: the registry names no live version of it", name)
                continue
            loaded = metrics.of(name).rollout.loaded
            scorer = initial_scorer(settings, name, partial(loaded, "refused"))
        elif entry.bundled:
            scorer = _bundled(model, entry.bundled)
        else:
            log.warning("%s is not served: it has no bundled file, and there is no registry", name)
            continue
        scorer.prepare()
        slot = Slot(scorer, metrics, admission, settings.kept_readings)
        yield Served(model, slot, rollout_state(name))


def _bundled(model: "Model", path: Path) -> "Scorer":
    try:
        scorer: Scorer = model.load(path)
    except ModelRefused as reason:  # a package of its extra is missing
        raise SettingsError(variable("extra_models"), str(reason)) from reason
    return scorer


def _recorder(model: "Model", settings: Settings, metrics: "Metrics") -> "Recorder | None":
    """What keeps the default model's decisions, None unless it is set. Raises SettingsError."""
    if settings.decisions == "off":
        return None
    if not settings.decisions_dir:
        reason = f"{variable('decisions')} is set, and this names no folder for it"
        raise SettingsError(variable("decisions_dir"), reason)
    # Takes memory: for those who keep decisions alone.
    from service.decisions.recorder import Recorder  # noqa: PLC0415

    decisions = decisions_of(model, settings)
    return Recorder(model, settings, decisions, metrics.decision_log, VERSION)


def _capture(
    model: "Model", scorer: "Scorer", settings: Settings, metrics: "Metrics"
) -> Capture | None:
    """What captures the default model's rows, None unless it is set. Raises SettingsError."""
    if not settings.capture:
        return None
    if not settings.capture_dir:
        reason = f"{variable('capture')} is set, and this names no folder for it"
        raise SettingsError(variable("capture_dir"), reason)
    return Capture(model, settings, scorer.memory_of, metrics.capture)
