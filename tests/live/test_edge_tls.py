"""TLS and client certificates at the edge: which clients it accepts, and with which key."""

import socket
import ssl
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from loadgen.common.processes import free_port
from tests.support.echo import Echo
from tests.support.edge import assert_refused_by_edge, edge_before, exchange, make_certificates
from tests.support.live import started
from tests.support.server import KEY, KEY_HEADER, eventually
from tests.support.strategies import VALID

_NEEDED = "client certificate"
_MAPPED = "the-key-of-the-partner"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clients of the edge's authority."""
    folder = make_certificates(tmp_path_factory.mktemp("certs"), "partner")
    make_certificates(folder, "stranger")
    (folder / "keys").write_text(f'partner "{_MAPPED}";\n')
    return folder


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates of the same names by another authority."""
    return make_certificates(tmp_path_factory.mktemp("others"), "partner")


def tls(certificates: Path) -> dict[str, str]:
    return {
        "certificate": f"{certificates}/server.crt",
        "certificate_key": f"{certificates}/server.key",
    }


def mutual(certificates: Path, mode: str, *, keys: bool = True) -> dict[str, str]:
    known = {"client_certificates": mode, "client_ca": f"{certificates}/ca.crt"}
    return (
        tls(certificates) | known | ({"client_keys_file": f"{certificates}/keys"} if keys else {})
    )


def context(authority: Path, client: Path | None = None) -> ssl.SSLContext:
    """A client that trusts an authority and shows a certificate, if it has one."""
    made = ssl.create_default_context(cafile=str(authority / "ca.crt"))
    if client:
        made.load_cert_chain(client.with_suffix(".crt"), client.with_suffix(".key"))
    return made


@pytest.mark.slow
def test_the_service_answers_over_tls_that_any_client_can_check(
    certificates: Path, others: Path, tmp_path: Path
) -> None:
    port = free_port()
    with (
        started(tmp_path / "service", host="127.0.0.1", port=str(port), workers="1"),
        edge_before(tmp_path / "edge", port, **tls(certificates)) as edge,
    ):
        reply = edge.ask("POST", "/reg/", VALID, context=context(certificates))
        assert reply.status == 200
        assert reply.json()["status"] == "ok"
        with pytest.raises(ssl.SSLCertVerificationError):
            edge.ask(context=context(others))
        plain = edge.ask("GET", "/")
        assert_refused_by_edge(plain, 400, "can't be read")
        moved = edge.ask("GET", "/docs", context=context(certificates))
        assert moved.all("Location") == ["/docs/"]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_current_tls_is_spoken_with_ciphers_that_authenticate(
    version: ssl.TLSVersion, certificates: Path, echo: Echo, tmp_path: Path
) -> None:
    client = context(certificates)
    client.minimum_version = client.maximum_version = version
    with (
        edge_before(tmp_path / "edge", echo.port, **tls(certificates)) as edge,
        closing(edge.connection(client)) as connection,
    ):
        assert exchange(connection, "GET", "/").status == 200
        assert isinstance(connection.sock, ssl.SSLSocket)
        name, _, _ = connection.sock.cipher() or ("", "", 0)
        assert "GCM" in name or "CHACHA20" in name
        assert connection.sock.version() == version.name.replace("_", ".")


def test_older_tls_is_refused(certificates: Path, echo: Echo, tmp_path: Path) -> None:
    client = context(certificates)
    client.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.deprecated_call():
        client.minimum_version = ssl.TLSVersion.TLSv1_1
        client.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        edge_before(tmp_path / "edge", echo.port, **tls(certificates)) as edge,
        pytest.raises(ssl.SSLError, match=r"PROTOCOL_VERSION|protocol version"),
    ):
        edge.ask(context=client)


def test_a_cipher_without_forward_secrecy_is_refused(
    certificates: Path, echo: Echo, tmp_path: Path
) -> None:
    client = context(certificates)
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    client.set_ciphers("ECDHE-ECDSA-AES128-SHA:AES128-GCM-SHA256:@SECLEVEL=0")
    with (
        edge_before(tmp_path / "edge", echo.port, **tls(certificates)) as edge,
        pytest.raises(ssl.SSLError),
    ):
        edge.ask(context=client)


def test_a_session_is_resumed_without_a_ticket(
    certificates: Path, echo: Echo, tmp_path: Path
) -> None:
    client = context(certificates)
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    with edge_before(tmp_path / "edge", echo.port, **tls(certificates)) as edge:
        session = None
        for reused in (False, True):
            made = socket.create_connection(("127.0.0.1", edge.port), 20)
            with client.wrap_socket(made, server_hostname="edge", session=session) as opened:
                assert opened.session_reused == reused
                session = opened.session
                assert session is not None
                assert not session.has_ticket


def test_without_a_certificate_a_key_will_do_where_they_are_optional(
    certificates: Path, echo: Echo, tmp_path: Path
) -> None:
    bare = context(certificates)
    with edge_before(tmp_path / "edge", echo.port, **mutual(certificates, "optional")) as edge:
        assert edge.ask(context=bare).status == 200
        assert echo.last.get_all("X-Api-Key") == [KEY]
        assert edge.ask(headers={}, context=bare).status == 401
        assert len(echo.received) == 1


@pytest.mark.parametrize("mode", ["optional", "required"])
def test_the_edge_presents_the_key_that_belongs_to_a_certificate(
    mode: str, certificates: Path, echo: Echo, tmp_path: Path
) -> None:
    partner = context(certificates, certificates / "partner")
    stranger = context(certificates, certificates / "stranger")
    with edge_before(tmp_path / "edge", echo.port, **mutual(certificates, mode)) as edge:
        assert edge.ask("POST", "/reg/", VALID, {}, partner).status == 200
        assert echo.last.get_all("X-Api-Key") == [_MAPPED]
        # Its own goes before one that it sends.
        edge.ask(context=partner)
        assert echo.last.get_all("X-Api-Key") == [_MAPPED]
        # A certificate without a key in the file has to send one.
        assert edge.ask(headers={}, context=stranger).status == 401
        edge.ask(context=stranger)
        assert echo.last.get_all("X-Api-Key") == [KEY]
    assert _MAPPED not in edge.config.read_text() + edge.everything()


def test_no_header_gets_a_client_the_key_of_another(
    certificates: Path, echo: Echo, tmp_path: Path
) -> None:
    names = (
        "X-SSL-Client-S-DN",
        "Ssl-Client-S-Dn",
        "X-Client-Cert",
        "Edge-Caller",
        "SSL-Client-CN",
    )
    forged = dict.fromkeys(names, "CN=partner") | {"X-Api_Key": "x", "Edge-Callers-Key": "partner"}
    clients = (context(certificates), context(certificates, certificates / "stranger"))
    with edge_before(tmp_path / "edge", echo.port, **mutual(certificates, "optional")) as edge:
        for client in clients:
            for value in ("CN=partner", "SUCCESS CN=partner", "partner"):
                edge.ask(headers=forged | {"x-api-key": value}, context=client)
                assert _MAPPED not in str(echo.last)
                assert echo.last.get_all("X-Api-Key") == [value]
            for none in ({}, {"x-api-key": ""}, {"x-api-key": "\t "}):
                assert edge.ask(headers=forged | none, context=client).status == 401


def _signed(authority: Path, folder: Path, subject: str, *options: str) -> Path:
    """A certificate of the authority with any subject; its path without suffix."""
    path = folder / "odd"
    made = ("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    sign = ("-keyout", f"{path}.key", "-out", f"{path}.csr", "-utf8", "-subj", subject, *options)
    subprocess.run(["openssl", *made, *sign], capture_output=True, check=True)
    ca = ("-CA", f"{authority}/ca.crt", "-CAkey", f"{authority}/ca.key", "-set_serial", "77")
    subprocess.run(
        ["openssl", "x509", "-req", "-in", f"{path}.csr", *ca, "-out", f"{path}.crt"],
        capture_output=True,
        check=True,
    )
    return path


_PARTNER = ("/C=RU/O=Partner, Inc./CN=partner", "/CN=partner/O=Partner\\, Inc.")
_NOT_PARTNER = (
    *("/O=x,CN=partner", "/O=CN=partner/CN=stranger", "/CN=stranger,CN=partner", "/OU=partner"),
    *("/CN=stranger/CN=partner", "/CN=partner/CN=stranger", "/CN=partner2", "/CN=xpartner"),
    *("/CN=partner ", "/O=a\\\\,CN=partner", "/O=x\nCN=partner", "/CN=партнёр"),
)


@pytest.mark.parametrize("subject", [*_PARTNER, *_NOT_PARTNER])
def test_a_name_inside_another_field_is_no_name(
    subject: str, certificates: Path, echo: Echo, tmp_path: Path
) -> None:
    client = context(certificates, _signed(certificates, tmp_path, subject))
    with edge_before(tmp_path / "edge", echo.port, **mutual(certificates, "required")) as edge:
        assert edge.ask(headers=KEY_HEADER, context=client).status == 200
        assert echo.last["X-Api-Key"] == (_MAPPED if subject in _PARTNER else KEY)


@pytest.mark.parametrize("path", ["/", "/reg/", "/edge/healthz", "/nowhere"])
def test_where_certificates_are_required_nothing_goes_without(
    path: str, certificates: Path, echo: Echo, tmp_path: Path
) -> None:
    with edge_before(tmp_path / "edge", echo.port, **mutual(certificates, "required")) as edge:
        assert_refused_by_edge(edge.ask("GET", path, context=context(certificates)), 403, _NEEDED)
        # The status page on the edge's own machine needs no certificate.
        assert edge.status("/healthz").status == 200
    assert echo.received == []


@pytest.mark.parametrize("mode", ["optional", "required"])
def test_a_certificate_of_another_authority_is_refused_and_the_reason_is_logged(
    mode: str, certificates: Path, others: Path, echo: Echo, tmp_path: Path
) -> None:
    impostor = context(certificates, others / "partner")
    with edge_before(tmp_path / "edge", echo.port, **mutual(certificates, mode)) as edge:
        assert_refused_by_edge(edge.ask(headers=KEY_HEADER, context=impostor), 403, _NEEDED)
    assert echo.received == []
    [line] = edge.log()
    assert line["certificate"].startswith("FAILED:")
    assert line["status"] == 403


@pytest.mark.slow
def test_a_mapped_certificate_scores_at_the_real_service_without_a_key(
    certificates: Path, tmp_path: Path
) -> None:
    port, partner = free_port(), context(certificates, certificates / "partner")
    keys = f"partner:{_MAPPED},other:{KEY}"
    address = {"host": "127.0.0.1", "port": str(port)}
    with (
        started(tmp_path / "service", **address, workers="1", api_keys=keys) as service,
        edge_before(tmp_path / "edge", port, **mutual(certificates, "required")) as edge,
    ):
        reply = edge.ask("POST", "/reg/", VALID, {}, partner)
        assert reply.status == 200
        [request_id] = reply.all("X-Request-Id")
        eventually(lambda: request_id in service.output(), "the request is logged")
        [line] = [line for line in service.log() if line.get("request_id") == request_id]
        assert line["key"] == "partner"
