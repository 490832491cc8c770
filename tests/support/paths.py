"""Where things are, from the project's root."""

import json
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
# The environment in which a second model, the toy, is installed.
WITH_TOY: Final = {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests' / 'support' / 'toy'}"}
GOLDEN: Final = ROOT / "tests" / "golden" / "synthetic.jsonl"


def lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSON-lines file."""
    return [json.loads(line) for line in path.read_bytes().splitlines()]
