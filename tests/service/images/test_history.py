"""The history of pictures: each key its own, bounded in number and in bytes."""

from pathlib import Path
from time import time
from typing import Any

import msgspec
import pytest

from service.config.settings import Settings
from service.images.history import Entry, History, HistoryUnavailable, New


def a_history(settings: Settings, folder: Path, **changed: Any) -> History:
    return History(msgspec.structs.replace(settings, **changed), folder)


def added(history: History, png: bytes, owner: str = "alice", model: str = "digits") -> Entry:
    return history.add(New(owner, model, "", "v1", {"prediction": 5}, png, time()))


def test_what_is_added_is_found_again(settings: Settings, tmp_path: Path) -> None:
    history = a_history(settings, tmp_path)
    entry = added(history, b"png")
    assert history.page("alice", "digits", 0, 9) == [entry]
    assert history.newest("alice", 9) == [entry]
    assert history.picture("alice", entry.digest) == b"png"
    assert a_history(settings, tmp_path).newest("alice", 9) == [entry], "it is on the disk"


def test_pages_are_oldest_first_and_the_newest_are_newest_first(
    settings: Settings, tmp_path: Path
) -> None:
    history = a_history(settings, tmp_path)
    entries = [added(history, bytes([n])) for n in range(5)]
    assert history.page("alice", "digits", 0, 2) == entries[:2]
    assert history.page("alice", "digits", entries[1].id, 9) == entries[2:]
    assert history.newest("alice", 2) == entries[:2:-1]


def test_a_key_sees_its_own_only(settings: Settings, tmp_path: Path) -> None:
    history = a_history(settings, tmp_path)
    entry = added(history, b"png")
    assert history.newest("bob", 9) == []
    assert history.picture("bob", entry.digest) is None
    assert not history.delete("bob", entry.digest)
    added(history, b"png", "bob")
    assert history.picture("bob", entry.digest) == b"png"
    assert history.delete("alice", entry.digest) is True
    assert history.picture("alice", entry.digest) is None
    assert history.picture("bob", entry.digest) == b"png", "an entry still shows it"


def test_the_oldest_entries_of_a_key_go_first(settings: Settings, tmp_path: Path) -> None:
    history = a_history(settings, tmp_path, history_entries=3)
    of_bob = added(history, b"bob", "bob")
    entries = [added(history, bytes([n])) for n in range(5)]
    assert history.page("alice", "digits", 0, 9) == entries[2:]
    assert history.picture("alice", entries[0].digest) is None
    assert history.newest("bob", 9) == [of_bob]


def test_pictures_are_bounded_in_bytes_together(settings: Settings, tmp_path: Path) -> None:
    history = a_history(settings, tmp_path, history_mb=1)
    entries = [added(history, bytes([n]) * (400 << 10), owner) for n, owner in enumerate("abcd")]
    kept = [entry for entry in entries if history.picture(entry.owner, entry.digest)]
    assert kept == entries[2:]
    same = [added(history, b"x" * (900 << 10)) for _ in range(3)]
    assert history.newest("alice", 9) == same[::-1], "one picture, kept once"


def _steps(history: History, png: bytes) -> int:
    """How many thousands of steps SQLite takes to add a picture."""
    counted: list[None] = []
    assert history._database
    history._database.set_progress_handler(lambda: counted.append(None), 1000)
    added(history, png, "bob")
    history._database.set_progress_handler(None, 0)
    return len(counted)


def test_pictures_of_others_do_not_make_a_new_one_slower(
    settings: Settings, tmp_path: Path
) -> None:
    history = a_history(settings, tmp_path)
    added(history, b"first", "bob")
    before = _steps(history, b"second")
    for number in range(600):
        added(history, b"%d" % number)
    assert _steps(history, b"third") <= before + 1


def test_a_file_without_its_total_has_it_counted(settings: Settings, tmp_path: Path) -> None:
    history = a_history(settings, tmp_path, history_mb=1)
    first = added(history, b"1" * (600 << 10))
    assert history._database
    history._database.executescript(
        "DROP TABLE total; DROP TRIGGER added; DROP TRIGGER removed; DROP TRIGGER unshown"
    )
    history = a_history(settings, tmp_path, history_mb=1)
    second = added(history, b"2" * (600 << 10))
    assert history.newest("alice", 9) == [second]
    assert history.picture("alice", first.digest) is None


def test_a_folder_that_is_gone_is_named_as_away(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(HistoryUnavailable):
        added(a_history(settings, tmp_path / "none"), b"png")
