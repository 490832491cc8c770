"""Questions to a running Prometheus, over its HTTP API."""

import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any, Final, NamedTuple

from tests.screenshots import ScreenshotError

_TIMEOUT_SECONDS: Final = 30


class Span(NamedTuple):
    """A time to look at, in seconds of Unix time, and the seconds between two points."""

    start: float
    end: float
    step: float


class Prometheus(NamedTuple):
    """Where it answers. Every method raises ScreenshotError with what it says of a bad query."""

    url: str

    def at(self, expr: str, moment: float) -> Any:
        """The `data` of an instant query: resultType and result."""
        return self._ask("query", query=expr, time=moment)

    def over(self, expr: str, span: Span) -> Any:
        """The `data` of a range query; as Grafana's, its points are at multiples of the step."""
        start = span.start // span.step * span.step
        return self._ask("query_range", query=expr, start=start, end=span.end, step=span.step)

    def label_values(self, label: str, selector: str, span: Span) -> list[str]:
        """The values that a label has on the series of a selector."""
        place = f"label/{label}/values"
        match = {"match[]": selector}
        values: list[str] = self._ask(place, **match, start=span.start, end=span.end)
        return values

    def _ask(self, place: str, **parameters: str | float) -> Any:
        url = f"{self.url}/api/v1/{place}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as reply:
                return json.load(reply)["data"]
        except urllib.error.HTTPError as error:
            raise ScreenshotError(f"{parameters}: {error.read().decode()}") from error
        except OSError as error:
            raise ScreenshotError(f"Prometheus does not answer: {error}") from error
