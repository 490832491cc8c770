"""Compare the readings of two files: `python -m model.drift --help`."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from model.bulk.outcome import by_reason
from model.bulk.output import whole_file
from model.cli import Exit, command_parser, exit_status, os_errors_exit
from model.errors import DataRefused, ModelRefused
from model.registry import check_model
from model.regno.evaluation import drift
from model.regno.evaluation.drift import Comparison, Rows, VariableDrift
from model.regno.scorer import BUNDLED, RegnoScorer
from model.tables.errors import TableRefused
from model.tables.format import add_format_options, options_of

_SHOWN: Final = 12

_DESCRIPTION: Final = """\
Compare the readings of a file with those of another, or with those that the model was measured
on: for each feature and for the scores the population stability index (PSI), by the same bins
and formula as in the service. Below 0.1 there is no relevant change, above 0.25 the population
is another. Files may be CSV of any kind, JSON lines, Parquet or Excel; no labels are needed.
"""
_EPILOG: Final = """\
exit status: 0 done, 1 the PSI of the inputs (weighted by importance) or of the scores is above
--max-psi, 2 wrong usage, 65 a file is no such table, has no reading, or the model is refused, 66 a
file can't be read, 73 the report can't be written.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare as the command line says; print a table. Returns the exit status."""
    options = _options(arguments)
    return exit_status(options.prog, partial(_run, options))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = command_parser("python -m model.drift", _DESCRIPTION, _EPILOG)
    add = parser.add_argument
    add(
        "reference",
        nargs="?",
        type=Path,
        help="file to compare with (default: the reference in the model's manifest)",
    )
    add("current", type=Path, help="file of the readings in question")
    add("--model", type=Path, help="a model file (default: the bundled one)")
    add(
        "--positive-class",
        default="",
        metavar="CLASS",
        help="the class that means that the network is right, if the model's are not 0 and 1",
    )
    add("--html", type=Path, metavar="FILE", help="write a report with the shares of all bins")
    add("--max-psi", type=float, metavar="PSI", help="fail above this PSI of inputs or scores")
    add_format_options(parser)
    return parser.parse_args(arguments)


def _run(options: argparse.Namespace) -> None:
    scorer = _scorer(options)
    before = _read(options.reference, scorer, options) if options.reference else None
    current = _read(options.current, scorer, options)
    if before:
        reference = drift.reference_of(before, scorer.importances())
    else:
        reference = scorer.manifest.reference if scorer.manifest else []
        if not reference:
            raise Exit(65, "the model has no drift reference: name a file to compare with")
    compared = drift.compare(reference, current, len(before.positives) if before else None)
    sys.stdout.write(_text(compared, before, current))
    if options.html:
        from model.regno.evaluation.drift_page import html  # noqa: PLC0415 - imports the templates' engine

        with os_errors_exit(73, options.html), whole_file(options.html) as file:
            file.write(html(compared, before, current, scorer.version).encode())
    worst = max(compared.psi_weighted, compared.psi_score)
    if options.max_psi is not None and worst > options.max_psi:
        raise Exit(1, f"the PSI {worst:.3f} is above {options.max_psi:g} (--max-psi)")


def _scorer(options: argparse.Namespace) -> RegnoScorer:
    try:
        if options.model:
            check_model(options.model, options.positive_class)
        return RegnoScorer.load(options.model or BUNDLED, options.positive_class)
    except ModelRefused as error:
        raise Exit(65, str(error)) from error


def _read(path: Path, scorer: RegnoScorer, options: argparse.Namespace) -> Rows:
    with os_errors_exit(66, path), _refusals(path):
        rows = drift.read(path, scorer, options_of(options))
    said = f"{path}: {rows.format}; {len(rows.positives)} readings"
    bad = f", {rows.faults.total()} bad rows\n{by_reason(rows.faults)}" if rows.faults else "\n"
    sys.stderr.write(f"{said}{bad}")
    return rows


@contextmanager
def _refusals(path: Path) -> Iterator[None]:
    try:
        yield
    except (TableRefused, DataRefused) as error:
        raise Exit(65, f"{path} is refused: {error}") from error


def _text(compared: Comparison, before: Rows | None, current: Rows) -> str:
    """The table for the terminal: what has moved most."""
    lines = [f"{'variable':<24}{'PSI':>8}{'by chance':>11}{'importance':>12}  greatest change"]
    lines += map(_line, compared.variables[:_SHOWN])
    if (rest := len(compared.variables) - _SHOWN) > 0:
        lines.append(f"… {rest} variables with a smaller PSI")
    then = f"{before.expected_accuracy:.3f} before, " if before else ""
    lines += [
        "",
        f"inputs, weighted by importance: PSI {compared.psi_weighted:.3f}",
        f"scores: PSI {compared.psi_score:.3f}",
        f"expected accuracy: {then}{current.expected_accuracy:.3f} now",
        "",
    ]
    return "\n".join(lines)


def _line(of: VariableDrift) -> str:
    at = max(range(len(of.bins)), key=lambda place: abs(of.now[place] - of.then[place]))
    chance = "" if of.by_chance is None else f"{of.by_chance:.3f}"
    importance = f"{of.importance:.1%}" if of.importance else ""
    change = f"{of.bins[at]}: {of.then[at]:.1%} → {of.now[at]:.1%}"
    return f"{of.name:<24}{of.psi:>8.3f}{chance:>11}{importance:>12}  {change}"


if __name__ == "__main__":
    sys.exit(main())
