"""The settings of the metrics: their own address and their token."""

from pathlib import Path

import pytest

from service.config.settings import SettingsError, load
from tests.support.paths import ROOT

_TOKEN_FILE = str(ROOT / "tests/support/token.txt")


@pytest.fixture
def dotenv(tmp_path: Path) -> Path:
    return tmp_path / ".env"


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("127.0.0.1:9100", ("127.0.0.1", 9100)),
        ("[::1]:9100", ("::1", 9100)),
        ("[0:0:0:0:0:0:0:1]:9100", ("::1", 9100)),
    ],
)
def test_the_address_of_the_metrics(given: str, address: tuple[str, int], dotenv: Path) -> None:
    assert load({"SCORING_METRICS_BIND": given}, dotenv).metrics_address == address


@pytest.mark.parametrize(
    "given", ["9100", ":9100", "localhost:9100", "::1:9100", "[127.0.0.1]:9100", "127.0.0.1:0",
              "127.0.0.1:65536", "127.0.0.1:x", "127.0.0.1:5000", "[::1:9100"]
)  # fmt: skip
def test_a_bad_address_of_the_metrics_is_refused(given: str, dotenv: Path) -> None:
    with pytest.raises(SettingsError, match="SCORING_METRICS_BIND"):
        load({"SCORING_METRICS_BIND": given}, dotenv)


@pytest.mark.parametrize("token", ["токен", "tok ", "a b"])
def test_a_token_that_no_header_can_carry_is_refused(token: str, dotenv: Path) -> None:
    with pytest.raises(SettingsError, match="SCORING_METRICS_TOKEN"):
        load({"SCORING_METRICS_TOKEN": token}, dotenv)


def test_the_token_may_stand_in_a_file(dotenv: Path) -> None:
    assert load({"SCORING_METRICS_TOKEN_FILE": _TOKEN_FILE}, dotenv).metrics_token == "wL9x-file"


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"two words", b"one\ntwo\n", "токен".encode(), b"\xff"]
)
def test_a_file_without_a_usable_token_is_refused(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    with pytest.raises(SettingsError, match=r"^SCORING_METRICS_TOKEN_FILE: "):
        load({"SCORING_METRICS_TOKEN_FILE": str(file)}, tmp_path / ".env")


def test_a_token_and_a_file_of_one_are_a_contradiction(dotenv: Path) -> None:
    given = {"SCORING_METRICS_TOKEN": "wL9x", "SCORING_METRICS_TOKEN_FILE": _TOKEN_FILE}
    with pytest.raises(SettingsError, match="SCORING_METRICS_TOKEN_FILE") as caught:
        load(given, dotenv)
    assert "wL9x" not in str(caught.value)
