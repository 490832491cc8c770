"""Connections to a broker at amqps://: the certificate must be one of its host."""

import socket
import ssl
from contextlib import closing
from pathlib import Path
from threading import Thread

import pytest

from service.jobs.celery_queue import CeleryQueue
from service.jobs.queues import QueueUnavailable
from tests.support.edge import make_certificates
from tests.support.jobs_queue import make_job


class _Listener:
    """Takes one connection, and notes whether its TLS handshake came to an end."""

    def __init__(self, host: str, folder: Path) -> None:
        self.is_trusted = False
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(folder / "server.crt", folder / "server.key")
        self._socket = socket.create_server((host, 0))
        self.port = self._socket.getsockname()[1]
        self._thread = Thread(target=self._take_one)
        self._thread.start()

    def _take_one(self) -> None:
        connection, _ = self._socket.accept()
        with connection:
            try:
                with self._context.wrap_socket(connection, server_side=True) as secured:
                    secured.recv(8)  # AMQP and the version
                    self.is_trusted = True
            except OSError:
                pass

    def close(self) -> None:
        self._thread.join()
        self._socket.close()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.mark.parametrize(("host", "is_trusted"), [("127.0.0.1", True), ("127.0.0.2", False)])
def test_only_a_certificate_of_the_host_is_trusted(
    host: str, *, is_trusted: bool, certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates / "ca.crt"))
    with closing(_Listener(host, certificates)) as listener:
        url = f"amqps://tests:planted@{host}:{listener.port}/tests"
        with closing(CeleryQueue(url)) as queue, pytest.raises(QueueUnavailable):
            queue.publish(make_job("a"))
    assert listener.is_trusted == is_trusted
