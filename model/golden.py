"""`python -m model.golden out.jsonl`: the golden rows with their scores, for whoever has no model.

One JSON object a line: the model's version, the probability `positive`, the request.
"""

import argparse
import json
from pathlib import Path
from typing import Final

_FOLDER: Final = Path(__file__).with_name("regno")


def main() -> None:
    """Write the file from the golden rows and the bundled model's manifest."""
    parser = argparse.ArgumentParser(prog="python -m model.golden", description=__doc__)
    parser.add_argument("out", type=Path, help="the file to write")
    arguments = parser.parse_args()
    manifest = json.loads((_FOLDER / "manifest.json").read_text(encoding="utf-8"))
    lines = (_FOLDER / "golden.jsonl").read_text(encoding="utf-8").splitlines()
    with arguments.out.open("w", encoding="utf-8") as file:
        for line, positive in zip(lines, manifest["golden"], strict=True):
            known = {"model": manifest["version"], "positive": positive}
            row = json.dumps({**known, "request": json.loads(line)}, ensure_ascii=False)
            file.write(row + "\n")


if __name__ == "__main__":
    main()
