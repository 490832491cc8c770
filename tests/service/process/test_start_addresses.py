"""Where the server listens: invalid addresses, and sockets and arguments from outside."""

import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from loadgen.common.processes import Program, free_port
from service.config.settings import Settings, SettingsError, load
from service.process import listening
from tests.support.commands import environment
from tests.support.messages import states
from tests.support.server import KEY_HEADER, Server, eventually, refused, serving


def _errors(ran: "subprocess.CompletedProcess[str]") -> str:
    assert "Traceback" not in ran.stderr
    return ran.stderr


def test_an_address_bears_the_name_of_what_gave_it() -> None:
    settings = Settings(host="::1", port=5001, metrics_bind="127.0.0.1:9100")
    endpoints = listening.endpoints(
        [("::1", 5001), ("127.0.0.1", 9100), ("::1", 5002), 3], settings
    )
    assert [(endpoint.name, endpoint.shown) for endpoint in endpoints] == [
        ("SCORING_PORT", "[::1]:5001"),
        ("SCORING_METRICS_BIND", "127.0.0.1:9100"),
        ("--bind", "[::1]:5002"),
        ("--bind", "3"),
    ]


def test_a_port_that_becomes_free_is_waited_for(tmp_path: Path) -> None:
    taken = socket.create_server(("127.0.0.1", 0))
    with closing(taken):
        port = str(taken.getsockname()[1])
        server = Server(tmp_path, {"SCORING_HOST": "127.0.0.1", "SCORING_PORT": port})
        try:
            eventually(lambda: "trying again" in server.output(), "it has met the other")
            taken.close()
            server.wait_ready()
        finally:
            server.stop()
    assert server.process.returncode == 0


@pytest.mark.parametrize(
    ("settings", "facts"),
    [
        (
            {"host": "192.0.2.1"},
            ("SCORING_PORT: ", "192.0.2.1:{port}: ", "Cannot assign requested address"),
        ),
        ({"host": "unix:{folder}/none/s"}, ("SCORING_HOST: ", "{folder}/none ", "not there")),
        ({"host": "unix:{folder}/file"}, ("SCORING_HOST: ", "{folder}/file ", "not a socket")),
        ({"host": "unix:{folder}/" + "x" * 120}, ("SCORING_HOST: ", "107 bytes")),
    ],
)
def test_an_address_that_is_none_is_named(
    settings: dict[str, str], facts: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    named = {"folder": str(tmp_path), "port": str(free_port())}
    given = {name: text.format(**named) for name, text in settings.items()}
    ran = refused(tmp_path, port=named["port"], api_keys="a:b", **given)
    assert ran.returncode == 78
    field, *rest = (fact.format(**named) for fact in facts)
    assert states(_errors(ran), f"Not started. {field}", *rest)


def test_a_socket_that_is_given_by_number_is_served(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        number = listener.fileno()
        server = Program(
            [sys.executable, "-m", "service", "--", "--bind", f"fd://{number}"],
            tmp_path,
            tmp_path / "log",
            {"TMPDIR": str(tmp_path), "SCORING_WORKERS": "1"},
            pass_fds=(number,),
        )
        try:
            assert httpx.get(url, headers=KEY_HEADER, timeout=30).status_code == 200
        finally:
            code = server.stop()
        assert code == 0


def test_the_example_key_is_not_for_an_open_socket_that_is_given(tmp_path: Path) -> None:
    with socket.create_server(("0.0.0.0", 0)) as listener:
        ran = subprocess.run(
            [sys.executable, "-m", "service", "--", "--bind", f"fd://{listener.fileno()}"],
            cwd=tmp_path,
            env=environment(tmp_path, {}),
            pass_fds=(listener.fileno(),),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert ran.returncode == 78
    assert states(_errors(ran), "Not started. SCORING_API_KEYS: ", "example key", "loopback")


def test_a_number_that_is_no_socket_is_named(tmp_path: Path) -> None:
    ran = refused(tmp_path, "--bind", "fd://99")
    assert ran.returncode == 78
    assert states(_errors(ran), "Not started. --bind: ", "fd://99 ", "Bad file descriptor")


def test_settings_that_gunicorn_cmd_args_overrides_are_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GUNICORN_CMD_ARGS", "--workers 1 --timeout 40")
    with serving(tmp_path, workers="1") as server:
        messages = [line["message"] for line in server.log() if line["level"] == "warning"]
        (message,) = messages
        assert states(message, "GUNICORN_CMD_ARGS ", "--timeout, --workers", "SCORING_WORKERS")


@pytest.mark.parametrize(
    ("arguments", "fact"),
    [
        (("--worker-class", "sync"), "can't be changed"),
        (("--logger-class", "gunicorn.glogging.Logger"), "can't be changed"),
        (("--workers", "0"), "1 to 64"),
        (("--workers", "65"), "1 to 64"),
        (("--certfile", "x"), "no effect"),
        (("--max-requests", "5"), "no effect"),
        (("--threads", "2"), "no effect"),
        (("--access-logformat", "x"), "no effect"),
    ],
)
def test_required_parts_cannot_be_replaced_by_arguments(
    arguments: tuple[str, ...], fact: str, tmp_path: Path
) -> None:
    ran = refused(tmp_path, *arguments, port=str(free_port()))
    _assert_not_started(ran, f"{arguments[0]} ", fact)


def test_required_parts_cannot_be_replaced_by_gunicorn_cmd_args(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GUNICORN_CMD_ARGS", "--worker-class=sync")
    ran = refused(tmp_path, port=str(free_port()))
    _assert_not_started(ran, "--worker-class ", "can't be changed")


def _assert_not_started(ran: "subprocess.CompletedProcess[str]", *facts: str) -> None:
    assert ran.returncode == 78
    line = _errors(ran).splitlines()[-1]
    assert states(line, "Not started. GUNICORN_CMD_ARGS", "arguments after --", *facts)


def test_a_port_that_kubernetes_sets_is_explained(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load({"SCORING_PORT": "tcp://10.0.0.7:5000"}, tmp_path / "none.env")
    facts = ("Kubernetes", "Service named scoring", "enableServiceLinks: false")
    assert states(str(caught.value), "SCORING_PORT: ", *facts)
