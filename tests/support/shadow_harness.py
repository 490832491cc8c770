"""An app with a live model and a shadow model."""

from asyncio import Runner, sleep, timeout
from collections.abc import Callable
from typing import Any, TypeVar

from flask.testing import FlaskClient

from service.scoring.shadow import Shadow
from tests.support.parts import parts_of

KEY = {"x-api-key": "123321"}
T = TypeVar("T")


class ShadowHarness:
    """An app with a shadow model, and its counts.

    The shadow scores in an event loop, which runs only while one of these methods does.
    """

    def __init__(self, client: FlaskClient, shadow: Shadow, runner: Runner) -> None:
        self.client = client
        self.shadow = shadow
        self.parts = parts_of(client.application)
        self.parts.slot.shadow = shadow
        self._runner = runner

    def call(self, function: Callable[[], T]) -> T:
        """Call a function in the loop; its result."""

        async def call() -> T:
            return function()

        return self._runner.run(call())

    def post(self, body: Any) -> Any:
        reply = self.call(lambda: self.client.post("/reg/", json=body, headers=KEY))
        assert reply.status_code == 200
        return reply.get_json()["body"]

    def compared(self) -> None:
        """Wait until the shadow has scored all rows that wait."""
        self._runner.run(self._compared())

    async def _compared(self) -> None:
        async with timeout(20):
            while self.shadow.waiting:  # noqa: ASYNC110 - it has no event for that
                await sleep(0.01)

    def run(self, seconds: float) -> None:
        """Let the loop run for a while."""
        self._runner.run(sleep(seconds))

    def counted(self, name: str) -> dict[tuple[str, ...], float]:
        """The samples of a name that are not 0, by the values of their labels."""
        return {
            tuple(value for _, value in sorted(sample.labels.items())): sample.value
            for family in self.parts.metrics.registry.collect()
            for sample in family.samples
            if sample.name == name and sample.value
        }

    def rows(self) -> dict[str, float]:
        """Rows by their result."""
        return {result: n for (result,), n in self.counted("scoring_shadow_rows_total").items()}
