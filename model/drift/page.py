"""The report on drift as one HTML page, which needs no other file."""

from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from model.drift.comparison import Comparison, Rows

_templates: Final = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    undefined=StrictUndefined,
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)


def html(compared: Comparison, before: Rows | None, current: Rows, version: str) -> str:
    """The page: the PSI of each variable, and the shares of its bins before and now."""
    page = _templates.get_template("drift.html.j2")
    return page.render(compared=compared, before=before, current=current, version=version)
