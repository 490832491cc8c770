"""The client class: retries, deadlines, connections; and the real service's replies."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from client import Client, JobClient, Refused, Unreachable
from client.command import main
from loadgen.common.processes import free_port
from tests.support.paths import GOLDEN, lines
from tests.support.pictures import file_of, five
from tests.support.scripted import CUT, Scripted, Told, scripted
from tests.support.server import KEY, Server, serving
from tests.support.web_server import web_serving

_ROWS = [line["request"] for line in lines(GOLDEN)]
_BUSY = Told(429, b'{"body":"too many","status":"fail"}', (("Retry-After", "7"),))
_AWAY = Told(503, b'{"body":"not ready","status":"fail"}')


@pytest.fixture
def pauses() -> list[float]:
    """The pauses between tries, which take no time here."""
    return []


def _client(server: Scripted, pauses: list[float], **more: Any) -> Client:
    return Client(KEY, server.url, sleep=pauses.append, **more)


def test_it_comes_again_when_retry_after_says(pauses: list[float]) -> None:
    with scripted(_BUSY, _BUSY) as server, _client(server, pauses) as client:
        assert client.score({}) == "ok"
    assert pauses == [7.0, 7.0]
    assert [one.path for one in server.got] == ["/reg/?detail=0"] * 3


def test_without_one_the_pauses_grow(pauses: list[float]) -> None:
    with scripted(_AWAY, CUT, _AWAY) as server, _client(server, pauses) as client:
        assert client.score({}) == "ok"
    assert len(pauses) == 3
    for pause, longest in zip(pauses, (0.25, 0.5, 1.0), strict=True):
        assert longest / 2 <= pause <= longest


def test_it_gives_up_after_its_tries(pauses: list[float]) -> None:
    with (
        scripted(*[_AWAY] * 9) as server,
        _client(server, pauses, tries=3) as client,
        pytest.raises(Refused) as refused,
    ):
        client.score({})
    assert (refused.value.status, refused.value.reason, len(server.got)) == (503, "not ready", 3)


@pytest.mark.parametrize("status", [400, 401, 404, 413])
def test_what_can_not_pass_is_not_sent_again(status: int, pauses: list[float]) -> None:
    wrong = Told(status, b'{"body":"wrong","status":"fail"}')
    with scripted(wrong) as server, _client(server, pauses) as client:
        with pytest.raises(Refused, match="wrong"):
            client.score({})
        assert (len(server.got), pauses) == (1, [])


def test_no_pause_goes_beyond_the_deadline(pauses: list[float]) -> None:
    with scripted(_BUSY) as server, _client(server, pauses) as client:
        with pytest.raises(Refused):
            client.score({}, timeout=5)
        assert (len(server.got), pauses) == (1, [])
        assert 1 <= int(server.got[0].headers["x-request-timeout-ms"]) <= 5000


def test_connections_are_used_again(pauses: list[float]) -> None:
    with scripted() as server, _client(server, pauses) as client:
        for _ in range(5):
            client.score({})
        assert len({one.connection for one in server.got}) == 1


def test_a_connection_that_ended_while_idle_costs_no_try(pauses: list[float]) -> None:
    with scripted(Told(keeps=False), Told()) as server, _client(server, pauses) as client:
        for _ in range(3):
            assert client.score({}) == "ok"
        assert (len(server.got), pauses) == (3, [])


def test_nothing_there_is_unreachable_and_holds_no_key(pauses: list[float]) -> None:
    with scripted() as server:
        client = _client(server, pauses, tries=2)
    with pytest.raises(Unreachable) as away:
        client.score(_ROWS[0])
    assert KEY not in str(away.value)
    assert len(pauses) == 1


def test_a_submission_that_breaks_off_keeps_its_idempotency_key(pauses: list[float]) -> None:
    job = {"id": "j", "state": "queued", "model": "regno", "created": ""}
    good = Told(202, json.dumps({"body": job, "status": "ok"}).encode())
    with scripted(CUT, _BUSY, good) as server:
        assert JobClient(KEY, server.url, sleep=pauses.append).submit({}).id == "j"
    keys = {one.headers["idempotency-key"] for one in server.got}
    assert (len(server.got), len(keys)) == (3, 1)


def test_pictures_go_as_forms(pauses: list[float]) -> None:
    shown = {"img_url": "/uploads/a.png", "prediction": 5, "confidence": 0.99}
    answer = {"query": "cat?", "answer": True, "probability": 0.9, "top": []}
    asked = Told(body=json.dumps({"body": answer, "status": "ok"}).encode())
    with (
        scripted(Told(body=json.dumps(shown).encode()), asked) as server,
        _client(server, pauses) as client,
    ):
        assert client.classify(b"\x89PNG", "a/five.png") == shown
        assert client.query(b"\xff\xd8", "cat?") == answer
    first, second = server.got
    assert (first.path, second.path) == ("/v1/inference", "/query")
    assert b'name="file_name"; filename="five.png"\r\n\r\n\x89PNG\r\n--' in first.body
    assert b'name="image"' in second.body
    assert b'name="query"\r\n\r\ncat?\r\n--' in second.body


def test_lists_are_followed_from_page_to_page(pauses: list[float]) -> None:
    def page(first: int, link: str = "") -> Told:
        shown = [{"prediction": first}, {"prediction": first + 1}]
        more = (("Link", f'<{link}>; rel="next"'),) if link else ()
        return Told(body=json.dumps(shown).encode(), headers=more)

    following = "/v1/inference?after=b&limit=2"
    with scripted(page(1, following), page(3)) as server, _client(server, pauses) as client:
        assert [one["prediction"] for one in client.classified()] == [1, 2, 3, 4]
        server.replies = [page(1, following), page(3)]
        assert [one["prediction"] for one in client.classified(limit=3)] == [1, 2, 3]
    assert [one.path for one in server.got] == [
        *("/v1/inference", following),
        *("/v1/inference?limit=3", following),
    ]


# The real service.


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    address = {"host": "127.0.0.1", "port": str(free_port()), "workers": "1"}
    with serving(tmp_path_factory.mktemp("server"), **address) as server:
        yield server


def _run(server: Server, *arguments: object) -> int:
    command, *rest = map(str, arguments)
    return main([command, "--port", str(server.port), "--key", KEY, *rest])


@pytest.mark.slow
def test_the_class_scores_explains_and_lists(server: Server) -> None:
    with Client(KEY, server.url) as client:
        one, two = client.score(_ROWS[:2])
        assert client.score(_ROWS[0], timeout=10) == one
        assert client.score(_ROWS[1], detail=True)["positive"] == two["positive"]
        assert client.explain(_ROWS[0])["positive"] == one["positive"]
        (model,) = client.models()
        assert (model.name, model.state) == ("regno", "READY")


@pytest.mark.slow
def test_a_table_is_scored(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import csv

    source = tmp_path / "rows.csv"
    with source.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(_ROWS[0]))
        writer.writeheader()
        writer.writerows(_ROWS[:3])
    assert _run(server, "score", source) == 0
    scored = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    with Client(KEY, server.url) as client:
        expected = [score["positive"] for score in client.score(_ROWS[:3])]
    assert [float(row["positive"]) for row in scored] == expected
    assert _run(server, "score", source, "--json", "--detail") == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["positive"] for row in rows] == expected
    assert {"decision", "margin"} <= rows[0].keys()
    source.write_text("camera_type\nX\n", encoding="utf-8")
    assert _run(server, "score", source) == 1
    assert "is missing" in capsys.readouterr().out


@pytest.mark.slow
def test_the_commands_models_and_explain(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(server, "models", "--json") == 0
    assert json.loads(capsys.readouterr().out)["name"] == "regno"
    row = tmp_path / "row.json"
    row.write_text(json.dumps(_ROWS[0]), encoding="utf-8")
    assert _run(server, "explain", row) == 0
    assert "positive" in json.loads(capsys.readouterr().out)


@pytest.mark.slow
def test_a_digit_is_sent_to_the_web_processes_and_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "five.png"
    picture.write_bytes(file_of(five(), "PNG"))
    with web_serving(tmp_path) as web:
        named = ("--url", web.url, "--key", KEY, "--json")
        assert main(["send", *named, "-f", str(picture), "-f", str(picture)]) == 0
        sent = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert main(["list", *named]) == 0
        listed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [one["prediction"] for one in listed] == [5, 5]
        assert [one.pop("file") for one in sent] == [str(picture)] * 2
        assert listed == sent
        assert main(["send", *named, "-f", str(picture), "--query", "fish?"]) == 1
        assert "404" in json.loads(capsys.readouterr().out)["error"]


def test_pictures_are_sent_and_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "five.png"
    picture.write_bytes(b"\x89PNG")
    shown = {"img_url": "/uploads/a.png", "prediction": 5, "confidence": 0.99}
    one, many = json.dumps(shown).encode(), json.dumps([shown]).encode()
    wrong = Told(415, b'{"body":"no picture","status":"fail"}')
    with scripted(Told(body=one), wrong, Told(body=many)) as server:
        named = ("--url", server.url, "--key", KEY)
        assert main(["send", *named, "-f", str(picture), "--filepath", str(picture)]) == 1
        assert capsys.readouterr().out.splitlines() == [
            "file,prediction,confidence,error",
            f"{picture},5,0.99,",
            f"{picture},,,415: no picture",
        ]
        assert main(["list", *named]) == 0
        assert capsys.readouterr().out.splitlines()[1] == "/uploads/a.png,5,0.99"


def test_what_the_command_line_says_of_the_address_comes_before_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CLIENT_KEY", KEY)
    monkeypatch.setenv("CLIENT_URL", f"http://127.0.0.1:{free_port()}")
    assert main(["list"]) == 69
    with scripted(Told(body=b"[]"), Told(body=b"[]")) as server:
        port = server.url.rpartition(":")[2]
        assert main(["list", "--url", server.url]) == 0
        assert main(["list", "-s", "127.0.0.1", "-p", port]) == 0
    assert main(["list", "-s", "::1", "-p", port]) == 69


@pytest.mark.parametrize("name", [b"\xff.png", b'a\r\nX: y".png'])
def test_any_name_of_a_file_can_be_sent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: bytes
) -> None:
    path = os.fsdecode(bytes(tmp_path) + b"/" + name)
    Path(path).write_bytes(b"\x89PNG")
    shown = json.dumps({"img_url": "/uploads/a.png", "prediction": 5, "confidence": 0.99}).encode()
    with scripted(Told(body=shown)) as server:
        assert main(["send", "--url", server.url, "--key", KEY, "-f", path]) == 0
        (got,) = server.got
    assert got.body.split(b"\r\n\r\n")[0].count(b"\r\n") == 1
    assert ",5,0.99," in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["models", "--key", ""], 2),
        (["models", "--key", KEY, "--url", "ftp://x"], 2),
        (["score", "--key", KEY, "none.csv"], 2),
        (["models", "--key", KEY, "--port", "1"], 69),
        (["models", "--key", KEY, "А123ВС77"], 2),
        (["models", "--key", KEY, "--port", "А123ВС77"], 2),
        (["models", "--key", KEY, "--port", "99999"], 2),
        (["models", "--key", KEY, "--host", "a b"], 2),
        (["models", "--key", f"{KEY}\n"], 2),
        (["models", "--key", f"{KEY}Ж"], 2),
        (["list", "--key", KEY, "--limit", "0"], 2),
        (["explain", "--key", KEY, "deep.json"], 2),
    ],
)
def test_faults_have_their_exit_status_and_hold_no_secret(
    arguments: list[str],
    status: int,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("deep.json").write_text("[" * 100_000)
    try:
        ended = main(arguments)
    except SystemExit as exit_:
        ended = int(str(exit_.code))
    said = capsys.readouterr().err
    assert ended == status
    assert said
    assert KEY not in said
    assert "А123ВС77" not in said
