"""The settings of the queue path: secrets in files, and what must be set together."""

from pathlib import Path

import pytest

from service.config.settings import SettingsError, load, with_broker_and_records_both
from tests.support.paths import ROOT

_FILES = {"BROKER": ROOT / "tests/support/broker.txt", "RECORDS": ROOT / "tests/support/redis.txt"}
_BROKER = {"SCORING_BROKER": "amqp://jobs:wL9x@queue/scoring"}
_RECORDS = {"SCORING_RECORDS": "redis://:wL9x@records/0"}


@pytest.fixture
def dotenv(tmp_path: Path) -> Path:
    return tmp_path / ".env"


@pytest.mark.parametrize("name", _FILES)
def test_a_url_may_stand_in_a_file(name: str, dotenv: Path) -> None:
    file = _FILES[name]
    settings = load({f"SCORING_{name}_FILE": str(file)}, dotenv)
    assert getattr(settings, name.lower()) == file.read_text().strip()


@pytest.mark.parametrize("content", ["", "two words", "amqp://one\namqp://two"])
def test_a_file_without_a_usable_url_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "url").write_text(content)
    with pytest.raises(SettingsError, match=r"^SCORING_BROKER_FILE: "):
        load({"SCORING_BROKER_FILE": str(tmp_path / "url")}, tmp_path / ".env")


def test_a_file_with_another_kind_of_url_is_refused_without_its_password(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("https://jobs:wL9x@queue")
    with pytest.raises(SettingsError, match=r"^SCORING_BROKER: ") as caught:
        load({"SCORING_BROKER_FILE": str(tmp_path / "url")}, tmp_path / ".env")
    assert "wL9x" not in str(caught.value)


@pytest.mark.parametrize("name", _FILES)
def test_a_url_and_a_file_of_one_are_a_contradiction(name: str, dotenv: Path) -> None:
    given = {**_BROKER, **_RECORDS, f"SCORING_{name}_FILE": str(_FILES[name])}
    with pytest.raises(SettingsError, match=f"^SCORING_{name}_FILE: ") as caught:
        load(given, dotenv)
    assert "wL9x" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "missing"), [(_BROKER, "SCORING_RECORDS"), (_RECORDS, "SCORING_BROKER")]
)
def test_a_broker_without_records_or_the_reverse_is_refused(
    given: dict[str, str], missing: str, dotenv: Path
) -> None:
    with pytest.raises(SettingsError, match=f"^{missing}: "):
        with_broker_and_records_both(load(given, dotenv))


@pytest.mark.parametrize("given", [{}, {**_BROKER, **_RECORDS}])
def test_both_or_neither_is_taken(given: dict[str, str], dotenv: Path) -> None:
    settings = load(given, dotenv)
    assert with_broker_and_records_both(settings) is settings


_CACHE = {"SCORING_CACHE": "redis://:wL9x@cache/1", "SCORING_CACHE_SECRET": "s" * 32}


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"SCORING_CACHE": "https://cache"}, "SCORING_CACHE"),
        ({"SCORING_CACHE_SECRET": ""}, "SCORING_CACHE_SECRET"),
        ({"SCORING_CACHE_SECRET": "s" * 31}, "SCORING_CACHE_SECRET"),
        ({"SCORING_CACHE_SECRET": "s" * 31 + "\n"}, "SCORING_CACHE_SECRET"),
        ({"SCORING_CACHE_SECONDS": "0.5"}, "SCORING_CACHE_SECONDS"),
        ({"SCORING_RECORDS": "redis://:wL9x@cache/1"}, "SCORING_CACHE"),
    ],
)
def test_a_cache_that_can_not_be_used_is_refused(
    changed: dict[str, str], named: str, dotenv: Path
) -> None:
    with pytest.raises(SettingsError, match=f"^{named}: ") as caught:
        load({**_CACHE, **changed}, dotenv)
    assert "wL9x" not in str(caught.value)


def test_a_cache_needs_its_client(dotenv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.config.settings.find_spec", lambda _name: None)
    with pytest.raises(SettingsError, match=r"^SCORING_CACHE: .*`queue`"):
        load(_CACHE, dotenv)


def test_url_and_secret_of_a_cache_are_not_shown(tmp_path: Path) -> None:
    (tmp_path / "url").write_text(_CACHE["SCORING_CACHE"])
    (tmp_path / "secret").write_text(_CACHE["SCORING_CACHE_SECRET"])
    files = {f"SCORING_CACHE{name}_FILE": str(tmp_path / file)
             for name, file in (("", "url"), ("_SECRET", "secret"))}  # fmt: skip
    settings = load(files, tmp_path / ".env")
    assert (settings.cache, settings.cache_secret) == tuple(_CACHE.values())
    assert "wL9x" not in repr(settings)
    assert "s" * 32 not in repr(settings)
