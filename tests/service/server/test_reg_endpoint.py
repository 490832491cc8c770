"""The server's own way of POST /reg/: shared batches, arrays in turn, deadlines, swaps."""

import asyncio
import json
from time import monotonic
from typing import Any

import pytest

from model.regno import RegnoScorer
from model.regno.request import from_fields
from service.overload.admission import TEXTS
from service.scoring import batching
from tests.support import toys
from tests.support.both_ways import head, posted
from tests.support.connections import Client, Connect, connected, until
from tests.support.parts import Served, SiteMaker, publish
from tests.support.paths import GOLDEN, lines
from tests.support.strategies import VALID

pytestmark = pytest.mark.anyio

_ROWS: list[dict[str, Any]] = [line["request"] for line in lines(GOLDEN)]
_MANY = 10_000


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> RegnoScorer:
    """Another model, of two features and a few trees."""
    model = toys.train(toys.NUMERIC_PAIR)
    return RegnoScorer.load(toys.save(model, tmp_path_factory.mktemp("second")))


def positive(scorer: RegnoScorer, row: dict[str, Any]) -> float:
    (score,) = scorer.score([from_fields(**row)])
    return score.positive


def array(rows: int) -> bytes:
    return posted(json.dumps((_ROWS * rows)[:rows]).encode())


def count(served: Served, name: str, **labels: str) -> float:
    publish(served.parts)
    return served.parts.metrics.registry.get_sample_value(name, labels) or 0.0


async def test_rows_that_come_together_share_a_call(
    served: Served, connect: Connect, scorer: RegnoScorer
) -> None:
    clients: list[Client] = [await connect(served) for _ in range(20)]
    for client, row in zip(clients, _ROWS, strict=False):
        client.send(posted(json.dumps(row).encode()))
    for client, row in zip(clients, _ROWS, strict=False):
        assert (await client.reply()).json()["body"]["positive"] == positive(scorer, row)
    assert count(served, "scoring_batch_rows_sum") == 20
    assert count(served, "scoring_batch_rows_count") < 5


async def test_rows_of_one_connection_are_scored_one_after_the_other(
    served: Served, connect: Connect, scorer: RegnoScorer
) -> None:
    client: Client = await connect(served)
    client.send(b"".join(posted(json.dumps(row).encode()) for row in _ROWS[:20]))
    for row in _ROWS[:20]:
        assert (await client.reply()).json()["body"]["positive"] == positive(scorer, row)
    assert count(served, "scoring_batch_rows_count") == 20


async def test_single_rows_are_served_while_an_array_is_scored(
    served: Served, connect: Connect
) -> None:
    bulk, client = await connect(served), await connect(served)
    bulk.send(array(_MANY))
    await until(lambda: served.parts.admission.crowded)
    assert (await client.ask(posted(VALID))).status == 200
    assert len((await bulk.reply()).json()["body"]) == _MANY
    assert [record.rows for record in served.answered] == [1, _MANY]


async def test_arrays_are_scored_in_turn(make_site: SiteMaker, connect: Connect) -> None:
    served = make_site(max_wait_ms=60_000)  # on a busy machine, too
    clients: list[Client] = [await connect(served) for _ in range(4)]
    for number, client in enumerate(clients, start=1):
        client.send(array(1000 * number))
        await asyncio.sleep(0.001)
    replies = [await client.reply() for client in clients]
    assert [len(reply.json()["body"]) for reply in replies] == [1000, 2000, 3000, 4000]
    assert [record.rows for record in served.answered] == [1000, 2000, 3000, 4000]


async def test_a_request_keeps_to_the_model_that_it_began_with(
    served: Served, connect: Connect, scorer: RegnoScorer, second: RegnoScorer
) -> None:
    slot = served.parts.slot
    bulk, client = await connect(served), await connect(served)
    bulk.send(array(_MANY))
    await until(lambda: served.parts.admission.crowded)
    slot.change(slot.prepare(second))
    now = await client.ask(posted(VALID))
    assert served.parts.admission.crowded, "the array is still scored"
    assert now.header("x-model-version") == second.version
    assert now.json()["body"]["positive"] == positive(second, json.loads(VALID))
    before = await bulk.reply()
    assert before.header("x-model-version") == scorer.version
    positives = [each["positive"] for each in before.json()["body"][: len(_ROWS)]]
    assert positives == [
        score.positive for score in scorer.score([from_fields(**r) for r in _ROWS])
    ]


async def test_rows_that_wait_while_the_model_changes_are_scored_by_the_former(
    served: Served, connect: Connect, scorer: RegnoScorer, second: RegnoScorer
) -> None:
    slot = served.parts.slot
    clients: list[Client] = [await connect(served) for _ in range(10)]
    for client in clients:
        client.send(posted(VALID))
    await until(lambda: served.parts.admission.waiting or served.answered)
    slot.change(slot.prepare(second))
    versions = set()
    for client in clients:
        reply = await client.reply()
        version = reply.header("x-model-version")
        versions.add(version)
        by = scorer if version == scorer.version else second
        assert reply.json()["body"]["positive"] == positive(by, json.loads(VALID))
    assert scorer.version in versions


async def test_the_time_that_a_body_takes_to_come_is_the_callers(
    served: Served, connect: Connect
) -> None:
    client: Client = await connect(served)
    for fields, status in (((), 200), ((b"X-Request-Timeout-Ms: 20",), 429)):
        client.send(head(len(VALID), *fields))
        await asyncio.sleep(0.03)
        reply = await client.ask(VALID)
        assert reply.status == status
    assert reply.reason == TEXTS["deadline"]
    assert count(served, "scoring_requests_shed_total", reason="deadline") == 1


async def test_a_row_whose_time_is_over_when_its_batch_begins_is_rejected(
    served: Served, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    client: Client = await connect(served)
    monkeypatch.setattr(batching, "monotonic", lambda: monotonic() + 10)
    reply = await client.ask(posted(VALID, b"X-Request-Timeout-Ms: 5000"))
    assert (reply.status, reply.reason) == (429, TEXTS["deadline"])
    assert served.parts.admission.waiting == 0
    assert (await client.ask(posted(VALID))).status == 200


async def test_a_client_that_disconnects_before_its_score_harms_no_other(
    served: Served, connect: Connect
) -> None:
    for sent in (posted(VALID), array(_MANY)):
        async with connected(served.site) as gone:
            gone.send(sent)
            await until(lambda: served.site.in_flight)
    client: Client = await connect(served)
    assert (await client.ask(posted(VALID))).status == 200
    await until(lambda: not served.parts.admission.crowded)
    assert (await client.ask(array(10))).status == 200
    assert served.parts.admission.waiting == 0


async def test_a_row_that_can_not_be_scored_costs_its_batch_nothing(
    served: Served, connect: Connect, monkeypatch: pytest.MonkeyPatch, scorer: RegnoScorer
) -> None:
    whole = RegnoScorer.row
    bad = _ROWS[3]["regno_recognize"]

    def row(self: RegnoScorer, reading: Any) -> Any:
        made = whole(self, reading)
        return made[:-1] if reading.regno_recognize == bad else made

    wanted = [positive(scorer, each) for each in _ROWS[:6]]
    monkeypatch.setattr(RegnoScorer, "row", row)
    clients: list[Client] = [await connect(served) for _ in range(6)]
    for client, each in zip(clients, _ROWS, strict=False):
        client.send(posted(json.dumps(each).encode()))
    replies = [await client.reply() for client in clients]
    assert [reply.status for reply in replies] == [200, 200, 200, 500, 200, 200]
    positives = [reply.json()["body"]["positive"] for reply in replies if reply.status == 200]
    assert positives == [score for number, score in enumerate(wanted) if number != 3]
    assert count(served, "scoring_rows_total", result="failed") == 1


async def test_bodies_beyond_the_budget_of_a_worker_are_rejected_with_429(
    make_site: SiteMaker, connect: Connect
) -> None:
    served = make_site(max_array_body=1 << 20)
    clients: list[Client] = [await connect(served) for _ in range(6)]
    # A fourth has room, but for another caller.
    for client in clients[:3]:
        client.send(head(1 << 20))
    await until(lambda: served.site.in_flight == 3)
    refused = await clients[4].ask(head(1 << 20))
    assert (refused.status, refused.reason) == (429, TEXTS["full"])
    assert refused.header("retry-after") in {"1", "2", "3"}
    assert (await clients[5].ask(posted(VALID))).status == 200
    assert count(served, "scoring_requests_shed_total", reason="full") == 1
