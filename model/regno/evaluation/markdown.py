"""Tables in Markdown."""

from collections.abc import Mapping
from math import isnan


def table(corner: str, rows: Mapping[str, Mapping[str, object]], columns: Mapping[str, str]) -> str:
    """A line for each row, by its name; `columns` are the keys to show and their headings."""
    head = f"| {corner} | {' | '.join(columns.values())} |"
    rule = "|---|" + "---:|" * len(columns)
    body = (
        f"| {cell(name)} | {' | '.join(figure(row[column]) for column in columns)} |"
        for name, row in rows.items()
    )
    return "\n".join((head, rule, *body))


def cell(text: str) -> str:
    """A text from the data as it can stand in a table."""
    text = " ".join(text.split())
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")


def figure(value: object) -> str:
    """Four places of a fraction, a dash for what has no value."""
    if isinstance(value, float):
        return "–" if isnan(value) else f"{value:.4f}"
    return "–" if value is None else cell(str(value))
