"""A registry in S3, against a real server of its protocol."""

import json
import multiprocessing
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from botocore.config import Config

from loadgen.common.processes import free_port
from model.registry import Aliases, Conflict, Damaged, Refused, Registry, Unavailable, s3_store
from model.registry.s3_store import S3Store
from model.regno import BUNDLED
from tests.support.messages import mentions, stating
from tests.support.moto import BUCKET, CREDENTIALS, Moto, moto
from tests.support.registry import as_json, command, files, no_check


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moto]:
    """One server for all tests, each of which has a prefix of its own."""
    with moto(tmp_path_factory.mktemp("moto")) as server:
        yield server


@pytest.fixture
def prefix(request: pytest.FixtureRequest) -> str:
    """The test's own place in the bucket."""
    return f"tests/{request.node.name}"


@pytest.fixture
def registry(
    server: Moto, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Registry:
    """An empty registry."""
    return _registry(server, prefix, tmp_path / "cache", monkeypatch)


def _registry(server: Moto, prefix: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    for name, value in server.settings.items():
        monkeypatch.setenv(name, value)
    return Registry(S3Store(f"{BUCKET}/{prefix}", "regno", cache, "model.cbm"), no_check)


def _copies(tmp_path: Path, name: str = "model.cbm") -> list[Path]:
    return list((tmp_path / "cache").rglob(name))


def test_versions_and_aliases_live_there_as_on_disk(
    registry: Registry, server: Moto, prefix: str
) -> None:
    assert registry.versions() == []
    assert registry.aliases() == Aliases()
    assert registry.add(files("v1", b"one")) is True
    assert registry.add(files("v1", b"one")) is False
    assert registry.add(files("v2", b"three")) is True
    with pytest.raises(Refused, match=stating("v1", "another model")):
        registry.add(files("v1", b"two"))
    assert [(e.version, e.size) for e in registry.versions()] == [("v1", 3), ("v2", 5)]
    assert registry.promote("v1", who="a").after == Aliases("v1", "", "", 1)
    assert registry.promote("v2", who="a").after == Aliases("v2", "", "v1", 2)
    assert registry.rollback(who="b").after == Aliases("v1", "", "v2", 3)
    assert [change.what for change in registry.history()] == ["promote", "promote", "rollback"]
    assert registry.verify() == []
    listed = server.client.list_objects_v2(Bucket=BUCKET, Prefix=prefix)["Contents"]
    assert {entry["Key"].removeprefix(f"{prefix}/regno/") for entry in listed} == {
        "aliases.json",
        *(
            f"{version}/{name}"
            for version in ("v1", "v2")
            for name in ("model.cbm", "manifest.json")
        ),
    }


def test_an_unknown_version_is_refused(registry: Registry) -> None:
    for version in ("v9", "../v", ""):
        with pytest.raises(Refused, match="no version"):
            registry.fetch(version)


def test_an_add_that_was_cut_off_made_no_version_and_the_same_model_completes_it(
    registry: Registry, server: Moto, prefix: str
) -> None:
    key = f"{prefix}/regno/v1/model.cbm"
    server.client.put_object(Bucket=BUCKET, Key=key, Body=b"one")
    assert registry.versions() == []
    assert [fault.what for fault in registry.verify()] == ["v1"]
    with pytest.raises(Refused, match=stating("no version", "v1")):
        registry.promote("v1", who="a")
    with pytest.raises(Refused, match=f"or remove s3://{BUCKET}/{prefix}/regno/v1/model.cbm"):
        registry.add(files("v1", b"two"))
    assert registry.add(files("v1", b"one")) is True
    assert registry.verify() == []
    assert registry.fetch("v1").read_bytes() == b"one"


def test_a_fetched_version_needs_the_server_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with moto(tmp_path) as server:
        registry = _registry(server, "p", tmp_path / "cache", monkeypatch)
        registry.add(files("v1", b"one"))
        registry.add(files("v2", b"two"))
        path = registry.fetch("v1")
    assert registry.fetch("v1") == path
    assert path.read_bytes() == b"one"
    with pytest.raises(Unavailable, match=r"Could not connect|Connection"):
        registry.fetch("v2")
    with pytest.raises(Unavailable):
        registry.aliases()


def test_a_corrupted_copy_is_fetched_again(registry: Registry) -> None:
    registry.add(files("v1", b"one"))
    for harm in (b"onf", b""):
        registry.fetch("v1").write_bytes(harm)
        assert registry.fetch("v1").read_bytes() == b"one"
    registry.fetch("v1").with_name("manifest.json").unlink()
    assert registry.fetch("v1").read_bytes() == b"one"


def test_the_copies_are_for_this_user_only(registry: Registry, tmp_path: Path) -> None:
    registry.add(files("v1", b"one"))
    path, cache = registry.fetch("v1"), tmp_path / "cache"
    assert cache.stat().st_mode & 0o777 == 0o700
    # As a former version made it: others could look into it, and no more.
    cache.chmod(0o755)
    assert registry.fetch("v1") == path
    assert cache.stat().st_mode & 0o777 == 0o700


def _open_to_all(cache: Path) -> Path:
    cache.chmod(0o777)
    return cache


def _open_to_the_group(cache: Path) -> Path:
    cache.chmod(0o770)
    return cache


def _open_within(cache: Path) -> Path:
    cache.chmod(0o755)
    [model] = cache.rglob("model.cbm")
    model.parent.chmod(0o775)
    return model.parent


def _a_link(cache: Path) -> Path:
    cache.rename(cache.with_name("elsewhere"))
    cache.symlink_to(cache.with_name("elsewhere"))
    return cache


def _a_link_within(cache: Path) -> Path:
    cache.chmod(0o755)
    [model] = cache.rglob("model.cbm")
    model.rename(cache.with_name("other.cbm"))
    model.symlink_to(cache.with_name("other.cbm"))
    return model


def _anothers(cache: Path) -> Path:
    os.chown(cache, 65534, 65534)
    return cache


def _anothers_within(cache: Path) -> Path:
    cache.chmod(0o755)
    [manifest] = cache.rglob("manifest.json")
    os.chown(manifest, 65534, 65534)
    return manifest


_BY_ROOT = (_anothers, _anothers_within) if os.getuid() == 0 else ()


@pytest.mark.parametrize(
    "harm",
    [_open_to_all, _open_to_the_group, _open_within, _a_link, _a_link_within, *_BY_ROOT],
)
def test_no_model_is_taken_from_where_another_user_may_write(
    harm: Callable[[Path], Path], registry: Registry, tmp_path: Path
) -> None:
    registry.add(files("v1", b"one"))
    registry.fetch("v1")
    path = harm(tmp_path / "cache")
    message = f"{path}: models are not taken from what another user owns or may write to. Remove it"
    for _ in range(2):
        with pytest.raises(Unavailable) as refused:
            registry.fetch("v1")
        assert str(refused.value) == message


def test_a_cache_that_cant_be_made_is_named(
    server: Moto, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    registry = _registry(server, prefix, tmp_path / "file" / "cache", monkeypatch)
    registry.add(files("v1", b"one"))
    with pytest.raises(Unavailable, match=r"/file/cache: Not a directory$"):
        registry.fetch("v1")


def test_a_version_corrupted_in_the_bucket_is_refused_and_found_by_verify(
    registry: Registry, server: Moto, prefix: str, tmp_path: Path
) -> None:
    registry.add(files("v1", b"one"))
    key = f"{prefix}/regno/v1/model.cbm"
    server.client.put_object(Bucket=BUCKET, Key=key, Body=b"on")
    with pytest.raises(Damaged, match="SHA-256 differs"):
        registry.fetch("v1")
    assert _copies(tmp_path) == [], "a partial download is not a version"
    server.client.put_object(Bucket=BUCKET, Key=key, Body=b"one")
    registry.fetch("v1")
    server.client.put_object(Bucket=BUCKET, Key=key, Body=b"on")
    assert registry.fetch("v1").read_bytes() == b"one"
    assert [fault.what for fault in registry.verify()] == ["v1"]
    server.client.delete_object(Bucket=BUCKET, Key=key)
    (fault,) = registry.verify()
    assert mentions(fault.reason, "no model.cbm")


def test_of_two_changes_of_the_same_aliases_the_second_raises_conflict(
    server: Moto, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _registry(server, prefix, tmp_path, monkeypatch)
    stores = [S3Store(f"{BUCKET}/{prefix}", "regno", tmp_path, "model.cbm") for _ in range(2)]
    for text in (b"first", b"second"):
        tokens = [store.read().token for store in stores]
        stores[0].write(text, tokens[0])
        with pytest.raises(Conflict):
            stores[1].write(b"lost", tokens[1])
        assert stores[1].read().text == text


_EACH = 6


def _promote_many(prefix: str, cache: str, mine: list[str], settings: dict[str, str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        registry = Registry(
            S3Store(f"{BUCKET}/{prefix}", "regno", Path(cache), "model.cbm"), no_check
        )
        for number in range(_EACH):
            registry.promote(mine[number % 2], who=mine[0])


@pytest.mark.slow
def test_promotions_of_two_processes_are_each_in_the_history(
    registry: Registry, server: Moto, prefix: str, tmp_path: Path
) -> None:
    pairs = [["v1", "v2"], ["v3", "v4"]]
    for version in (version for pair in pairs for version in pair):
        registry.add(files(version, version.encode()))
    context = multiprocessing.get_context("spawn")
    arguments = (prefix, str(tmp_path / "cache"))
    processes = [
        context.Process(target=_promote_many, args=(*arguments, pair, dict(server.settings)))
        for pair in pairs
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    history = registry.history()
    assert [change.aliases.generation for change in history] == list(range(1, 2 * _EACH + 1))
    lives = ["", *(change.aliases.live for change in history)]
    assert [change.aliases.previous for change in history] == lives[:-1]


def test_a_server_without_conditional_writes_keeps_a_registry_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with moto(tmp_path, conditions=False) as server:
        registry = _registry(server, "p", tmp_path / "cache", monkeypatch)
        registry.add(files("v1", b"one"))
        registry.add(files("v2", b"two"))
        with pytest.raises(Refused, match=stating("v1", "another model")):
            registry.add(files("v1", b"two"))
        assert registry.add(files("v1", b"one")) is False
        registry.promote("v1", who="a")
        registry.promote("v2", who="a")
        assert registry.rollback(who="a").after == Aliases("v1", "", "v2", 3)
        assert registry.verify() == []


def test_a_bucket_that_is_not_there_is_reported(
    server: Moto, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _registry(server, "p", tmp_path, monkeypatch)
    registry = Registry(S3Store("no-such-bucket/p", "regno", tmp_path, "model.cbm"), no_check)
    for act in (registry.versions, registry.aliases, lambda: registry.add(files("v1"))):
        with pytest.raises(Unavailable, match="bucket"):
            act()


@contextmanager
def _answering(reply: bytes | None) -> Iterator[str]:
    """A server that answers each connection with these bytes and an end; None: not at all."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        held = []

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                held.append(connection)
                if reply is not None:
                    connection.recv(65536)
                    connection.sendall(reply)
                    connection.shutdown(socket.SHUT_RDWR)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)
            for connection in held:
                connection.close()


def _use(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL_S3": url}.items():
        monkeypatch.setenv(name, value)


def _list(tmp_path: Path, url: str) -> str:
    settings = {**CREDENTIALS, "AWS_ENDPOINT_URL_S3": url}
    arguments = ("list", "--models", "s3://bucket/p", "--cache", tmp_path / "cache")
    return command(tmp_path, *arguments, expect=69, settings=settings).stderr


def test_a_server_that_never_answers_ends_in_a_timeout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the client's own configuration, with less patience."""
    quick = s3_store._CONFIG.merge(Config(read_timeout=0.2))
    monkeypatch.setattr(s3_store, "_CONFIG", quick)
    with _answering(None) as url:
        _use(url, monkeypatch)
        with pytest.raises(Unavailable, match="Read timeout"):
            S3Store("bucket/p", "regno", tmp_path / "cache", "model.cbm").read()


def test_a_reply_that_is_cut_off_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reply = b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nETag: "e"\r\n\r\nshort'
    with _answering(reply) as url:
        _use(url, monkeypatch)
        registry = Registry(S3Store("bucket/p", "regno", tmp_path / "cache", "model.cbm"), no_check)
        for act in (registry.aliases, lambda: registry.fetch("v1")):
            with pytest.raises(Unavailable):
                act()
    assert _copies(tmp_path) == []


def test_a_server_that_is_down_is_reported_at_once(tmp_path: Path) -> None:
    assert "Could not connect" in _list(tmp_path, f"http://127.0.0.1:{free_port()}")


@pytest.mark.slow
def test_the_command_works_there(server: Moto, prefix: str, tmp_path: Path) -> None:
    where = ("--models", f"s3://{BUCKET}/{prefix}", "--cache", tmp_path / "cache")
    version = json.loads(BUNDLED.with_name("manifest.json").read_bytes())["version"]
    settings = server.settings
    command(tmp_path, "add", BUNDLED, *where, settings=settings)
    command(tmp_path, "promote", version, *where, settings=settings)
    listed = as_json(command(tmp_path, "list", "--json", *where, settings=settings))
    assert listed["registry"] == f"s3://{BUCKET}/{prefix}/regno"
    assert listed["versions"][0]["aliases"] == ["live"]
    done = command(tmp_path, "verify", *where, settings=settings)
    assert done.stdout == "versions: 1, faults: 0\n"
    (copy,) = _copies(tmp_path)
    assert copy.read_bytes() == BUNDLED.read_bytes()
