"""Samples of readings, for comparisons, vocabularies and drift references: in any form of file."""

import gzip
from io import BytesIO
from pathlib import Path

import pandas as pd
import pytest

from model.regno import RegnoScorer
from model.regno.columns import sample
from tests.support.tables import as_csv, samples

ROWS = [*samples(20), {**samples(1)[0], "direction": "sideways"}]


@pytest.mark.parametrize("form", ["cp1251", "utf-16", "gzip", "xlsx", "parquet"])
def test_the_same_rows_are_the_same_readings_in_any_form(
    form: str, tmp_path: Path, scorer: RegnoScorer
) -> None:
    plain, other = tmp_path / "plain.csv", tmp_path / "other"
    plain.write_bytes(as_csv(ROWS))
    frame = pd.read_csv(BytesIO(as_csv(ROWS)), dtype=str)
    if form == "cp1251":
        frame.to_csv(other, sep=";", encoding=form, index=False)
    elif form == "utf-16":
        other.write_text(as_csv(ROWS).decode(), encoding=form)
    elif form == "gzip":
        other.write_bytes(gzip.compress(as_csv(ROWS)))
    elif form == "xlsx":
        frame.to_excel(other, index=False, engine="openpyxl")
    else:
        frame.to_parquet(other)
    results = []
    for path in (plain, other):
        readings = list(sample.read(path))
        assert [reading is None for reading in readings] == [False] * 20 + [True]
        results.append(scorer.score([reading for reading in readings if reading]))
    assert results[0] == results[1]
