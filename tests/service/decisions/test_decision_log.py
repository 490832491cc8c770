"""The decision log: each entry once, proved, forgotten, and checked."""

import shutil
import sqlite3
import struct
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier, BrokenBarrierError
from typing import Any

import pytest
from msgspec import structs

from model.regno import golden
from service.decisions import feedback, proof
from service.decisions.__main__ import main
from service.decisions.archive import Archive
from service.decisions.decision import Feedback, decode, encode
from service.decisions.log import Busy, Damaged, DecisionLog, Forgotten, Unknown
from service.decisions.merkle.note import Signer, verifier_of
from service.decisions.merkle.tiles import Tiles
from service.decisions.secrets import Secrets
from service.decisions.segments import framed, segments
from service.decisions.sink import Sink
from service.decisions.store import Store
from service.decisions.witness import Inconsistent, Witness
from tests.support.decisions import REGNO, decision, filled, ids, opened, sealed, spool

PLATE = golden.readings()[0].afts_regno_ai


@pytest.fixture
def log(tmp_path: Path) -> Iterator[DecisionLog]:
    """A log with 20 decisions, each on another golden reading."""
    made = filled(tmp_path / "log", 20)
    yield made
    made.close()


def ship(log: DecisionLog) -> int:
    """Take the spool into the log: how many entries."""
    with log.locked():
        return sum(shipped.entries for shipped in Sink(log).ship())


def test_an_entry_is_read_as_it_was_logged(log: DecisionLog) -> None:
    row = log.find("request-7")
    assert decode(log.canonical(row)) == decision(7)
    assert log.find("request-7:0") == log.find("#7") == row
    assert (row.version, row.decision, row.positive) == ("v1", "manual", 0.25)
    assert list(log.check()) == []
    for name in ("request-20", "request-7:1", "#20", "#x", "", f"#{2**63}", f"request-7:{2**63}"):
        with pytest.raises(Unknown):
            log.find(name)


def test_the_latest_of_equal_ids_is_found(log: DecisionLog) -> None:
    log.append([opened(log, decision(3, positive=0.5))])
    assert log.find("request-3").entry == 20


def test_a_segment_comes_in_once_while_it_grows(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path)
    segment = spool(log, [decision(0), decision(1)])
    assert (ship(log), ship(log)) == (2, 0)
    assert len(segments(tmp_path / "spool")) == 1, "its worker may write more"
    segment.close()
    assert ship(log) == 0
    assert segments(tmp_path / "spool") == []
    assert ids(log) == ["request-0", "request-1"]


@pytest.mark.parametrize(
    ("kind", "method"),
    [
        (Archive, "append"),
        (Tiles, "append"),
        (Store, "add"),
        (Store, "add_head"),
        (Store, "set_done"),
        (DecisionLog, "_publish"),
        (Store, "drop_segment"),
    ],
)
def test_a_sink_that_dies_anywhere_repeats_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type, method: str
) -> None:
    log = DecisionLog(tmp_path)
    spool(log, [decision(number) for number in range(300)]).close()
    work: Callable[..., None] = getattr(kind, method)

    def dies(*arguments: object, **named: object) -> None:
        work(*arguments, **named)
        raise KeyboardInterrupt

    monkeypatch.setattr(kind, method, dies)
    with pytest.raises(KeyboardInterrupt):
        ship(log)
    monkeypatch.undo()
    log.close()
    again = DecisionLog(tmp_path)
    ship(again)
    assert ids(again) == [f"request-{number}" for number in range(300)]
    assert list(again.check()) == []


def test_a_damaged_segment_is_noted_and_the_rest_comes_in(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path)
    spool(log, [decision(number) for number in range(5)]).close()
    (path,) = segments(tmp_path / "spool")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    ship(log)
    assert ids(log) == ["request-0", "request-1", "request-3", "request-4"]
    (noted,) = log.store.rows("kind = 'damage'")
    event = decode(log.canonical(noted))
    assert event == decode(encode(event))
    assert b'"segment"' in log.canonical(noted)


def test_a_proof_needs_nothing_of_the_log_but_its_key(log: DecisionLog, tmp_path: Path) -> None:
    made = proof.encode(proof.of(log, log.find("request-11")))
    key = log.verifier_key
    log.close()
    shutil.rmtree(log.folder)
    found = proof.verified(made, verifier_of(key))
    assert decode(found.entry.encode()) == decision(11)
    other = Secrets(tmp_path / "other").signer("plate-scoring/decisions")
    for wrong, verifier in (
        (made.replace(b"request-11", b"request-12"), verifier_of(key)),
        (made.replace(b'"index": 11', b'"index": 12'), verifier_of(key)),
        (made.replace(b"0.25", b"0.26"), verifier_of(key)),
        (made, other.verifier),
        (b"{}", verifier_of(key)),
        (b"\xff", verifier_of(key)),
    ):
        with pytest.raises(proof.WrongProof):
            proof.verified(wrong, verifier)


def test_forgetting_a_plate_leaves_the_others_and_all_proofs(log: DecisionLog) -> None:
    about = [number for number in range(20) if PLATE in _plates(number)]
    assert about
    before = {number: proof.of(log, log.find(f"#{number}")) for number in range(20)}
    with log.locked():
        assert log.forget(REGNO.mark(PLATE.lower())) == len(about)
        assert log.forget(REGNO.mark(PLATE)) == 0
    for number in range(20):
        row = log.find(f"#{number}")
        if number in about:
            with pytest.raises(Forgotten):
                log.canonical(row)
        else:
            assert decode(log.canonical(row)) == decision(number)
            proof.verified(proof.encode(proof.of(log, row)), verifier_of(log.verifier_key))
    assert list(log.check()) == [], "a forgotten entry is still proved to be there"
    salts = [before[number].salt for number in about]
    stored = b"".join(path.read_bytes() for path in log.folder.rglob("*") if path.is_file())
    assert [salt for salt in salts if salt in stored] == [], "a salt is left on disk"


def _plates(number: int) -> tuple[str, str]:
    readings = golden.readings()
    reading = readings[number % len(readings)]
    return reading.regno_recognize, reading.afts_regno_ai


def test_what_is_too_old_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, now = DecisionLog(tmp_path), [4e9]
    monkeypatch.setattr("service.decisions.log.time", lambda: now[0])
    log.append([opened(log, decision(0)), opened(log, decision(1, time=8e9))])
    now[0] += 86_401
    log.append([opened(log, decision(2, time=1e9))])  # by a worker whose clock is wrong
    with log.locked():
        assert log.retain(86_400) == 2
        assert log.retain(86_400) == 0
    # Stores go by the times in entries, so they don't find the second one too old by themselves.
    assert log.store.removals(0, 10) == [(1, 1)]
    with pytest.raises(Forgotten):
        log.canonical(log.find("#0"))
    assert decode(log.canonical(log.find("#2"))) == decision(2, time=1e9)


def test_a_sink_whose_clock_is_set_back_forgets_nothing_too_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, now = DecisionLog(tmp_path), [4e9]
    monkeypatch.setattr("service.decisions.log.time", lambda: now[0])
    log.append([opened(log, decision(0))])
    now[0] -= 1e9
    log.append([opened(log, decision(1))])
    now[0] = 4e9 + 10
    with log.locked():
        assert log.retain(86_400) == 0
    now[0] += 86_400
    with log.locked():
        assert log.retain(86_400) == 2


def test_without_a_months_key_the_entry_is_forgotten(log: DecisionLog) -> None:
    (log.folder / "secrets" / "2027-01.key").unlink()
    with pytest.raises(Forgotten):
        log.canonical(log.find("#0"))


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("DELETE FROM entries WHERE idx = 4", "entry 4 lacks"),
        ("UPDATE entries SET request_id = 'x' WHERE idx = 4", "entry 4 has another request_id"),
        (
            "UPDATE entries SET decision = 'camera', audited = 1 WHERE idx = 4",
            "entry 4 has another decision, audited in the store",
        ),
        ("UPDATE entries SET kind = 'feedback' WHERE idx = 4", "entry 4 has another kind"),
        ("UPDATE entries SET salt = zeroblob(16) WHERE idx = 4", "entry 4 can't be decrypted"),
        (
            "UPDATE entries SET (place, length, salt) = "  # noqa: ISC004
            "(SELECT place, length, salt FROM entries WHERE idx = 5) WHERE idx = 4",
            "entry 4 is not the one that was logged",
        ),
        ("DELETE FROM entries WHERE idx = 19", "the checkpoint counts 20 entries"),
        (
            "INSERT INTO entries SELECT 20, kind, request_id, row, time, month, version, "  # noqa: ISC004
            "decision, positive, audited, file, place, length, salt FROM entries WHERE idx = 5",
            "the checkpoint counts 20 entries",
        ),
    ],
)
def test_a_changed_store_is_found_and_the_entry_named(
    log: DecisionLog, statement: str, fault: str
) -> None:
    with sqlite3.connect(log.folder / "log.sqlite") as database:
        database.execute(statement)
    database.close()
    assert [found for found in log.check() if fault in found] != []


def test_a_changed_archive_is_found_and_the_entry_named(log: DecisionLog) -> None:
    (path,) = (log.folder / "archive").iterdir()
    content = bytearray(path.read_bytes())
    place = log.find("#6").place + 5
    content[place] ^= 1
    path.write_bytes(content)
    assert list(log.check()) == ["entry 6 can't be decrypted"]
    with pytest.raises(Damaged):
        log.canonical(log.find("#6"))


def test_a_changed_hash_is_found_below_one_that_is_as_it_was(tmp_path: Path) -> None:
    log = filled(tmp_path, 600)
    path = tmp_path / "tile/0/001"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with log.locked():
        log.store.forget([511])  # otherwise its record is found not to be that of the hash
    assert list(log.check()) == [
        "1 entries have no salt, and 0 were forgotten",
        "hashes of entries 256 to 511 are changed",
    ]


def test_a_score_that_tells_a_plate_is_not_kept_of_what_is_forgotten(tmp_path: Path) -> None:
    log = filled(tmp_path, 1)
    log.append([opened(log, decision(0, positive=0.09407467828775463))])
    with log.locked():
        assert log.forget(REGNO.mark(PLATE)) == 2
    log.close()
    exact = struct.pack(">d", 0.09407467828775463)
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert exact not in stored
    assert DecisionLog(tmp_path).find("#1").positive == 0.094


def test_who_sees_entries_is_noted_before_they_do(
    log: DecisionLog, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SCORING_DECISIONS_DIR", str(log.folder))
    assert main(["prove", "#3"]) == 0
    assert "request-3" in capsys.readouterr().out
    assert log.canonical(log.find("#20")).count(b'"index":"3"') == 1
    monkeypatch.setattr(DecisionLog, "canonical", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):  # whatever ends it half-way
        main(["export"])
    monkeypatch.undo()
    assert log.canonical(log.find("#21")).count(b'"exported":"21"') == 1


def test_a_store_that_is_an_older_copy_is_found(log: DecisionLog) -> None:
    with sqlite3.connect(log.folder / "log.sqlite") as database:
        database.execute("DELETE FROM entries WHERE idx >= 14")
        database.execute("DELETE FROM heads WHERE size > 14")
    database.close()
    assert list(log.check()) == [
        "20 entries were published, and the store has 14: it is an old copy"
    ]


def test_what_is_forgotten_is_not_in_a_segment_that_is_still_written(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path)
    segment = spool(log, [decision(0)])
    (path,) = segments(tmp_path / "spool")
    ship(log)
    salt = log.find("#0").salt
    assert salt
    assert salt in path.read_bytes()
    with log.locked():
        Sink(log).overwrite()
    assert path.read_bytes() == bytes(segment.size)
    segment.write(framed(sealed(log, decision(1))))
    assert ship(log) == 1
    assert ids(log) == ["request-0", "request-1"]


def test_who_forgets_is_told_what_a_reader_keeps_on_disk(
    log: DecisionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    salt = log.find("#0").salt
    assert salt
    monkeypatch.setattr("service.decisions.store._WAIT_SECONDS", 0.01)
    writer, reader = DecisionLog(log.folder), DecisionLog(log.folder)
    rows = reader.store.rows()
    next(rows)
    with writer.locked(), pytest.raises(Busy):
        writer.forget(REGNO.mark(PLATE))
    del rows
    reader.close()
    with writer.locked():
        assert writer.forget(REGNO.mark(PLATE)) == 0
    stored = b"".join(path.read_bytes() for path in log.folder.rglob("*") if path.is_file())
    assert salt not in stored
    writer.close()


def test_a_witness_does_not_cosign_another_past(log: DecisionLog, tmp_path: Path) -> None:
    witness, key = Witness("w", tmp_path / "witness"), verifier_of(log.verifier_key)
    before = tmp_path / "before"
    shutil.copytree(log.folder, before)
    log.append([opened(log, decision(number)) for number in range(20, 300)])
    cosigned = witness.cosign(log.store.head, key, log.folder)
    proved = structs.replace(proof.of(log, log.find("#1")), checkpoint=cosigned)
    assert proof.verified(proof.encode(proved), key, [witness.verifier]) == proved
    rewritten = DecisionLog(before)
    with pytest.raises(Inconsistent, match="had 300 entries, and has 20"):
        witness.cosign(rewritten.store.head, key, before)
    rewritten.append([opened(rewritten, decision(number)) for number in range(20, 400)])
    with pytest.raises(Inconsistent, match="first 300 entries"):
        witness.cosign(rewritten.store.head, key, before)
    log.append([opened(log, decision(300))])
    assert "— w " in Witness("w", tmp_path / "witness").cosign(log.store.head, key, log.folder)


def test_a_witness_cosigns_one_of_two_futures_that_come_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(tmp_path / "one", 5).close()
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    logs = [DecisionLog(tmp_path / name) for name in ("one", "two")]
    for number, log in enumerate(logs):
        log.append([opened(log, decision(number))])
    key, heads = verifier_of(logs[0].verifier_key), [log.store.head for log in logs]
    check, barrier = Witness._check, Barrier(2)

    def checks(*arguments: Any) -> None:
        check(*arguments)
        with suppress(BrokenBarrierError):
            barrier.wait(0.2)  # for the other one, which has checked as well unless it is locked

    def cosigns(signed: str, tiles: Path) -> bool:
        try:
            return bool(Witness("w", tmp_path / "witness").cosign(signed, key, tiles))
        except Inconsistent:
            return False

    Witness("w", tmp_path / "witness")
    monkeypatch.setattr(Witness, "_check", checks)
    with ThreadPoolExecutor(2) as threads:
        found = threads.map(cosigns, heads, [log.folder for log in logs])
        assert sorted(found) == [False, True]


def test_secrets_are_made_once(tmp_path: Path) -> None:
    one, two = Secrets(tmp_path / "s"), Secrets(tmp_path / "s")
    assert one.month_key("2026-11") == two.month_key("2026-11")
    assert one.month_key("2026-11") != one.month_key("2026-12")
    assert one.index_of("a") == two.index_of("a") != one.index_of("b")
    signer: Signer = one.signer("a")
    assert signer.verifier.text == two.signer("a").verifier.text
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "s").iterdir()} == {0o600}


def test_two_sinks_that_take_turns_take_each_entry_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.decisions.sink._READ_BYTES", 5_000)  # some entries in a batch
    log, other = DecisionLog(tmp_path), DecisionLog(tmp_path)
    spool(log, [decision(number) for number in range(60)]).close()
    spool(log, [decision(number) for number in range(60, 90)]).close()
    waiting = [Sink(log).ship(), Sink(other).ship()]
    batches = 0
    while waiting:
        sink = waiting.pop(0)
        with log.locked():
            if next(sink, None):
                batches += 1
                waiting.append(sink)
                log.note("access")  # by another process, between two batches
    assert batches > 10
    assert sorted(ids(log)) == sorted(f"request-{number}" for number in range(90))
    assert list(log.check()) == []
    assert segments(tmp_path / "spool") == []
    log.close()
    other.close()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["replay", "--processes", "-1"], "--processes: '-1' is no number of processes"),
        (["cosign", "log", "--key", "k", "--state", "s", "--name", "a b"], "--name: 'a b': must"),
        (["cosign", "log", "--key", "k", "--state", "s", "--name", "a+b"], "--name: 'a+b': must"),
    ],
)
def test_arguments_that_can_not_be_used_are_named(
    arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert named in capsys.readouterr().err


def test_an_old_copy_of_the_store_overwrites_nothing(tmp_path: Path) -> None:
    filled(tmp_path, 20).close()
    old = (tmp_path / "log.sqlite").read_bytes()
    log = filled(tmp_path, 20)
    log.close()
    (tmp_path / "log.sqlite").write_bytes(old)
    files = {path: path.read_bytes() for path in (tmp_path / "archive").iterdir()}
    log = DecisionLog(tmp_path)
    with pytest.raises(Damaged, match=r"40 entries were published, .*log\.sqlite has 20"):
        log.append([opened(log, decision(1))])
    assert {path: path.read_bytes() for path in (tmp_path / "archive").iterdir()} == files
    log.close()


@pytest.mark.parametrize("name", ["index.key", "log.key"])
def test_a_lost_secret_is_not_made_anew(tmp_path: Path, name: str) -> None:
    filled(tmp_path, 3).close()
    (tmp_path / "secrets" / name).unlink()
    with pytest.raises(Damaged, match=f"{name} is lost"):
        DecisionLog(tmp_path)
    assert not (tmp_path / "secrets" / name).exists()


def test_a_part_of_a_key_seals_nothing(tmp_path: Path) -> None:
    secrets = Secrets(tmp_path / "secrets")
    secrets.month_key("2026-11")
    (tmp_path / "secrets" / "2026-11.key").write_bytes(b"")
    with pytest.raises(OSError, match="is no whole key"):
        Secrets(tmp_path / "secrets").month_key("2026-11")


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("UPDATE entries SET salt = NULL WHERE idx = 2", "1 entries have no salt, and 0 were"),
        ("UPDATE labels SET outcome = 'camera'", "entry 1 has another label in the store"),
        ("DELETE FROM labels", "entry 1 has another label in the store"),
        ("DELETE FROM subjects WHERE idx = 3", "entry 3 has other marks in the index"),
    ],
)
def test_what_the_store_alone_has_is_checked_too(
    tmp_path: Path, statement: str, fault: str
) -> None:
    log = filled(tmp_path, 7)
    with log.locked():
        feedback.add(log, [Feedback(1.8e9, "request-1", 0, "network", "court")])
    assert list(log.check()) == []
    log.close()
    with sqlite3.connect(tmp_path / "log.sqlite") as database:
        database.execute(statement)
    database.close()
    log = DecisionLog(tmp_path)
    (found,) = log.check()
    assert found.startswith(fault)
    log.close()


def test_entries_whose_months_key_is_lost_are_named(tmp_path: Path) -> None:
    log = filled(tmp_path, 2)
    (tmp_path / "secrets" / "2027-01.key").unlink()
    faults = [f"entry {at} can't be read: the key of 2027-01 lacks" for at in range(2)]
    assert list(log.check()) == faults
    log.close()


def test_a_clock_that_was_ahead_keeps_nothing_for_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, now = DecisionLog(tmp_path), [4e9]
    monkeypatch.setattr("service.decisions.log.time", lambda: now[0])
    now[0] += 1e9
    log.append([opened(log, decision(0))])
    now[0] -= 1e9
    log.append([opened(log, decision(1))])
    now[0] += 86_401
    with log.locked():
        assert log.retain(86_400) == 2
    log.close()
