"""An evaluation as text for a terminal."""

from collections.abc import Iterator, Sequence
from math import isnan

from model.regno.evaluation.bootstrap import Interval
from model.regno.evaluation.decisions import Decisions
from model.regno.evaluation.quality import Controlled, Evaluation, Segment
from model.regno.evaluation.render import METRICS


def summary(made: Evaluation) -> str:
    """All figures that fit into a terminal of 100 columns."""
    return "\n".join((*_head(made), *_decisions(made), *_segments(made), *_against(made), ""))


def _head(made: Evaluation) -> Iterator[str]:
    yield f"{made.version} on {made.rows} rows of {made.data.file}, {made.first} to {made.last}"
    yield f"the network is right in {made.positive_share:.1%} of them"
    yield ""
    yield from _table(
        ("metric", "value", "95 % interval", "network's score"),
        [
            (
                METRICS[name],
                _number(interval.value),
                _interval(interval),
                _number(made.baselines["score_itself"][name]),
            )
            for name, interval in made.measures.items()
        ],
    )
    yield f"accuracy to expect from the scores alone (CBPE): {made.expected_accuracy:.4f}"
    widths = [each.width for each in made.certainty]
    mean, most = sum(widths) / len(widths), max(widths)
    yield f"width of the Venn-ABERS interval of a score: {mean:.4f} on average, {most:.4f} at most"


def _decisions(made: Evaluation) -> Iterator[str]:
    yield ""
    yield from _table(
        ("decisions by", "camera", "manual", "network", "wrong camera", "wrong network", "cost"),
        [
            _decided(made.thresholds, made.decisions),
            _decided("least cost on these rows", made.cheapest),
            *([_decided("risk control", made.controlled.decisions)] if made.controlled else []),
        ],
    )
    camera, network = (_threshold(getattr(made.decisions, side)) for side in ("camera", "network"))
    # What is at both thresholds is the network's.
    up_to = "below" if made.decisions.camera == made.decisions.network else "up to"
    yield f"thresholds by {made.thresholds}: camera {up_to} {camera}, network from {network}"
    if made.controlled:
        yield from _controlled(made.controlled)


def _decided(name: str, made: Decisions) -> Sequence[str]:
    by = made.by_decision
    return (
        name,
        *(f"{by[decision].share:.1%}" for decision in ("camera", "manual", "network")),
        *(_share(by[decision].error) for decision in ("camera", "network")),
        f"{made.cost:.4f}",
    )


def _controlled(controlled: Controlled) -> Iterator[str]:
    limits, simulation = controlled.limits, controlled.simulation
    for side in ("camera", "network"):
        guarantee = getattr(controlled.guarantees, side)
        where = "up to" if side == "camera" else "from"
        if guarantee.threshold is None:
            yield f"risk control: no guarantee of {side} decisions at {guarantee.limit:g}"
            continue
        yield (
            f"risk control: {side} {where} {guarantee.threshold:.6g}: "
            f"at most {guarantee.limit:g} wrong "
            f"({guarantee.wrong} of {guarantee.decided} tested; bound {guarantee.bound:.4f})"
        )
    if not controlled.guarantees.complete:
        return
    yield (
        f"with {limits.confidence:.0%} confidence both hold; of {simulation.repetitions} random "
        f"draws of these rows {simulation.broken} gave a guarantee that did not hold"
    )


def _segments(made: Evaluation) -> Iterator[str]:
    for column, found in made.segments.items():
        yield ""
        yield from _table(
            (
                column,
                "rows",
                "AUC",
                "accuracy",
                "95 % interval",
                "expected",
                "ECE",
                "manual",
                "cost",
            ),
            [_segment(name, segment) for name, segment in found.items()],
        )


def _segment(name: str, segment: Segment) -> Sequence[str]:
    return (
        name[:36],
        str(segment.rows),
        _number(segment.auc.value),
        _number(segment.accuracy.value),
        _interval(segment.accuracy),
        _number(segment.expected_accuracy),
        _number(segment.calibration_error),
        f"{segment.manual:.1%}",
        f"{segment.cost:.4f}",
    )


def _against(made: Evaluation) -> Iterator[str]:
    if made.against is None:
        return
    yield ""
    yield from _table(
        (f"against {made.against.version}", "this", "other", "difference", "95 %", "verdict"),
        [
            (
                METRICS[name],
                _number(of.new),
                _number(of.other),
                f"{of.difference:+.4f}",
                f"{of.low:+.4f} … {of.high:+.4f}",
                of.verdict,
            )
            for name, of in made.against.measures.items()
        ],
    )
    yield (
        f"at one half they decide differently in {made.against.flips} rows; this model is right in "
        f"{made.against.rightly} of them"
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        first, *others = (
            cell.ljust(width) if at == 0 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join((first, *others)).rstrip()


def _number(value: float) -> str:
    return "–" if isnan(value) else f"{value:.4f}"


def _interval(interval: Interval) -> str:
    return "–" if isnan(interval.low) else f"{interval.low:.4f} … {interval.high:.4f}"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.2%}"


def _threshold(value: float | None) -> str:
    return "never" if value is None else f"{value:.4g}"
