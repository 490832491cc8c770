"""A block of a CSV file scored row by row, by any model: the way of one that has no quicker one."""

import csv
import io
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from model import catalog
from model.bulk.header import layout
from model.bulk.outcome import Outcome
from model.errors import InvalidRequest
from model.tables.blocks import Block
from model.tables.csv_cells import read_cells

if TYPE_CHECKING:
    from collections.abc import Sequence

    from model.scorer import Model


def score_rows(
    model: "Model", artifact: str, header: bytes, block: Block, positive_class: str
) -> Outcome:
    """The rows of a block, each with the cells of its score or with an error.

    A cell is text: the model's request has to take numbers in strings. Raises TableRefused or
    ModelRefused.
    """
    scorer = _scorer(model.name, artifact, positive_class)
    fields, added = model.request.__struct_fields__, model.score.__struct_fields__
    file = layout(header, fields, (*added, "error"))
    cells = read_cells(block, file.width)
    decode = model.decoder(1)
    requests: list[Any] = []
    faults = dict(cells.faults)
    columns = [cells.columns[at] for at in file.wanted]
    for number, values in enumerate(zip(*columns, strict=True)):
        if number in faults:
            continue
        try:
            requests.append(decode(_body(fields, values)))
        except InvalidRequest as fault:
            faults[number] = str(fault)
    scores = iter(scorer.score(requests))
    outcomes = (
        ("", faults[number]) if number in faults else (next(scores), "")
        for number in range(len(cells.rows))
    )
    lines = [
        row + b"," + _cells(added, score, fault) + file.end
        for row, (score, fault) in zip(cells.rows, outcomes, strict=True)
    ]
    return Outcome(file.header, b"".join(lines), len(lines), Counter(faults.values()), {})


@lru_cache(1)
def _scorer(name: str, artifact: str, positive_class: str) -> Any:
    scorer = catalog.entry(name).load().load(Path(artifact), positive_class)
    scorer.validate()
    return scorer


def _body(fields: "Sequence[str]", values: "Sequence[bytes]") -> bytes:
    texts = (value.decode(errors="replace") for value in values)
    return msgspec.json.encode(dict(zip(fields, texts, strict=True)))


def _cells(fields: "Sequence[str]", score: Any, fault: str) -> bytes:
    out = io.StringIO()
    values = [getattr(score, field) for field in fields] if score else [""] * len(fields)
    csv.writer(out, lineterminator="").writerow([*values, fault])
    return out.getvalue().encode()
