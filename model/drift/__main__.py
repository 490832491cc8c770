"""Compare the requests of two files: `python -m model.drift --help`."""

import argparse
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

from model import catalog
from model.bulk.outcome import by_reason
from model.bulk.output import whole_file
from model.cli import Exit, command_parser, exit_status, os_errors_exit, share
from model.drift.comparison import Comparison, Rows, VariableDrift, compare
from model.errors import DataRefused, ModelRefused
from model.registry import check_model
from model.scorer import Model, Scorer
from model.tables.errors import TableRefused
from model.tables.format import add_format_options, options_of

_SHOWN: Final = 12

_DESCRIPTION: Final = """\
Compare the readings of a file with those of another, or with those that the model was measured
on: for each feature and for the scores the population stability index (PSI), by the same bins
and formula as in the service. Below 0.1 there is no relevant change, above 0.25 the population
is another. Few rows give a PSI above 0 by chance: its mean is shown beside each, and ≈ marks a PSI
that chance explains. Files may be CSV of any kind, JSON lines, Parquet or Excel; no labels are
needed.
"""
_EPILOG: Final = """\
exit status: 0 done, 1 done but the PSI of the inputs (weighted by importance) or of the scores is
above --max-psi, or the share of bad rows in a file is above --max-bad (the table and the report are
written all the same), 2 wrong usage, 65 a file is no such table, has no reading, or the model is
refused, 66 a file can't be read, 73 the report can't be written.
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
    add(
        "--name",
        choices=catalog.entries(),
        default=catalog.DEFAULT,
        help=f"which model of the catalog (default: {catalog.DEFAULT})",
    )
    add("--model", type=Path, help="a model file (default: the bundled one)")
    add(
        "--positive-class",
        default="",
        metavar="CLASS",
        help="the class that means that the network is right, if the model's are not 0 and 1",
    )
    add("--html", type=Path, metavar="FILE", help="write a report with the shares of all bins")
    add("--max-psi", type=_psi, metavar="PSI", help="fail above this PSI of inputs or scores")
    add(
        "--max-bad",
        type=share,
        metavar="SHARE",
        help="share of bad rows in a file, 0 to 1, above which the run fails (default: none)",
    )
    add_format_options(parser)
    return parser.parse_args(arguments)


def _psi(text: str) -> float:
    with suppress(ValueError):
        if 0 <= (limit := float(text)) < math.inf:
            return limit
    raise argparse.ArgumentTypeError(f"{text!r} is not a number of 0 or more")


def _run(options: argparse.Namespace) -> None:
    with _model_refusals():
        model = catalog.entry(options.name).load()
        scorer = _scorer(model, options)
        before = _read(model, options.reference, scorer, options) if options.reference else None
        current = _read(model, options.current, scorer, options)
        reference = model.drift_reference(before, scorer) if before else None
    if not (bins := scorer.drift_counter(reference).reference):
        raise Exit(65, "the model has no drift reference: name a file to compare with")
    rows = len(before.positives) if before else None
    compared = compare(scorer, bins, current, rows, unweighted=model.time_features)
    sys.stdout.write(_text(compared, before, current))
    if compared.has_few_rows:
        sys.stderr.write(_few_rows(compared))
    if options.html:
        from model.drift.page import html  # noqa: PLC0415 - imports the templates' engine

        with os_errors_exit(73, options.html), whole_file(options.html) as file:
            file.write(html(compared, before, current, scorer.version).encode())
    _check(compared, {options.reference: before, options.current: current}, options)


def _check(
    compared: Comparison, files: Mapping[Path, Rows | None], options: argparse.Namespace
) -> None:
    """Raise Exit if a limit of the command line is exceeded."""
    for path, rows in files.items():
        if rows and options.max_bad is not None and rows.bad_share > options.max_bad:
            bad = rows.faults.total()
            raise Exit(
                1,
                f"{path}: {bad} of {bad + len(rows.positives)} rows are bad: "
                f"a share above {options.max_bad:g} (--max-bad)",
            )
    worst = max(compared.psi_weighted, compared.psi_score)
    if options.max_psi is not None and worst > options.max_psi:
        raise Exit(1, f"the PSI {worst:.3g} is above {options.max_psi:g} (--max-psi)")


def _few_rows(compared: Comparison) -> str:
    return (
        "warning: few rows: without any change the PSI of the inputs would be "
        f"{compared.weighted_by_chance:.3f} and that of the scores "
        f"{compared.score.by_chance:.3f} on average\n"
    )


def _scorer(model: Model, options: argparse.Namespace) -> Scorer:
    if options.model:
        check_model(options.model, options.positive_class, options.name)
    if not (path := options.model or catalog.entry(options.name).bundled):
        raise Exit(2, f"{options.name} has no bundled model: name one by --model")
    scorer: Scorer = model.load(path, options.positive_class)
    return scorer


def _read(model: Model, path: Path, scorer: Scorer, options: argparse.Namespace) -> Rows:
    with os_errors_exit(66, path), _refusals(path):
        rows = model.drift_rows(path, scorer, options_of(options))
    said = f"{path}: {rows.format}; {len(rows.positives)} readings"
    bad = f", {rows.faults.total()} bad rows\n{by_reason(rows.faults)}" if rows.faults else "\n"
    sys.stderr.write(f"{said}{bad}")
    return rows


@contextmanager
def _model_refusals() -> Iterator[None]:
    try:
        yield
    except ModelRefused as error:
        raise Exit(65, str(error)) from error


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
    scores = compared.score
    by_chance = f"{compared.weighted_by_chance:.3f} by chance"
    explained = ", which explains it" if scores.is_chance else ""
    then = f"{before.expected_accuracy:.3f} before, " if before else ""
    lines += [
        "",
        f"inputs, weighted by importance: PSI {compared.psi_weighted:.3f}, {by_chance}",
        f"scores: PSI {scores.psi:.3f}, {scores.by_chance:.3f} by chance{explained}",
        f"expected accuracy: {then}{current.expected_accuracy:.3f} now",
        "",
    ]
    return "\n".join(lines)


def _line(of: VariableDrift) -> str:
    at = max(range(len(of.bins)), key=lambda place: abs(of.now[place] - of.then[place]))
    chance = f"{'≈ ' if of.is_chance else ''}{of.by_chance:.3f}"
    importance = f"{of.importance:.1%}" if of.importance else ""
    change = f"{of.bins[at]}: {of.then[at]:.1%} → {of.now[at]:.1%}"
    return f"{of.name:<24}{of.psi:>8.3f}{chance:>11}{importance:>12}  {change}"


if __name__ == "__main__":
    sys.exit(main())
