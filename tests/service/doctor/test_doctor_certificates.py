"""The doctor's checks of the edge's certificates."""

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from loadgen.common.processes import free_port
from service.doctor import edge
from tests.support.doctor import POWERLESS, checked, only, ran
from tests.support.edge import make_certificates
from tests.support.messages import mentions


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], capture_output=True, check=True)


@pytest.fixture(scope="module")
def expired(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("expired")
    request, key = folder / "server.csr", made / "server.key"
    _openssl("req", "-new", "-key", key, "-subj", "/CN=edge", "-out", request)
    signed = ("x509", "-req", "-in", request, "-signkey", key, "-days", "-1")
    _openssl(*signed, "-out", folder / "server.crt")
    return folder / "server.crt"


def test_a_good_certificate_is_reported_with_its_last_day(made: Path) -> None:
    finding = only(edge.server_certificate(made / "server.crt", made / "server.key"))
    assert finding.level == "ok"
    end = datetime.now(UTC) + timedelta(days=397)
    assert finding.description == f"good until {end:%Y-%m-%d}"
    assert only(edge.client_authority(made / "ca.crt")).description == finding.description


@pytest.mark.parametrize(("days", "level"), [(389, "ok"), (391, "warn"), (398, "fail")])
def test_an_expiring_certificate_is_a_warning_then_a_failure(
    days: int, level: str, made: Path
) -> None:
    now = datetime.now(UTC) + timedelta(days=days)
    server = edge.server_certificate(made / "server.crt", made / "server.key", now)
    assert [only(server).level, only(edge.client_authority(made / "ca.crt", now)).level] == [
        level,
        level,
    ]


@pytest.mark.parametrize(
    ("certificate", "key", "fact"),
    [
        ("client.crt", "server.key", "key values mismatch"),
        ("client.crt", "client.key", "unsuitable certificate purpose"),
        ("server.crt", "ca.crt", "can't be read"),
        ("server.key", "server.key", "can't be read"),
    ],
)
def test_a_certificate_that_no_client_would_accept_fails(
    certificate: str, key: str, fact: str, made: Path
) -> None:
    finding = only(edge.server_certificate(made / certificate, made / key))
    assert finding.level == "fail"
    assert mentions(finding.description, fact)


@pytest.mark.parametrize("name", ["server.crt", "server.key"])
def test_an_invalid_authority_fails(name: str, made: Path) -> None:
    assert only(edge.client_authority(made / name)).level == "fail"


def test_an_encrypted_key_fails(made: Path, tmp_path: Path) -> None:
    key = tmp_path / "server.key"
    _openssl("pkey", "-in", made / "server.key", "-aes256", "-passout", "pass:x", "-out", key)
    assert only(edge.server_certificate(made / "server.crt", key)).level == "fail"


def test_a_missing_certificate_gives_no_finding(made: Path) -> None:
    assert not list(edge.server_certificate(made / "server.crt", made / "none"))
    assert not list(edge.client_authority(made / "none"))


@pytest.fixture
def closed(made: Path) -> Iterator[Path]:
    (made / "server.key").chmod(0)
    yield made
    (made / "server.key").chmod(0o600)


def test_a_key_that_only_nginx_may_read_has_level_unknown(closed: Path, tmp_path: Path) -> None:
    named = f"EDGE_CERTIFICATE={closed}/server.crt\nEDGE_CERTIFICATE_KEY={closed}/server.key\n"
    (tmp_path / ".env").write_text(named)
    report = ran(tmp_path, "--json", through=POWERLESS, port=str(free_port()))
    assert report.level("edge certificate") == "unknown"


def test_an_expired_one_fails_the_report(made: Path, expired: Path, tmp_path: Path) -> None:
    named = f"EDGE_CERTIFICATE={expired}\nEDGE_CERTIFICATE_KEY={made}/server.key\n"
    (tmp_path / ".env").write_text(named)
    report = checked(tmp_path, "--json", port=str(free_port()))
    assert (report.code, report.level("edge certificate")) == (1, "fail")
    assert "certificate has expired" in report["edge certificate"]["description"]
