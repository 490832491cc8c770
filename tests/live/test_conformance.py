"""The customer's model over HTTP gives what the customer's own function gives."""

from collections.abc import Iterator
from contextlib import closing
from json import dumps
from pathlib import Path
from typing import Any

import pytest

from tests.support.live import Connection
from tests.support.server import Server, serving

# The fixtures skip, saying so, where the customer's files are not next to the checkout.
pytestmark = pytest.mark.slow

Lines = list[dict[str, Any]]


@pytest.fixture(scope="module")
def served(customer_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the customer's model, read where it is."""
    with serving(tmp_path_factory.mktemp("customer"), model=str(customer_model)) as server:
        yield server


def _assert_same(scores: list[dict[str, float]], conformance: Lines) -> None:
    expected = [line["body"] for line in conformance]
    assert len(scores) == len(expected) == 400
    for name in ("negative", "positive"):
        assert [score[name] for score in scores] == pytest.approx(
            [score[name] for score in expected], rel=0, abs=1e-12
        )


def test_each_request_alone_scores_as_the_customers_function(
    served: Server, conformance: Lines
) -> None:
    with closing(Connection(served)) as connection:
        replies = [connection.score(dumps(line["request"]).encode()) for line in conformance]
    assert {reply.status for reply in replies} == {200}
    assert {reply.json()["status"] for reply in replies} == {"ok"}
    _assert_same([reply.json()["body"] for reply in replies], conformance)


def test_all_requests_as_one_array_score_as_the_customers_function(
    served: Server, conformance: Lines
) -> None:
    with closing(Connection(served)) as connection:
        reply = connection.score(dumps([line["request"] for line in conformance]).encode())
    assert reply.status == 200
    assert reply.json()["status"] == "ok"
    _assert_same(reply.json()["body"], conformance)
