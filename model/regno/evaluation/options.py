"""The options of `python -m model.evaluate`."""

import argparse
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from model.cli import HIGHEST_SEED, command_parser
from model.regno.review.decision import DEFAULT_COSTS, Costs
from model.tables.format import add_format_options

LABEL: Final = "label"
LIVE: Final = "live"
NAME: Final = "regno"

_DESCRIPTION: Final = """\
Measure a model on labelled rows that it did not learn from: AUC, log loss, Brier score and
calibration with 95 % intervals, the decisions that the thresholds make and what they cost, by
camera class and by other columns, and against a second model on the same rows. The report goes to
the terminal, and with --out to report.json and report.html, one file with plots that needs nothing
else.

The file has the ten fields of a reading and a label as columns, in any form: CSV, Excel, Parquet,
JSON lines, also gzipped. A label is 1 when the network's reading is the true one, else 0;
--positive names the word that means 1. Labels that came later may be in a file of their own
(--join, --on).

With --max-camera-error and --max-network-error the report has risk control: the two thresholds
that send least to manual review while, with the confidence, no greater share of the automatic
decisions of either side is wrong. Give 1 for a side without a limit. --write-thresholds writes
them into the model's manifest, and the service then decides by them.
"""
_EPILOG: Final = """\
columns for --by: any column of the file, a feature, or date, month (2026-11), hour, weekday of
time_check. Values in fewer than 30 rows are reported together.

exit status: 0 done; 1 done, but a limit is not kept (--min-auc, --max-log-loss, --max-ece,
--max-cost, --fail-if-worse) or the guarantee of risk control can't be given by so few rows; 2 wrong
usage; 65 the rows or a model are refused; 66 the input can't be read; 69 the registry can't be
reached or a package is not installed; 73 the output can't be written; 130 Ctrl-C; 143 SIGTERM.
"""


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The parsed options; options that contradict each other end the command with status 2."""
    parser = command_parser("python -m model.evaluate", _DESCRIPTION, _EPILOG)
    parser.add_argument("rows", type=Path, help="file of labelled readings")
    _add_models(parser.add_argument_group("models"))
    _add_rows(parser.add_argument_group("rows"))
    _add_decisions(parser.add_argument_group("decisions"))
    _add_output(parser.add_argument_group("output and limits"))
    options = parser.parse_args(arguments)
    _choose_costs(options)
    if wrong := _contradiction(options):
        parser.error(wrong)
    return options


def _add_models(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--model", type=Path, metavar="FILE", help="a .cbm file (default: the bundled model)")
    add("--registry", metavar="DIR", help="folder of the registry, or s3://bucket/prefix")
    add(
        "--version",
        metavar="V",
        help=f"a version of the registry, or live, shadow, previous (default: {LIVE})",
    )
    add("--against", metavar="MODEL", help="a second model: a .cbm file, or a version")
    add(
        "--positive-class",
        default="",
        metavar="CLASS",
        help="the class that means that the network is right, for files whose classes are not 0 "
        "and 1",
    )
    add("--name", default=NAME, help=f"name of the model in the registry (default: {NAME})")
    add(
        "--cache",
        type=Path,
        metavar="DIR",
        help="local copies of files in S3 (default: ~/.cache/plate-scoring)",
    )


def _add_rows(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--label", default=LABEL, metavar="COLUMN", help=f"column of labels (default: {LABEL})")
    add("--positive", default="", metavar="WORD", help="the label that means 1, such as yes or да")
    add("--skip-bad", action="store_true", help="skip bad rows; without it they stop the run")
    add("--join", type=Path, metavar="FILE", help="file of labels that came later")
    add(
        "--on",
        action="append",
        default=[],
        metavar="COLUMN",
        help="a column of both files; repeat it for a key of several, such as request_id and row",
    )
    add(
        "--many-to-one",
        action="store_true",
        help="a label may serve several rows, as validate='m:1' of pandas.merge allows; without it "
        "that is refused",
    )
    add(
        "--by",
        action="append",
        default=[],
        metavar="COLUMN",
        help="also measure by this column; repeat it for more",
    )
    add_format_options(group)


def add_cost_options(group: argparse._ArgumentGroup, given: str = "") -> None:
    """Add the options of what mistakes cost; `given` is what one that is given does."""
    for name, what in (
        ("network-wrong", "the network's reading when it is wrong"),
        ("camera-wrong", "the camera's reading when the network is right"),
        ("manual", "a manual review"),
    ):
        usual = getattr(DEFAULT_COSTS, name.replace("-", "_"))
        group.add_argument(
            f"--cost-{name}",
            type=_cost,
            metavar="N",
            help=f"cost of {what}, as SCORING_COST_* (default: {usual:g}){given}",
        )


def costs_of(options: argparse.Namespace) -> Costs:
    """The costs that the options give, the default ones for those that are left out."""
    return replace(DEFAULT_COSTS, **_given_costs(options))


def contradiction_of_costs(costs: Costs) -> str:
    """Why the costs make no sense, "" if they are fine."""
    if costs.network_wrong and costs.camera_wrong:
        return ""
    return "--cost-network-wrong and --cost-camera-wrong must be above 0"


def _given_costs(options: argparse.Namespace) -> dict[str, float]:
    names = {name: getattr(options, f"cost_{name}") for name in Costs.__struct_fields__}
    return {name: cost for name, cost in names.items() if cost is not None}


def _add_decisions(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add_cost_options(group, "; one that is given decides instead of the manifest's thresholds")
    add(
        "--thresholds",
        choices=("manifest", "costs"),
        help="decide by the thresholds of the model's manifest if it has any, or always by the "
        "costs; as SCORING_THRESHOLDS (default: manifest, or costs if a --cost-… is given)",
    )
    for side in ("camera", "network"):
        add(
            f"--max-{side}-error",
            type=_share,
            metavar="SHARE",
            help=f"risk control: share of the automatic {side} decisions that may be wrong",
        )
    add(
        "--confidence",
        type=_share,
        default=0.95,
        metavar="SHARE",
        help="of both guarantees together (default: 0.95)",
    )
    add(
        "--write-thresholds",
        action="store_true",
        help="write the thresholds of risk control into the manifest next to --model",
    )


def _add_output(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--out", type=Path, metavar="DIR", help="folder for report.json and report.html")
    add("--json", action="store_true", help="print the report as JSON instead of the table")
    add("--seed", type=int, default=1, help="of all random numbers (default: 1)")
    add("--no-progress", action="store_true", help="draw no progress bar")
    add("--min-auc", type=_share, metavar="N", help="fail if the AUC is lower")
    add("--max-log-loss", type=_cost, metavar="N", help="fail if the log loss is higher")
    add("--max-ece", type=_share, metavar="N", help="fail if the calibration error is higher")
    add("--max-cost", type=_cost, metavar="N", help="fail if a row costs more on average")
    add(
        "--fail-if-worse",
        action="store_true",
        help="fail if the model is worse than --against in AUC, Brier score or log loss, beyond "
        "the interval",
    )


def _choose_costs(options: argparse.Namespace) -> None:
    """Set `costs`, and `by_costs`: whether they decide, whatever thresholds a manifest has."""
    options.costs = costs_of(options)
    by_costs = bool(_given_costs(options) and not options.thresholds)
    options.by_costs = options.thresholds == "costs" or by_costs


def _share(text: str) -> float:
    with suppress(ValueError):
        if 0 < (share := float(text)) <= 1:
            return share
    raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0 and of at most 1")


def _cost(text: str) -> float:
    with suppress(ValueError):
        if 0 <= (cost := float(text)) <= _HIGHEST:
            return cost
    raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to {_HIGHEST:g}")


_HIGHEST: Final = 1e9


def _contradiction(options: argparse.Namespace) -> str:
    """Why the options contradict each other or make no sense, "" if they are fine."""
    limits = (options.max_camera_error, options.max_network_error)
    checks = {
        "--model and --registry both name the model": options.model and options.registry,
        "--version needs --registry": options.version and not options.registry,
        "--join and --on belong together": bool(options.join) != bool(options.on),
        "--many-to-one needs --join": options.many_to_one and not options.join,
        f"--on {options.label}: that is the column of labels": options.label in options.on,
        "--max-camera-error and --max-network-error belong together": None in limits
        and limits != (None, None),
        "--write-thresholds needs --max-camera-error and --max-network-error": (
            options.write_thresholds and None in limits
        ),
        "--write-thresholds needs --model: a registry's version never changes": (
            options.write_thresholds and not options.model
        ),
        "--fail-if-worse needs --against": options.fail_if_worse and not options.against,
        f"--seed must be from 0 to {HIGHEST_SEED}": not 0 <= options.seed <= HIGHEST_SEED,
        "--confidence must be below 1": options.confidence >= 1,
    }
    reasons = (reason for reason, wrong in checks.items() if wrong)
    return next(reasons, contradiction_of_costs(options.costs))
