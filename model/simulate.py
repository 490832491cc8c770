"""`python -m model.simulate rows.csv`: simulated requests as a CSV of the ten fields."""

import argparse
import csv
import io
import sys
from pathlib import Path

from model.bulk.output import whole_file
from model.cli import Exit, os_errors_exit
from model.regno.request import FIELDS
from model.regno.training.simulate import simulate


def main() -> int:
    """Write the rows; the same seed writes the same file. Returns the exit status."""
    options = _options()
    names = (*FIELDS, options.label) if options.label else FIELDS
    try:
        with os_errors_exit(73, options.out), whole_file(options.out) as file:
            text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
            writer = csv.writer(text, lineterminator="\n")
            writer.writerow(names)
            for sample in simulate(options.rows, options.seed):
                fields = [sample.request[name] for name in FIELDS]
                writer.writerow([*fields, sample.label] if options.label else fields)
            text.detach()
    except Exit as error:
        sys.stderr.write(f"python -m model.simulate: {error}\n")
        return error.status
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m model.simulate", description=__doc__)
    parser.add_argument("out", type=Path, help="the CSV file to write")
    parser.add_argument("--rows", type=int, default=1000, help="how many [1000]")
    parser.add_argument("--seed", type=int, default=2, help="of the random numbers [2]")
    parser.add_argument("--label", metavar="COLUMN", help="add a column of labels, for training")
    options = parser.parse_args()
    if options.rows < 0 or options.seed < 0:
        parser.error("--rows and --seed must not be negative")
    if options.label in FIELDS:
        parser.error(f"{options.label} is a field of the reading and can't be the label")
    return options


if __name__ == "__main__":
    sys.exit(main())
