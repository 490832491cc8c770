"""The benchmark of a file."""

import subprocess
import sys
from pathlib import Path

import pytest

from loadgen.bench import table
from loadgen.common.errors import WrongAnswers
from tests.support.paths import ROOT


@pytest.mark.slow
def test_a_small_file_is_compared_with_bare_catboost() -> None:
    rows_of = ("--rows", str(ROOT / "loadgen/data/rows.csv"), "--rows-wanted", "2500")
    done = subprocess.run(
        [sys.executable, "-m", "loadgen.bench.table", *rows_of, "--rounds", "2"],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "3,000 rows, " in done.stdout
    lines = [line.split("  ") for line in done.stdout.splitlines() if "÷" in line]
    assert [line[0] for line in lines] == [
        *("model.score ÷ bare, all threads", "model.score ÷ bare, one thread")
    ]
    assert all(float(value) > 0 for line in lines for value in line[-2:])


def test_wrong_scores_in_a_file_are_found(tmp_path: Path) -> None:
    scored = tmp_path / "out.csv"
    scored.write_text("a,negative,positive,error\n1,0.75,0.25,\n2,0.5,0.5,\n")
    table._compare(scored, [0.25, 0.5], 2)
    with pytest.raises(WrongAnswers, match="Row 1"):
        table._compare(scored, [0.25, 0.6], 2)
    with pytest.raises(WrongAnswers, match="2 of 4 rows"):
        table._compare(scored, [0.25, 0.5], 4)
