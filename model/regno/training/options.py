"""The options of `python -m model.train`."""

import argparse
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from model.cli import HIGHEST_SEED, command_parser
from model.regno.dataset.split import LEAST_ROWS
from model.regno.evaluation.options import add_cost_options, contradiction_of_costs, costs_of
from model.regno.features import SETS
from model.regno.training import parameters
from model.tables.format import add_format_options

ROWS: Final = 90_000
SEED: Final = 1
LABEL: Final = "label"
NAME: Final = "regno"
# The file of a search for parameters, in the output folder.
STUDY: Final = "study.log"

_DESCRIPTION: Final = """\
Train the regno model on a file of labelled readings. Without --data, train the bundled
model on simulated readings and write its manifest and model card.

The file has the ten fields of a reading and a label as columns, in any order; other columns
are ignored. A label is 1 when the network's reading is the true one, else 0. Rows are split by
time_check, whatever their order: the oldest train the model, the next ones determine when
training stops, the newest measure the model. The output is regno.cbm, manifest.json and the
report: report.html, one file with plots that needs nothing else, REPORT.md with its pictures, and
report.json. The same rows, seed and parameters give the same predictions on the same kind of
machine.

With --models the new model is compared with the live one of that registry. --add makes it a
candidate there: a version that is not served until it is promoted or made the shadow. Only
--models names the registry, never an environment variable.
"""
_EPILOG: Final = """\
exit status: 0 done, 2 wrong usage, 65 the rows or the model to compare with are refused,
66 the input can't be read, 69 the registry or the MLflow server can't be reached, read or
written, or scikit-learn, matplotlib, Optuna or MLflow's client is not installed, 73 the output
can't be written, 78 the parameters are refused, 130 Ctrl-C, 143 SIGTERM.
"""


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The parsed options; options that contradict each other end the command with status 2."""
    parser = command_parser("python -m model.train", _DESCRIPTION, _EPILOG)
    _add_general(parser)
    _add_own_rows(parser.add_argument_group("with a file"))
    _add_registry(parser.add_argument_group("with a registry"))
    options = parser.parse_args(arguments)
    options.costs = costs_of(options)
    if wrong := _contradiction(options):
        parser.error(wrong)
    return options


def _add_general(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--seed", type=int, default=SEED, help=f"of all random numbers (default: {SEED})")
    add(
        "--out",
        type=Path,
        help="output folder; with --data it must be new or empty (default: the version's name)",
    )
    add("--no-progress", action="store_true", help="draw no progress bar")
    add("--rows", type=int, help=f"readings to simulate; a fifth is held out (default: {ROWS})")
    add(
        "--features",
        choices=tuple(SETS),
        help="feature set: v1 is the 41 of the contract, v2 has twelve more of where the readings "
        "differ, v2-notext leaves out the two texts (default: v1, or what --parameters says)",
    )


def _add_own_rows(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--data", type=Path, metavar="FILE", help="CSV, JSON lines, Parquet or Excel (.xlsx)")
    add("--label", metavar="COLUMN", help=f"the column of labels (default: {LABEL})")
    add("--positive", metavar="WORD", help="the label that means 1, such as yes or да")
    add(
        "--weights",
        metavar="COLUMN",
        help="a column of numbers from 0 on: how much each row counts",
    )
    add("--skip-bad", action="store_true", help="skip bad rows; without it they stop the run")
    add("--parameters", type=Path, metavar="FILE", help=f"TOML with keys of {parameters.PATH.name}")
    add(
        "--without",
        action="append",
        metavar="FEATURE",
        help="leave out a feature, such as month; may be given several times",
    )
    add("--refit", action="store_true", help="after measuring, train the model again on all rows")
    add(
        "--calibrate",
        choices=("isotonic", "platt"),
        help="calibrate the probabilities by the validation rows, for the service too",
    )
    add(
        "--folds",
        type=_at_least(2, "one is the measurement that every run makes"),
        default=0,
        metavar="N",
        help="also measure N - 1 models of the past, each on the rows that followed it",
    )
    add(
        "--learning-curve",
        type=_at_least(2, "the last point is the model itself"),
        default=0,
        metavar="N",
        help="also measure models of a half, a quarter, … of the training rows, N points in all: "
        "would more rows help?",
    )
    add(
        "--tune",
        type=_at_least(1, "it is the number of trainings"),
        default=0,
        metavar="N",
        help=f"search for parameters by N trainings; needs --out, where {STUDY} keeps them, and "
        "goes on from there after a stop",
    )
    add("--against", type=Path, metavar="MODEL", help="a .cbm file to compare with")
    add(
        "--positive-class",
        metavar="CLASS",
        help="the class of that model that means that the network is right, if its classes are "
        "not 0 and 1",
    )
    add_cost_options(group, "; the report shows the decisions by the costs")
    add_format_options(group)


def _at_least(least: int, reason: str) -> Callable[[str], int]:
    """The type of an option that is a number from `least` on, and not given for none."""

    def number(text: str) -> int:
        with suppress(ValueError):
            if (given := int(text)) >= least:
                return given
        raise argparse.ArgumentTypeError(f"{text!r} is no number from {least} on: {reason}")

    return number


def _add_registry(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--models",
        "--registry",
        metavar="DIR",
        help="folder of the registry, or s3://bucket/prefix; the new model is compared with its "
        "live model, unless --against names another",
    )
    add("--add", action="store_true", help="add the new model to the registry")
    add("--name", help=f"name of the model in the registry (default: {NAME})")
    add(
        "--cache",
        type=Path,
        metavar="DIR",
        help="local copies of files in S3 (default: ~/.cache/plate-scoring)",
    )


def _contradiction(options: argparse.Namespace) -> str:
    """Why the options contradict each other or make no sense, "" if they are fine."""
    if not 0 <= options.seed <= HIGHEST_SEED:
        return f"--seed must be from 0 to {HIGHEST_SEED}"
    if options.data:
        return _contradiction_with_file(options)
    of_data = (
        *("label", "skip_bad", "parameters", "without", "refit", "calibrate"),
        *("folds", "learning_curve", "tune"),
        *("positive", "weights", "sep", "encoding", "decimal", "dates", "sheet"),
        *("cost_network_wrong", "cost_camera_wrong", "cost_manual"),
        *("against", "positive_class", "models", "add", "name", "cache"),
    )
    if missing := _missing(options, "data", of_data):
        return missing
    if options.rows is not None and options.rows < LEAST_ROWS:
        return f"--rows must be at least {LEAST_ROWS}"
    return ""


def _contradiction_with_file(options: argparse.Namespace) -> str:
    if options.rows is not None:
        return "--rows is the number of simulated readings and does not go with --data"
    return (
        _missing(options, "out", ("tune",))
        or _missing(options, "models", ("add", "name", "cache"))
        or _missing(options, "against", ("positive_class",))
        or contradiction_of_costs(options.costs)
    )


def _missing(options: argparse.Namespace, needed: str, names: Sequence[str]) -> str:
    """The message for the first of these options that is given without the needed one."""
    given = [name for name in names if getattr(options, name) and not getattr(options, needed)]
    return f"--{given[0].replace('_', '-')} needs --{needed}" if given else ""
