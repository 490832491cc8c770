"""An app whose live model has a second one beside it."""

from typing import TYPE_CHECKING, Any

import gevent
from flask.testing import FlaskClient

from service.shadow import Shadow

if TYPE_CHECKING:
    from service.metrics import Metrics
    from service.slots import Slot

KEY = {"x-api-key": "123321"}


class Beside:
    """An app with a shadow model, and what is counted there."""

    def __init__(self, client: FlaskClient, shadow: Shadow) -> None:
        self.client = client
        self.shadow = shadow
        self.slot: Slot = client.application.extensions["slot"]
        self.slot.shadow = shadow
        self._metrics: Metrics = client.application.extensions["metrics"]

    def post(self, body: Any) -> Any:
        reply = self.client.post("/reg/", json=body, headers=KEY)
        assert reply.status_code == 200
        return reply.get_json()["body"]

    def compared(self) -> None:
        """Wait until nothing waits."""
        with gevent.Timeout(20):
            while self.shadow.waiting:
                gevent.sleep(0.01)

    def counted(self, name: str) -> dict[tuple[str, ...], float]:
        """The samples of a name that are not 0, by the values of their labels."""
        return {
            tuple(value for _, value in sorted(sample.labels.items())): sample.value
            for family in self._metrics.registry.collect()
            for sample in family.samples
            if sample.name == name and sample.value
        }

    def rows(self) -> dict[str, float]:
        """Rows by what became of them."""
        return {result: n for (result,), n in self.counted("scoring_shadow_rows_total").items()}
