"""The report of a training as one HTML page: its figures, and that it needs nothing else."""

import re
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from model import train
from tests.support.labelled import labelled, report, run, write
from tests.support.messages import mentions

ROWS = labelled(500)
TINY = """
[catboost]
iterations = 15
early_stopping_rounds = 15
depth = 3
[tune]
rows = 200
iterations = 11
"""
EVERYTHING = (
    *("--folds", 2, "--learning-curve", 2, "--tune", 6, "--calibrate", "platt"),
    *("--cost-manual", 0.2, "--cost-network-wrong", 2),
)


class Page(HTMLParser):
    """The tables of a page by the heading before them, its links, and its headings."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.rows: dict[str, list[list[str]]] = {}
        self.links: list[str] = []
        self._heading, self._into = "", ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: Sequence[tuple[str, str | None]]) -> None:
        self._into = tag if tag in ("h2", "th", "td") else self._into
        if tag == "h2":
            self._heading = ""
        if tag == "tr":
            self.rows.setdefault(self._heading, []).append([])
        if tag in ("th", "td"):
            self.rows[self._heading][-1].append("")
        names = ("src", "href", "xlink:href")
        self.links += [value or "" for name, value in attributes if name in names]

    def handle_endtag(self, tag: str) -> None:
        self._into = "" if tag == self._into else self._into

    def handle_data(self, data: str) -> None:
        if self._into == "h2":
            self._heading += data
        elif self._into:
            self.rows[self._heading][-1][-1] += data

    def cells(self, heading: str, first: str) -> list[str]:
        """The other cells of the one row under a heading that begins with this cell."""
        (found,) = (row[1:] for row in self.rows[heading] if row and row[0] == first)
        return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the output of a run with every option in `out`, and of a plain one."""
    folder = tmp_path_factory.mktemp("page")
    doubtful = ROWS[10] | {"afts_regno_ai_char_scores": "[98, 97]"}
    contradicting = ROWS[20] | {"label": 1 - ROWS[20]["label"]}
    write(folder / "rows.csv", [*ROWS, ROWS[5], doubtful, contradicting])
    (folder / "tiny.toml").write_text(TINY, encoding="utf-8")
    assert run(folder, *EVERYTHING, out="out") == 0
    assert run(folder, "--without", "month", "--refit", out="plain") == 0
    return folder


@pytest.fixture(scope="module")
def page(folder: Path) -> Page:
    """The page of the run with every option."""
    return Page(folder / "out/report.html")


@pytest.fixture(scope="module")
def made(folder: Path) -> Mapping[str, Any]:
    """The report of the run with every option, as JSON."""
    return report(folder / "out")


def test_the_page_needs_nothing_else(folder: Path, page: Page) -> None:
    text = (folder / "out/report.html").read_text(encoding="utf-8")
    assert text.count("<svg") == 6
    assert [link for link in page.links if not link.startswith(("#", "data:"))] == []
    assert not re.search(r"<script|<link|@import|url\((?!#|')", text)


def test_its_plots_have_the_colors_of_the_page(folder: Path) -> None:
    """So that text and axes are legible on a light and on a dark page."""
    text = (folder / "out/report.html").read_text(encoding="utf-8")
    assert "prefers-color-scheme: dark" in text
    for svg in re.findall("<svg.*?</svg>", text, re.DOTALL):
        assert re.search(r"(fill|stroke): currentColor", svg)
        colors = {color.lower() for color in re.findall(r"(?:fill|stroke): (#\w{6})", svg)}
        assert not colors & {"#000000", "#ffffff", "#222222"}


def test_the_metrics_have_their_intervals_and_those_before_calibration(
    page: Page, made: Mapping[str, Any]
) -> None:
    auc, score = made["intervals"]["auc"], made["baselines"]["score_itself"]["auc"]
    few = "–"  # 75 held-out rows
    assert page.cells("Quality on the held-out rows", "AUC") == [
        *(f"{auc['value']:.4f}", few),
        *(f"{made['uncalibrated']['auc']:.4f}", f"{score:.4f}", "0.5000"),
    ]
    assert page.cells("Quality on the held-out rows", "Expected accuracy")[0] == (
        f"{made['expected_accuracy']:.4f}"
    )


def test_the_rows_are_counted(page: Page, made: Mapping[str, Any]) -> None:
    parts = made["parts"]
    assert sum(part["rows"] for part in parts.values()) == 503
    share = parts["train"]["positive_share"]
    assert page.cells("Rows", "train: the oldest")[:3] == [
        *(f"{parts['train']['rows']}", f"{100 * share:.1f} %", f"{100 - 100 * share:.1f} %"),
    ]
    assert page.cells("Rows", "repeat an earlier row") == ["1"]
    both = "have the features and the time of a row with the other label"
    assert page.cells("Rows", both) == ["2"]
    doubt = "a confidence below 0 or above 1: decimal commas, or per cent"
    assert page.cells("Rows", f"afts_regno_ai_char_scores: {doubt}") == ["1"]


def test_the_decisions_are_those_by_the_costs(page: Page, made: Mapping[str, Any]) -> None:
    assert made["costs"] == {"network_wrong": 2.0, "camera_wrong": 1.0, "manual": 0.2}
    decisions = made["decisions"]
    assert (decisions["camera"], decisions["network"]) == (0.2, 0.9)
    shares = [decisions["by_decision"][name]["share"] for name in ("camera", "manual", "network")]
    shown = page.cells("Decisions", "the costs")
    assert shown[:5] == ["0.2", "0.9", *(f"{100 * share:.1f} %" for share in shares)]
    assert shown[-1] == f"{decisions['cost']:.4f}"
    assert page.cells("Decisions", "least cost on these rows")[-1] == (
        f"{made['cheapest']['cost']:.4f}"
    )
    assert made["cheapest"]["cost"] <= decisions["cost"]


def test_windows_points_and_trials_are_listed(page: Page, made: Mapping[str, Any]) -> None:
    fold = made["folds"][0]
    assert page.cells("Windows of the past", fold["first"])[1:4] == [
        *(f"{fold['trained_on']}", f"{fold['rows']}", f"{fold['trees']}"),
    ]
    point = made["learning_curve"]["points"][0]
    assert page.cells("Learning curve", f"{point['rows']}")[1] == (
        f"{point['metrics']['auc']['value']:.4f}"
    )
    search = made["search"]
    assert len(search["history"]) == search["trials"] == 6
    losses = [trial["log_loss"] for trial in search["history"]]
    assert losses.count(None) == search["pruned"]
    assert min(loss for loss in losses if loss is not None) == search["best"]
    assert search["chosen"] in [trial["parameters"] for trial in search["history"]]
    for at, loss in enumerate(losses, 1):
        shown = "pruned" if loss is None else f"{loss:.4f}"
        assert page.cells("Search for parameters", f"{at}")[0] == shown


def test_how_it_was_trained_is_listed(page: Page, made: Mapping[str, Any]) -> None:
    def setting(name: str) -> str:
        return page.cells("How it was trained", name)[0]

    assert setting("Its SHA-256") == made["data"]["sha256"]
    assert setting("Seed") == "1"
    assert setting("Git commit of the code") == (made["commit"] or "of no commit")
    assert setting("Duration") == f"{made['seconds']:.1f} s"
    assert setting("Calibration") == "platt"
    assert setting("CatBoost: iterations") == "15"
    first = made["importances"][0]
    assert page.cells("What the scores depend on", first["feature"])[0] == f"{first['share']:.1f} %"


def test_what_was_not_asked_for_is_not_on_the_page(folder: Path) -> None:
    plain = Page(folder / "plain/report.html")
    assert list(filter(None, plain.rows)) == [
        *("Quality on the held-out rows", "Rows", "Decisions", "What the scores depend on"),
        *("By camera class", "How it was trained"),
    ]
    assert plain.cells("How it was trained", "Features") == ["v1 without month"]
    assert plain.cells("How it was trained", "Trained again on all rows") == ["yes"]
    costs = report(folder / "plain")["costs"]
    assert costs == {"network_wrong": 1.0, "camera_wrong": 1.0, "manual": 0.3}


@pytest.mark.parametrize(
    ("options", "facts"),
    [
        (("--cost-manual", "1"), ("--cost-manual", "--data")),
        (("--data", "x.csv", "--cost-camera-wrong", "0"), ("--cost-camera-wrong", "above 0")),
    ],
)
def test_costs_belong_to_a_file_and_are_above_zero(
    options: tuple[str, ...], facts: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        train.main(options)
    assert stop.value.code == 2
    assert mentions(capsys.readouterr().err, *facts)
