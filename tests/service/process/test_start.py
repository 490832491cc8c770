"""The service as a process: what it reads when it starts, and what its workers share."""

from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.support import toys
from tests.support.faulty import CRASHED, CRASHING
from tests.support.messages import states
from tests.support.server import Server, eventually, refused, serving

SHARED_MEMORY = Path("/dev/shm")


def test_dotenv_is_read_from_the_working_folder(tmp_path: Path) -> None:
    server = Server(tmp_path, {}, dotenv="SCORING_API_KEYS=partner:k1\n")
    try:
        server.wait_ready()
        with server.client(x_api_key="k1") as client:
            assert client.get("/").status_code == 200
        with server.client() as client:
            assert client.get("/").status_code == 401
        (server.folder / ".env").unlink()
    except BaseException:
        server.stop()
        raise
    server.stop_cleanly()


def test_a_file_that_is_no_model_stops_the_start_and_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    junk = tmp_path / "junk.cbm"
    junk.write_bytes(b"junk")
    ran = refused(folder, model=str(junk))
    assert ran.returncode == 78
    assert ran.stderr.startswith(f"Not started. SCORING_MODEL: {junk} is refused: ")
    assert "Traceback" not in ran.stderr
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("model", ["/", "."])
def test_a_folder_for_a_model_stops_the_start(model: str, tmp_path: Path) -> None:
    ran = refused(tmp_path, model=model)
    assert ran.returncode == 78
    assert states(ran.stderr, f"Not started. SCORING_MODEL: {model} ", "Is a directory")


@pytest.mark.parametrize("how", CRASHING)
def test_a_model_that_crashes_the_loader_stops_the_start_and_is_named(
    how: str, tmp_path: Path
) -> None:
    path = CRASHING[how](tmp_path)
    ran = refused(tmp_path, model=str(path))
    assert ran.returncode == 78
    assert states(ran.stderr, f"Not started. SCORING_MODEL: {path} ", CRASHED)


def test_the_log_begins_with_what_is_served(tmp_path: Path) -> None:
    path = toys.save(toys.classifier("a", "b", class_names=["b", "a"]), tmp_path)
    version = f"sha256-{sha256(path.read_bytes()).hexdigest()[:12]}"
    settings = {"model": str(path), "positive_class": "b", "workers": "1", "api_keys": "partner:k1"}
    with serving(tmp_path / "server", **settings) as server:
        address = f"unix:{server.socket}"
    (served,) = server.messages("Serving ")
    model = (f"version {version} ", f"SCORING_MODEL: {path}", "class b of b and a")
    assert states(served, "Serving ", *model, address, "workers: 1", "keys: partner")


def test_metrics_add_up_over_the_workers_and_odd_settings_are_logged(
    tmp_path: Path, request_body: dict[str, Any]
) -> None:
    given = {"metrics_token": "t0ken", "api_kees": "a:b", "models_cache": "/tmp"}
    with serving(tmp_path, **given) as server:
        for _ in range(40):
            with server.client() as client:
                assert client.post("/reg/", json=request_body).status_code == 200
        with server.client(Authorization="Bearer t0ken") as client:
            page = client.get("/metrics").text
    assert 'scoring_rows_total{result="scored"} 40.0' in page
    assert server.messages("SCORING_API_KEES ", "not a setting")
    assert server.messages("SCORING_MODELS_CACHE", "SCORING_REGISTRY_CACHE")


def test_a_header_with_an_underscore_is_no_key(tmp_path: Path) -> None:
    with serving(tmp_path) as server, server.connect() as connection:
        head = b"GET / HTTP/1.1\r\nHost: x\r\nx_api_key: 123321\r\nConnection: close\r\n\r\n"
        connection.sendall(head)
        assert b" 401 " in connection.recv(4096).split(b"\r\n")[0]


def _folders() -> set[Path]:
    places = (SHARED_MEMORY, Path("/tmp"))
    return {folder for place in places for folder in place.glob("scoring-metrics-*")}


def test_a_stop_while_it_starts_leaves_nothing_behind(tmp_path: Path) -> None:
    before = _folders()
    server = Server(tmp_path, {})
    eventually(
        lambda: bool(_folders() - before or list(server.folder.iterdir())), "it has made its folder"
    )
    server.stop()

    def nothing_left() -> bool:
        # Servers of others may have come meanwhile: the folders of those that serve hold files.
        return all(list(folder.iterdir()) for folder in _folders() - before)

    eventually(nothing_left, "its folder is gone")
    assert list(server.folder.iterdir()) == []
