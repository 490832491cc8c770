"""CatBoost and pylignum as evaluators of one model without texts, in turns in one process.

Prints for each number of rows in a call the processor time a row of both in each round, in
microseconds. Ends with a message where pylignum does not evaluate the model, or gives other scores.
"""

import argparse
import json
import shutil
import sys
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any, Final

from model.regno import RegnoScorer, Row

NAMES: Final = ("catboost", "lignum")
_SIZES: Final = (1, 32)
_SECONDS: Final = 0.3


def main() -> None:
    """Measure the model that the command line names, on the array of a file."""
    parser = argparse.ArgumentParser(prog="python -m loadgen.bench.limits.evaluators")
    parser.add_argument("model", type=Path, help="with a manifest next to it")
    parser.add_argument("body", type=Path, help="an array of readings")
    parser.add_argument("rounds", type=int)
    given = parser.parse_args()
    with TemporaryDirectory(prefix="evaluators-") as folder:
        scorers = {name: _scorer(given.model, Path(folder) / name, name) for name in NAMES}
    readings: Any = RegnoScorer.decoder(1_000_000)(given.body.read_bytes())
    rows = scorers["catboost"].rows(readings)
    if scorers["catboost"].predict(rows) != scorers["lignum"].predict(rows):
        sys.exit("pylignum and CatBoost give different scores")
    micros: dict[str, dict[str, list[float]]] = {
        str(size): {name: [] for name in NAMES} for size in _SIZES
    }
    for number in range(given.rounds):
        for size, of in micros.items():
            for name in NAMES[:: 1 if number % 2 else -1]:
                of[name].append(_micros_a_row(scorers[name], rows, int(size)))
    sys.stdout.write(json.dumps(micros))


def _scorer(model: Path, folder: Path, name: str) -> RegnoScorer:
    """The scorer of a copy of the model, whose manifest names the evaluator."""
    shutil.copytree(model.parent, folder)
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), "evaluator": name}), "utf-8")
    scorer = RegnoScorer.load(folder / model.name, warm=True)
    if scorer.evaluator != name:
        sys.exit(f"{name} does not evaluate the model; is the extra `lignum` installed?")
    return scorer


def _micros_a_row(scorer: RegnoScorer, rows: list[Row], size: int) -> float:
    """Of processor time, in calls with so many rows for a while."""
    endless = cycle(rows)
    calls = [list(islice(endless, size)) for _ in range(len(rows))]
    scorer.predict(calls[0])
    done, began = 0, process_time()
    while (spent := process_time() - began) < _SECONDS:
        for call in calls[:8]:
            scorer.predict(call)
        done += 8
        calls = calls[8:] + calls[:8]
    return spent / (done * size) * 1e6


if __name__ == "__main__":
    main()
