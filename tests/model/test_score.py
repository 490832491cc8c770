"""`python -m model.score`: a CSV file in, the same rows with their scores out."""

import csv
import io
import re
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.bulk.blocks import Block, blocks
from model.bulk.cells import read_cells
from model.bulk.errors import TableRefused
from model.bulk.output import whole_file
from model.regno import RegnoScorer
from model.regno.bulk import score_block
from model.regno.csv_rows import check
from model.regno.request import FIELDS, from_fields
from model.regno.simulate import simulate
from model.wire import explain
from tests.support.paths import ROOT
from tests.support.server import eventually

HEADER = ",".join(FIELDS).encode() + b"\n"


def _run(
    *arguments: object, given: bytes | None = None, expect: int = 0
) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "model.score", "--no-progress", *map(str, arguments)]
    done = subprocess.run(
        command, cwd=ROOT, input=given, capture_output=True, check=False, timeout=120
    )
    assert done.returncode == expect, done.stderr.decode()
    assert b"Traceback" not in done.stderr
    return done


def _samples(count: int, seed: int = 3) -> list[dict[str, Any]]:
    return [dict(sample.request) for sample in simulate(count, seed)]


def _csv(rows: Iterable[Mapping[str, object]], names: Sequence[str] = FIELDS, **how: Any) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, names, **{"lineterminator": "\n", **how})
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def _read(text: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text.decode("utf-8-sig"), newline="")))


def _expected(scorer: RegnoScorer, row: Mapping[str, object]) -> dict[str, object]:
    """What one row must come to, by the road of single requests."""
    try:
        reading = from_fields(**{name: str(row[name]) for name in FIELDS})
    except msgspec.ValidationError as error:
        return {"negative": None, "positive": None, "error": str(explain(error))}
    return {**msgspec.structs.asdict(scorer.score([reading])[0]), "error": ""}


def _assert_scored(
    scorer: RegnoScorer, rows: Sequence[Mapping[str, object]], out: Sequence[Mapping[str, str]]
) -> None:
    assert len(out) == len(rows)
    for row, got in zip(rows, out, strict=True):
        assert {name: got[name] for name in row} == {k: str(v) for k, v in row.items()}
        scores = {
            name: float(got[name]) if got[name] else None for name in ("negative", "positive")
        }
        assert {**scores, "error": got["error"]} == _expected(scorer, row)


def _in_process(text: bytes) -> list[dict[str, str]]:
    header, _, rest = text.partition(b"\n")
    outcome = score_block("", header + b"\n", Block(rest, 2))
    return _read(outcome.header + outcome.text)


# What a row may hold that is unusual or wrong.
CHANGES: list[dict[str, object]] = [
    {"recognition_accuracy": "101"},
    {"recognition_accuracy": "-0"},
    {"recognition_accuracy": "1e1"},
    {"recognition_accuracy": " 6.4"},
    {"recognition_accuracy": "nan"},
    {"recognition_accuracy": "1,2"},
    {"recognition_accuracy": ""},
    {"afts_regno_ai_score": "1e-400"},
    {"afts_regno_ai_score": "0.5]"},
    {"direction": "2"},
    {"direction": "1.0"},
    {"direction": "true"},
    {"afts_regno_ai_char_scores": "[]"},
    {"afts_regno_ai_char_scores": " [0.5 , 0.25] "},
    {"afts_regno_ai_char_scores": "0.5"},
    {"afts_regno_ai_char_scores": "[0.5],[0.25]"},
    {"afts_regno_ai_char_scores": "[0.5]],[[0.25]"},
    {"afts_regno_ai_char_scores": "[0.5"},
    {"afts_regno_ai_char_scores": '["0.5"]'},
    {"afts_regno_ai_length_scores": "[NaN]"},
    {"afts_regno_ai_length_scores": "[1e999]"},
    {"afts_regno_ai_length_scores": ""},
    {"time_check": "2021-08-01"},
    {"time_check": "2021-08-01T09:02"},
    {"time_check": "2021-08-01 09:02:59.5+03:00"},
    {"time_check": "2021-02-29 09:02:59"},
    {"time_check": "2021-08-01 24:02:59"},
    {"time_check": "2021-08-01 23:60:59"},
    {"time_check": "2021-08-01 0x:02:59"},
    {"time_check": "2021-08-01 09:02:5٣"},
    {"time_check": "2021-08-01-09:02:59"},
    {"time_check": "01.08.2021"},
    {"time_check": ""},
    {"regno_recognize": "", "afts_regno_ai": ""},
    {"regno_recognize": 'А"001"АА77'},
    {"afts_regno_ai": "А\n001АА\r\n77"},
    {"camera_class": "Астра, трафик\0"},
    {"camera_type": "Новая"},
]


def test_the_same_scores_as_for_single_requests(scorer: RegnoScorer, tmp_path: Path) -> None:
    rows = _samples(700)
    (tmp_path / "in.csv").write_bytes(_csv(rows))
    arguments = (tmp_path / "in.csv", tmp_path / "out.csv")
    done = _run(*arguments, "--chunk-rows", 30, "--processes", 2)
    _assert_scored(scorer, rows, _read((tmp_path / "out.csv").read_bytes()))
    summary = done.stderr.decode()
    assert re.match(r"700 rows in [\d.]+ s \(\d+ rows/s\); bad rows: 0; ", summary)
    assert "rows with unseen categories: none" in summary
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "out.csv"]


def test_bad_rows_do_not_stop_the_run(scorer: RegnoScorer) -> None:
    rows = [{**row, **change} for row, change in zip(_samples(38), CHANGES, strict=True)]
    mixed = [row for pair in zip(rows, _samples(38, 4), strict=True) for row in pair]
    done = _run("-", "-", "--processes", 1, given=_csv(mixed))
    _assert_scored(scorer, mixed, _read(done.stdout))
    bad = sum(1 for row in mixed if _expected(scorer, row)["error"])
    assert f"bad rows: {bad};" in done.stderr.decode()
    assert "camera_type 1" in done.stderr.decode()


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_each_oddity_among_usual_rows(scorer: RegnoScorer, change: dict[str, object]) -> None:
    rows = _samples(3)
    rows[1] |= change
    _assert_scored(scorer, rows, _in_process(_csv(rows)))


@given(st.data())
def test_any_texts_in_any_cells(scorer: RegnoScorer, data: st.DataObject) -> None:
    rows = _samples(2)
    texts = st.text(st.characters(codec="utf-8"), max_size=8)
    for row in rows:
        name = data.draw(st.sampled_from(FIELDS))
        row[name] = data.draw(st.one_of(texts, st.sampled_from(["[", "]", "0.5", "],["])))
    # With "\n" alone, Python's writer would leave a "\r" in a cell without quotes.
    _assert_scored(scorer, rows, _in_process(_csv(rows, lineterminator="\r\n")))


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_quotes_and_line_ends_and_bom(scorer: RegnoScorer, quoting: int, end: str) -> None:
    rows = _samples(5)
    text = b"\xef\xbb\xbf" + _csv(rows, quoting=quoting, lineterminator=end)
    header, _, rest = text.partition(b"\n")
    outcome = score_block("", header + b"\n", Block(rest, 2))
    out = outcome.header + outcome.text
    assert out.startswith(b"\xef\xbb\xbf")
    assert out.count(end.encode()) == out.count(b"\n") == 6
    # What stood there stands there still, to the byte.
    for line, more in zip(text.splitlines(), out.splitlines(), strict=True):
        assert more.startswith(line + b",")
    _assert_scored(scorer, rows, _read(out))


def test_any_order_of_columns_and_extra_ones(scorer: RegnoScorer) -> None:
    names = ["id", *reversed(FIELDS), "note"]
    rows = [{**row, "id": n, "note": 'a "b",\nc'} for n, row in enumerate(_samples(4))]
    out = _in_process(_csv(rows, names))
    assert list(out[0]) == [*names, "negative", "positive", "error"]
    _assert_scored(scorer, rows, out)


def test_rows_of_too_many_or_too_few_cells(scorer: RegnoScorer) -> None:
    first, short, long, last = _csv(_samples(4)).splitlines()[1:]
    text = b"\n".join((first, short.rpartition(b",")[0], b"", long + b",x", b"a\rb", last)) + b"\n"
    out = _in_process(HEADER + text)
    errors = [row["error"] for row in out]
    assert errors[:3] == [
        "",
        "the row has 9 cells, the header 10",
        "the row has 11 cells, the header 10",
    ]
    assert errors[3] in {"the row is not readable CSV", "the row has 1 cells, the header 10"}
    assert errors[4] == ""
    assert all(None not in row and None not in row.values() for row in out)
    _assert_scored(scorer, _samples(1), out[:1])


def test_text_that_is_not_utf8_is_a_fault_of_its_row() -> None:
    lines = _csv(_samples(3)).splitlines(keepends=True)
    bad = b"\xff\xfe" + lines[2]
    outcome = score_block("", HEADER, Block(lines[1] + bad + lines[3], 2))
    assert outcome.bad == 1
    second = outcome.text.splitlines()[1]
    assert second == bad.rstrip(b"\n") + b',,,"regno_recognize: must be UTF-8 text"'


def test_a_last_line_without_end_and_no_rows_at_all() -> None:
    text = _csv(_samples(2))
    assert len(_in_process(text.rstrip(b"\n"))) == 2
    assert _in_process(HEADER) == []
    assert _in_process(HEADER + b"\n\n") == []


@pytest.mark.parametrize("lines", [1, 2, 3, 100])
def test_blocks_end_where_rows_end(lines: int) -> None:
    rows = [b'a,"x\ny"\n', b"b,c\n", b'd,"""\n\n"""\n', b"e"]
    cut = list(blocks(io.BytesIO(b"".join(rows)), lines))
    assert b"".join(block.text for block in cut) == b"".join(rows)
    found = [row for block in cut for row in read_cells(block, 2).rows]
    assert found == [row.removesuffix(b"\n") for row in rows[:3]] + [b"e,"]
    at = 2
    for block in cut:
        assert block.line == at
        at += block.text.count(b"\n")


@given(st.lists(st.lists(st.text('a,"\n\r\t я', max_size=5), min_size=2, max_size=2), max_size=9))
def test_cells_are_those_of_the_csv_module(rows: list[list[str]]) -> None:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows(rows)
    cells = read_cells(Block(out.getvalue().encode(), 2), 2)
    assert cells.faults == {}
    found = [[cell.decode() for cell in row] for row in zip(*cells.columns, strict=True)]
    assert found == rows


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"a,b\n", "its header lacks regno_recognize, "),
        (HEADER.rstrip() + b",direction\n", "its header names twice: direction"),
        (HEADER.rstrip() + b",error\n", "it already has the output's columns: error"),
        (b"\xff\n", "its first line is no CSV header"),
    ],
)
def test_headers_that_are_refused(header: bytes, message: str) -> None:
    with pytest.raises(TableRefused, match=re.escape(message)):
        score_block("", header, Block(b"", 2))


def test_a_quote_without_partner_is_refused() -> None:
    line = _csv(_samples(1)).splitlines()[1]
    with pytest.raises(TableRefused, match="a quote at or after line 7 has no partner"):
        score_block("", HEADER, Block(line + b',"x\n', 7))
    with pytest.raises(TableRefused, match="a quote before line 12 has no partner"):
        list(blocks(io.BytesIO(b'"\n' + b"a\n" * 20_000), 10))


def test_faults_that_are_known_stay() -> None:
    cells = read_cells(Block(_csv(_samples(2)).partition(b"\n")[2], 2), 10)
    checked = check(cells.columns, {1: "known"})
    assert checked.usual.tolist() == [True, False]
    assert checked.faults == {1: "known"}


@pytest.mark.parametrize(
    ("given", "options", "status", "message"),
    [
        (None, (), 66, "No such file"),
        (b"", (), 65, "it is empty"),
        (b"a,b\n1,2\n", (), 65, "its header lacks"),
        (HEADER, ("--model", "none.cbm"), 65, "none.cbm is refused: it can't be read"),
        (HEADER, ("--chunk-rows", "0"), 2, "--chunk-rows"),
    ],
)
def test_failures_leave_nothing_and_say_why(
    tmp_path: Path, given: bytes | None, options: tuple[str, ...], status: int, message: str
) -> None:
    source = tmp_path / "in.csv"
    if given is not None:
        source.write_bytes(given)
    target = tmp_path / "out.csv"
    target.write_bytes(b"before")
    done = _run(source, target, *options, expect=status)
    assert message in done.stderr.decode()
    assert target.read_bytes() == b"before"
    assert {path.name for path in tmp_path.iterdir()} <= {"in.csv", "out.csv"}


def test_an_output_that_cannot_be_created(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_bytes(HEADER)
    done = _run(tmp_path / "in.csv", tmp_path / "none" / "out.csv", expect=73)
    assert "No such file or directory" in done.stderr.decode()


@pytest.mark.parametrize(("how", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_run_leaves_nothing(tmp_path: Path, how: signal.Signals, status: int) -> None:
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    text = _csv(_samples(200)).partition(b"\n")[2]
    source.write_bytes(HEADER + text * 1000)
    command = [sys.executable, "-m", "model.score", str(source), str(target), "--processes", "1"]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE)
    eventually(lambda: any(path.stat().st_size for path in tmp_path.glob(".out*")), "some output")
    process.send_signal(how)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == status
    assert b"Traceback" not in errors
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


def test_the_output_may_replace_the_input_and_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b"old")
    path.chmod(0o640)
    with whole_file(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_link_stays_a_link_and_a_device_a_device(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "file")
    for path in (tmp_path / "link", Path("/dev/null")):
        with whole_file(path) as file:
            file.write(b"text")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"text"
    assert Path("/dev/null").is_char_device()


def test_the_customers_table(
    customer: Path, customer_model: Path, customer_scorer: RegnoScorer
) -> None:
    table = customer / "customer" / "test_data.csv"
    done = _run(table, "-", "--model", customer_model)
    _assert_scored(customer_scorer, _read(table.read_bytes()), _read(done.stdout))


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    text = _csv(_samples(1000)).partition(b"\n")[2]
    peaks = []
    for thousands in (50, 200):
        source = tmp_path / f"{thousands}.csv"
        source.write_bytes(HEADER + text * thousands)
        done = _run(source, tmp_path / "out.csv", "--processes", 2)
        found = re.search(r"peak memory of 3 processes: (\d+) MiB", done.stderr.decode())
        assert found
        peaks.append(int(found[1]))
    assert peaks[1] < 600
    assert peaks[1] < peaks[0] * 1.15
