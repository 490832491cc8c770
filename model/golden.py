"""`python -m model.golden out.jsonl`: the golden rows with their scores, for whoever has no model.

One JSON object a line: the model's version, the probability `positive`, the request.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Final

from model.bulk.output import whole_file
from model.cli import Exit, os_errors_exit

_FOLDER: Final = Path(__file__).with_name("regno")


def main() -> int:
    """Write the file from the golden rows and the bundled model's manifest. Returns the status."""
    parser = argparse.ArgumentParser(prog="python -m model.golden", description=__doc__)
    parser.add_argument("out", type=Path, help="the file to write")
    out = parser.parse_args().out
    try:
        with os_errors_exit(73, out), whole_file(out) as file:
            file.write(_rows().encode())
    except Exit as error:
        sys.stderr.write(f"{parser.prog}: {error}\n")
        return error.status
    return 0


def _rows() -> str:
    manifest = json.loads((_FOLDER / "manifest.json").read_text(encoding="utf-8"))
    lines = (_FOLDER / "golden.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [
        {"model": manifest["version"], "positive": positive, "request": json.loads(line)}
        for line, positive in zip(lines, manifest["golden"], strict=True)
    ]
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


if __name__ == "__main__":
    sys.exit(main())
