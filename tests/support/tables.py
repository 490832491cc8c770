"""CSV tables for bulk scoring, and the expected results of their rows."""

import csv
import io
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from model.bulk.outcome import Outcome
from model.bulk.workers import ERROR, Work, outcome_of
from model.regno import BUNDLED, RegnoScorer
from model.regno.request import FIELDS, from_fields
from model.regno.review.detail import Detail
from model.regno.score import Score
from model.regno.training.simulate import simulate
from model.request_decoder import invalid_request
from model.tables.cells import Cells, cells_of
from model.tables.options import Options
from model.tables.output import Renderer
from model.tables.table import open_table
from tests.support.paths import ROOT

HEADER = ",".join(FIELDS).encode() + b"\n"


def run(
    *arguments: object, given: bytes | None = None, expect: int = 0
) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "model.score", "--no-progress", *map(str, arguments)]
    done = subprocess.run(
        command, cwd=ROOT, input=given, capture_output=True, check=False, timeout=120
    )
    assert done.returncode == expect, done.stderr.decode()
    assert b"Traceback" not in done.stderr
    return done


def samples(count: int, seed: int = 3) -> list[dict[str, Any]]:
    return [dict(sample.request) for sample in simulate(count, seed)]


def as_csv(
    rows: Iterable[Mapping[str, object]], names: Sequence[str] = FIELDS, **how: Any
) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, names, **{"lineterminator": "\n", **how})
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def read(text: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text.decode("utf-8-sig"), newline="")))


def expected(scorer: RegnoScorer, row: Mapping[str, object]) -> dict[str, object]:
    """The expected cells of one row, by the scorer of single requests."""
    fields = {name: str(row[name]) for name in FIELDS}
    try:
        reading = from_fields(**fields)
    except msgspec.ValidationError as error:
        return {
            "negative": None,
            "positive": None,
            "error": str(invalid_request(error, fields.get)),
        }
    return {**msgspec.structs.asdict(scorer.score([reading])[0]), "error": ""}


def assert_scored(
    scorer: RegnoScorer, rows: Sequence[Mapping[str, object]], out: Sequence[Mapping[str, str]]
) -> None:
    assert len(out) == len(rows)
    for row, got in zip(rows, out, strict=True):
        assert {name: got[name] for name in row} == {k: str(v) for k, v in row.items()}
        scores = {
            name: float(got[name]) if got[name] else None for name in ("negative", "positive")
        }
        assert {**scores, "error": got["error"]} == expected(scorer, row)


def in_process(text: bytes, rows: int = 5000, *, detail: bool = False) -> list[dict[str, str]]:
    """The rows of a CSV file with the new cells, scored in this process."""
    return read(scored(text, rows, detail=detail)[0])


def scored(text: bytes, rows: int = 5000, *, detail: bool = False) -> tuple[bytes, list[Outcome]]:
    """The output of a CSV file, scored in this process, and its outcomes."""
    with open_table(io.BytesIO(text), FIELDS, Options(",", "utf-8", ".")) as table:
        fields = (Detail if detail else Score).__struct_fields__
        renderer = Renderer(table.layout, table.layout.format, [*fields, ERROR])
        costs = {"network_wrong": 1, "camera_wrong": 1, "manual": 0.3} if detail else None
        work = Work("regno", str(BUNDLED), table.layout, renderer, costs=costs)
        outcomes = [outcome_of(work, parcel) for parcel in table.parcels(rows)]
    return renderer.header + b"".join(outcome.content for outcome in outcomes), outcomes


def cells(text: bytes) -> Cells:
    """The cells of a CSV file that is scored."""
    with open_table(io.BytesIO(text), FIELDS, Options(",", "utf-8", ".")) as table:
        (parcel,) = [parcel for parcel in table.parcels(5000) if parcel.text]  # type: ignore[union-attr]
        return cells_of(parcel, table.layout)


# What a row may hold that is unusual or wrong.
