"""The live model is changed under load: clients see no difference but the version."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from model.drift.counter import Variable
from tests.support.load import flooding
from tests.support.metrics import value
from tests.support.server import METRICS_TOKEN, Server, eventually
from tests.support.swapping import (
    FIRST,
    SECOND,
    following,
    post,
    registry_of_twins,
    registry_of_two,
    rollout_state_of,
    scored,
    serves,
    shown,
    wait_until_all_serve,
)

pytestmark = pytest.mark.slow

_RATE = 300
_CONNECTIONS = 24
_SWAPS = 50


def _memory(server: Server) -> int:
    return sum(worker.memory_info().rss for worker in server.workers())


def test_fifty_swaps_in_a_stream_fail_no_request_and_mix_no_scores(tmp_path: Path) -> None:
    registry = registry_of_two(tmp_path)
    with following(tmp_path) as server:
        of_first = scored(server)
        with flooding(server.port, _RATE, _CONNECTIONS) as stream:
            after, mixed = [], []
            for number in range(_SWAPS):
                version = (SECOND, FIRST)[number % 2]
                registry.promote(version, who="the tests")
                wait_until_all_serve(server, version)
                after.append(_memory(server))
                mixed.append(value(server, "scoring_model_mixed_seconds"))
                if number == 0:
                    of_second = scored(server)
            stats = stream.stop()
        # Most of them: a machine may stand still between the changes of two workers.
        assert median(mixed) < 0.05
        assert value(server, 'scoring_model_loads_total{result="refused"}') == 0
    assert stats.counts().keys() == {"200"}
    # Each body came with the version that makes it, and with no other.
    assert stats.bodies == sorted([of_first, of_second])
    assert of_first[1] != of_second[1]
    assert after[-1] < 1.1 * after[4]


def test_workers_that_die_at_the_worst_moments_end_in_one_version(tmp_path: Path) -> None:
    registry = registry_of_two(tmp_path)
    with following(tmp_path) as server:
        state = rollout_state_of(server)
        stays, dies = server.workers()
        # It is ready, and dies while the other is not.
        stays.suspend()
        generation = registry.promote(SECOND, who="the tests").after.generation
        eventually(lambda: any(n["ready"] for n in shown(server)["workers"]), "one is ready")
        dies.kill()
        stays.resume()
        wait_until_all_serve(server, SECOND)
        # Between the order and its moment; then all of them there.
        for victims in (1, 2):
            version = (FIRST, SECOND)[victims - 1]
            registry.promote(version, who="the tests")
            generation += 1
            while (order := state.order) is None or order.target.generation != generation:
                time.sleep(0.0005)
            for worker in server.workers()[:victims]:
                worker.kill()
            wait_until_all_serve(server, version)
            assert scored(server)[0] == version


def test_a_worker_that_starts_later_serves_what_the_others_do(tmp_path: Path) -> None:
    registry = registry_of_two(tmp_path)
    with following(tmp_path) as server:
        registry.promote(SECOND, who="the tests")
        wait_until_all_serve(server, SECOND)
        for worker in server.workers():
            worker.kill()
        wait_until_all_serve(server, SECOND)
        assert scored(server)[0] == SECOND


def test_promotions_over_http_ask_for_rights_and_pass_a_gate(tmp_path: Path) -> None:
    registry_of_two(tmp_path)
    with following(tmp_path) as server:
        night = {"x_api_key": "a-key-of-the-night"}
        for path in ("/model/promote", "/model/rollback", "/model/shadow"):
            assert post(server, path, {"version": SECOND}, **night).status_code == 403
        refusal = post(server, "/model/promote", {"version": SECOND})
        assert refusal.status_code == 409
        assert "decided differently" in refusal.json()["body"]
        assert serves(server, FIRST)
        done = post(server, "/model/promote", {"version": SECOND, "force": True, "note": "why"})
        assert done.status_code == 200
        assert done.json()["body"]["aliases"]["previous"] == FIRST
        assert done.json()["body"]["parity"]["candidate"] == SECOND
        wait_until_all_serve(server, SECOND)
        assert post(server, "/model/rollback").status_code == 200
        wait_until_all_serve(server, FIRST)
    assert any("forced" in str(line) for line in server.log())


def test_the_shadow_follows_its_alias(tmp_path: Path) -> None:
    registry = registry_of_two(tmp_path)
    with following(tmp_path) as server:
        registry.shadow(SECOND, who="the tests")
        eventually(lambda: _shadows(server) == [SECOND] * 2, "both have the shadow")
        for _ in range(20):
            assert scored(server)[0] == FIRST
        eventually(
            lambda: value(server, 'scoring_shadow_rows_total{result="scored"}') == 20,
            "all compared",
        )
        registry.promote(SECOND, who="the tests")
        eventually(lambda: _shadows(server) == [""] * 2, "what is live is not a shadow")
        wait_until_all_serve(server, SECOND)


def test_the_shadow_is_chosen_over_http_and_everything_is_on_record(tmp_path: Path) -> None:
    registry_of_two(tmp_path)
    with following(tmp_path) as server:
        chosen = post(server, "/model/shadow", {"version": SECOND, "note": "to compare"})
        assert (chosen.status_code, chosen.json()["body"]["aliases"]["shadow"]) == (200, SECOND)
        eventually(lambda: _shadows(server) == [SECOND] * 2, "both have the shadow")
        live = post(server, "/model/shadow", {"version": FIRST})
        message = f"{FIRST} is live: it can't be its own shadow"
        assert (live.status_code, live.json()["body"]) == (409, message)
        assert post(server, "/model/shadow").status_code == 200
        eventually(lambda: _shadows(server) == [""] * 2, "there is none any more")
        with server.client() as client:
            history = client.get("/model/history").json()["body"]
        assert [(change["what"], change["who"], change["note"]) for change in history] == [
            ("promote", "the tests", ""),
            ("shadow", "key example", "to compare"),
            ("shadow", "key example", ""),
        ]
        since = {datetime.fromisoformat(note["since"]) for note in shown(server)["workers"]}
    assert all(timedelta(0) < datetime.now(UTC) - one < timedelta(hours=1) for one in since)


def _shadows(server: Server) -> list[str]:
    return [note["shadow"] for note in shown(server)["workers"]]


def test_the_reference_for_drift_is_that_of_the_model_that_serves(tmp_path: Path) -> None:
    """`second` has other shares of a variable's bins, other bins, and far fewer variables."""
    direction = Variable("direction", [0.25, 0.75], 0.4, bounds=[0.0])
    score = Variable("positive", [0.5, 0.375, 0.125], 0.0, bounds=[0.125, 1.0])
    registry = registry_of_twins(tmp_path, reference=msgspec.to_builtins([direction, score]))
    of_second = {
        ("direction", "0"): 0.25,
        ("direction", "+Inf"): 0.75,
        ("positive", "0.125"): 0.5,
        ("positive", "1"): 0.375,
        ("positive", "+Inf"): 0.125,
    }
    with following(tmp_path) as server:
        of_first = _reference(server)
        assert min(of_first.values()) >= 0
        registry.promote(SECOND, who="the tests")
        wait_until_all_serve(server, SECOND)
        assert of_second.keys() - of_first.keys() == {("positive", "0.125"), ("positive", "1")}
        assert _reference(server) == {**dict.fromkeys(of_first, -1.0), **of_second}
        assert value(server, 'scoring_drift_importance_ratio{variable="direction"}') == 0.4
        assert value(server, 'scoring_drift_importance_ratio{variable="hour"}') == 0
        registry.rollback(who="the tests")
        wait_until_all_serve(server, FIRST)
        assert _reference(server) == {**dict.fromkeys(of_second, -1.0), **of_first}


def _reference(server: Server) -> dict[tuple[str, str], float]:
    """The share of each bin of each variable, as the page has it."""
    with server.client(Authorization=f"Bearer {METRICS_TOKEN}") as client:
        page = client.get("/metrics").raise_for_status().text
    return {
        (sample.labels["variable"], sample.labels["bin"]): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == "scoring_drift_reference_ratio"
    }
