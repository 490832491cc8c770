"""The WSGI entry: settings → scorer → app. The only module that does something when imported.

gunicorn imports it once in the master, before the workers are forked, so that they share
the libraries' and the model's memory. Nothing is predicted there: CatBoost's threads would
not survive the fork.
"""

from pathlib import Path

from flask import Flask

from model import ModelRefused
from model.regno import BUNDLED, RegnoScorer
from service.app import create_app, create_metrics_app
from service.auth import KeyRing
from service.metrics import Metrics
from service.settings import Settings, SettingsError, of_this_server, stop, variable
from service.slots import Slot
from service.swap.joining import first


def load_scorer(settings: Settings) -> RegnoScorer:
    """The scorer that the settings name, or the live one of their registry.

    Raises SettingsError.
    """
    if settings.models:
        return first(settings)
    try:
        return RegnoScorer.load(Path(settings.model) if settings.model else BUNDLED)
    except ModelRefused as reason:
        raise SettingsError(variable("model"), str(reason)) from reason


def build() -> tuple[Flask, Slot, KeyRing]:
    """The app, the slot of its model and the keys.

    Stops the process when a setting can't be used.
    """
    try:
        settings = of_this_server()
        keys = KeyRing(settings)
        metrics = Metrics(keys.names, kept=settings.metrics_kept)
        slot = Slot(load_scorer(settings), metrics, settings.kept_readings)
        app = create_app(settings, slot, keys, metrics)
        if settings.metrics_bind:
            app.extensions["metrics_app"] = create_metrics_app(settings, slot, keys, metrics)
    except SettingsError as error:
        stop(error)
    return app, slot, keys


app, slot, keys = build()
