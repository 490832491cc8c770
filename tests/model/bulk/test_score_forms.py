"""`python -m model.score` with files in any form, in and out: the same rows, the same scores."""

import csv
import gzip
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.bulk.workers import ERROR, Work, outcome_of
from model.regno import BUNDLED, RegnoScorer
from model.regno.request import FIELDS, from_fields
from model.regno.review.detail import Detail
from model.regno.score import Score
from model.tables.errors import TableRefused
from model.tables.format import Format
from model.tables.output import Renderer, output_format, writer
from model.tables.table import open_table
from tests.support.messages import mentions, states, stating
from tests.support.strategies import requests
from tests.support.tables import as_csv, expected, in_process, run, samples

_LISTS = ("afts_regno_ai_char_scores", "afts_regno_ai_length_scores")
_SCORES = ("negative", "positive")
Row = dict[str, Any]


def _exact_excel(rows: Sequence[Row]) -> bytes:
    """As Excel itself writes numbers: with all their digits."""
    out = io.BytesIO()
    layout_of = as_csv(rows[:1] or samples(1))
    with open_table(io.BytesIO(layout_of), FIELDS) as table:
        form = Format("Excel")
        renderer = Renderer(table.layout, form, [])
        target = writer(out, form, renderer)
        target.write([[row[name] for name in FIELDS] for row in rows])
        target.close()
    return out.getvalue()


def _parquet(rows: Sequence[Row], *, lists: bool = True) -> bytes:
    frame = pd.DataFrame(rows, columns=FIELDS)
    if lists:
        for name in _LISTS:
            frame[name] = [list(map(float, json.loads(text))) for text in frame[name]]
    out = io.BytesIO()
    frame.to_parquet(out)
    return out.getvalue()


def _json_lines(rows: Sequence[Row]) -> bytes:
    return b"".join(
        json.dumps({name: row[name] for name in FIELDS}).encode() + b"\n" for row in rows
    )


WRITERS: dict[str, Callable[[Sequence[Row]], bytes]] = {
    "csv": as_csv,
    "semicolons": lambda rows: as_csv(rows, delimiter=";"),
    "utf-16": lambda rows: as_csv(rows, delimiter="\t").decode().encode("utf-16"),
    "gzip": lambda rows: gzip.compress(as_csv(rows)),
    "json lines": _json_lines,
    "parquet": _parquet,
    "parquet of text": lambda rows: _parquet(rows, lists=False),
    "excel": _exact_excel,
}


def _scores(content: bytes, rows_at_a_time: int = 5000) -> list[tuple[Any, ...]]:
    """Negative, positive and error of each row, scored in this process."""
    made: list[tuple[Any, ...]] = []
    with open_table(io.BytesIO(content), FIELDS) as table:
        out = Format("Excel")
        renderer = Renderer(table.layout, out, [*Score.__struct_fields__, ERROR])
        work = Work("regno", str(BUNDLED), table.layout, renderer)
        for parcel in table.parcels(rows_at_a_time):
            made += [tuple(row[-3:]) for row in outcome_of(work, parcel).content]
    return made


def _number(cell: str) -> float | None:
    return float(cell) if cell else None


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


@settings(max_examples=12, deadline=None)
@given(st.lists(requests(), min_size=1, max_size=4))
def test_the_same_rows_in_any_form_have_the_same_scores(some: list[Row]) -> None:
    rows = [{name: _as_text(value) for name, value in row.items()} for row in some]
    wanted = _scores(_json_lines(rows))
    assert _scores(_parquet(rows, lists=False)) == wanted
    assert _scores(gzip.compress(as_csv(rows, quoting=csv.QUOTE_ALL))) == wanted


@pytest.mark.parametrize("form", WRITERS)
def test_scores_of_a_file_are_those_of_single_requests(scorer: RegnoScorer, form: str) -> None:
    rows = samples(60)
    rows[7]["direction"] = 3
    rows[8]["recognition_accuracy"] = 94.25
    wanted = [tuple(expected(scorer, row).values()) for row in rows]
    assert [(n, p, error or "") for n, p, error in _scores(WRITERS[form](rows), 7)] == wanted


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = samples(12)
    rows[3]["direction"] = 9
    names = ["id", *FIELDS]
    path = tmp_path_factory.mktemp("forms") / "in.csv"
    path.write_bytes(as_csv([{**row, "id": f"0{n}"} for n, row in enumerate(rows)], names))
    return path


def _read(path: Path) -> pd.DataFrame:
    name = path.name
    if name.endswith(".parquet"):
        return pd.read_parquet(path)
    if name.endswith(".xlsx"):
        return pd.read_excel(path, dtype={"id": str}, keep_default_na=False, na_values=[""])
    if ".jsonl" in name:
        content = path.read_bytes()
        text = gzip.decompress(content) if name.endswith(".gz") else content
        return pd.DataFrame(map(json.loads, text.splitlines()))
    return pd.read_csv(path, sep="\t" if ".tsv" in name else ",", dtype={"id": str})


@pytest.mark.parametrize(
    "name", ["o.csv", "o.csv.gz", "o.tsv", "o.jsonl", "o.jsonl.gz", "o.parquet", "o.xlsx", "other"]
)
def test_the_output_has_the_form_of_its_suffix(source: Path, tmp_path: Path, name: str) -> None:
    run(source, tmp_path / name, "--processes", 1)
    frame, plain = _read(tmp_path / name), in_process(source.read_bytes())
    assert list(frame.columns) == ["id", *FIELDS, "negative", "positive", "error"]
    assert frame["id"].tolist() == [row["id"] for row in plain]
    assert frame["camera_class"].tolist() == [row["camera_class"] for row in plain]
    wanted = [float(row["positive"] or "nan") for row in plain]
    np.testing.assert_array_equal(frame["positive"].astype(float), wanted)
    assert frame["error"].fillna("").tolist() == [row["error"] for row in plain]


@pytest.mark.parametrize("more", [b"", b","])
def test_a_header_of_lines_and_rows_with_a_separator_more_are_kept(
    tmp_path: Path, more: bytes
) -> None:
    """Without the separators the worker processes read the file themselves."""
    rows = samples(20)
    header, *lines = as_csv(rows, quoting=csv.QUOTE_ALL).splitlines()
    header = header.replace(b"camera_class", b"camera\nclass")
    text = b"".join((header, b"\n", *(line + more + b"\n" for line in lines)))
    (tmp_path / "in.csv").write_bytes(text)
    run(tmp_path / "in.csv", tmp_path / "out.csv", "--processes", 1, "--chunk-rows", 7)
    out = (tmp_path / "out.csv").read_text("utf-8")
    names, *found = csv.reader(io.StringIO(out, newline=""))
    added = ["negative", "positive", "error"]
    own = [name.replace("camera_class", "camera\nclass") for name in FIELDS]
    assert names == [*own, *[""] * len(more), *added]
    wanted = in_process(as_csv(rows))
    assert [row[-3:] for row in found] == [[row[name] for name in added] for row in wanted]
    assert {len(row) for row in found} == {len(names)}


def _written(content: bytes, name: str, folder: Path) -> pd.DataFrame:
    """What is read back of an output, scored in this process."""
    path = folder / name
    with open_table(io.BytesIO(content), FIELDS) as table, path.open("wb") as file:
        out = output_format(path, table.layout.format, "")
        renderer = Renderer(table.layout, out, [*Score.__struct_fields__, ERROR])
        work = Work("regno", str(BUNDLED), table.layout, renderer)
        target = writer(file, out, renderer)
        for parcel in table.parcels(5000):
            target.write(outcome_of(work, parcel).content)
        target.close()
    return _read(path)


@pytest.mark.parametrize("name", ["o.parquet", "o.jsonl"])
def test_columns_of_one_name_are_numbered_where_names_must_differ(
    tmp_path: Path, name: str
) -> None:
    header, *lines = as_csv(samples(2)).splitlines()
    text = b"\n".join((header + b",note,note,,", *(line + b",a,b,c,d" for line in lines)))
    frame = _written(text, name, tmp_path)
    assert list(frame) == [*FIELDS, "note", "note_2", "", "_2", "negative", "positive", "error"]
    assert frame.iloc[0, len(FIELDS) : -3].tolist() == ["a", "b", "c", "d"]


def test_times_with_a_zone_are_text_in_excel(tmp_path: Path) -> None:
    frame = pd.DataFrame(samples(2))
    frame["time_check"] = pd.to_datetime("2021-08-01 09:02:59").tz_localize("Europe/Moscow")
    content = io.BytesIO()
    frame.to_parquet(content)
    written = _written(content.getvalue(), "o.xlsx", tmp_path)
    assert written["time_check"].tolist() == ["2021-08-01 09:02:59+03:00"] * 2


@pytest.mark.parametrize(("zone", "said"), [("UTC", ", times by the clock of UTC"), (None, "")])
def test_the_zone_by_whose_clock_times_are_read_is_said(
    scorer: RegnoScorer, tmp_path: Path, zone: str | None, said: str
) -> None:
    rows = samples(3)
    frame = pd.DataFrame(rows)
    frame["time_check"] = pd.to_datetime(frame["time_check"]).dt.tz_localize(zone)
    frame.to_parquet(tmp_path / "in.parquet")
    done = run(tmp_path / "in.parquet", tmp_path / "out.parquet")
    assert done.stderr.decode().startswith(f"{tmp_path / 'in.parquet'}: Parquet{said}\n")
    written = pd.read_parquet(tmp_path / "out.parquet")
    expected = [score.positive for score in scorer.score([from_fields(**row) for row in rows])]
    assert written["positive"].tolist() == expected


def test_line_ends_with_a_return_too_many_are_line_ends(tmp_path: Path) -> None:
    """As Python writes them on Windows when a file is opened without newline=''."""
    rows = samples(3)
    written = _written(as_csv(rows, lineterminator="\r\r\n"), "o.csv", tmp_path)
    assert list(written) == [*FIELDS, "negative", "positive", "error"]
    assert written["afts_regno_ai"].tolist() == [row["afts_regno_ai"] for row in rows]


def test_an_office_program_gets_back_what_it_wrote(tmp_path: Path) -> None:
    """A CSV file with semicolons, decimal commas and an old encoding stays one."""
    rows = [
        {k: str(v).replace(".", ",") if isinstance(v, float) else v for k, v in row.items()}
        for row in samples(5)
    ]
    text = as_csv(rows, delimiter=";", lineterminator="\r\n").decode().encode("cp1251")
    (tmp_path / "in.csv").write_bytes(text)
    done = run(tmp_path / "in.csv", tmp_path / "out.csv", "--processes", 1)
    assert mentions(done.stderr.decode(), "in.csv: ", "CSV", "';'", "cp1251", "decimal commas")
    out = (tmp_path / "out.csv").read_bytes()
    for old, new in zip(text.splitlines(), out.splitlines(), strict=True):
        assert new.startswith(old + b";")
    frame = pd.read_csv(io.BytesIO(out), sep=";", encoding="cp1251", dtype=str)
    plain = in_process(as_csv(samples(5)))
    assert frame["positive"].tolist() == [row["positive"].replace(".", ",") for row in plain]


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    frame = pd.DataFrame(samples(6), columns=FIELDS).assign(id=range(6))
    frame["camera_class"] = frame["camera_class"].astype("category")
    frame.to_parquet(tmp_path / "in.parquet")
    run(tmp_path / "in.parquet", tmp_path / "out.parquet", "--processes", 1)
    out = pd.read_parquet(tmp_path / "out.parquet")
    pd.testing.assert_frame_equal(out[[*FIELDS, "id"]], frame, check_categorical=False)
    assert out["positive"].dtype == float


def test_rows_of_json_keep_each_byte_and_bad_ones_say_why() -> None:
    good = _json_lines(samples(2)).splitlines()
    lines = [good[0], b'{"regno_recognize" : 1}', b" ", b"[]", good[1]]
    done = run("-", "-", "--processes", 1, given=b"\n".join(lines))
    out = done.stdout.splitlines()
    assert [line[: len(old) - 1] for line, old in zip(out, (good[0], lines[1]), strict=False)] == [
        good[0][:-1],
        lines[1][:-1],
    ]
    first, missing, no_object, last = (json.loads(line)["error"] for line in out)
    assert first == last == ""
    assert states(missing, "afts_regno_ai: ", "missing")
    assert mentions(no_object, "row", "JSON object")
    assert "(first: line 2)" in done.stderr.decode()


def test_details_are_those_of_single_requests(scorer: RegnoScorer) -> None:
    rows = samples(40)
    rows[2]["camera_class"] = "Неведомая"
    rows[3]["time_check"] = "1970-01-01"
    rows[4]["direction"] = ""
    plain, detailed = in_process(as_csv(rows)), in_process(as_csv(rows), detail=True)
    assert list(detailed[0]) == [*FIELDS, *Detail.__struct_fields__, "error"]
    for old, new in zip(plain, detailed, strict=True):
        assert [new[name] for name in (*FIELDS, "error")] == [old[n] for n in (*FIELDS, "error")]
        assert [_number(new[name]) for name in _SCORES] == [_number(old[name]) for name in _SCORES]
    assert detailed[2]["warnings"] == "unseen-category:camera_class"
    assert detailed[3]["warnings"] == "implausible-time:time_check"
    assert {row["model"] for row in detailed} == {scorer.version, ""}
    for row in detailed:
        if not row["error"]:
            positive = float(row["positive"])
            decision = "network" if positive >= 0.7 else "camera" if positive <= 0.3 else "manual"
            assert row["decision"] == decision
            assert float(row["margin"]) == min(abs(positive - 0.3), abs(positive - 0.7))


def test_details_by_other_costs(source: Path) -> None:
    done = run(source, "-", "--detail", "--cost-manual", 0, "--processes", 1)
    decisions = {row.split(",")[-5] for row in done.stdout.decode().splitlines()[1:]}
    assert decisions <= {"manual", ""}


def test_a_text_that_begins_like_a_formula_stays_a_text(tmp_path: Path) -> None:
    rows = samples(1)
    rows[0]["camera_class"] = "=1+1"
    (tmp_path / "in.csv").write_bytes(as_csv(rows))
    run(tmp_path / "in.csv", tmp_path / "out.xlsx", "--processes", 1)
    assert _read(tmp_path / "out.xlsx")["camera_class"].tolist() == ["=1+1"]


@pytest.mark.parametrize(
    ("path", "wanted", "kind"),
    [
        ("a.csv", "", "CSV"),
        ("a.TSV", "", "CSV"),
        ("a.ndjson.gz", "", "JSON lines"),
        ("a.pq", "", "Parquet"),
        ("-", "", "JSON lines"),
        ("a.csv", "xlsx", "Excel"),
    ],
)
def test_forms_by_suffix_and_option(path: str, wanted: str, kind: str) -> None:
    form = output_format(Path(path), Format("JSON lines", encoding="utf-8"), wanted)
    assert form.kind == kind
    assert form.gzip == path.endswith(".gz")


def test_a_column_of_the_output_in_the_input_is_refused() -> None:
    with pytest.raises(TableRefused, match=stating("output", "columns: positive")):
        in_process(as_csv(samples(1), [*FIELDS, "positive"], restval=""))
