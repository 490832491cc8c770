"""Write the golden rows with their scores, as `python -m model.golden`. No server imports this."""

import argparse
import json
import sys
from pathlib import Path
from typing import Final

from model.bulk.output import whole_file
from model.cli import Exit, os_errors_exit
from model.regno.golden import PATH

_DESCRIPTION: Final = """\
Write the golden rows with the scores of the bundled model, for programs that have no model: one
JSON object a line, with the model's version, the probability `positive` and the request.
"""


def main() -> int:
    """Write the golden rows and the scores of the bundled model's manifest. Returns the status."""
    parser = argparse.ArgumentParser(prog="python -m model.golden", description=_DESCRIPTION)
    parser.add_argument("out", type=Path, help="the file to write")
    out = parser.parse_args().out
    try:
        with os_errors_exit(73, out), whole_file(out) as file:
            file.write(_scored().encode())
    except Exit as error:
        sys.stderr.write(f"{parser.prog}: {error}\n")
        return error.status
    return 0


def _scored() -> str:
    manifest = json.loads(PATH.with_name("manifest.json").read_text(encoding="utf-8"))
    lines = PATH.read_text(encoding="utf-8").splitlines()
    rows = [
        {"model": manifest["version"], "positive": positive, "request": json.loads(line)}
        for line, positive in zip(lines, manifest["golden"], strict=True)
    ]
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
