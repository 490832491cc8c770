"""What stores get of the log: a row for each decision, its vectors, and labels that came later.

Nothing here is a plate or tells one. A score is a function of the readings: with the model and
the exact score somebody could try plates until one fits. So it is rounded, and many fit.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

from model import InvalidRequest, UnknownModel, catalog
from model.redaction import redact
from model.scorer import Decoder, Model
from service.decisions.decision import Decision, Feedback, decode
from service.decisions.log import Damaged, DecisionLog, Forgotten
from service.decisions.store import SCORE_DIGITS, Row

_Facts: TypeAlias = Mapping[str, str | int | float]
_Vectors: TypeAlias = Mapping[str, Sequence[float]]


class AnalysisRow(NamedTuple):
    """A decision as the stores have it: `log` and `entry` are its id, the others columns."""

    log: str
    entry: int
    request_id: str
    row: int
    time: datetime
    key_name: str
    model: str
    version: str
    code: str
    generation: int
    positive: float
    decision: str
    limits: dict[str, float]
    costs: dict[str, float]
    warnings: list[str]
    audited: bool
    audit_probability: float
    # By the model, where it has them.
    camera_type: str
    camera_class: str
    direction: int
    hour: int
    weekday: str
    camera_template: str
    network_template: str
    camera_length: int
    network_length: int
    differing: int
    camera_accuracy: float
    network_score: float


class Label(NamedTuple):
    """What came of a decision: of several the one with the highest `number` counts.

    `entry` and `time` are the decision's, `number` is the label's own place in the log.
    """

    log: str
    entry: int
    time: datetime
    number: int
    outcome: str
    source: str
    labelled: datetime


class Batch(NamedTuple):
    """What the entries of the log from `first` to before `until` hold for stores.

    `token` is the same whenever this piece of the log is sent.
    """

    first: int
    until: int
    token: str
    rows: list[AnalysisRow]
    vectors: list[_Vectors]
    labels: list[Label]


def read(log: DecisionLog, first: int, until: int) -> Batch:
    """The batch of a piece of the log, without what was forgotten or is damaged."""
    batch = Batch(first, until, f"{log.id}:{first}-{until}", [], [], [])
    for row in list(log.store.rows("idx >= ? AND idx < ?", first, until)):
        if row.kind == "decision":
            _add(batch, log, row)
        elif row.kind == "feedback":
            batch.labels.extend(_label(log, row))
    return batch


def _add(batch: Batch, log: DecisionLog, row: Row) -> None:
    try:
        entry = decode(log.canonical(row))
    except (Forgotten, Damaged):
        return
    if isinstance(entry, Decision):
        facts, vectors = _of_request(entry)
        batch.rows.append(_decided(log.id, row.entry, entry, facts))
        batch.vectors.append(vectors)


def _of_request(entry: Decision) -> tuple[_Facts, _Vectors]:
    """What the model says of the request; nothing, if it is gone or can't read it any more."""
    try:
        model, decoder = _reader(entry.model)
        request = decoder(bytes(entry.request))
    except (UnknownModel, InvalidRequest):
        return {}, {}
    return model.facts(request), model.vectors(request)


@lru_cache
def _reader(name: str) -> tuple[Model, Decoder]:
    model = catalog.entry(name).load()
    return model, model.decoder(1)


def _decided(log: str, number: int, entry: Decision, facts: _Facts) -> AnalysisRow:
    known = {name: facts.get(name, default) for name, default in _DEFAULTS.items()}
    return AnalysisRow(
        log,
        number,
        entry.request_id,
        entry.row,
        _moment(entry.time),
        entry.key_name,
        entry.model,
        entry.version,
        entry.code,
        entry.generation,
        round(entry.positive, SCORE_DIGITS),
        entry.decision,
        entry.limits,
        entry.costs,
        list(entry.warnings),
        entry.audited,
        entry.audit_probability,
        **known,  # type: ignore[arg-type]  # the columns of the model
    )


# The columns of the model, and what they are where it has none.
_FIRST_OF_MODEL: Final = AnalysisRow._fields.index("camera_type")
_EMPTY: Final = {str: "", int: 0, float: 0.0}
_DEFAULTS: Final = {
    name: _EMPTY[AnalysisRow.__annotations__[name]]
    for name in AnalysisRow._fields[_FIRST_OF_MODEL:]
}


def _label(log: DecisionLog, row: Row) -> Iterator[Label]:
    """The label of an entry, if its decision is there and not forgotten."""
    try:
        entry = decode(log.canonical(row))
    except (Forgotten, Damaged):
        return
    if not isinstance(entry, Feedback):
        return
    condition = "kind = 'decision' AND request_id = ? AND row = ? AND idx < ?"
    values = (entry.request_id, entry.row, row.entry)
    about = list(log.store.rows(condition, *values, order="idx DESC LIMIT 1"))
    if about and about[0].salt is not None:
        (of,) = about
        named = (log.id, of.entry, _moment(of.time), row.entry)
        yield Label(*named, entry.outcome, redact(entry.source), _moment(entry.time))


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
