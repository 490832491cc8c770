"""`python -m model.simulate rows.csv`: simulated requests as a CSV of the ten fields."""

import argparse
import csv
from pathlib import Path

from model.regno.request import FIELDS
from model.regno.simulate import simulate


def main() -> None:
    """Write the rows; the same seed writes the same file."""
    parser = argparse.ArgumentParser(prog="python -m model.simulate", description=__doc__)
    parser.add_argument("out", type=Path, help="the CSV file to write")
    parser.add_argument("--rows", type=int, default=1000, help="how many [1000]")
    parser.add_argument("--seed", type=int, default=2, help="of the random numbers [2]")
    parser.add_argument("--labels", action="store_true", help="add the column label, for training")
    arguments = parser.parse_args()
    names = (*FIELDS, "label") if arguments.labels else FIELDS
    with arguments.out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names, lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        for sample in simulate(arguments.rows, arguments.seed):
            writer.writerow({**sample.request, "label": sample.label})


if __name__ == "__main__":
    main()
