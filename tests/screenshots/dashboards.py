"""The committed dashboards: their queries as Grafana sends them, and the check by its types."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from loadgen.common.options import ROOT
from tests.screenshots import ScreenshotError, npm
from tests.screenshots.prometheus import Prometheus, Span

FOLDER: Final = ROOT / "monitoring" / "grafana" / "dashboards"
_SCHEMA: Final = Path(__file__).with_name("schema")
_LABEL_VALUES: Final = re.compile(r"label_values\((?P<selector>.+), (?P<label>\w+)\)")
_QUERY_RESULT: Final = re.compile(r"query_result\((?P<expr>.+)\)")


class Query(NamedTuple):
    """A query of a panel, its variables not yet replaced."""

    panel: int
    title: str
    ref: str
    expr: str
    legend: str
    instant: bool
    table: bool


class Variable(NamedTuple):
    """A variable and its choice: `text` is shown, `value` goes into queries."""

    name: str
    label: str
    text: str
    value: str


def load(name: str) -> dict[str, Any]:
    """A committed dashboard."""
    content: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_bytes())
    return content


def names() -> list[str]:
    """The names of the committed dashboards."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def schema_errors(files: Iterable[Path]) -> list[str]:
    """What Grafana's types do not allow, by file; empty if every file is valid.

    Raises ScreenshotError when the packages can't be installed.
    """
    folder = npm.installed(_SCHEMA)
    paths = [str(path.resolve()) for path in files]
    by_file: dict[str, list[str]] = json.loads(npm.run_node(folder, "check.mjs", *paths))
    return [f"{Path(path).name}: {error}" for path, errors in by_file.items() for error in errors]


def panels(dashboard: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The panels of a dashboard, without the headings of rows."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def queries(dashboard: Mapping[str, Any]) -> Iterator[Query]:
    """Every query of every panel."""
    for panel in panels(dashboard):
        for target in panel["targets"]:
            yield Query(
                panel["id"],
                panel["title"],
                target["refId"],
                target["expr"],
                target.get("legendFormat", ""),
                bool(target.get("instant")),
                target.get("format") == "table",
            )


def variables(dashboard: Mapping[str, Any], prometheus: Prometheus, span: Span) -> list[Variable]:
    """Each variable as it is when the dashboard opens. Raises ScreenshotError."""
    return [
        _chosen(variable, values(variable, prometheus, span))
        for variable in dashboard["templating"]["list"]
    ]


def values(variable: Mapping[str, Any], prometheus: Prometheus, span: Span) -> list[str]:
    """The values that can be chosen for a variable. Raises ScreenshotError."""
    query = variable["query"]
    if match := _LABEL_VALUES.fullmatch(query):
        return prometheus.label_values(match["label"], match["selector"], span)
    if match := _QUERY_RESULT.fullmatch(query):
        series = prometheus.at(match["expr"], span.end)["result"]
        matches = (re.search(variable["regex"].strip("/"), _text(one)) for one in series)
        return sorted({one[1] for one in matches if one})
    raise ScreenshotError(f"{query}: neither label_values(selector, label) nor query_result(query)")


def _text(series: Mapping[str, Any]) -> str:
    """A series as Grafana matches it with a variable's pattern, without the value."""
    labels = ",".join(f'{name}="{value}"' for name, value in series["metric"].items())
    return f"{{{labels}}}"


def _chosen(variable: Mapping[str, Any], offered: list[str]) -> Variable:
    """All values, or the one that the dashboard names, or the first."""
    name, label = variable["name"], variable["label"]
    if variable["includeAll"]:
        return Variable(name, label, "All", f"({'|'.join(map(_escaped, offered))})")
    named = variable["current"]["text"]
    one = named if named in offered else next(iter(offered), "")
    return Variable(name, label, one, one)


def _escaped(value: str) -> str:
    """A value as a pattern inside a PromQL string, where each backslash is doubled."""
    return re.sub(r"[\\$^*{}\[\]'+?.()|]", lambda match: rf"\\{match[0]}", value)


def filled_in(expr: str, chosen: list[Variable], span: Span, scrape_seconds: float) -> str:
    """A query with its variables replaced, Grafana's own ones included."""
    # Grafana's rule: a window that holds two points at any zoom.
    window = max(span.step + scrape_seconds, 4 * scrape_seconds)
    known = {variable.name: variable.value for variable in chosen}
    known["__rate_interval"] = f"{round(window)}s"
    known["__interval"] = f"{round(span.step)}s"
    return re.sub(r"\$(\w+)", lambda match: known.get(match[1], match[0]), expr)


def run(
    query: Query, chosen: list[Variable], prometheus: Prometheus, span: Span, scrape_seconds: float
) -> Any:
    """The data of a query's reply. Raises ScreenshotError."""
    expr = filled_in(query.expr, chosen, span, scrape_seconds)
    return prometheus.at(expr, span.end) if query.instant else prometheus.over(expr, span)
