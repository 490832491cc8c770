"""The id of a request: kept or made at the edge, and the same everywhere."""

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from random import Random
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.common.processes import free_port
from model.redaction import PLATE_IN_ID, may_be_plate
from service.edge.config import ID
from service.http.key_guesses import BURST
from tests.support.echo import Echo, Say
from tests.support.edge import Edge, edge_before
from tests.support.live import started
from tests.support.planted import KEY
from tests.support.plates import KEPT_IDS, WITHHELD_IDS
from tests.support.server import KEY_HEADER, Server, eventually
from tests.support.strategies import VALID

PLATE_LATIN = "X777YK799"
_HEX = re.compile(r"[0-9a-f]{32}")
_UUID = "36117741-48cf-450c-bff4-7c499ee41b5c"


@pytest.fixture
def trusting(bare: Edge, echo: Echo) -> Edge:
    """An edge before an upstream that repeats each id, as the service does to a known caller."""
    echo.answer = lambda request: (200, {"X-Request-Id": request.headers["X-Request-Id"]}, b"{}")
    return bare


# Ids and whether they are kept.
_IDS = {
    _UUID: True,
    _UUID.replace("-", ""): True,
    "a123bc77-0000-4000-8000-000000000000": True,  # a plate's letters, but a UUID
    "camera-12.frame:9_b": True,
    "x" * 128: True,
    "x" * 129: False,
    "": False,
    "two words": False,
    f"ok {PLATE_LATIN}": False,
    'quote"': False,
    "id;drop": False,
    PLATE_LATIN: False,
    f"req-{PLATE_LATIN}-1": False,
    "x-7.7.7-y-k-7-9-9": False,
    f"id-{KEY}": False,
}


@pytest.mark.parametrize("given_id", _IDS)
def test_an_id_is_kept_if_it_is_sensible(given_id: str, trusting: Edge, echo: Echo) -> None:
    headers = {"x-api-key": KEY, "X-Request-Id": given_id}
    [sent] = trusting.ask("GET", "/", headers=headers).all("X-Request-Id")
    assert (sent == given_id) is _IDS[given_id]
    assert sent == given_id or _HEX.fullmatch(sent)
    assert echo.last.get_all("X-Request-Id") == [sent]


@pytest.mark.parametrize("key", [{}, {"x-api-key": "k"}])
@pytest.mark.parametrize("given_id", [_UUID, "sensible", f"id-{KEY}"])
def test_the_edge_makes_the_id_of_a_request_that_does_not_reach_the_service(
    given_id: str, key: dict[str, str], bare: Edge, echo: Echo
) -> None:
    """Any key may be in an id, and only the service knows them all."""
    path = "/nowhere" if key else "/reg/"
    [sent] = bare.ask("GET", path, headers={**key, "X-Request-Id": given_id}).all("X-Request-Id")
    assert _HEX.fullmatch(sent)
    eventually(lambda: len(bare.log()) == 1, "it is logged")
    assert bare.log()[0]["request_id"] == sent
    assert echo.received == []
    assert KEY not in bare.everything()


def test_an_id_is_sent_once_and_is_that_of_the_services_log(edge: Edge, service: Server) -> None:
    given_id = str(uuid4())
    for headers in (KEY_HEADER | {"X-Request-Id": given_id}, KEY_HEADER):
        reply = edge.ask("POST", "/reg/", VALID, headers)
        [sent] = reply.all("X-Request-Id")
        assert sent == given_id or _HEX.fullmatch(sent)
        eventually(lambda sent=sent: sent in service.output(), "the service logs the id")  # type: ignore[misc]


def test_the_services_own_choice_of_an_id_is_what_the_client_gets(bare: Edge, echo: Echo) -> None:
    echo.answer = lambda _: (200, {"X-Request-Id": "chosen"}, b"{}")
    assert bare.ask("GET", "/").all("X-Request-Id") == ["chosen"]


@pytest.mark.parametrize("answer", [None, (502, {}, b"{}")])
def test_where_the_service_says_nothing_the_id_is_the_edges_own(
    answer: Say, bare: Edge, echo: Echo
) -> None:
    """The service has not accepted the key."""
    echo.answer = lambda _: answer
    given_id = f"id-{KEY}"
    reply = bare.ask("GET", "/", headers={"x-api-key": "k", "X-Request-Id": given_id})
    [sent] = reply.all("X-Request-Id")
    assert (reply.status, echo.last["X-Request-Id"]) == (502, given_id)
    assert _HEX.fullmatch(sent)
    assert KEY not in bare.everything()


def test_the_edge_logs_no_id_of_a_client(bare: Edge, echo: Echo) -> None:
    """The service repeats to a caller what it does not log: an id with another caller's key."""
    echo.answer = lambda request: (401, {"X-Request-Id": request.headers["X-Request-Id"]}, b"{}")
    headers = {"x-api-key": "k", "X-Request-Id": f"id-{KEY}"}
    assert bare.ask("GET", "/", headers=headers).all("X-Request-Id") == [f"id-{KEY}"]
    eventually(lambda: len(bare.log()) == 1, "it is logged")
    assert _HEX.fullmatch(bare.log()[0]["request_id"])
    assert KEY not in bare.everything()


@pytest.mark.parametrize("body", [VALID, VALID.ljust(150_000)])
def test_no_reply_to_a_wrong_key_reveals_which_texts_are_keys(body: bytes, tmp_path: Path) -> None:
    """With 401, and with 429 once there were too many: ids are new ones, and all logs have them."""
    port = free_port()
    settings = {"host": "127.0.0.1", "port": str(port), "workers": "1", "api_keys": f"own:{KEY}"}
    with (
        started(tmp_path / "service", **settings, metrics_token="t0ken-of-us") as service,
        edge_before(tmp_path / "edge", port) as edge,
    ):
        sent = {}
        for number in range(BURST + 3):
            for given_id in (f"id-{KEY}", "t0ken-of-us", f"sensible-{number}"):
                headers = {"x-api-key": "wrong", "X-Request-Id": given_id}
                reply = edge.ask("POST", "/reg/", body, headers)
                [request_id] = reply.all("X-Request-Id")
                sent[request_id] = reply.status
        assert set(sent.values()) == {401, 429}
        assert all(map(_HEX.fullmatch, sent))
        ours = [of for of, status in sent.items() if status == 401]
        eventually(lambda: {of["request_id"] for of in edge.log()} >= set(ours), "401s are logged")
        written = service.output() + edge.everything()
        assert [text for text in (KEY, "t0ken-of-us", "sensible") if text in written] == []


def test_plates_in_any_form_are_no_ids_and_usual_ids_are_kept(trusting: Edge) -> None:
    kept = _kept([*WITHHELD_IDS, *KEPT_IDS], trusting)
    assert [given_id for given_id in WITHHELD_IDS if kept[given_id]] == []
    assert [given_id for given_id in KEPT_IDS if not kept[given_id]] == []


def _kept(given_ids: Sequence[str], edge: Edge) -> dict[str, bool]:
    """Which ids are kept; several are sent at a time."""
    with ThreadPoolExecutor(8) as pool:
        kept = pool.map(partial(_is_kept, edge=edge), given_ids)
        return dict(zip(given_ids, kept, strict=True))


def _is_kept(given_id: str, edge: Edge) -> bool:
    headers = {"x-api-key": KEY, "X-Request-Id": given_id}
    [sent] = edge.ask("GET", "/", headers=headers).all("X-Request-Id")
    assert sent == given_id or _HEX.fullmatch(sent)
    return sent == given_id


_PIECES = st.sampled_from(
    [*"ABEKMHOPCTYXDxyzq", *"0123456789", *"._:-", "777", "XK", "X777YK", "f" * 12, "T07:04:20"]
)


@given(st.lists(_PIECES, min_size=1, max_size=12).map("".join))
def test_the_edge_takes_for_a_plate_what_the_service_does(identifier: str) -> None:
    """The service first looks for what is quicker to see, which must change nothing."""
    assert re.fullmatch(ID, identifier)
    assert bool(re.match(PLATE_IN_ID, identifier, re.ASCII)) == may_be_plate(identifier)


def test_the_edges_own_dialect_says_the_same(trusting: Edge) -> None:
    """Random ids, among which some are taken for plates."""
    random = Random(11)
    pieces = [*"ABEKMHOPCTYXDxyzq", *"0123456789", *"._:-", "777", "XK", "f" * 12]
    made = {"".join(random.choices(pieces, k=random.randint(4, 16))) for _ in range(300)}
    judged = {given_id: not kept for given_id, kept in _kept(sorted(made), trusting).items()}
    assert judged == {given_id: may_be_plate(given_id) for given_id in judged}
    assert len(set(judged.values())) == 2
