"""Labels that come late: rows of one file and labels of another, joined by a key."""

from io import BytesIO
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from model.cli import os_errors_exit
from model.regno.request import FIELDS
from model.tables.cells import list_with_points
from model.tables.errors import TableRefused
from model.tables.format import Options
from model.tables.frame import read_frame

# Greater whole numbers are not all different as floating-point numbers.
_INEXACT: Final = 2.0**53


class Joined(NamedTuple):
    """The rows that have a label, as CSV, and how many rows or labels have no partner."""

    file: BytesIO
    rows_without: int
    labels_without: int


class Join(NamedTuple):
    """The file of labels, and the column that both files have."""

    labels: Path
    key: str


def joined(rows: Path, join: Join, label: str, options: Options) -> Joined:
    """The rows with the labels of the other file. Raises Exit, and TableRefused.

    `options` are of the file of rows; the form of the other one is found out. A label that stands
    in both files is that of the file of labels.
    """
    left = _frame(rows, options, (*FIELDS, join.key), join.key)
    right = _frame(join.labels, Options(), (join.key, label), join.key)[[join.key, label]]
    for path, frame in ((rows, left), (join.labels, right)):
        frame[join.key] = _key(path, frame[join.key])
    right = right[right[join.key] != ""].drop_duplicates()
    if twice := int(right[join.key].duplicated().sum()):
        raise TableRefused(
            f"{join.labels}: {twice} values of {join.key} have two labels that differ"
        )
    both = left.drop(columns=label, errors="ignore").merge(right, on=join.key, how="inner")
    if both.empty:
        raise TableRefused(f"{rows} and {join.labels} have no value of {join.key} in common")
    file = BytesIO()
    both.to_csv(file, index=False)
    file.seek(0)
    used = right[join.key].isin(left[join.key]).sum()
    return Joined(file, len(left) - len(both), len(right) - int(used))


def _frame(path: Path, options: Options, wanted: tuple[str, ...], key: str) -> pd.DataFrame:
    with os_errors_exit(66, path):
        try:
            frame, form = read_frame(path, options, wanted, as_text=[key])
        except TableRefused as error:
            raise TableRefused(f"{path}: {error}") from error
    has_commas = form.list_decimal == ","
    return frame.map(lambda cell: _list(cell, has_commas=has_commas))


def _list(cell: Any, *, has_commas: bool) -> Any:
    """A list of numbers as CSV holds it; any other cell as it is."""
    if isinstance(cell, np.ndarray):
        return cell.tolist()
    if has_commas and isinstance(cell, str) and cell.lstrip()[:1] == "[":
        changed = list_with_points(cell.encode())
        return cell if changed is None else changed.decode()
    return cell


def _key(path: Path, column: "pd.Series[Any]") -> "pd.Series[str]":
    """Keys as text: one file may hold numbers where the other has text.

    Raises TableRefused for numbers that are not exact.
    """
    if pd.api.types.is_float_dtype(column) and (column.dropna() % 1 == 0).all():
        if (column.abs() >= _INEXACT).any():
            raise TableRefused(
                f"{path}: numbers in {column.name} have more digits than the file keeps: "
                "store them as text"
            )
        return column.astype("Int64").astype("string").fillna("")
    return column.astype("string").fillna("").str.strip()
