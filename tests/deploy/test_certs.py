"""`make certs` makes an authority, a server's and a client's certificate, and keeps valid ones."""

import ssl
import subprocess
from pathlib import Path

from tests.support.edge import make_certificates
from tests.support.paths import ROOT

_NAMES = ("ca", "client", "server")


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _openssl(*arguments: str | Path) -> str:
    ran = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, check=True)
    return ran.stdout.decode()


def test_the_certificates_are_of_elliptic_curves_for_their_owner_only(tmp_path: Path) -> None:
    folder = make_certificates(tmp_path / "certs")
    assert set(_contents(folder)) == {f"{n}.{kind}" for n in _NAMES for kind in ("crt", "key")}
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700
    for name in _NAMES:
        shown = _openssl("x509", "-in", folder / f"{name}.crt", "-noout", "-text")
        assert "prime256v1" in shown
        _openssl("verify", "-x509_strict", "-CAfile", folder / "ca.crt", folder / f"{name}.crt")
    server = _openssl("x509", "-in", folder / "server.crt", "-noout", "-text")
    names = "DNS:localhost, DNS:edge, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1"
    assert names in server
    # A client's is good for nothing else.
    ssl.create_default_context(cafile=str(folder / "ca.crt")).load_cert_chain(
        folder / "client.crt", folder / "client.key"
    )
    client = _openssl("x509", "-in", folder / "client.crt", "-noout", "-purpose")
    assert "SSL client : Yes" in client
    assert "SSL server : No" in client


def test_good_ones_are_left_alone_and_bad_ones_made_anew(tmp_path: Path) -> None:
    folder = make_certificates(tmp_path)
    first = _contents(folder)
    assert _contents(make_certificates(folder)) == first
    (folder / "server.crt").write_bytes(first["server.crt"][:200])
    (folder / "client.key").unlink()
    second = _contents(make_certificates(folder))
    changed = {name for name in first if first[name] != second[name]}
    assert changed == {"server.crt", "client.key", "client.crt"}
    for name in _NAMES:
        _openssl("verify", "-CAfile", folder / "ca.crt", folder / f"{name}.crt")


def test_another_client_is_of_the_same_authority(tmp_path: Path) -> None:
    first = _contents(make_certificates(tmp_path))
    second = _contents(make_certificates(tmp_path, "partner"))
    assert second == first | {name: second[name] for name in ("partner.crt", "partner.key")}
    shown = _openssl("x509", "-in", tmp_path / "partner.crt", "-noout", "-subject")
    assert shown.strip() == "subject=CN = partner"


def _made(folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(ROOT / "deploy/certs.sh"), str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_openssl_says_nothing_unless_it_fails(tmp_path: Path) -> None:
    made = _made(tmp_path / "certs")
    assert (made.returncode, made.stderr) == (0, "")
    assert made.stdout == f"Certificates in {tmp_path}/certs: ca, server, client\n"
    (tmp_path / "other" / "ca.crt").mkdir(parents=True)
    failed = _made(tmp_path / "other")
    assert failed.returncode != 0
    assert "ca.crt" in failed.stderr


def test_make_certs_puts_them_where_git_does_not_look() -> None:
    ran = subprocess.run(
        ["make", "--no-print-directory", "--dry-run", "certs"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout == "deploy/certs.sh build/certs\n"
    assert "/build/" in (ROOT / ".gitignore").read_text().splitlines()
