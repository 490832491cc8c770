"""Rows scored one by one, by any model: the way of one that has no quicker one, and of details."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from model import catalog
from model.bulk.outcome import Scored
from model.errors import InvalidRequest
from model.tables.cells import Cells, texts_of

if TYPE_CHECKING:
    from model.scorer import Model


def score_rows(model: "Model", artifact: str, cells: Cells, positive_class: str) -> Scored:
    """The cells of each row's score.

    A cell is text: the model's request has to take numbers in strings. Raises ModelRefused.
    """
    scorer = loaded(model, artifact, positive_class)
    places, requests, faults = _requests(model, cells)
    scores = scorer.score(requests)
    columns = _columns(model.score.__struct_fields__, scores, places, len(cells.lines))
    return Scored(columns, faults, {})


def detail_rows(model: "Model", scorer: Any, reviewer: Any, cells: Cells) -> Scored:
    """The cells of each row's score with its detail, as over HTTP; warnings by their names."""
    places, requests, faults = _requests(model, cells)
    details, warnings = [], dict[str, int]()
    for request, score in zip(requests, scorer.score(requests), strict=True):
        named = reviewer.warnings(scorer, request, scorer.row(request))
        for name in named:
            warnings[name] = warnings.get(name, 0) + 1
        detail = reviewer.detail(scorer, request, score)
        values = {field: getattr(detail, field) for field in detail.__struct_fields__}
        details.append(values | ({"warnings": " ".join(named)} if "warnings" in values else {}))
    columns = _columns(model.detail.__struct_fields__, details, places, len(cells.lines))
    return Scored(columns, faults, warnings)


def loaded(model: "Model", artifact: str, positive_class: str) -> Any:
    """The validated scorer of a file, kept for the next call. Raises ModelRefused."""
    return _loaded(model.name, artifact, positive_class)


@lru_cache(1)
def _loaded(name: str, artifact: str, positive_class: str) -> Any:
    scorer = catalog.entry(name).load().load(Path(artifact), positive_class)
    scorer.validate()
    return scorer


def _requests(model: "Model", cells: Cells) -> tuple[list[int], list[Any], dict[int, str]]:
    """The places of good rows, their requests, and the faults of the others."""
    decode, fields = model.decoder(1), model.request.__struct_fields__
    places, requests, faults = [], [], dict(cells.faults)
    for row, values in enumerate(_rows(cells)):
        if row in faults:
            continue
        try:
            requests.append(decode(msgspec.json.encode(texts_of(fields, values))))
            places.append(row)
        except InvalidRequest as fault:
            faults[row] = str(fault)
    return places, requests, faults


def _rows(cells: Cells) -> Iterator[tuple[str | bytes, ...]]:
    return zip(*(column.to_pylist() for column in cells.columns), strict=True)


def _columns(
    fields: Sequence[str], scores: Sequence[Any], places: Sequence[int], count: int
) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {field: [None] * count for field in fields}
    for row, score in zip(places, scores, strict=True):
        for field, column in columns.items():
            column[row] = score[field] if isinstance(score, dict) else getattr(score, field)
    return columns
