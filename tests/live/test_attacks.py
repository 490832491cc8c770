"""Clients that attack: all others are served, memory stays bounded, and a stop ends the server."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from loadgen.attacks.attackers import ATTACKS
from loadgen.common.processes import free_port
from tests.support.live import started
from tests.support.server import KEY, KEY_HEADER, Server, eventually
from tests.support.strategies import VALID

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.alone
def test_no_attack_keeps_others_from_being_served() -> None:
    """Each probe and each score is answered; how fast, `make attacks` measures."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "loadgen.attacks", "--seconds", "2", "--probe-ms", "30000"),
            *("--memory-mib", "600"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()[3:]
    assert [line.split()[0] for line in lines] == ["alone", *ATTACKS]
    assert all(" 200 " in line for line in lines), done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    "attack", ["probes", "unread-pages", "unread-arrays", "half-bodies", "slow-heads"]
)
def test_a_stop_ends_an_attacked_server(tmp_path: Path, attack: str) -> None:
    port = free_port()
    with started(
        tmp_path, host="127.0.0.1", port=str(port), workers="1", graceful_timeout="5"
    ) as server:
        attacker = _attacking(attack, port)
        try:
            eventually(lambda: _connections(server) > 0, "the attack has begun")
            server.process.send_signal(signal.SIGTERM)
            # The grace, the last bodies' 5 s, and what a busy machine makes of both.
            assert server.process.wait(60) == 0
        finally:
            attacker.kill()
            attacker.wait()
        messages = [line for line in server.log() if line.get("logger") != "access"]
        assert not [line for line in messages if line.get("level") in {"error", "critical"}]


@pytest.mark.slow
def test_what_attackers_leave_behind_is_freed(tmp_path: Path) -> None:
    port = free_port()
    with started(tmp_path, host="127.0.0.1", port=str(port), workers="1") as server:
        (worker,) = server.workers()
        files = worker.num_fds()
        for attack in ("half-bodies", "unread-pages", "idle"):
            attacker = _attacking(attack, port)
            eventually(lambda: _connections(server) > 10, "the attack has begun")
            attacker.kill()
            attacker.wait()
            eventually(lambda: worker.num_fds() <= files + 5, "the files are closed")
        with server.client() as client:
            headers = {**KEY_HEADER, "Content-Type": "application/json"}
            assert client.post("/reg/", content=VALID, headers=headers).status_code == 200
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == 0


def _attacking(attack: str, port: int) -> "subprocess.Popen[bytes]":
    attacker = subprocess.Popen(
        [sys.executable, "-m", "loadgen.attacks.attackers", attack, str(port), "120"],
        stdin=subprocess.PIPE,
        cwd=ROOT,
    )
    assert attacker.stdin
    attacker.stdin.write(f"{KEY}\n".encode() + VALID)
    attacker.stdin.close()
    return attacker


def _connections(server: Server) -> int:
    return sum(len(worker.net_connections("tcp")) for worker in server.workers()) - 1
