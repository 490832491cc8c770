"""The kinds of panels: graph, number, table, each with a unit and a description."""

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias, TypeVar

from grafana_foundation_sdk.builders import common, stat, table, timeseries
from grafana_foundation_sdk.builders.dashboard import FieldColor, ThresholdsConfig
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.models import common as shapes
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    DataTransformerConfig,
    DynamicConfigValue,
    FieldColorModeId,
    Threshold,
    ThresholdsMode,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

Panel: TypeAlias = timeseries.Panel | stat.Panel | table.Panel
_Kind = TypeVar("_Kind", timeseries.Panel, stat.Panel, table.Panel)

# The uid that provisioning/datasources gives it.
SOURCE: Final = DataSourceRef(type_val="prometheus", uid="prometheus")

GOOD: Final = "green"
DOUBTFUL: Final = "orange"
BAD: Final = "red"
NEUTRAL: Final = "blue"

# Colours, each from a value upwards; the first has no value and is the colour below the others.
Steps: TypeAlias = Sequence[tuple[float | None, str]]
PLAIN: Final[Steps] = ((None, NEUTRAL),)


def over_time(expr: str, legend: str = "") -> Dataquery:
    """A range query over the time that is shown; `legend` may have labels as {{label}}."""
    return Dataquery().expr(expr).range().legend_format(legend or "__auto")


def now(expr: str, legend: str = "") -> Dataquery:
    """An instant query at the end of the time that is shown."""
    return Dataquery().expr(expr).instant().legend_format(legend or "__auto")


def cells(expr: str) -> Dataquery:
    """An instant query for a table: a row for each series, a column for each label."""
    return now(expr).format(PromQueryFormat.TABLE)


def graph(title: str, unit: str, description: str, *queries: Dataquery) -> timeseries.Panel:
    """Lines over time, from zero upwards."""
    legend = common.VizLegendOptions().show_legend(show_legend=True)
    panel = (
        timeseries.Panel()
        .min(0)
        .color_scheme(FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC))
        .line_width(1)
        .show_points(shapes.VisibilityMode.NEVER)
        .legend(
            legend.display_mode(shapes.LegendDisplayMode.LIST).placement(
                shapes.LegendPlacement.BOTTOM
            )
        )
        .tooltip(common.VizTooltipOptions().mode(shapes.TooltipDisplayMode.MULTI))
    )
    if unit == "percentunit":  # a line of zeros would have an axis up to 10,000 %
        panel.axis_soft_max(0.01)
    return _described(panel, title, unit, description, queries).span(8).height(8)


def number(
    title: str, unit: str, description: str, query: Dataquery, steps: Steps = PLAIN
) -> stat.Panel:
    """A single number, coloured by its value."""
    panel = (
        stat.Panel()
        .thresholds(threshold_steps(steps))
        .color_scheme(FieldColor().mode(FieldColorModeId.THRESHOLDS))
        .color_mode(shapes.BigValueColorMode.VALUE)
        .graph_mode(shapes.BigValueGraphMode.NONE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    )
    return _described(panel, title, unit, description, (query,)).span(4).height(4)


def grid(  # noqa: PLR0913, PLR0917 - a table has so many parts
    title: str,
    unit: str,
    description: str,
    queries: Sequence[Dataquery],
    columns: Mapping[str, str],
    number: str = "",
) -> table.Panel:
    """A table of labels and values.

    `columns` are the shown columns in order, with their heads. A value has the letter of its query
    as name, A for the first. The label `number`, if given, is converted to a number, so that rows
    can be sorted by it.
    """
    fields = {_field(name, len(queries)): head for name, head in columns.items()}
    order = {name: place for place, name in enumerate(fields)}
    steps = {
        "merge": {},
        "filterFieldsByName": {"include": {"names": list(fields)}},
        **({"convertFieldType": _as_number(number)} if number else {}),
        "organize": {"indexByName": order, "renameByName": fields, "excludeByName": {}},
    }
    panel = (
        table.Panel()
        .thresholds(threshold_steps(PLAIN))
        .cell_height(shapes.TableCellHeight.SM)
        .override_by_regexp("/.*/", [DynamicConfigValue(id_val="custom.minWidth", value=50)])
        .transformations([DataTransformerConfig(id_val=k, options=v) for k, v in steps.items()])
    )
    return _described(panel, title, unit, description, queries).span(8).height(8)


def _as_number(label: str) -> dict[str, object]:
    return {"conversions": [{"targetField": label, "destinationType": "number"}]}


def _field(name: str, queries: int) -> str:
    """Grafana's name of a column: values are named by their query if there are several."""
    is_value = len(name) == 1
    return name if not is_value else f"Value #{name}" if queries > 1 else "Value"


def threshold_steps(steps: Steps) -> ThresholdsConfig:
    """Colours by value as a panel's thresholds."""
    listed = [Threshold(value=value, color=color) for value, color in steps]
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(listed)


def _described(
    panel: _Kind, title: str, unit: str, description: str, queries: Sequence[Dataquery]
) -> _Kind:
    panel.title(title).unit(unit).description(description).datasource(SOURCE)
    for place, query in enumerate(queries):
        panel.with_target(query.ref_id(chr(ord("A") + place)).datasource(SOURCE))
    return panel
