"""Replay by several processes: each score equal to the last bit, flips by class."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from msgspec import Raw

from model.regno import RegnoScorer
from model.regno.request import Reading, decode_custom, encode_reading
from service.config.settings import Settings
from service.decisions.choice import condition
from service.decisions.log import DecisionLog
from service.decisions.replay import Scorers, nothing, replay
from service.decisions.replay_processes import PART, replay_all
from tests.support import tables
from tests.support.decisions import REGNO, decision, opened
from tests.support.soak import size

COUNT = size(2 * PART + 500, 100_000)
_DIFFERENT = 500


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DecisionLog]:
    """Decisions by the bundled model, as it scores; of the last one the score is another."""
    made = DecisionLog(tmp_path_factory.mktemp("replay"))
    scorer = RegnoScorer.load()
    readings = [
        msgspec.convert(row, Reading, strict=False, dec_hook=decode_custom)
        for row in tables.samples(_DIFFERENT)
    ]
    rows = scorer.rows(readings)
    positives = [score.positive for score in scorer.predict(rows)]
    requests = [Raw(encode_reading(reading)) for reading in readings]
    features = list(map(scorer.fingerprint, rows))
    for begin in range(0, COUNT, PART):
        made.append(
            [
                opened(
                    made,
                    decision(
                        number, version=scorer.version, sha256=scorer.sha256,
                        positive=positives[number % _DIFFERENT] / (1 + (number == COUNT - 1)),
                        request=requests[number % _DIFFERENT],
                        features=features[number % _DIFFERENT],
                    ),
                )
                for number in range(begin, min(begin + PART, COUNT))
            ]
        )  # fmt: skip
    yield made
    made.close()


@pytest.mark.slow
def test_processes_find_what_one_finds(log: DecisionLog, settings: Settings) -> None:
    found = replay_all(settings, log, condition(), None, 2)
    assert (found.same, found.differ, found.features) == (COUNT - 1, 1, 0)
    assert found.rows.total() == COUNT
    assert found == replay(Scorers(settings, None), log, condition())
    # All were logged as manual: what is decided now flips, by class.
    assert {before for _, before, _ in found.flips} == {"manual"}
    assert len({group for group, _, _ in found.flips}) > 3
    chosen = replay_all(settings, log, condition(version="other"), None, 2)
    assert chosen == nothing()


def test_few_entries_take_no_process_and_forgotten_ones_are_counted(
    tmp_path: Path, settings: Settings
) -> None:
    log, scorer = DecisionLog(tmp_path), RegnoScorer.load()
    made = [decision(number, sha256=scorer.sha256) for number in range(3)]
    log.append([opened(log, one) for one in (*made, decision(4))])
    plate = REGNO.subjects(REGNO.decoder(1)(bytes(made[0].request)))[0]
    with log.locked():
        log.forget(plate)
    found = replay_all(settings, log, condition(), None)
    log.close()
    assert (found.differ, found.counts["forgotten"], found.counts["unavailable"]) == (2, 1, 1)
