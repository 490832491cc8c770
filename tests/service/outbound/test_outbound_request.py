"""Requests to addresses that somebody has named."""

import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest

from service.outbound import connection
from service.outbound.addresses import NotAllowed
from service.outbound.request import Unreachable, check, post
from tests.support.paths import ROOT
from tests.support.webhooks import receiving

LOCAL = ("127.0.0.1", "localhost")


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/hook",
        "https://example.com:443/hook?a=b",
        "http://127.0.0.1:8080/hook",
        "https://localhost:8443",
    ],
)
def test_a_url_that_may_be_used(url: str) -> None:
    assert check(url, LOCAL).hostname


@pytest.mark.parametrize(
    "url",
    [
        *("http://example.com/hook", "https://example.com:8443/hook", "ftp://localhost/a"),
        *("https://user@example.com/", "https://example.com/#part", "file:///etc/passwd", "https:"),
        *("https://example.com:port/", "https://[::1/", "https://exämple.com/", "https://a b/"),
        *("https://example.com/\r\nX: y", "https://example.com/" + "a" * 2048, "//example.com"),
    ],
)
def test_a_url_that_may_not(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        check(url, LOCAL)


def test_a_post_arrives_and_its_status_is_returned() -> None:
    with receiving(202) as receiver:
        assert post(receiver.url, b"body", {"webhook-id": "1"}, 5, LOCAL) == 202
    ((headers, body),) = receiver.received
    assert (body, headers["webhook-id"]) == (b"body", "1")


def test_no_redirect_is_followed() -> None:
    with receiving(302) as receiver:
        assert post(receiver.url, b"", {}, 5, LOCAL) == 302
    assert len(receiver.received) == 1


def test_a_private_host_that_is_not_allowed_gets_no_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0)
        with pytest.raises((NotAllowed, ValueError)):
            post(f"https://127.0.0.1:{listener.getsockname()[1]}/", b"", {}, 5, ())
        with pytest.raises(NotAllowed):
            post("https://127.0.0.1/", b"", {}, 5, ())
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_a_name_that_changes_its_address_is_resolved_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection goes to what was judged, not to what the name means a moment later."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def answer(host: str, *rest: object, **named: object) -> object:
        asked.append(host)
        return real("127.0.0.1", *rest, **named)  # type: ignore[arg-type]

    with receiving(204) as receiver:
        url = receiver.url.replace("127.0.0.1", "changing.example")
        monkeypatch.setattr("socket.getaddrinfo", answer)
        assert post(url, b"", {}, 5, ("changing.example",)) == 204
    assert asked.count("changing.example") == 1


@contextmanager
def _dripping() -> Iterator[int]:
    """A server that sends its reply one byte at a time; its port."""
    over = Event()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            for byte in b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000:
                if over.wait(0.01):
                    return
                try:
                    connection.send(bytes([byte]))
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            over.set()
            thread.join()


def test_a_reply_that_drips_has_an_end() -> None:
    with _dripping() as port, pytest.raises(Unreachable):
        post(f"http://127.0.0.1:{port}/", b"", {}, 0.3, LOCAL)


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(Unreachable):
        post(f"http://127.0.0.1:{port}/", b"", {}, 5, LOCAL)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certs")
    subprocess.run([ROOT / "deploy" / "certs.sh", folder], check=True, capture_output=True)
    return folder


@pytest.mark.parametrize("trusted", [True, False])
def test_the_certificate_must_be_that_of_the_host(
    certificates: Path, monkeypatch: pytest.MonkeyPatch, *, trusted: bool
) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates / "server.crt", certificates / "server.key")
    ours = ssl.create_default_context(cafile=certificates / "ca.crt" if trusted else None)
    monkeypatch.setattr(connection, "_tls", lambda: ours)
    with receiving(204) as receiver:
        server = receiver.server
        server.socket = context.wrap_socket(server.socket, server_side=True)
        url = receiver.url.replace("http:", "https:").replace("127.0.0.1", "localhost")
        if trusted:
            assert post(url, b"", {}, 5, LOCAL) == 204
        else:
            with pytest.raises(Unreachable):
                post(url, b"", {}, 5, LOCAL)
