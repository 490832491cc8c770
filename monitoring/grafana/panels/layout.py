"""The layout of every dashboard: sections, variables, links, annotations."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from grafana_foundation_sdk.builders.dashboard import (
    AnnotationQuery,
    Dashboard,
    DashboardLink,
    QueryVariable,
    Row,
)
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import AnnotationQuery as Annotation
from grafana_foundation_sdk.models.dashboard import Dashboard as Built
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from monitoring.grafana.panels.kinds import NEUTRAL, SOURCE, Panel

TAG: Final = "scoring"


class Section(NamedTuple):
    """A row of the dashboard: its heading, and its panels from left to right."""

    heading: str
    panels: Sequence[Panel]


def variable(name: str, label: str, labels_of: str, first: str = "") -> QueryVariable:
    """A choice among the values of a label; `labels_of` is `metric{…}, label`.

    The choice is any number of values, at first all; with `first` it is one value, at first that.
    """
    chosen = VariableOption(selected=True, text=first, value=first)
    everything = VariableOption(selected=True, text=["All"], value=["$__all"])
    return (
        QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query(f"label_values({labels_of})")
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(not first)
        .include_all(not first)
        .current(chosen if first else everything)
    )


def variable_now(name: str, label: str, expr: str, label_of: str, first: str) -> QueryVariable:
    """A choice of one value of a label in the result of a query at the end of the time shown."""
    made = variable(name, label, "", first).query(f"query_result({expr})")
    return made.regex(f'/{label_of}="([^"]+)"/')


INSTANCE: Final = variable("instance", "Instance", 'up{job=~"scoring|jobs|decisions"}, instance')


def dashboard(
    name: str,
    title: str,
    description: str,
    sections: Sequence[Section],
    *variables: QueryVariable,
) -> Built:
    """A dashboard with sections from top to bottom."""
    made = (
        Dashboard(title)
        .uid(f"scoring-{name}")
        .description(description)
        .tags([TAG])
        .readonly()
        .timezone("browser")
        .time("now-1h", "now")
        .refresh("30s")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .variables([INSTANCE, *variables])
        .annotations(_annotations())
        .link(_others())
    )
    for section in sections:
        made.with_row(Row(section.heading))
        for panel in section.panels:
            made.with_panel(panel)
    return _numbered(made.build())


def _others() -> DashboardLink:
    """Links to the other dashboards, which keep the time and the instance."""
    return (
        DashboardLink("Scoring")
        .type(DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .as_dropdown(as_dropdown=False)
        .include_vars(include_vars=True)
        .keep_time(keep_time=True)
    )


def _annotations() -> list[Builder[Annotation]]:
    """Vertical lines at events that may cause a change."""
    return [
        AnnotationQuery()
        .name(name)
        .datasource(SOURCE)
        .enable(enable=True)
        .icon_color(color)
        .expr(expr)
        for name, color, expr in (
            (
                "Model loads",
                NEUTRAL,
                'sum(changes(scoring_model_loads_total{result="loaded"}[1m])) > 0',
            ),
            (
                "Worker starts",
                "purple",
                "sum(changes(scoring_worker_starts_total[1m])) > 0",
            ),
        )
    ]


def _numbered(built: Built) -> Built:
    for number, panel in enumerate(built.panels or (), start=1):
        panel.id_val = number
    return built
