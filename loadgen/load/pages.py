"""The files of a run: JSON, and an HTML page with table and plots."""

import html
import io
import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Final

from loadgen.common.errors import BadFile
from loadgen.load.report import Run, as_json, as_text

_PAGE: Final = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; padding: 0 1rem;
  color: #1c2330; background: #fff; }}
h1 {{ font-size: 1.5rem; }}
.held {{ color: #1a7f37; }} .broken, .nothing, .no {{ color: #c62828; }}
pre {{ background: #f4f5f7; padding: 1rem; overflow-x: auto; border-radius: 6px; }}
svg {{ width: 100%; height: auto; }} footer {{ color: #667; font-size: .85rem; }}
</style>
<h1>Load test {shape}: <span class="{colour}">{outcome}</span></h1>
{plots}
<pre>{table}</pre>
<footer>{about}</footer>
</html>
"""


def prepare(folder: Path) -> None:
    """Create the folder before the run, and check that it is writable. Raises BadFile."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=folder).close()
    except OSError as error:
        raise BadFile(f"{folder}: {error.strerror}") from error


def write(run: Run, folder: Path) -> list[Path]:
    """Write `<shape>.json` and `<shape>.html` into a folder; their paths. Raises BadFile."""
    data, page = (folder / f"{run.shape}.{ending}" for ending in ("json", "html"))
    content = json.dumps(as_json(run), ensure_ascii=False, indent=1)
    try:
        data.write_text(content + "\n", encoding="utf-8")
        page.write_text(_page(run), encoding="utf-8")
    except OSError as error:
        raise BadFile(f"{folder}: {error.strerror}") from error
    return [data, page]


def _page(run: Run) -> str:
    outcome = run.outcome.value
    about = "; ".join(f"{name}: {value}" for name, value in run.about.items())
    return _PAGE.format(
        title=html.escape(f"{run.shape}: {outcome}"),
        shape=html.escape(run.shape),
        outcome=html.escape(outcome),
        colour=outcome.replace(":", "").split()[0],
        plots=_plots(run.seconds) if run.seconds else "",
        table=html.escape(as_text(run)),
        about=html.escape(about),
    )


def _plots(rows: Sequence[dict[str, Any]]) -> str:
    """Rate, latency, failures and lateness over time, as one SVG."""
    # Imported late: it takes a second, which would delay the start of every generator.
    from matplotlib.figure import Figure  # noqa: PLC0415
    from matplotlib.ticker import LogLocator  # noqa: PLC0415

    figure = Figure(figsize=(11, 8), layout="constrained")
    rate, times, own = figure.subplots(3, 1, sharex=True, height_ratios=(3, 3, 2))
    _draw(rate, rows, {"target": "#8a94a6", "right": "#1a7f37", "failed": "#c62828"})
    rate.set_ylabel("requests per second")
    finished = {"finished p50": "#0b7285", "finished p99": "#b02a5b"}
    _draw(
        times,
        rows,
        {"p50": "#1f77b4", "p95": "#9467bd", "p99": "#d97706"}
        | {name: colour for name, colour in finished.items() if name in rows[0]},
    )
    times.set_yscale("log")
    times.yaxis.set_major_formatter("{x:g}")
    times.yaxis.set_minor_locator(LogLocator(subs=(2, 3, 5)))
    times.yaxis.set_minor_formatter("{x:g}")
    times.set_ylabel("latency from the due time, ms")
    _draw(own, rows, {"late": "#555555"})
    own.set_ylabel("lateness of the generator, ms")
    own.set_xlabel("seconds")
    svg = io.StringIO()
    figure.savefig(svg, format="svg", metadata={"Date": None})
    return "".join(svg.getvalue().partition("<svg")[1:])


def _draw(axes: Any, rows: Sequence[dict[str, Any]], colours: dict[str, str]) -> None:
    seconds = [row["second"] for row in rows]
    for name, colour in colours.items():
        values = [float("nan") if row[name] is None else row[name] for row in rows]
        axes.plot(seconds, values, label=name, color=colour, linewidth=1.4)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=len(colours), frameon=False)
    axes.grid(alpha=0.3)
