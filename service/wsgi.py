"""The WSGI entry: settings → scorer → app. The only module that does something when imported.

gunicorn imports it once in the master, before the workers are forked, so that they share
the libraries' and the model's memory. Nothing is predicted there: CatBoost's threads would
not survive the fork.
"""

from pathlib import Path

from flask import Flask

from model import ModelRefused
from model.registry import check_model
from model.regno import BUNDLED, RegnoScorer
from service.app import create_app, create_metrics_app
from service.auth import KeyRing
from service.deciding import thresholds_of
from service.metrics import Metrics
from service.settings import Settings, SettingsError, of_this_server, stop, variable
from service.slots import Slot
from service.swap.joining import first


def load_scorer(settings: Settings, metrics: Metrics) -> RegnoScorer:
    """The scorer that the settings name, or the live one of their registry.

    Raises SettingsError.
    """
    if settings.models:
        return first(settings, lambda: metrics.scoring.loaded("refused"))
    try:
        if not settings.model:
            # Not examined: its manifest's hash says that it is what was tested.
            return RegnoScorer.load(BUNDLED, settings.positive_class)
        check_model(Path(settings.model), settings.positive_class)
        return RegnoScorer.load(settings.model, settings.positive_class)
    except ModelRefused as reason:
        raise SettingsError(variable("model"), str(reason)) from reason


def build() -> tuple[Flask, Slot, KeyRing]:
    """The app, the slot of its model and the keys.

    Stops the process when a setting can't be used.
    """
    try:
        settings = of_this_server()
        keys = KeyRing(settings)
        metrics = Metrics(keys.names, thresholds_of(settings), kept=settings.metrics_kept)
        slot = Slot(load_scorer(settings, metrics), metrics, settings.parity_rows)
        app = create_app(settings, slot, keys, metrics)
        if settings.metrics_bind:
            app.extensions["metrics_app"] = create_metrics_app(settings, slot, keys, metrics)
    except SettingsError as error:
        stop(error)
    return app, slot, keys


def model_description() -> str:
    """The model that this server started with, for the log: version, setting and classes."""
    settings, scorer = of_this_server(), slot.current.scorer
    name = "models" if settings.models else "model"
    where = getattr(settings, name) or "the bundled one"
    classes = f"positive is class {scorer.positive_class} of {' and '.join(scorer.classes)}"
    return f"version {scorer.version} ({variable(name)}: {where}; {classes})"


app, slot, keys = build()
