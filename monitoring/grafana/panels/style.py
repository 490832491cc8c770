"""Styles of panels: stacks, bars, limits, colours by name, columns."""

from collections.abc import Mapping
from typing import TypeVar

from grafana_foundation_sdk.builders import common, stat, table, timeseries
from grafana_foundation_sdk.models import common as shapes
from grafana_foundation_sdk.models.dashboard import (
    DynamicConfigValue,
    ValueMap,
    ValueMappingResult,
)

from monitoring.grafana.panels.kinds import BAD, threshold_steps

_Kind = TypeVar("_Kind", timeseries.Panel, stat.Panel, table.Panel)


def stacked(panel: timeseries.Panel) -> timeseries.Panel:
    """Stacked series, for parts of a whole."""
    stack = common.StackingConfig().mode(shapes.StackingMode.NORMAL).group("A")
    return panel.stacking(stack).fill_opacity(50).line_width(0)


def stepped(panel: timeseries.Panel) -> timeseries.Panel:
    """Steps, for numbers of things that exist."""
    return panel.line_interpolation(shapes.LineInterpolation.STEP_AFTER).decimals(0)


def counted(panel: timeseries.Panel) -> timeseries.Panel:
    """Bars, for the number of events in each interval."""
    bars = panel.draw_style(shapes.GraphDrawStyle.BARS).fill_opacity(60)
    return bars.decimals(0).axis_soft_max(3)


def limited(panel: timeseries.Panel, limit: float) -> timeseries.Panel:
    """A dashed red line at a limit."""
    style = common.GraphThresholdsStyleConfig().mode(shapes.GraphTresholdsStyleMode.DASHED)
    return panel.thresholds(
        threshold_steps(((None, "transparent"), (limit, BAD)))
    ).thresholds_style(style)


def coloured(panel: timeseries.Panel, colors: Mapping[str, str]) -> timeseries.Panel:
    """A colour for each series by its legend; a pattern gives shades to all that it matches."""
    for name, color in colors.items():
        mode = "shades" if name.startswith("/") else "fixed"
        value = DynamicConfigValue(id_val="color", value={"mode": mode, "fixedColor": color})
        if mode == "shades":
            panel.override_by_regexp(name, [value])
        else:
            panel.override_by_name(name, [value])
    return panel


def ordered(panel: table.Panel, head: str, *, descending: bool = False) -> table.Panel:
    """Rows sorted by a column."""
    return panel.sort_by([common.TableSortByFieldState().display_name(head).desc(descending)])


def column(panel: table.Panel, head: str, **properties: object) -> table.Panel:
    """Properties of a column; `cell` is its kind of cell, `width` is in pixels."""
    named = {"cell": "custom.cellOptions", "width": "custom.width"}
    values = [
        DynamicConfigValue(id_val=named.get(name, name), value=value)
        for name, value in properties.items()
    ]
    return panel.override_by_name(head, values)


def listed_right(panel: timeseries.Panel, width: int = 200) -> timeseries.Panel:
    """The legend to the right of the graph, so many pixels wide, for many series or long names."""
    legend = common.VizLegendOptions().show_legend(show_legend=True)
    return panel.legend(
        legend.display_mode(shapes.LegendDisplayMode.LIST)
        .placement(shapes.LegendPlacement.RIGHT)
        .width(width)
    )


def bars(panel: table.Panel, head: str, **properties: object) -> table.Panel:
    """The values of a column as bars from zero, with numbers."""
    cell = {"type": "gauge", "mode": "basic", "valueDisplayMode": "text"}
    return column(panel, head, min=0, cell=cell, **properties)


def if_empty(panel: _Kind, text: str) -> _Kind:
    """A text for a panel without values, where that is not a fault."""
    return panel.no_value(text)


def in_words(value: float, text: str, color: str) -> ValueMap:
    """A mapping of one value to a text in a colour."""
    return ValueMap(options={f"{value:g}": ValueMappingResult(text=text, color=color)})
