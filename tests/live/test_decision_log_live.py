"""The decision log of the real server: each score, whatever dies, and no plate in clear."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from loadgen.common.options import ROOT
from model import ModelRefused
from model.registry import open_registry
from model.regno import RegnoScorer
from model.regno.request import Reading, decode_custom
from service.decisions.decision import Decision, Event, decode
from service.decisions.log import DecisionLog
from service.decisions.segments import segments
from tests.support import tables
from tests.support.commands import Done, environment, run_module
from tests.support.metrics import value
from tests.support.planted import PLATE
from tests.support.server import KEY_HEADER, Server, eventually, serving
from tests.support.swapping import FIRST, SECOND, following, registry_of_twins, wait_until_all_serve

pytestmark = pytest.mark.slow

DROPPED = 'scoring_decision_log_entries_total{result="dropped"}'
WRITTEN = 'scoring_decision_log_entries_total{result="written"}'


def run(folder: Path, *arguments: str) -> Done:
    """A command of the log in a folder."""
    return run_module(folder.parent, "service.decisions", *arguments, settings=_settings(folder))


def _settings(folder: Path) -> dict[str, str]:
    return {"SCORING_DECISIONS_DIR": str(folder)}


@contextmanager
def sinking(folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A sink that runs."""
    command = [sys.executable, "-m", "service.decisions", "sink"]
    settings = environment(folder.parent, _settings(folder))
    with subprocess.Popen(command, env=settings, cwd=ROOT, stdout=subprocess.DEVNULL) as sink:
        try:
            yield sink
        finally:
            sink.terminate()


def score(server: Server, rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Score rows one by one: the positive probability by the request's id."""
    scores = {}
    for row in rows:
        with server.client() as client:  # both workers get some
            reply = client.post("/reg/", json=row, headers=KEY_HEADER)
            assert reply.is_success
            scores[reply.headers["X-Request-ID"]] = reply.json()["body"]["positive"]
    return scores


def logged(folder: Path) -> dict[str, Decision]:
    """The decisions of a log by their ids."""
    log = DecisionLog(folder)
    try:
        entries = [decode(log.canonical(row)) for row in log.store.rows("kind = 'decision'")]
    finally:
        log.close()
    found = [entry for entry in entries if isinstance(entry, Decision)]
    named = {f"{one.request_id}:{one.row}": one for one in found}
    assert len(named) == len(found)
    return {name.removesuffix(":0"): one for name, one in named.items()}


def test_single_rows_and_arrays_are_logged_as_they_were_scored(tmp_path: Path) -> None:
    folder, rows = tmp_path / "log", tables.samples(300)
    rows[20]["afts_regno_ai"] = rows[20]["regno_recognize"]
    rows[250]["afts_regno_ai"] = rows[250]["regno_recognize"]
    with serving(tmp_path, decisions="required", decisions_dir=str(folder)) as server:
        scores = score(server, rows[:10])
        with server.client() as client:
            reply = client.post("/reg/", json=rows, headers=KEY_HEADER)
    identity, results = reply.headers["X-Request-ID"], reply.json()["body"]
    with sinking(folder):
        eventually(lambda: segments(folder / "spool") == [], "the spool is shipped")
    found = logged(folder)
    expected = scores | {
        f"{identity}:{at}" if at else identity: result["positive"]
        for at, result in enumerate(results)
    }
    assert {name: one.positive for name, one in found.items()} == expected
    one = found[identity]
    assert json.loads(bytes(one.request))["time_check"] == rows[0]["time_check"]
    assert (one.key_name, one.version, one.policy) == ("example", "regno-sim-a1233957", "required")
    assert one.limits.keys() == {"camera", "network"}
    scorer = RegnoScorer.load()
    for each in found.values():
        row = scorer.row(
            reading := msgspec.json.decode(each.request, type=Reading, dec_hook=decode_custom)
        )
        assert each.features == scorer.fingerprint(row)
        assert each.warnings == tuple(scorer.warnings(reading, row))
    agree = [name for name, each in found.items() if "readings-agree" in each.warnings]
    assert {f"{identity}:20", f"{identity}:250"} <= set(agree)
    assert len(agree) < len(found) / 2
    replayed = run(folder, "replay")
    assert replayed.returncode == 0
    assert f"equal to the last bit: {len(expected)};" in replayed.stdout
    assert run(folder, "check").returncode == 0


def test_killed_workers_and_sinks_lose_no_decision_that_was_replied(tmp_path: Path) -> None:
    folder, rows = tmp_path / "log", tables.samples(20)
    scores: dict[str, float] = {}
    with serving(tmp_path, decisions="required", decisions_dir=str(folder)) as server:
        for _ in range(3):
            with sinking(folder) as sink:
                scores |= score(server, rows)
                server.workers()[0].kill()
                scores |= score(server, rows)
                sink.kill()
    with sinking(folder):
        eventually(lambda: segments(folder / "spool") == [], "the spool is shipped")
    assert {name: one.positive for name, one in logged(folder).items()} == scores
    assert run(folder, "check").returncode == 0


def test_a_full_spool_rejects_requests_or_drops_decisions_by_the_policy(tmp_path: Path) -> None:
    rows = tables.samples(400)
    for policy in ("required", "best-effort"):
        folder = tmp_path / policy
        settings = {"decisions": policy, "decisions_dir": str(folder), "decisions_spool_mb": "1"}
        with serving(tmp_path / f"{policy}-server", workers="1", **settings) as server:
            with server.client() as client:

                def status(client: Any = client, body: Any = rows) -> int:
                    reply = client.post("/reg/", json=body, headers=KEY_HEADER)
                    return int(reply.status_code)

                if policy == "required":
                    eventually(lambda: status() == 429, "the spool is full")
                    reply = client.post("/reg/", json=rows[0], headers=KEY_HEADER)
                    assert (reply.status_code, "Retry-After" in reply.headers) == (429, True)
                    assert reply.json()["body"] == "decisions can't be kept now"
                    with sinking(folder):
                        eventually(lambda: status(body=rows[0]) == 200, "there is room again")
                else:
                    eventually(lambda: status() == 200 and value(server, DROPPED) > 0, "dropped")
            if policy == "required":
                assert value(server, DROPPED) == 0


def test_no_file_of_the_log_has_a_plate_in_clear(tmp_path: Path) -> None:
    folder, (row,) = tmp_path / "log", tables.samples(1)
    with serving(tmp_path, decisions="required", decisions_dir=str(folder)) as server:
        score(server, [row | {"regno_recognize": PLATE, "afts_regno_ai": PLATE}])
        in_spool = _content(folder)
    with sinking(folder):
        eventually(lambda: segments(folder / "spool") == [], "the spool is shipped")
    for content in (in_spool, _content(folder)):
        assert content != b""
        assert PLATE.encode() not in content
    assert PLATE in run(folder, "export").stdout
    assert run(folder, "forget", PLATE).stdout == "forgotten: 1\n"
    done = run(folder, "export")
    assert (PLATE in done.stdout, done.returncode) == (False, 0)
    assert "forgotten: 1" in done.stderr


def _content(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def events(folder: Path, kind: str) -> list[dict[str, str]]:
    """The data of the events of a kind, in order."""
    log = DecisionLog(folder)
    try:
        entries = [decode(log.canonical(row)) for row in log.store.rows("kind = ?", kind)]
    finally:
        log.close()
    return [one.data for one in entries if isinstance(one, Event)]


def test_changes_of_settings_and_overrides_are_events(tmp_path: Path) -> None:
    def refusing(path: Path) -> None:
        raise ModelRefused(f"{path.name} is not wanted")

    folder = tmp_path / "log"
    registry_of_twins(tmp_path)
    settings = {"decisions": "required", "decisions_dir": str(folder), "cost_manual": "0.1"}
    with sinking(folder), following(tmp_path, **settings) as server:
        registry = open_registry(tmp_path / "models", check=refusing)
        registry.promote(SECOND, who="an operator", force=True)
        wait_until_all_serve(server, SECOND)
        eventually(lambda: len(events(folder, "override")) == 2, "both workers have noted it")
    settings["cost_manual"] = "0.2"
    with sinking(folder), serving(tmp_path / "changed", **settings):
        eventually(lambda: len(events(folder, "start")) == 4, "both starts are in the log")
    for one in events(folder, "override"):
        assert (one["version"], one["what"], one["who"]) == (SECOND, "promote", "an operator")
        assert "is not wanted" in one["reason"]
    swaps = [(one["former"], one["version"]) for one in events(folder, "swap")]
    assert swaps == [(FIRST, SECOND)] * 2
    changed = {"setting": "SCORING_COST_MANUAL", "before": "0.1", "after": "0.2"}
    assert events(folder, "change") == [changed]
    starts = [one["SCORING_COST_MANUAL"] for one in events(folder, "start")]
    assert starts == ["0.1"] * 2 + ["0.2"] * 2


def test_no_command_but_the_sink_makes_a_log(tmp_path: Path) -> None:
    done = run(tmp_path / "typo", "check")
    assert (done.returncode, done.stdout) == (66, "")
    assert "there is no log of decisions" in done.stderr
    assert not (tmp_path / "typo").exists()
