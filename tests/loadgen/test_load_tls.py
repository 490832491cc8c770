"""A load test over TLS, through the real edge."""

from pathlib import Path

import pytest

from loadgen.common.processes import free_port
from tests.support.edge import edge_before, make_certificates
from tests.support.live import started
from tests.support.load import load, shapes_file, written
from tests.support.server import KEY

_REQUESTS = 40


@pytest.mark.slow
def test_the_key_is_not_sent_to_an_untrusted_server(tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path, "partner")
    files = {
        "certificate": f"{certificates}/server.crt",
        "certificate_key": f"{certificates}/server.key",
    }
    port = free_port()
    shapes = shapes_file(tmp_path, seconds=2, rate=20, limits="objective")
    with (
        started(tmp_path / "service", host="127.0.0.1", port=str(port), workers="1"),
        edge_before(tmp_path / "edge", port, **files) as edge,
    ):
        url = ("--url", f"https://localhost:{edge.port}")
        code, output = load(tmp_path, shapes, *url, LOADGEN_API_KEY=KEY)
        assert code == 1, output
        assert failures(tmp_path) == {"single: SSLCertVerificationError": _REQUESTS}
        trusted = {"SSL_CERT_FILE": f"{certificates}/ca.crt"}
        _, output = load(tmp_path, shapes, *url, LOADGEN_API_KEY=KEY, **trusted)
        assert failures(tmp_path) == {}, output


def failures(folder: Path) -> dict[str, int]:
    (stage,) = written(folder)["stages"]
    counts: dict[str, int] = stage["failures"]
    return counts
