"""GET and DELETE of jobs: states, results, waiting, lists, and that others' jobs are not there."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from service.jobs.records import RecordsUnavailable
from service.jobs.states import State
from service.jobs.stores import Stores
from tests.support.planted import PLATE
from tests.support.web import OTHER_HEADER, Web, body_of, ids_of, reason_of
from tests.support.web import READING as VALID

_RESULT = b'{"body":{"negative":0.25,"positive":0.75},"status":"ok"}'


def _path(reply: Any) -> str:
    location: str = reply.headers["Location"]
    return location


def test_a_job_that_succeeded_has_a_result_which_is_the_reply_of_the_synchronous_call(
    web: Web,
) -> None:
    reply = web.submit(VALID)
    web.end(reply, _RESULT, result_type="application/json", version="v7")
    shown = body_of(web.call("GET", _path(reply)))
    assert (shown["state"], shown["attempts"], shown["version"]) == ("succeeded", 1, "v7")
    assert shown["created"] <= shown["started"] <= shown["finished"] < shown["expires"]
    result = web.call("GET", shown["result_url"])
    assert (result.status_code, result.data) == (200, _RESULT)
    assert result.content_type == "application/json"
    assert result.headers["X-Model-Version"] == "v7"
    assert result.headers["Content-Length"] == str(len(_RESULT))


def test_a_result_that_is_a_file_comes_as_one(web: Web) -> None:
    reply = web.upload(b"a,b\n", "text/csv", "model=regno&filename=ночь.csv")
    web.end(reply, b"a,b,positive\n", result_type="text/csv", version="v7")
    result = web.call("GET", f"{_path(reply)}/result")
    assert (result.data, result.mimetype) == (b"a,b,positive\n", "text/csv")
    named = result.headers["Content-Disposition"]
    assert named.startswith('attachment; filename="____.csv"')
    assert named.endswith("filename*=UTF-8''%D0%BD%D0%BE%D1%87%D1%8C.csv")


@pytest.mark.parametrize(
    ("given", "media_type", "named"),
    [
        ("night.csv.gz", "text/csv", "night.csv"),
        ("night.tsv", "text/csv", "night.tsv"),
        ("night.csv", "application/jsonl", "night.jsonl"),
        ("night.1.xlsx", "application/vnd.apache.parquet", "night.1.parquet"),
        ("night", "text/csv", "night.csv"),
    ],
)
def test_a_result_has_the_suffix_of_its_form(
    given: str, media_type: str, named: str, web: Web
) -> None:
    reply = web.upload(b"a,b\n", "text/csv", f"model=regno&filename={given}")
    web.end(reply, b"a,b,positive\n", result_type=media_type, version="v7")
    result = web.call("GET", f"{_path(reply)}/result")
    assert f'filename="{named}"' in result.headers["Content-Disposition"]


def test_a_head_of_a_result_has_no_body(web: Web) -> None:
    reply = web.submit(VALID)
    web.end(reply, _RESULT)
    result = web.call("HEAD", f"{_path(reply)}/result")
    assert (result.status_code, result.data) == (200, b"")
    assert result.headers["Content-Length"] == str(len(_RESULT))


def test_a_job_that_has_not_ended_has_no_result(web: Web) -> None:
    reply = web.submit(VALID)
    refused = web.call("GET", f"{_path(reply)}/result")
    assert (refused.status_code, refused.headers["X-Job-State"]) == (409, "queued")
    assert "Retry-After" in refused.headers
    web.begin(reply)
    refused = web.call("GET", f"{_path(reply)}/result")
    assert (refused.status_code, refused.headers["X-Job-State"]) == (409, "running")
    assert "result_url" not in body_of(web.call("GET", _path(reply)))


def test_a_job_that_failed_says_why(web: Web) -> None:
    reply = web.submit(VALID)
    web.end(reply, state=State.FAILED, error="direction: must be an integer")
    assert body_of(web.call("GET", _path(reply)))["error"] == "direction: must be an integer"
    refused = web.call("GET", f"{_path(reply)}/result")
    assert (refused.status_code, refused.headers["X-Job-State"]) == (409, "failed")
    assert reason_of(refused).endswith("direction: must be an integer")
    assert "Retry-After" not in refused.headers


def test_a_result_is_gone_when_its_time_is_over(make_web: Callable[..., Web]) -> None:
    web = make_web(job_keep_hours=1e-9)
    reply = web.submit(VALID)
    web.end(reply, _RESULT)
    assert web.call("GET", f"{_path(reply)}/result").status_code == 410


def test_a_result_whose_file_was_removed_is_gone(web: Web) -> None:
    reply = web.submit(VALID)
    web.stores.blobs.remove(web.end(reply, _RESULT).id)
    assert web.call("GET", f"{_path(reply)}/result").status_code == 410


def test_progress_is_in_rows(web: Web) -> None:
    reply = web.submit([VALID] * 5)
    job = web.begin(reply)
    web.stores.records.progress(
        job.id, job.fence, 0, 30, done=2, total=5, checkpoint="", version="v7"
    )
    shown = body_of(web.call("GET", _path(reply)))
    assert (shown["progress"], shown["version"]) == ({"done": 2, "total": 5}, "v7")


# Cancelling.


def test_a_waiting_job_is_cancelled_at_once(web: Web) -> None:
    reply = web.submit(VALID)
    cancelled = web.call("DELETE", _path(reply))
    assert (cancelled.status_code, body_of(cancelled)["state"]) == (200, "cancelled")
    assert web.call("DELETE", _path(reply)).status_code == 200, "it may be asked for again"
    assert web.stores.records.claim(web.job(reply).id, "w", 1e12, 30) is None


def test_a_running_job_is_still_to_stop(web: Web) -> None:
    reply = web.submit(VALID)
    job = web.begin(reply)
    asked = web.call("DELETE", _path(reply))
    assert (asked.status_code, body_of(asked)["cancelling"]) == (202, True)
    ended = web.stores.records.finish(job.id, job.fence, 0, State.SUCCEEDED)
    assert ended.state is State.CANCELLED
    assert "cancelling" not in body_of(web.call("GET", _path(reply)))


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.FAILED])
def test_a_job_that_has_ended_cannot_be_cancelled(state: State, web: Web) -> None:
    reply = web.submit(VALID)
    web.end(reply, state=state)
    refused = web.call("DELETE", _path(reply))
    assert (refused.status_code, refused.headers["X-Job-State"]) == (409, state)


# Others' jobs.


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_anothers_job_is_not_there(method: str, web: Web) -> None:
    reply = web.submit(VALID)
    web.end(reply, _RESULT)
    for path in (_path(reply), f"{_path(reply)}/result"):
        other = web.call(method, path, OTHER_HEADER)
        unknown = web.call(method, path.replace(_path(reply), "/jobs/0"), OTHER_HEADER)
        assert other.status_code == unknown.status_code
        assert other.status_code in {404, 405}
        assert other.data == unknown.data
    assert ids_of(web.call("GET", "/jobs", OTHER_HEADER)) == []


@pytest.mark.parametrize("key", [None, "wrong"])
def test_without_a_known_key_nothing_is_there(key: str | None, web: Web) -> None:
    path = _path(web.submit(VALID))
    headers = {"x-api-key": key} if key else {}
    for method, address in (
        *(("POST", "/jobs"), ("GET", "/jobs"), ("GET", path)),
        *(("DELETE", path), ("GET", f"{path}/result"), ("GET", "/")),
    ):
        assert web.client.open(address, method=method, headers=headers).status_code == 401
    assert web.client.get("/healthz").status_code == 200
    assert web.client.get("/readyz").status_code == 200


@pytest.mark.parametrize(
    "odd", ["x" * 65, "..", "%00", "ID", "А939НО196", "a'b", "*", "%2e%2e%2fjobs", "a b"]
)
def test_an_odd_id_is_an_unknown_one(odd: str, web: Web) -> None:
    for method, path in (("GET", f"/jobs/{odd}"), ("DELETE", f"/jobs/{odd}")):
        assert web.call(method, path).status_code == 404
    assert web.call("GET", f"/jobs/{odd}/result").status_code == 404
    assert all(odd not in record.route for record in web.answered)


# Lists.


def test_jobs_are_listed_newest_first_page_by_page(web: Web) -> None:
    made = [body_of(web.submit(VALID))["id"] for _ in range(5)]
    first = web.call("GET", "/jobs?limit=2")
    assert ids_of(first) == made[:2:-1]
    second = web.call("GET", f"/jobs?limit=2&after={body_of(first)['next']}")
    assert ids_of(second) == [made[2], made[1]]
    last = web.call("GET", f"/jobs?limit=2&after={body_of(second)['next']}")
    assert (ids_of(last), body_of(last)["next"]) == ([made[0]], None)


def test_a_list_may_be_of_one_state(web: Web) -> None:
    ended, waiting = web.submit(VALID), web.submit(VALID)
    web.end(ended)
    assert ids_of(web.call("GET", "/jobs?state=succeeded")) == [body_of(ended)["id"]]
    assert ids_of(web.call("GET", "/jobs?state=queued")) == [body_of(waiting)["id"]]
    assert ids_of(web.call("GET", "/jobs?state=dead")) == []


@pytest.mark.parametrize(
    "query",
    [
        *("limit=0", "limit=101", "limit=x", "limit=-1", "limit=٣", "limit=1e1", "limit="),
        *("state=done", "state=QUEUED", "state=", "after=../x", "after=A939HO196"),
    ],
)
def test_a_bad_argument_of_a_list_is_named(query: str, web: Web) -> None:
    refused = web.call("GET", f"/jobs?{query}")
    assert refused.status_code == 400
    assert reason_of(refused).startswith(f"{query.partition('=')[0]}: ")


# Waiting.


def _soon(work: Callable[[], object]) -> threading.Timer:
    timer = threading.Timer(0.05, work)
    timer.start()
    return timer


def test_a_caller_may_wait_for_the_end(web: Web) -> None:
    reply = web.submit(VALID)
    ending = _soon(lambda: web.end(reply, _RESULT))
    shown = web.call("GET", f"{_path(reply)}?wait=30")
    assert body_of(shown)["state"] == "succeeded"
    ending.join()


def test_a_caller_that_prefers_to_wait_gets_the_result_itself(web: Web) -> None:
    key = {"Idempotency-Key": "k"}
    web.end(web.submit(VALID, key), _RESULT, version="v7")
    reply = web.submit(VALID, {**key, "Prefer": "respond-sync, wait=10"})
    assert (reply.status_code, reply.data) == (200, _RESULT)
    assert reply.headers["Preference-Applied"] == "wait=10"
    assert reply.headers["X-Model-Version"] == "v7"
    assert reply.headers["Location"].startswith("/jobs/")


def test_a_caller_that_prefers_to_wait_gets_the_job_where_it_has_no_result(web: Web) -> None:
    reply = web.submit(VALID, {"Prefer": "wait=1"})
    assert (reply.status_code, body_of(reply)["state"]) == (202, "queued")
    assert reply.headers["Preference-Applied"] == "wait=1"


@pytest.mark.parametrize("prefer", ["wait=x", "await=5", "wait", "respond-async", "wait=-1"])
def test_a_preference_that_is_none_is_ignored(prefer: str, web: Web) -> None:
    reply = web.submit(VALID, {"Prefer": prefer})
    assert reply.status_code == 202
    assert "Preference-Applied" not in reply.headers


@pytest.mark.parametrize("wait", ["31", "x", "-1", "1.5", "999", ""])
def test_a_bad_wait_is_refused(wait: str, web: Web) -> None:
    path = _path(web.submit(VALID))
    assert web.call("GET", f"{path}?wait={wait}").status_code == 400


def test_nobody_waits_once_the_server_is_to_stop(web: Web) -> None:
    reply = web.submit(VALID)
    ending = _soon(web.scoreboard.begin_stop)
    assert body_of(web.call("GET", f"{_path(reply)}?wait=30"))["state"] == "queued"
    ending.join()


# ETags.


def test_a_job_that_has_not_changed_is_304(web: Web) -> None:
    reply = web.submit(VALID)
    first = web.call("GET", _path(reply))
    known = {"If-None-Match": first.headers["ETag"]}
    same = web.call("GET", _path(reply), known)
    assert (same.status_code, same.data) == (304, b"")
    assert same.headers["ETag"] == first.headers["ETag"]
    web.begin(reply)
    changed = web.call("GET", _path(reply), known)
    assert (changed.status_code, body_of(changed)["state"]) == (200, "running")


def test_a_caller_that_knows_a_state_waits_for_another(web: Web) -> None:
    reply = web.submit(VALID)
    known = {"If-None-Match": web.call("GET", _path(reply)).headers["ETag"]}
    beginning = _soon(lambda: web.begin(reply))
    changed = web.call("GET", f"{_path(reply)}?wait=30", known)
    assert (changed.status_code, body_of(changed)["state"]) == (200, "running")
    beginning.join()


def test_the_position_of_a_job_that_waits_is_shown_and_is_part_of_its_etag(web: Web) -> None:
    first, second = web.submit(VALID), web.submit(VALID)
    shown = web.call("GET", _path(second))
    known = {"If-None-Match": shown.headers["ETag"]}
    assert body_of(web.call("GET", _path(first)))["position"] == 1
    assert body_of(shown)["position"] == 2
    assert web.call("GET", _path(second), known).status_code == 304
    web.end(first, b"{}")
    moved = web.call("GET", _path(second), known)
    assert (moved.status_code, body_of(moved)["position"]) == (200, 1)
    web.begin(second)
    for path in (_path(first), _path(second)):
        assert "position" not in body_of(web.call("GET", path))
    listed = body_of(web.call("GET", "/jobs"))["jobs"]
    assert [job.get("position") for job in listed] == [None, None]


# What is away.


class _Away:
    """Records that can't be reached."""

    def __getattr__(self, _name: str) -> Any:
        def call(*_: object, **__: object) -> None:
            raise RecordsUnavailable

        return call


def test_records_that_are_away_are_503_and_readyz_says_so(web: Web) -> None:
    stores: Any = Stores(_Away(), web.stores.blobs, web.stores.queue)  # type: ignore[arg-type]
    away = Web(web.settings, stores)
    for reply in (
        away.submit(VALID),
        away.call("GET", "/jobs"),
        away.call("GET", "/jobs/0"),
        away.call("DELETE", "/jobs/0"),
    ):
        assert reply.status_code == 503
        assert int(reply.headers["Retry-After"]) >= 1
        assert "records" in reason_of(reply)
    ready = away.client.get("/readyz")
    assert (ready.status_code, "records" in reason_of(ready)) == (503, True)
    assert away.client.get("/healthz").status_code == 200


def test_a_server_that_is_to_stop_is_not_ready(web: Web) -> None:
    web.scoreboard.begin_stop()
    assert web.client.get("/readyz").status_code == 503


def test_the_log_gets_templates_and_names_only(web: Web) -> None:
    reply = web.submit(VALID)
    web.call("GET", f"{_path(reply)}/result")
    web.call("GET", "/А939НО196")
    assert [record.route for record in web.answered] == [
        "/jobs",
        "/jobs/<job_id>/result",
        "unmatched",
    ]
    assert web.answered[0].key_name == "example"
    assert web.answered[0].body_bytes > 0


@pytest.mark.parametrize(
    ("method", "address", "known"),
    [
        ("POST", "/jobs", "known: dates, decimal, detail, encoding, filename, format, model, "),
        ("GET", "/jobs", "known: after, limit, state"),
        ("GET", "/jobs/{}", "known: wait"),
        ("DELETE", "/jobs/{}", "none is"),
        ("GET", "/jobs/{}/result", "none is"),
    ],
)
def test_an_argument_that_is_not_known_is_refused_by_its_name(
    method: str, address: str, known: str, web: Web
) -> None:
    submitted = web.submit(VALID)
    path = address.format(body_of(submitted)["id"])
    refused = web.call(method, f"{path}?detial=1", json={"model": "regno", "input": VALID})
    assert refused.status_code == 400
    assert reason_of(refused).startswith(f"detial: is not known here; {known}")
    odd = web.call(method, f"{path}?{PLATE}=1", json={"model": "regno", "input": VALID})
    assert (odd.status_code, reason_of(odd)[:12]) == (400, "an argument:")
    assert web.job(submitted).state is State.QUEUED
    assert len(web.blobs) == 1
