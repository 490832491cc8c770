"""`python -m model.score`: a CSV file in, the same rows with their scores out."""

import csv
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.regno import BUNDLED, RegnoScorer
from model.regno.request import FIELDS, LONGEST
from tests.support.messages import mentions, states
from tests.support.paths import ROOT
from tests.support.server import eventually
from tests.support.tables import (
    HEADER,
    as_csv,
    assert_scored,
    expected,
    in_process,
    read,
    run,
    samples,
    scored,
)

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
    {"afts_regno_ai_char_scores": "[+1, 0.5]"},
    {"afts_regno_ai_char_scores": "[0.5, 01]"},
    {"afts_regno_ai_char_scores": "[-01.5]"},
    {"afts_regno_ai_char_scores": "[1., 0.5]"},
    {"afts_regno_ai_char_scores": "[0.5, 1.]"},
    {"afts_regno_ai_char_scores": "[.5]"},
    {"afts_regno_ai_char_scores": "[1.e-5]"},
    {"afts_regno_ai_char_scores": "[-0, -0.5, 1E-5, 0e1, 10]"},
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
    {"regno_recognize": "А" * LONGEST},
    {"regno_recognize": "А" * (LONGEST + 1)},
    {"afts_regno_ai": "0" * (LONGEST + 1)},
    {"camera_class": "я" * (LONGEST + 1)},
    {"camera_type": "я" * (LONGEST + 1)},
    {"afts_regno_ai_char_scores": str([1] * LONGEST)},
    {"afts_regno_ai_char_scores": str([1] * (LONGEST + 1))},
    {"afts_regno_ai_length_scores": str([1] * (LONGEST + 1)).replace(" ", "")},
]


def test_the_same_scores_as_for_single_requests(scorer: RegnoScorer, tmp_path: Path) -> None:
    rows = samples(700)
    (tmp_path / "in.csv").write_bytes(as_csv(rows))
    arguments = (tmp_path / "in.csv", tmp_path / "out.csv")
    done = run(*arguments, "--chunk-rows", 30, "--processes", 2)
    assert_scored(scorer, rows, read((tmp_path / "out.csv").read_bytes()))
    summary = done.stderr.decode()
    assert re.match(r"700 rows in [\d.]+ s \(\d+ rows/s\); bad rows: 0; ", summary)
    # One reading of a diplomat's plate.
    other = "rows with other warnings: lookalike-letters:regno_recognize 1"
    assert f"; rows with unseen categories: none; {other}; " in summary
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "out.csv"]


def test_the_summary_counts_rows_by_warning() -> None:
    rows = samples(60)
    doubtful = (
        ({"afts_regno_ai_char_scores": "[0,99, 0,98, 0,97]"}, 4),
        ({"afts_regno_ai_length_scores": "[]", "time_check": "0001-01-01"}, 3),
        # Read row by row: blanks.
        ({"afts_regno_ai_length_scores": " [ 1.5 ] "}, 2),
        ({"camera_class": "Неведомая"}, 5),
        ({"time_check": "2021-12-01 10:00:00"}, 6),
    )
    at = iter(rows)
    for change, count in doubtful:
        for _ in range(count):
            next(at).update(change)
    same = next(at)
    same["regno_recognize"] = f" {same['afts_regno_ai'].lower()}"
    errors = run("-", "-", "--processes", 1, "--chunk-rows", 25, given=as_csv(rows)).stderr.decode()
    assert (
        "; bad rows: 0; rows with unseen categories: camera_class 5; rows with other warnings: "
        "implausible-time:time_check 3, "
        "length-mismatch:afts_regno_ai_char_scores 4, "
        "length-mismatch:afts_regno_ai_length_scores 2, "
        "out-of-range:afts_regno_ai_char_scores 4, "
        "out-of-range:afts_regno_ai_length_scores 2, "
        "readings-agree 1; peak memory"
    ) in errors


def test_months_that_the_manifest_lacks_are_no_unseen_categories(tmp_path: Path) -> None:
    for name in ("regno.cbm", "manifest.json"):
        (tmp_path / name).write_bytes(BUNDLED.with_name(name).read_bytes())
    manifest = json.loads((tmp_path / "manifest.json").read_bytes())
    manifest["vocabularies"] |= {"month": ["January"], "weekday": ["Monday"]}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    model = ("--model", tmp_path / "regno.cbm")
    errors = run("-", "-", *model, "--processes", 1, given=as_csv(samples(20))).stderr.decode()
    assert "rows with unseen categories: none; rows with other warnings: none;" in errors


def test_bad_rows_do_not_stop_the_run(scorer: RegnoScorer) -> None:
    rows = [{**row, **change} for row, change in zip(samples(len(CHANGES)), CHANGES, strict=True)]
    mixed = [row for pair in zip(rows, samples(len(CHANGES), 4), strict=True) for row in pair]
    done = run("-", "-", "--processes", 1, given=as_csv(mixed))
    assert_scored(scorer, mixed, read(done.stdout))
    bad = sum(1 for row in mixed if expected(scorer, row)["error"])
    assert f"bad rows: {bad};" in done.stderr.decode()
    assert "camera_type 1" in done.stderr.decode()


def test_bad_rows_are_counted_by_their_reasons() -> None:
    rows = samples(30)
    for row in rows[:12]:
        row["recognition_accuracy"] = "6,4"
    for row in rows[12:15]:
        row["time_check"] = ""
    done = run("-", "-", "--processes", 2, "--chunk-rows", 4, given=as_csv(rows))
    *reasons, last = done.stderr.decode().splitlines()
    comma, empty = reasons
    assert states(comma, "  12 × recognition_accuracy: ", "decimal comma", "point", "line 2)")
    assert states(empty, "  3 × time_check: ", "empty", "line 14)")
    assert "bad rows: 15;" in last


def test_of_many_reasons_the_ten_most_frequent_are_reported() -> None:
    line = as_csv(samples(1)).splitlines()[1]
    rows = [line, *(line + b",x" * extra for extra in range(1, 13)), line + b",x"]
    done = run("-", "-", given=HEADER + b"\n".join(rows))
    *reasons, _ = done.stderr.decode().splitlines()
    assert len(reasons) == 11
    assert states(reasons[0], "  2 × ", "11 cells", "header 10", "line 3)")
    assert states(reasons[-1], "  2 × ", "other")


@pytest.mark.parametrize(
    ("counts", "options", "status", "last"),
    [
        ((0, 0), (), 0, ("0 rows",)),
        ((3, 4), (), 0, ("4 rows",)),
        ((4, 4), (), 1, ("python -m model.score: ", "all rows", "bad")),
        ((4, 4), ("--max-bad", "1"), 0, ("4 rows",)),
        ((1, 4), ("--max-bad", "0.25"), 0, ("4 rows",)),
        ((2, 4), ("--max-bad", "0.25"), 1, ("python -m model.score: ", "2 of 4 rows", "bad")),
        ((1, 4), ("--max-bad", "0"), 1, ("python -m model.score: ", "1 of 4 rows", "bad")),
        ((0, 4), ("--max-bad", "0"), 0, ("4 rows",)),
        ((0, 0), ("--max-bad", "0"), 0, ("0 rows",)),
    ],
)
def test_too_many_bad_rows_fail_the_run_and_the_output_says_why(
    tmp_path: Path,
    counts: tuple[int, int],
    options: tuple[str, ...],
    status: int,
    last: tuple[str, ...],
) -> None:
    bad, rows = counts
    given = samples(rows)
    for row in given[:bad]:
        row["direction"] = ""
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_bytes(as_csv(given))
    done = run(source, target, *options, expect=status)
    assert states(done.stderr.decode().splitlines()[-1], *last)
    errors = [row["error"] for row in read(target.read_bytes())]
    assert errors == ["direction: is empty"] * bad + [""] * (rows - bad)


@pytest.mark.parametrize("share", ["-0.1", "1.1", "nan", "5%", ""])
def test_a_share_is_a_number_from_0_to_1(share: str) -> None:
    done = run("-", "-", "--max-bad", share, given=HEADER, expect=2)
    assert mentions(done.stderr.decode(), f"argument --max-bad: {share!r} ", "0 to 1")


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: str(change)[:60])
def test_each_oddity_among_usual_rows(scorer: RegnoScorer, change: dict[str, object]) -> None:
    rows = samples(3)
    rows[1] |= change
    assert_scored(scorer, rows, in_process(as_csv(rows)))


@given(st.data())
def test_any_texts_in_any_cells(scorer: RegnoScorer, data: st.DataObject) -> None:
    rows = samples(2)
    texts = st.text(st.characters(codec="utf-8"), max_size=8)
    for row in rows:
        name = data.draw(st.sampled_from(FIELDS))
        row[name] = data.draw(st.one_of(texts, st.sampled_from(["[", "]", "0.5", "],["])))
    # With "\n" alone, Python's writer would leave a "\r" in a cell without quotes.
    assert_scored(scorer, rows, in_process(as_csv(rows, lineterminator="\r\n")))


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_quotes_and_line_ends_and_bom(scorer: RegnoScorer, quoting: int, end: str) -> None:
    rows = samples(5)
    text = b"\xef\xbb\xbf" + as_csv(rows, quoting=quoting, lineterminator=end)
    out, _ = scored(text)
    assert out.startswith(b"\xef\xbb\xbf")
    assert out.count(end.encode()) == out.count(b"\n") == 6
    # What stood there stands there still, to the byte.
    for line, more in zip(text.splitlines(), out.splitlines(), strict=True):
        assert more.startswith(line + b",")
    assert_scored(scorer, rows, read(out))


def test_any_order_of_columns_and_extra_ones(scorer: RegnoScorer) -> None:
    names = ["id", *reversed(FIELDS), "note"]
    rows = [{**row, "id": n, "note": 'a "b",\nc'} for n, row in enumerate(samples(4))]
    out = in_process(as_csv(rows, names))
    assert list(out[0]) == [*names, "negative", "positive", "error"]
    assert_scored(scorer, rows, out)


def test_rows_of_too_many_or_too_few_cells(scorer: RegnoScorer) -> None:
    first, short, long, last = as_csv(samples(4)).splitlines()[1:]
    text = b"\n".join((first, short.rpartition(b",")[0], b"", long + b",x", b"a\rb", last)) + b"\n"
    out = in_process(HEADER + text)
    errors = [row["error"] for row in out]
    assert errors[0] == ""
    assert mentions(errors[1], "9 cells", "header 10")
    assert mentions(errors[2], "11 cells", "header 10")
    assert mentions(errors[3], "CSV") or mentions(errors[3], "1 cells", "header 10")
    assert errors[4] == ""
    assert all(None not in row and None not in row.values() for row in out)
    assert_scored(scorer, samples(1), out[:1])


def test_text_that_is_not_utf8_is_a_fault_of_its_row() -> None:
    lines = as_csv(samples(3)).splitlines(keepends=True)
    bad = b"\xff\xfe" + lines[2]
    out, (outcome,) = scored(HEADER + lines[1] + bad + lines[3])
    ((fault, count),) = outcome.faults.items()
    assert states(fault, "regno_recognize: ", "UTF-8")
    assert count == 1
    assert out.splitlines()[2] == bad.rstrip(b"\n") + b",,," + fault.encode()


def test_a_last_line_without_end_and_no_rows_at_all() -> None:
    text = as_csv(samples(2))
    assert len(in_process(text.rstrip(b"\n"))) == 2
    assert in_process(HEADER) == []
    assert in_process(HEADER + b"\n\n") == []


@pytest.mark.parametrize(
    ("given", "options", "status", "facts"),
    [
        (None, (), 66, ("in.csv", "No such file")),
        (b"", (), 65, ("in.csv", "empty")),
        (b"a,b\n1,2\n", (), 65, ("in.csv", "header lacks")),
        (HEADER, ("--model", "none.cbm"), 65, ("none.cbm is refused", "can't be read")),
        (HEADER, ("--chunk-rows", "0"), 2, ("--chunk-rows",)),
    ],
)
def test_failures_leave_nothing_and_say_why(
    tmp_path: Path,
    given: bytes | None,
    options: tuple[str, ...],
    status: int,
    facts: tuple[str, ...],
) -> None:
    source = tmp_path / "in.csv"
    if given is not None:
        source.write_bytes(given)
    target = tmp_path / "out.csv"
    target.write_bytes(b"before")
    done = run(source, target, *options, expect=status)
    assert mentions(done.stderr.decode(), *facts)
    assert target.read_bytes() == b"before"
    assert {path.name for path in tmp_path.iterdir()} <= {"in.csv", "out.csv"}


def test_an_output_that_cannot_be_created(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_bytes(HEADER)
    done = run(tmp_path / "in.csv", tmp_path / "none" / "out.csv", expect=73)
    assert mentions(done.stderr.decode(), "none/out.csv", "No such file or directory")


@pytest.mark.parametrize("rows", [1, 2000])
def test_an_output_that_takes_nothing_can_not_be_written(rows: int, tmp_path: Path) -> None:
    """However little there is: it may be written only as the file is closed."""
    (tmp_path / "in.csv").write_bytes(as_csv(samples(rows)))
    done = run(tmp_path / "in.csv", "/dev/full", "--processes", 1, expect=74)
    assert "/dev/full: No space left on device" in done.stderr.decode()
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(("closed", "status"), [("<&-", 66), (">&-", 73)])
def test_a_closed_standard_stream_is_reported(closed: str, status: int) -> None:
    command = f"{sys.executable} -m model.score - - {closed}"
    done = subprocess.run(
        ["sh", "-c", command], cwd=ROOT, input=HEADER, capture_output=True, check=False
    )
    assert done.returncode == status
    assert done.stderr == b"python -m model.score: -: it is closed\n"


@pytest.mark.parametrize(("how", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_run_leaves_nothing(tmp_path: Path, how: signal.Signals, status: int) -> None:
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    text = as_csv(samples(200)).partition(b"\n")[2]
    source.write_bytes(HEADER + text * 1000)
    command = [sys.executable, "-m", "model.score", str(source), str(target), "--processes", "1"]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE)
    eventually(lambda: any(path.stat().st_size for path in tmp_path.glob(".out*")), "some output")
    process.send_signal(how)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == status
    assert b"Traceback" not in errors
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


def test_the_customers_table(
    customer: Path, customer_model: Path, customer_scorer: RegnoScorer
) -> None:
    (table,) = customer.glob("customer/*.csv")
    done = run(table, "-", "--model", customer_model)
    assert_scored(customer_scorer, read(table.read_bytes()), read(done.stdout))


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    text = as_csv(samples(1000)).partition(b"\n")[2]
    peaks = []
    for thousands in (50, 200):
        source = tmp_path / f"{thousands}.csv"
        source.write_bytes(HEADER + text * thousands)
        done = run(source, tmp_path / "out.csv", "--processes", 2)
        match = re.search(r"peak memory of 3 processes: (\d+) MiB", done.stderr.decode())
        assert match
        peaks.append(int(match[1]))
    assert peaks[1] < 600
    assert peaks[1] < peaks[0] * 1.15
