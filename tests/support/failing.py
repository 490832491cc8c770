"""The real app in workers whose background work fails: `… -- tests.support.failing:app`.

Not for import: it builds the app. All fail with a plate and a key in the exception's text.
"""

from threading import Thread
from typing import Any

from service.telemetry.error_reports import Reports
from service.telemetry.metrics.predictions import ModelPredictions
from service.telemetry.metrics.process import ProcessMetrics
from tests.support.breaking import app, fail

__all__ = ["app"]


def _fail(*_: Any) -> None:
    fail()


for owner, name in ((ModelPredictions, "publish"), (ProcessMetrics, "publish"), (Reports, "stop")):
    setattr(owner, name, _fail)


class Unraisable:
    """Fails where no caller can catch it."""

    def __del__(self) -> None:
        fail()


@app.flask.get("/thread")
def thread() -> str:
    """Fail in a thread that nothing joins."""
    failing = Thread(target=fail)
    failing.start()
    failing.join()
    return "well"


@app.flask.get("/unraisable")
def unraisable() -> str:
    """Fail where an object is forgotten."""
    Unraisable()
    return "well"
