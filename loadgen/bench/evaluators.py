"""What evaluating a model without texts costs by CatBoost and by pylignum, without a server.

The model is trained for it: neither the bundled one nor a customer's is without texts.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final

from loadgen.common import rows
from loadgen.common.errors import CannotStart
from loadgen.common.options import ROOT

# Of simulated readings; enough for the trees to be as deep as those of the bundled model.
_TRAINING_ROWS: Final = 20_000
_SAMPLE: Final = 256


def measure(readings: Sequence[rows.Row], rounds: int) -> list[dict[str, Any]]:
    """For each number of rows in a call the medians of both, and their ratio.

    Raises CannotStart if the model can't be trained, or pylignum does not evaluate it.
    """
    with TemporaryDirectory(prefix="bench-") as name:
        folder, body = Path(name) / "model", Path(name) / "array.json"
        body.write_bytes(rows.array(readings[:_SAMPLE]))
        train = ("--features", "v2-notext", "--rows", _TRAINING_ROWS, "--no-progress")
        _run("model.train", *train, "--out", folder)
        output = _run("loadgen.bench.limits.evaluators", folder / "regno.cbm", body, rounds)
    return [summary(int(size), of) for size, of in json.loads(output).items()]


def _run(*arguments: object) -> str:
    """What `python -m` prints. Raises CannotStart with its last line of errors if it fails."""
    command = [sys.executable, "-m", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotStart(f"{arguments[0]}: {(done.stderr.splitlines() or [''])[-1]}")
    return done.stdout


def summary(size: int, of: dict[str, list[float]]) -> dict[str, Any]:
    """A ratio is computed within a round, where both had the same machine."""
    ratios = [a / b for a, b in zip(of["catboost"], of["lignum"], strict=True)]
    return {
        "rows": size,
        **{f"{name}_us": median(values) for name, values in of.items()},
        "ratio": median(ratios),
        "per_round": ratios,
    }
