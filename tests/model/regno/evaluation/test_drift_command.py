"""`python -m model.drift`: two files compared by the bins and the formula of the service."""

import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from html.parser import HTMLParser
from math import log
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from model.drift import __main__ as drift
from model.drift.comparison import Rows, VariableDrift, compare, psi
from model.regno import RegnoScorer
from model.regno.evaluation.drift_rows import read, reference_of
from model.regno.request import FIELDS
from model.tables.options import SNIFFED
from monitoring import slo
from tests.support import tables, toys
from tests.support.commands import environment
from tests.support.paths import WITH_TOY

Row = dict[str, Any]


@pytest.fixture(scope="module")
def before() -> list[Row]:
    return tables.samples(1200, seed=5)


@pytest.fixture(scope="module")
def after() -> list[Row]:
    return tables.samples(1000, seed=6)


def _file(folder: Path, name: str, rows: Sequence[Row]) -> Path:
    path = folder / name
    path.write_bytes(tables.as_csv(rows))
    return path


def _figures(out: str) -> dict[str, float]:
    """The PSI of each shown variable."""
    return {
        name: float(value) for name, value in re.findall(r"^(\S+) +(\d+\.\d+)", out, re.MULTILINE)
    }


def test_the_index_is_the_one_of_the_rules() -> None:
    then, now = [0.5, 0.5, 0.0], [0.25, 0.5, 0.25]
    least = slo.load().drift.min_share
    expected = (0.25 - 0.5) * log(0.25 / 0.5) + (0.25 - least) * log(0.25 / least)
    assert psi(then, now) == pytest.approx(expected)
    assert psi(then, then) == 0


def test_a_file_has_not_drifted_from_itself(scorer: RegnoScorer, tmp_path: Path) -> None:
    rows = read(_file(tmp_path, "a.csv", tables.samples(300)), scorer, SNIFFED)
    compared = compare(scorer, reference_of(rows, scorer), rows, 300)
    assert compared.psi_weighted == pytest.approx(0, abs=1e-6)
    assert compared.psi_score == pytest.approx(0, abs=1e-6)
    assert {each.name for each in compared.variables} >= {"positive", "camera_class", "hour"}
    for each in compared.variables:
        assert sum(each.now) == pytest.approx(1)
        occupied = sum(share > 0 for share in each.then)
        assert each.by_chance == pytest.approx((occupied - 1) * 2 / 300)


def test_what_has_changed_is_on_top_and_fails_a_job(
    before: list[Row], after: list[Row], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    then = _file(tmp_path, "then.csv", before)
    alike = _file(tmp_path, "alike.csv", after)
    dim = [{**row, "recognition_accuracy": row["recognition_accuracy"] / 4} for row in after]
    other = _file(tmp_path, "other.csv", dim)
    assert drift.main([str(then), str(alike), "--max-psi", "0.1"]) == 0
    assert max(_figures(capsys.readouterr().out).values()) < 0.1
    assert drift.main([str(then), str(other), "--max-psi", "0.1"]) == 1
    shown = capsys.readouterr()
    assert next(iter(_figures(shown.out))) == "recognition_accuracy"
    changed = next(line for line in shown.out.splitlines() if "recognition_accuracy" in line)
    assert re.search(r" [\d.]+ – [\d.]+: \d+\.\d% → \d+\.\d%$", changed)
    assert "--max-psi" in shown.err
    assert drift.main([str(then), str(other)]) == 0
    capsys.readouterr()
    assert drift.main([str(then), str(alike), "--max-psi", "0"]) == 1
    above = re.search(r"the PSI (\S+) is above 0 \(--max-psi\)", capsys.readouterr().err)
    assert above
    assert 0 < float(above[1]) < 0.1


def test_few_rows_are_warned_of_and_their_drift_is_named_chance(
    before: list[Row], after: list[Row], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = [str(_file(tmp_path, f"{n}.csv", rows[:100])) for n, rows in enumerate((before, after))]
    assert drift.main(few) == 0
    shown = capsys.readouterr()
    assert "warning: few rows" in shown.err
    assert "by chance, which explains it" in shown.out
    many = [str(_file(tmp_path, f"m{n}.csv", rows)) for n, rows in enumerate((before, after))]
    assert drift.main(many) == 0
    assert "warning" not in capsys.readouterr().err


def _drawn(pool: Rows, count: int, rng: np.random.Generator) -> Rows:
    at = rng.integers(len(pool.positives), size=count)
    features = pool.features.iloc[at].reset_index(drop=True)
    return Rows(features, pool.positives[at], Counter(), pool.format)


def test_of_unchanged_samples_as_many_are_within_chance_as_stated(
    scorer: RegnoScorer, before: list[Row], after: list[Row], tmp_path: Path
) -> None:
    """Fifty pairs of samples of one population: 95 % of all PSI, and their mean, are as stated."""
    pool = read(_file(tmp_path, "pool.csv", [*before, *after]), scorer, SNIFFED)
    rng = np.random.default_rng(1)
    drifts: dict[str, list[VariableDrift]] = defaultdict(list)
    for _ in range(50):
        then, now = _drawn(pool, 1000, rng), _drawn(pool, 600, rng)
        for each in compare(scorer, reference_of(then, scorer), now, 1000).variables:
            drifts[each.name].append(each)
    varying = {name: of for name, of in drifts.items() if any(each.psi for each in of)}
    assert len(varying) > 30
    within = {name: np.mean([each.is_chance for each in of]) for name, of in varying.items()}
    assert 0.92 <= np.mean([*within.values()]) <= 0.97
    # The templates, many of which are rare, are the worst.
    assert min(within.values()) >= 0.75
    psi, by_chance = (
        sum(getattr(each, figure) for of in varying.values() for each in of)
        for figure in ("psi", "by_chance")
    )
    assert psi / by_chance == pytest.approx(1, abs=0.1)


def test_chance_depends_on_the_rows_and_the_bins(
    scorer: RegnoScorer, before: list[Row], after: list[Row], tmp_path: Path
) -> None:
    then, now = (
        read(_file(tmp_path, f"{n}.csv", rows), scorer, SNIFFED)
        for n, rows in enumerate((before, after))
    )
    compared = compare(scorer, reference_of(then, scorer), now, len(before))
    assert compared.weighted_by_chance < 0.05
    exact = compare(scorer, reference_of(then, scorer), now).score
    assert exact.by_chance == pytest.approx(
        compared.score.by_chance * (1 / 1000) / (1 / 1000 + 1 / 1200)
    )
    # Ten bins of the score: the 95 % quantile of chi-squared with 9 degrees is 16.92.
    assert exact.chance_limit == pytest.approx(16.92 / 1000, rel=2e-3)


def test_one_file_is_compared_with_the_manifests_reference(
    after: list[Row], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = _file(tmp_path, "now.csv", after)
    assert drift.main([str(path), "--max-psi", "0.1"]) == 0
    assert "expected accuracy: 0.8" in capsys.readouterr().out
    bare = toys.save(toys.train(("hour", "ai_len")), tmp_path)
    assert drift.main([str(path), "--model", str(bare)]) == 65
    assert drift.main([str(path), str(path), "--model", str(bare)]) == 0


@pytest.mark.slow
def test_a_model_without_bins_is_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "slope.json").write_text('{"slope": 0.1}')
    (tmp_path / "rows.csv").write_text("size\n1\n2\n")
    for files in (["rows.csv"], ["rows.csv", "rows.csv"]):
        done = subprocess.run(
            [sys.executable, "-m", "model.drift", *files, "--name", "toy", "--model", "slope.json"],
            cwd=tmp_path,
            env=environment(tmp_path, WITH_TOY),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 65
        assert "toy makes no bins to compare rows.csv by" in done.stderr
        assert "Traceback" not in done.stderr
        assert done.stdout == ""


def test_any_form_of_file_gives_the_same(
    scorer: RegnoScorer, before: list[Row], tmp_path: Path
) -> None:
    plain = read(_file(tmp_path, "a.csv", before[:200]), scorer, SNIFFED)
    frame = pd.DataFrame(before[:200])[[*FIELDS]]
    frame.to_parquet(tmp_path / "a.parquet")
    frame.to_csv(tmp_path / "b.csv", sep=";", encoding="cp1251", index=False)
    for name in ("a.parquet", "b.csv"):
        other = read(tmp_path / name, scorer, SNIFFED)
        assert other.positives.tolist() == plain.positives.tolist()
        assert not other.faults


class _Page(HTMLParser):
    """The cells of a page, and what it would fetch from elsewhere."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.fetched: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        links = [value or "" for name, value in attrs if name in {"src", "href"}]
        self.fetched += [link for link in links if not link.startswith("#")]
        if tag in {"script", "link", "img"}:
            self.fetched.append(tag)

    def handle_data(self, data: str) -> None:
        self.cells.append(data.strip())


def test_the_page_has_all_bins_needs_no_other_file_and_holds_no_plate(
    scorer: RegnoScorer, before: list[Row], tmp_path: Path
) -> None:
    wrong = [{**row, "camera_type": row["regno_recognize"]} for row in before[:150]]
    odd = [{**row, "camera_class": "<b>&"} for row in before[150:300]]
    path = _file(tmp_path, "odd.csv", [*wrong, *odd])
    page = tmp_path / "drift.html"
    assert drift.main([str(path), str(path), "--html", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    shown = _Page(text)
    assert shown.fetched == []
    assert {"regno_template", "positive", "<b>&", scorer.version} <= {
        part for cell in shown.cells for part in (cell, *cell.replace(";", " ").split())
    }
    assert {"≤", "–", ">"} <= {sign for cell in shown.cells for sign in cell.split()}
    assert not [row for row in wrong if row["regno_recognize"] in text]


def test_bad_rows_are_counted_and_a_file_of_nothing_else_is_refused(
    after: list[Row], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = [{**row, "direction": 7} for row in after[:3]]
    mixed = _file(tmp_path, "mixed.csv", [*after[:50], *bad])
    assert drift.main([str(mixed), str(mixed)]) == 0
    assert "50 readings, 3 bad rows" in capsys.readouterr().err
    assert drift.main([str(mixed), str(mixed), "--max-bad", "0.1"]) == 0
    capsys.readouterr()
    assert drift.main([str(mixed), str(mixed), "--max-bad", "0.05"]) == 1
    shown = capsys.readouterr()
    assert "--max-bad" in shown.err
    assert _figures(shown.out)
    for rows, reason in ((bad, "3 rows are bad, 3 × direction: must be <= 1"), ([], "no row")):
        assert drift.main([str(_file(tmp_path, "bad.csv", rows)), str(mixed)]) == 65
        assert reason in capsys.readouterr().err


def test_a_file_that_is_not_there_is_no_wrong_table(
    tmp_path: Path,
) -> None:
    (tmp_path / "no.csv").write_text("a,b\n1,2\n")
    assert drift.main([str(tmp_path / "none.csv")]) == 66
    assert drift.main([str(tmp_path / "no.csv")]) == 65
