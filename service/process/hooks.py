"""gunicorn's hooks for the processes that score, over HTTP or AMQP.

`service.wsgi` is imported within the hooks: gunicorn loads it after the configuration file.
"""

from collections.abc import Callable
from itertools import chain
from typing import TYPE_CHECKING, Any

from model import ModelRefused
from service.process.server_hooks import ServerHooks
from service.telemetry.failures import contained

if TYPE_CHECKING:
    from service.app import Parts
    from service.process.master import Master


class ScoringHooks(ServerHooks):
    """Those of every server, with models and what follows their versions."""

    @property
    def parts(self) -> "Parts":
        """The parts of the scoring app."""
        from service.wsgi import app  # noqa: PLC0415

        return app.parts

    def start(self, worker: Any) -> Callable[..., Any]:
        """Warm the models, and start what follows their versions.

        Raises ModelRefused or RegistryError if the version to serve can't be loaded.
        """
        from service.rollout.startup import start_followers  # noqa: PLC0415

        parts = self.parts
        for served in parts.served:
            counted = parts.metrics.of(served.model.name).rollout
            try:
                served.slot.warm_up()
            except ModelRefused:
                counted.loaded("refused")
                raise
            counted.loaded("loaded")
            served.slot.bind_worker(str(worker.place))
        if parts.slot.recorder:
            parts.slot.recorder.started(parts.slot.current)
        return start_followers(parts, parts.served, worker.place)

    def publish(self) -> None:
        """Write the stages of scoring, and what is counted of predictions and captured rows."""
        parts = self.parts
        contained("stages", parts.metrics.scoring.publish)
        for live in chain.from_iterable(served.slot.served for served in parts.served):
            contained("drift", live.predictions.publish)
        if parts.slot.capture:
            contained("capture", parts.slot.capture.publish)
        if parts.slot.recorder:
            contained("decisions", parts.slot.recorder.publish)

    def close(self) -> None:
        """Write the captured rows and the decisions that wait."""
        slot = self.parts.slot
        if slot.capture:
            contained("capture", slot.capture.close)
        if slot.recorder:
            slot.recorder.note("stop", version=slot.current.version)
            contained("decisions", slot.recorder.close)

    def child_exit(self, server: "Master", worker: Any) -> None:
        """In the master: forget what the worker said of its versions, too."""
        super().child_exit(server, worker)
        for served in self.parts.served:
            served.rollout_state.clear_status(worker.place)
