"""The page on the quality of logged decisions, by labels that came later."""

from typing import Any

from model.regno.evaluation import charts, render


def html(measured: Any, about: str) -> str:
    """One HTML file that needs nothing else; `measured` has the figures, in all and by groups."""
    return render.decisions(measured, about, charts.of_decisions(measured))
