"""The history of pictures: each key its own, bounded in number and in bytes.

All tests run with the file of the embedded form and with a real Redis.
"""

import sqlite3
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from time import time

import msgspec
import pytest

from service.config.settings import Settings
from service.images.history import Entry, History, HistoryUnavailable, New
from service.images.history_store import open_history
from service.images.redis_history import _READ
from service.images.sqlite_history import SqliteHistory
from tests.support.redis_server import RedisServer

_KB = 1 << 10
Open = Callable[..., History]


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=pytest.mark.slow)])
def a_history(request: pytest.FixtureRequest, settings: Settings, tmp_path: Path) -> Open:
    """Opens the history, which is empty at first; each setting can be given."""
    url = request.getfixturevalue("records_url") if request.param == "redis" else ""

    def opened(**changed: int) -> History:
        chosen = msgspec.structs.replace(settings, records=url, **changed)
        return open_history(chosen, tmp_path)

    return opened


def added(history: History, png: bytes, owner: str = "alice", model: str = "digits") -> Entry:
    return history.add(New(owner, model, "", "v1", {"prediction": 5}, png, time()))


def test_what_is_added_is_found_again(a_history: Open) -> None:
    history = a_history()
    entry = history.add(New("alice", "imagenet", "cat?", "v2", {"ä": [0.1, None]}, b"png", 17.25))
    digest = sha256(b"png").hexdigest()
    answer = ("alice", "imagenet", "cat?", "v2", {"ä": [0.1, None]}, digest, 3, 17.25)
    assert entry[1:] == answer
    assert history.page("alice", "imagenet", 0, 9) == [entry]
    assert history.newest("alice", 9) == [entry]
    assert history.picture("alice", digest) == b"png"
    assert a_history().newest("alice", 9) == [entry], "it outlives the process"


def test_pages_are_oldest_first_and_the_newest_are_newest_first(a_history: Open) -> None:
    history = a_history()
    entries = [added(history, bytes([n])) for n in range(5)]
    other = added(history, b"photo", model="imagenet")
    assert history.page("alice", "digits", 0, 2) == entries[:2]
    assert history.page("alice", "digits", entries[1].id, 9) == entries[2:]
    assert history.page("alice", "digits", entries[4].id, 9) == []
    assert history.page("alice", "imagenet", 0, 9) == [other]
    assert history.newest("alice", 2) == [other, entries[4]]


def test_a_page_is_whole_behind_many_entries_of_another_model(a_history: Open) -> None:
    history = a_history()
    first, *_ = [added(history, b"same") for _ in range(_READ + 1)]
    photos = [added(history, b"same", model="imagenet") for _ in range(2)]
    assert history.page("alice", "imagenet", 0, 9) == photos
    assert history.page("alice", "imagenet", first.id, 1) == photos[:1]
    assert len(history.page("alice", "digits", 0, _READ + 9)) == _READ + 1


def test_a_key_sees_its_own_only(a_history: Open) -> None:
    history = a_history()
    entry = added(history, b"png")
    assert history.newest("bob", 9) == []
    assert history.page("bob", "digits", 0, 9) == []
    assert history.picture("bob", entry.digest) is None
    assert not history.delete("bob", entry.digest)
    added(history, b"png", "bob")
    assert history.picture("bob", entry.digest) == b"png"
    assert history.delete("alice", entry.digest) is True
    assert history.picture("alice", entry.digest) is None
    assert history.picture("bob", entry.digest) == b"png", "an entry still shows it"


def test_a_picture_is_deleted_with_all_of_its_entries(a_history: Open) -> None:
    history = a_history()
    first, other, _ = (added(history, png) for png in (b"same", b"other", b"same"))
    assert history.delete("alice", first.digest) is True
    assert history.newest("alice", 9) == [other]
    assert history.picture("alice", first.digest) is None
    assert history.delete("alice", first.digest) is False


def test_the_oldest_entries_of_a_key_go_first(a_history: Open) -> None:
    history = a_history(history_entries=3)
    of_bob = added(history, b"bob", "bob")
    entries = [added(history, bytes([n])) for n in range(5)]
    assert history.page("alice", "digits", 0, 9) == entries[2:]
    assert history.picture("alice", entries[0].digest) is None
    assert history.newest("bob", 9) == [of_bob]


def test_pictures_of_a_key_are_bounded_in_bytes(a_history: Open) -> None:
    history = a_history(history_key_mb=1)
    of_bob = added(history, b"b" * (900 * _KB), "bob")
    entries = [added(history, bytes([n]) * (400 * _KB)) for n in range(4)]
    assert history.newest("alice", 9) == entries[:1:-1]
    assert [history.picture("alice", entry.digest) is None for entry in entries[:2]] == [True] * 2
    assert history.newest("bob", 9) == [of_bob], "another key's pictures stay"
    same = [added(history, b"x" * (900 * _KB)) for _ in range(3)]
    assert history.newest("alice", 9) == same[::-1], "one picture, kept once"


def test_of_all_pictures_the_oldest_of_the_key_with_the_most_go(a_history: Open) -> None:
    history = a_history(history_mb=1)
    of_bob = added(history, b"b" * (300 * _KB), "bob")
    entries = [added(history, bytes([n]) * (200 * _KB)) for n in range(6)]
    assert history.newest("alice", 9) == entries[:2:-1]
    assert history.newest("bob", 9) == [of_bob], "it is older than all of them"
    latest = added(history, b"c" * (100 * _KB), "carol")
    kept = {owner: history.newest(owner, 9) for owner in ("alice", "bob", "carol")}
    assert kept == {"alice": entries[:2:-1], "bob": [of_bob], "carol": [latest]}
    added(history, b"d" * (100 * _KB), "carol")
    assert history.newest("alice", 9) == entries[:3:-1]


def test_room_is_free_again_behind_a_deletion(a_history: Open) -> None:
    history = a_history(history_mb=1)
    first, second = (added(history, bytes([n]) * (500 * _KB), "alice") for n in range(2))
    history.delete("alice", first.digest)
    third = added(history, b"3" * (500 * _KB), "bob")
    assert history.newest("alice", 9) == [second]
    assert history.newest("bob", 9) == [third]


def test_a_picture_larger_than_the_bounds_is_not_kept(a_history: Open) -> None:
    history = a_history(history_key_mb=1)
    entry = added(history, b"x" * (1025 * _KB))
    assert history.newest("alice", 9) == []
    assert history.picture("alice", entry.digest) is None


@pytest.mark.slow
def test_machines_with_one_redis_have_one_history(
    settings: Settings, records_url: str, tmp_path: Path
) -> None:
    chosen = msgspec.structs.replace(settings, records=records_url)
    one, other = (open_history(chosen, tmp_path / name) for name in ("one", "other"))
    entry = added(one, b"png")
    assert other.newest("alice", 9) == [entry]
    assert not list(tmp_path.glob("**/*.sqlite"))


@pytest.mark.slow
def test_a_redis_that_does_not_answer_is_away(
    settings: Settings, redis: RedisServer, records_url: str, tmp_path: Path
) -> None:
    chosen = msgspec.structs.replace(settings, records=records_url)
    history = open_history(chosen, tmp_path)
    with redis.paused(), pytest.raises(HistoryUnavailable):
        added(history, b"png")
    added(history, b"png")
    assert history.delete("alice", sha256(b"png").hexdigest()) is True


@pytest.mark.slow
def test_a_full_redis_takes_no_pictures_and_lets_them_be_deleted(
    settings: Settings, redis: RedisServer, records_url: str, tmp_path: Path
) -> None:
    history = open_history(msgspec.structs.replace(settings, records=records_url), tmp_path)
    entry = added(history, b"png")
    with redis.full():
        with pytest.raises(HistoryUnavailable):
            added(history, b"another")
        assert history.newest("alice", 9) == [entry]
        assert history.delete("alice", entry.digest) is True
    assert history.newest("alice", 9) == []


def test_a_folder_that_is_gone_is_named_as_away(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(HistoryUnavailable):
        added(open_history(settings, tmp_path / "none"), b"png")


def _steps(history: SqliteHistory, png: bytes) -> int:
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
    history = open_history(settings, tmp_path)
    assert isinstance(history, SqliteHistory)
    added(history, b"first", "bob")
    before = _steps(history, b"second")
    for number in range(600):
        added(history, b"%d" % number)
    assert _steps(history, b"third") <= before + 1


_EARLIER = """
CREATE TABLE pictures (digest TEXT PRIMARY KEY, png BLOB);
CREATE TABLE entries (
    id INTEGER PRIMARY KEY AUTOINCREMENT, owner TEXT, model TEXT, query TEXT, version TEXT,
    score BLOB, digest TEXT REFERENCES pictures, bytes INTEGER, created REAL
);
CREATE INDEX shown ON entries (digest);
CREATE TABLE total (bytes INTEGER);
CREATE TRIGGER removed AFTER DELETE ON pictures BEGIN
    UPDATE total SET bytes = bytes - length(OLD.png);
END;
CREATE TRIGGER unshown AFTER DELETE ON entries
WHEN NOT EXISTS (SELECT 1 FROM entries WHERE digest = OLD.digest) BEGIN
    DELETE FROM pictures WHERE digest = OLD.digest;
END;
INSERT INTO pictures VALUES ('one', zeroblob(600 * 1024)), ('two', zeroblob(300 * 1024));
INSERT INTO entries (owner, model, query, version, score, digest, bytes, created) VALUES
    ('alice', 'digits', '', 'v1', '{}', 'one', 614400, 1),
    ('alice', 'digits', '', 'v1', '{}', 'two', 307200, 2),
    ('bob', 'digits', '', 'v1', '{}', 'one', 614400, 3);
"""


def test_a_file_of_an_earlier_version_keeps_its_pictures(
    settings: Settings, tmp_path: Path
) -> None:
    with sqlite3.connect(tmp_path / "history.sqlite") as database:
        database.executescript(_EARLIER)
    database.close()
    chosen = msgspec.structs.replace(settings, history_key_mb=1)
    for _ in range(2):
        history = open_history(chosen, tmp_path)
        assert [entry.digest for entry in history.newest("alice", 9)] == ["two", "one"]
        assert history.picture("bob", "one") == bytes(600 * _KB)
    new = added(history, b"3" * (300 * _KB))
    assert [entry.digest for entry in history.newest("alice", 9)] == [new.digest, "two"]
    assert history.delete("alice", "two") is True
    assert history.picture("bob", "one") == bytes(600 * _KB)
