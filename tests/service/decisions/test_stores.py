"""Stores for analysis: each decision once, without its plate, and none that was forgotten."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
from bson.binary import Binary, BinaryVectorDtype
from msgspec import Raw, structs

from model import UnknownModel
from model.regno import golden
from model.regno.plates import TWINS
from model.regno.request import Scores
from model.regno.scorer import RegnoScorer
from service.decisions import feedback
from service.decisions.decision import Feedback
from service.decisions.log import DecisionLog
from service.decisions.stores import exporter
from service.decisions.stores.exporter import Exporter, lag_behind
from service.decisions.stores.parquet_store import FOLDER, ParquetStore
from service.decisions.stores.rows import AnalysisRow, read
from service.decisions.stores.store import AnalysisStore, Position, StoreRefused
from tests.support.analysis_stores import (
    Case,
    ClickHouse,
    ClickHouseCase,
    MongoCase,
    MongoDB,
    ParquetCase,
    exported,
)
from tests.support.decisions import REGNO, decision, filled, opened

PLATE = golden.readings()[0].afts_regno_ai
_DAY = 86_400


@pytest.fixture
def log(tmp_path: Path) -> Iterator[DecisionLog]:
    """A log with 20 decisions, each on another golden reading."""
    made = filled(tmp_path / "log", 20)
    yield made
    made.close()


def about_plate(log: DecisionLog) -> list[int]:
    """The entries about the first golden reading's plate."""
    return log.store.about(log.secrets.index_of(REGNO.mark(PLATE)))


def labelled(log: DecisionLog, number: int, outcome: str) -> None:
    """Add a label to the log."""
    log.record([Feedback(1_800_000_100.0, f"request-{number}", 0, outcome, "inspector")])


def test_a_store_gets_each_decision_once(case: Case, log: DecisionLog) -> None:
    assert case.export(log) == 20
    assert case.export(log) == 0
    log.note("access", user="somebody")
    log.append([opened(log, decision(20)), opened(log, decision(21))])
    assert case.export(log) == 2
    assert case.entries(log) == [*range(20), 21, 22]


def test_a_row_has_what_is_not_personal(case: Case, log: DecisionLog) -> None:
    case.export(log)
    row = case.rows(log)[0]
    expected: dict[str, Any] = {
        "log": log.id,
        "entry": 0,
        "request_id": "request-0",
        "row": 0,
        "model": "regno",
        "version": "v1",
        "positive": 0.25,
        "decision": "manual",
        "camera_type": "Стационарная",
        "camera_class": "Астра-Трафик",
        "camera_accuracy": 6.4,
        "network_score": 0.8689166903495789,
        "outcome": "",
    }
    if not isinstance(case, MongoCase):
        expected |= {
            "key_name": "example",
            "code": "0.1.0",
            "generation": 0,
            "direction": 0,
            "limits": {"camera": 0.2, "network": 0.8},
            "costs": {"manual": 0.3},
            "warnings": ["readings-agree"],
            "audited": False,
            "audit_probability": 0.01,
            "hour": 9,
            "weekday": "Sunday",
            "camera_length": 9,
            "network_length": 9,
            "camera_template": "private car",
            "network_template": "private car",
            "differing": 1,
        }
    assert row.pop("time").replace(tzinfo=UTC) == datetime.fromtimestamp(1_800_000_000, UTC)
    found = {name: value for name, value in row.items() if name in expected}
    assert found == expected
    others = {"_id", "char_scores", "length_scores", "source"}
    assert row.keys() - expected.keys() <= others


def test_a_decision_of_a_model_that_is_gone_holds_up_no_other(
    case: Case, log: DecisionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(name: str) -> None:
        raise UnknownModel(name)

    monkeypatch.setattr("service.decisions.stores.rows._reader", gone)
    assert case.export(log) == 20
    if not isinstance(case, MongoCase):  # it has nothing but what the model says
        assert {row["camera_type"] for row in case.rows(log)} == {""}
        assert case.entries(log) == list(range(20))


def test_mongodb_has_the_confidences_as_packed_vectors(mongodb: MongoDB, tmp_path: Path) -> None:
    case, log = MongoCase(mongodb), DecisionLog(tmp_path)
    reading = structs.replace(golden.readings()[1], afts_regno_ai_char_scores=Scores([1e300, -1.0]))
    odd = decision(1, request=Raw(REGNO.json_of(reading)))
    log.append([opened(log, decision(0)), opened(log, odd)])
    case.export(log)
    rows = case.rows(log)
    scores = golden.readings()[0].afts_regno_ai_char_scores
    packed = Binary.from_vector(scores, BinaryVectorDtype.FLOAT32)
    assert Binary(rows[0]["char_scores"], 9) == packed
    # Callers may send numbers that no packed one can hold: they must not hold up the others.
    bounded = Binary(rows[1]["char_scores"], 9).as_vector().data
    assert list(bounded) == [pytest.approx(3.4028234e38), -1.0]
    log.close()


def test_of_several_labels_the_last_counts(case: Case, log: DecisionLog) -> None:
    labelled(log, 3, "camera")
    case.export(log)
    assert [row["outcome"] for row in case.rows(log)[3:5]] == ["camera", ""]
    labelled(log, 3, "network")
    labelled(log, 4, "neither")
    labelled(log, 4, "camera")
    case.export(log)
    assert [row["outcome"] for row in case.rows(log)[3:5]] == ["network", "camera"]
    assert len(case.entries(log)) == 20


@pytest.mark.parametrize(
    ("method", "call"),
    [("append", 1), ("commit", 1), ("commit", 6), ("remove", 1)],
)
def test_a_sink_that_dies_anywhere_repeats_and_loses_nothing(
    case: Case, log: DecisionLog, monkeypatch: pytest.MonkeyPatch, method: str, call: int
) -> None:
    """Each call is done and its end is not noted; then more comes before it is tried again."""
    monkeypatch.setattr(exporter, "_MOST_ENTRIES", 7)
    monkeypatch.setattr(exporter, "_MOST_REMOVALS", 3)
    with log.locked():
        gone = about_plate(log)
        log.forget(REGNO.mark(PLATE))
        removed = log.forget(REGNO.mark(golden.readings()[1].regno_recognize))
        assert removed
        assert gone
    with closing(case.open(log)) as store:
        _die_behind(store, method, call)
        with pytest.raises(KeyboardInterrupt):
            exported(log, store)
    log.append([opened(log, decision(number)) for number in range(20, 25)])
    with log.locked():
        log.forget(REGNO.mark(golden.readings()[2].regno_recognize))
    case.export(log)
    kept = [row.entry for row in log.store.rows("kind = 'decision' AND salt IS NOT NULL")]
    assert 15 < len(kept) < 25
    assert case.entries(log) == kept


def _die_behind(store: AnalysisStore, method: str, call: int) -> None:
    work: Callable[..., None] = getattr(store, method)
    calls = []

    def dies(*arguments: object) -> None:
        work(*arguments)
        calls.append(arguments)
        if len(calls) == call:
            raise KeyboardInterrupt

    setattr(store, method, dies)


def test_what_is_forgotten_is_removed_also_while_it_is_sent(case: Case, log: DecisionLog) -> None:
    labelled(log, 0, "network")
    gone = about_plate(log)
    with closing(case.open(log)) as store:
        append, forgotten = store.append, []

        def forgotten_meanwhile(batch: Any) -> None:
            if batch.rows:
                with log.locked():
                    forgotten.append(log.forget(REGNO.mark(PLATE)))
            append(batch)

        store.append = forgotten_meanwhile  # type: ignore[method-assign]
        assert exported(log, store) == 20
    assert forgotten[0] == len(gone)
    assert case.entries(log) == [entry for entry in range(20) if entry not in gone]
    assert [row for row in case.rows(log) if row["outcome"]] == []


def test_a_store_that_was_away_gets_what_was_forgotten_and_labelled(
    case: Case, log: DecisionLog
) -> None:
    case.export(log)
    gone = about_plate(log)
    labelled(log, gone[0], "camera")
    with log.locked():
        log.forget(REGNO.mark(PLATE))
    labelled(log, gone[0], "network")
    assert lag_behind(log, Position(20, 20, 0))[:2] == (3, len(gone))
    case.export(log)
    assert case.entries(log) == [entry for entry in range(20) if entry not in gone]
    assert [row for row in case.rows(log) if row["outcome"]] == []


def test_a_store_has_rows_of_several_logs(case: Case, log: DecisionLog, tmp_path: Path) -> None:
    other = filled(tmp_path / "other", 3)
    case.export(log)
    case.export(other)
    with other.locked():
        other.forget(REGNO.mark(PLATE))
    case.export(other)
    assert (case.entries(other), len(case.entries(log))) == ([1, 2], 20)
    other.close()


def test_a_log_that_is_older_than_its_store_is_refused(case: Case, log: DecisionLog) -> None:
    with closing(case.open(log)) as store:
        store.commit(Position(21, 21, 0))
        with pytest.raises(StoreRefused, match="the log is an old copy"):
            Exporter(log, store).step()


def test_a_batch_is_sent_when_it_is_full_or_old(log: DecisionLog) -> None:
    with closing(ParquetCase().open(log)) as store:
        store.batch_seconds = 1_000_000.0
        store.batch_entries = 21
        sends = Exporter(log, store)
        assert sends.step().rows == 0
        log.append([opened(log, decision(20))])
        assert sends.step().rows == 21
        log.append([opened(log, decision(21))])
        assert sends.step().rows == 0
        store.batch_seconds = 0.0
        assert sends.step().rows == 1


def test_parquet_files_are_by_day_and_lose_what_is_too_old(tmp_path: Path) -> None:
    case, log, now = ParquetCase(), DecisionLog(tmp_path), datetime.now(UTC).timestamp()
    times = [now - 3 * _DAY - 60, now - 3 * _DAY + 60, now - _DAY, now]
    log.append([opened(log, decision(number, time)) for number, time in enumerate(times)])
    labelled(log, 0, "camera")
    case.export(log)
    days = {f"day={datetime.fromtimestamp(time, UTC):%Y-%m-%d}" for time in times}
    assert {path.name for path in tmp_path.glob("analysis/decisions/*")} == days
    with closing(case.open(log)) as store:
        store.retain(3)
        assert case.entries(log) == [1, 2, 3]
        store.retain(1)
        assert case.entries(log) == [3]
    assert [path.name for path in tmp_path.glob("analysis/labels/*")] == []
    log.close()


def test_clickhouse_and_mongodb_remove_what_is_too_old_by_themselves(
    clickhouse: ClickHouse, mongodb: MongoDB, tmp_path: Path
) -> None:
    log, now = DecisionLog(tmp_path), datetime.now(UTC).timestamp()
    times = (now - 40 * _DAY, now)
    log.append([opened(log, decision(number, time)) for number, time in enumerate(times)])
    tables = ClickHouseCase(clickhouse)
    tables.export(log)
    for days in (50, 50, 30):
        with closing(tables.open(log)) as store:
            store.retain(days)
    clickhouse.ask("OPTIMIZE TABLE decisions FINAL")
    assert tables.entries(log) == [1]
    with closing(MongoCase(mongodb).open(log)) as store, mongodb.client() as client:
        for days in (50, 30):
            store.retain(days)
            index = client["scoring"]["vectors"].index_information()["age"]
            assert (index["key"], index["expireAfterSeconds"]) == ([("time", 1)], days * _DAY)
    log.close()


def test_the_usual_questions_are_answered_by_projections(
    clickhouse: ClickHouse, log: DecisionLog
) -> None:
    ClickHouseCase(clickhouse).export(log)
    by_day = (
        "SELECT toDate(time), version, camera_type, decision, count() FROM decisions "
        "GROUP BY ALL SETTINGS optimize_use_projections = 1, force_optimize_projection = 1"
    )
    assert sum(row[-1] for row in clickhouse.ask(by_day)) >= 20
    (used,) = {row[0] for row in clickhouse.ask(f"EXPLAIN {by_day}") if "by_day" in row[0]}
    assert used


def test_migrations_are_applied_once_in_order_and_another_version_is_refused(
    clickhouse: ClickHouse, log: DecisionLog
) -> None:
    case = ClickHouseCase(clickhouse)
    for _ in range(2):
        case.open(log).close()
    names = [row[0] for row in clickhouse.ask("SELECT name FROM migrations ORDER BY applied, name")]
    assert names == ["0001_decisions.sql", "0002_labelled.sql"]
    columns = clickhouse.ask("SELECT name FROM system.columns WHERE table = 'decisions'")
    assert [name for (name,) in columns] == list(AnalysisRow._fields)
    with closing(case.open(log)) as store:
        client = store._client  # type: ignore[attr-defined]
        row = ["9999_newer.sql", "", datetime.now(UTC)]
        client.insert("migrations", [row], ["name", "sha256", "applied"])
        with pytest.raises(StoreRefused, match="newer version, by 9999_newer"):
            case.open(log)
        client.command("ALTER TABLE migrations DELETE WHERE name LIKE '9999%'")


def test_a_planted_plate_is_in_no_store(
    clickhouse: ClickHouse, mongodb: MongoDB, tmp_path: Path
) -> None:
    """Neither in the rows, which are compressed on disk, nor in any file in clear."""
    log = DecisionLog(tmp_path / "log")
    planted = "Х777ХХ99"
    reading = structs.replace(
        golden.readings()[0],
        regno_recognize=planted,
        afts_regno_ai="Х771ХХ99",
        camera_class=planted,
    )
    log.append([opened(log, decision(0, request=Raw(REGNO.json_of(reading))))])
    log.record([Feedback(1.8e9, "request-0", 0, "camera", f"complaint on {planted}")])
    cases = (ParquetCase(), ClickHouseCase(clickhouse), MongoCase(mongodb))
    for case in cases:
        assert case.export(log) == 1
    latin = planted.translate({ord(twin): letter for letter, twin in TWINS.items()})
    words = {planted, latin, planted[:6], "Х771ХХ99", "7 7 7", "771", "777"}
    for case in cases:
        (row,) = case.rows(log)
        assert row["outcome"] == "camera"
        assert [word for word in words if word in str(row)] == []
    folders = (log.folder / FOLDER, clickhouse._folder, mongodb._folder)
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 20
    forms = [word.encode(form) for word in (planted, latin) for form in ("utf-8", "utf-16-le")]
    for path in files:
        content = path.read_bytes()
        assert [form for form in forms if form in content] == [], path
    log.close()


def test_a_stored_score_is_that_of_many_plates(tmp_path: Path) -> None:
    """An exact score is that of one plate: with the model all of them could be tried."""
    reading, scorer = golden.readings()[0], RegnoScorer.load()
    (true,) = scorer.score([reading])
    log = DecisionLog(tmp_path)
    log.append([opened(log, decision(0, positive=true.positive))])
    stored = read(log, 0, 1).rows[0].positive
    assert stored == pytest.approx(true.positive, abs=0.0005)
    random = Random(1)
    plates = [
        structs.replace(reading, regno_recognize=f"{first}6", afts_regno_ai=f"{first}0")
        for first in (_plate(random) for _ in range(20_000))
    ]
    scores = [score.positive for score in scorer.score(plates)]
    assert sum(score == true.positive for score in scores) == 0
    assert sum(round(score, 3) == stored for score in scores) >= 5
    log.close()


def _plate(random: Random) -> str:
    """A car's plate but for its last digit."""
    letters = random.choices(tuple(TWINS.values()), k=3)
    digits = "".join(random.choices("0123456789", k=3))
    return f"{letters[0]}{digits}{letters[1]}{letters[2]}19"


def test_labels_of_a_file_reach_the_stores(log: DecisionLog, tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_text(f"request_id,true_reading\nrequest-0,{PLATE}\n", encoding="utf-8")
    with log.locked():
        assert feedback.take(log, file, "court").labelled == 1
    case = ParquetCase()
    case.export(log)
    assert case.rows(log)[0]["outcome"] == "network"


def test_no_row_is_left_by_a_killed_sink_of_what_is_forgotten(tmp_path: Path) -> None:
    log, folder = filled(tmp_path / "log", 2), tmp_path / "analysis"
    store = ParquetStore(folder)
    store.append(read(log, 0, 2))
    (path,) = folder.glob("decisions/*/*.parquet")
    shutil.copy(path, path.with_name(f".{path.name}.part"))  # it was about to take its place
    store.remove([0, 1])
    assert [found for found in folder.rglob("*") if found.is_file()] == []
