"""Files by URLs that callers name."""

import json
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from service.outbound import connection
from service.outbound.fetch import ANY, REASONS, Fetcher, Limits, NotFetched
from tests.support.paths import ROOT

_LIMITS = Limits(file_bytes=1000, seconds=5.0)
_OK = b"HTTP/1.1 200 OK\r\n"


@contextmanager
def _answering(reply: bytes, *, forever: bytes = b"") -> Iterator[tuple[str, list[bytes]]]:
    """A server that sends this to each client, and then `forever`; its URL, and what it got."""
    received: list[bytes] = []
    over = Event()

    def serve() -> None:
        while not over.is_set():
            try:
                accepted, _ = listener.accept()
            except TimeoutError:
                continue
            with accepted:
                received.append(accepted.recv(65536))
                try:
                    accepted.sendall(reply)
                    while forever and not over.wait(0.001):
                        accepted.sendall(forever)
                except OSError:
                    pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.01)
        thread = Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/cat.png", received
        finally:
            over.set()
            thread.join()


def _fetcher(**limits: Any) -> Fetcher:
    return Fetcher([], ["127.0.0.1", "localhost"], _LIMITS._replace(**limits))


def _reason(fetcher: Fetcher, url: str) -> str:
    with pytest.raises(NotFetched) as raised:
        fetcher.fetched(url)
    assert str(raised.value) == "the image can't be fetched"
    assert raised.value.reason in REASONS
    assert "secret" not in raised.value.detail
    return raised.value.reason


def test_a_file_arrives_whole_and_nothing_of_ours_is_sent_for_it() -> None:
    reply = _OK + b"Content-Length: 4\r\nSet-Cookie: a=b\r\n\r\nfile"
    with _answering(reply) as (url, received):
        fetcher = _fetcher()
        assert fetcher.fetched(url) == fetcher.fetched(url + "?size=2") == b"file"
    first, second = (request.decode().split("\r\n") for request in received)
    assert first[0] == "GET /cat.png HTTP/1.1"
    assert second[0] == "GET /cat.png?size=2 HTTP/1.1"
    names = {line.partition(":")[0] for line in second[1:] if line}
    assert names == {"Host", "Connection", "Accept", "Accept-Encoding", "User-Agent"}


def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.settimeout(0)
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.getsockname()[1]}")
        with _answering(_OK + b"Content-Length: 4\r\n\r\nfile") as (url, _):
            assert _fetcher().fetched(url) == b"file"
        with pytest.raises(BlockingIOError):
            proxy.accept()


def test_it_is_off_without_hosts() -> None:
    assert not Fetcher([]).is_on
    assert _reason(Fetcher([]), "https://example.com/cat.png") == "off"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        *(("https://other.example/", "host"), ("https://sub.pictures.example/", "host")),
        *(("https://pictures.example./", "host"), ("https://127.0.0.1/", "host")),
        *(("http://pictures.example/", "url"), ("https://pictures.example:8443/", "url")),
        *(("https://secret@pictures.example/", "url"), ("https://pictures.example/#a", "url")),
        *(("file:///etc/passwd", "url"), ("gopher://pictures.example/", "url")),
        *(("https://pictures.example\\@127.0.0.1/", "url"), ("https://[127.0.0.1]/", "url")),
        *(("https://pictures.example@127.0.0.1/", "url"), ("https://пример.example/", "url")),
        *(("https://pictures.example/" + "a" * 2048, "url"), ("", "url"), ("cat.png", "url")),
    ],
)
def test_a_url_that_is_not_in_the_list_is_not_even_resolved(
    url: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: pytest.fail("it was resolved"))
    assert _reason(Fetcher(["pictures.example"]), url) == reason


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (
            b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
            "status",
        ),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nfile", "status"),
        (b"HTTP/1.1 206 Partial Content\r\nContent-Length: 4\r\n\r\nfile", "status"),
        (_OK + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nfile", "encoding"),
        (_OK + b"Content-Length: 1001\r\n\r\n", "size"),
        (_OK + b"\r\n" + b"x" * 1001, "size"),
        (_OK + b"Transfer-Encoding: chunked\r\n\r\n7d0\r\n" + b"x" * 2000, "size"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "network"),
        (b"", "network"),
    ],
)
def test_a_reply_that_is_no_file_is_refused_in_the_same_words(reply: bytes, reason: str) -> None:
    with _answering(reply) as (url, received):
        assert _reason(_fetcher(), url + "?secret") == reason
    assert len(received) == 1


@pytest.mark.parametrize("head", [_OK, _OK + b"\r\n", b""])
def test_a_reply_that_drips_has_an_end(head: bytes) -> None:
    with _answering(head, forever=b"x") as (url, _):
        assert _reason(_fetcher(seconds=0.2, file_bytes=1 << 20), url) == "network"


def test_an_endless_reply_has_an_end() -> None:
    with _answering(_OK + b"\r\n", forever=b"x" * 4096) as (url, _):
        assert _reason(_fetcher(), url) == "size"


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert _reason(_fetcher(), f"http://127.0.0.1:{port}/") == "network"


def test_a_look_up_that_hangs_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    over = Event()
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: over.wait() and [])
    fetcher = Fetcher(["slow.example"], limits=Limits(seconds=0.1, at_a_time=1))
    try:
        assert _reason(fetcher, "https://slow.example/") == "network"
        assert _reason(fetcher, "https://slow.example/") == "busy"
    finally:
        over.set()


def test_few_callers_wait_for_those_that_fetch(monkeypatch: pytest.MonkeyPatch) -> None:
    over = Event()
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: over.wait() and [])
    fetcher = Fetcher(["slow.example"], limits=Limits(seconds=600, at_a_time=1))
    with ThreadPoolExecutor(3) as threads:
        reasons = [threads.submit(_reason, fetcher, "https://slow.example/") for _ in range(3)]
        try:
            (at_once,) = wait(reasons, return_when=FIRST_COMPLETED).done
            assert at_once.result() == "busy"
        finally:
            over.set()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certs")
    subprocess.run([ROOT / "deploy" / "certs.sh", folder], check=True, capture_output=True)
    return folder


@pytest.mark.parametrize("trusted", [True, False])
def test_the_certificate_must_be_that_of_the_name(
    certificates: Path, monkeypatch: pytest.MonkeyPatch, *, trusted: bool
) -> None:
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificates / "server.crt", certificates / "server.key")
    ours = ssl.create_default_context(cafile=certificates / "ca.crt")
    monkeypatch.setattr(connection, "_tls", lambda: ours)
    names = {"localhost": trusted, "other.example": not trusted}
    (name,) = (name for name, is_its in names.items() if is_its)
    real = socket.getaddrinfo
    monkeypatch.setattr(
        "socket.getaddrinfo",
        lambda _host, port, *rest, **named: real("127.0.0.1", port, *rest, **named),
    )
    fetcher = Fetcher([], [*names], _LIMITS)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=_one_by_tls, args=(listener, server))
        thread.start()
        url = f"https://{name}:{listener.getsockname()[1]}/"
        if trusted:
            assert fetcher.fetched(url) == b"file"
        else:
            assert _reason(fetcher, url) == "network"
        thread.join()


def test_a_body_that_drips_by_tls_has_an_end(
    certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificates / "server.crt", certificates / "server.key")
    ours = ssl.create_default_context(cafile=certificates / "ca.crt")
    monkeypatch.setattr(connection, "_tls", lambda: ours)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        rest = b"Content-Length: 9\r\n\r\nx"
        thread = Thread(target=_one_by_tls, args=(listener, server, rest))
        thread.start()
        url = f"https://localhost:{listener.getsockname()[1]}/"
        assert _reason(_fetcher(seconds=0.5), url) == "network"
        thread.join()  # it ends when the connection does


def _one_by_tls(
    listener: socket.socket,
    context: ssl.SSLContext,
    rest: bytes = b"Content-Length: 4\r\n\r\nfile",
) -> None:
    accepted, _ = listener.accept()
    with accepted:
        try:
            with context.wrap_socket(accepted, server_side=True) as secure:
                secure.recv(65536)
                secure.sendall(_OK + rest)
                secure.recv(1)
        except OSError:
            pass


_PUBLIC = "93.184.216.34"
_FORBIDDEN = [
    *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.0.1", "169.254.169.254", "0.0.0.0"),
    *("100.64.0.1", "100.100.100.200", "192.0.0.192", "192.88.99.1", "198.18.0.1", "224.0.0.1"),
    *("240.0.0.1", "255.255.255.255", "192.0.2.1", "203.0.113.7"),
    *("::", "::1", "fe80::1", "fc00::1", "fec0::1", "ff02::1", "2001:db8::1", "fd00:ec2::254"),
    *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b:1::7f00:1"),
    *("2002:7f00:1::", "2002:a9fe:a9fe::", "2001:0:53aa:64c:0:fbff:80ff:fffe"),
]
_WRITTEN = [
    *("localhost", "2130706433", "0177.0.0.1", "0x7f.1", "127.1", "0", "0x7f000001"),
    *("[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]"),
]


def _run_apart(tmp_path: Path, zone: dict[str, list[list[str]]], urls: list[str]) -> list[Any]:
    """The outcomes of URLs in a network of their own, which leads nowhere."""
    apart = ["unshare", "--mount", "--net"]
    if not shutil.which("unshare") or subprocess.run([*apart, "true"], check=False).returncode:
        pytest.skip("no network of its own can be made here (root may)")
    resolv = tmp_path / "resolv.conf"
    resolv.write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    done = subprocess.run(
        [*apart, sys.executable, "-m", "tests.support.rebinding", resolv],
        cwd=ROOT, input=json.dumps({"zone": zone, "urls": urls}),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    outcomes: list[Any] = json.loads(done.stdout)
    assert len(outcomes) == len(urls)
    return outcomes


def test_no_connection_is_begun_to_a_forbidden_address(tmp_path: Path) -> None:
    zone = {f"n{at}.example": [[address]] for at, address in enumerate(_FORBIDDEN)}
    zone |= {f"m{at}.example": [[_PUBLIC, address]] for at, address in enumerate(_FORBIDDEN)}
    urls = [f"https://{name}/" for name in (*zone, *_WRITTEN)]
    for outcome in _run_apart(tmp_path, zone, urls):
        assert outcome["reason"] == "address", outcome
        assert outcome["begun"] == [], outcome


def test_a_name_that_is_rebound_after_it_was_judged_gains_nothing(tmp_path: Path) -> None:
    zone = {
        "rebound.example": [[_PUBLIC], ["127.0.0.1"]],
        "back.example": [["127.0.0.1"], [_PUBLIC]],
    }
    urls = ["https://rebound.example/", "https://back.example/"]
    rebound, back = _run_apart(tmp_path, zone, urls)
    assert rebound == {"url": urls[0], "reason": "network", "begun": [_PUBLIC], "asked": 1}
    assert back == {"url": urls[1], "reason": "address", "begun": [], "asked": 1}


def test_any_host_may_be_allowed_and_is_judged_all_the_same() -> None:
    assert Fetcher([ANY]).is_on
    assert _reason(Fetcher([ANY]), "https://127.0.0.1/") == "address"
