"""POST /digits/train: who may, with what; what it submits and replies."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from service.jobs.states import State
from tests.support.server import KEY_HEADER
from tests.support.web import OTHER_HEADER, Web, body_of, reason_of

_DATA = b"arrays"
_GIVEN = {"images_batch_path": "mnist.npz"}


@pytest.fixture
def make_trainer(make_web: Callable[..., Web], tmp_path: Path) -> Callable[..., Web]:
    """Makes an app where the usual key may train."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data/mnist.npz").write_bytes(_DATA)
    usual = {
        "trainers": "example",
        "registry": str(tmp_path / "models"),
        "digits_data": str(tmp_path / "data"),
    }
    return lambda **changed: make_web(**{**usual, **changed})


@pytest.fixture
def trainer(make_trainer: Callable[..., Web]) -> Web:
    return make_trainer()


def _train(web: Web, given: Any = None, headers: dict[str, str] | None = None) -> TestResponse:
    return web.call("POST", "/digits/train", headers, json=_GIVEN if given is None else given)


def test_a_training_is_a_job_with_a_copy_of_the_data(trainer: Web) -> None:
    reply = _train(trainer, {**_GIVEN, "epochs": 3})
    assert reply.status_code == 202
    shown = body_of(reply)
    assert (shown["kind"], shown["model"], shown["state"]) == ("train", "digits", "queued")
    assert reply.headers["Location"] == f"/jobs/{shown['id']}"
    assert "Retry-After" in reply.headers
    job = trainer.job(reply)
    assert job.parameters == {"epochs": "3"}
    assert trainer.stores.blobs.read(job.input) == _DATA
    assert body_of(trainer.call("GET", f"/jobs/{job.id}"))["id"] == job.id
    assert body_of(trainer.call("DELETE", f"/jobs/{job.id}"))["state"] == "cancelled"


def test_without_a_number_the_worker_has_its_own(trainer: Web) -> None:
    assert trainer.job(_train(trainer)).parameters == {}


def test_a_repeated_request_is_the_same_job(trainer: Web) -> None:
    key = {"Idempotency-Key": sha256(b"night").hexdigest()}
    first, second = (_train(trainer, headers=key) for _ in range(2))
    assert body_of(first)["id"] == body_of(second)["id"]
    assert second.headers["Idempotency-Replayed"] == "true"
    assert _train(trainer, {**_GIVEN, "epochs": 1}, key).status_code == 422


def test_no_key_may_train_until_it_is_named(make_trainer: Callable[..., Web]) -> None:
    for trainers in ("", "other, third"):
        web = make_trainer(trainers=trainers)
        reply = _train(web)
        assert (reply.status_code, reason_of(reply)) == (
            403,
            "SCORING_TRAINERS does not name this key",
        )
        assert web.blobs == []
    reply = web.client.post("/digits/train", headers=OTHER_HEADER, json=_GIVEN)
    assert reply.status_code == 202
    assert web.client.post("/digits/train", json=_GIVEN).status_code == 401


def test_without_a_registry_there_is_no_place_for_a_version(
    make_trainer: Callable[..., Web],
) -> None:
    reply = _train(make_trainer(registry=""))
    assert reply.status_code == 501
    assert "SCORING_REGISTRY" in reason_of(reply)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "images_batch_path"),
        ({"images_batch_path": 5}, "images_batch_path"),
        ({"images_batch_path": "none.npz"}, "images_batch_path"),
        ({"images_batch_path": "../secret"}, "images_batch_path"),
        ({"images_batch_path": "/etc/passwd"}, "images_batch_path"),
        ({**_GIVEN, "epochs": 0}, "epochs"),
        ({**_GIVEN, "epochs": 101}, "epochs"),
        ({**_GIVEN, "epochs": True}, "epochs"),
        ({**_GIVEN, "epochs": "3"}, "epochs"),
        ({**_GIVEN, "epoch": 3}, "epoch: is not known here"),
        ([], "the body must be an object"),
    ],
)
def test_what_can_not_be_trained_is_named(
    trainer: Web, tmp_path: Path, given: Any, field: str
) -> None:
    (tmp_path / "secret").write_bytes(_DATA)
    reply = _train(trainer, given)
    assert reply.status_code == 400
    assert reason_of(reply).startswith(field)
    assert trainer.blobs == []


def test_other_types_and_long_bodies_are_refused(trainer: Web) -> None:
    wrong = trainer.call("POST", "/digits/train", data=b"x", content_type="text/plain")
    assert wrong.status_code == 415
    assert _train(trainer, {"images_batch_path": "x" * 5000}).status_code == 413
    whole = trainer.client.get("/digits/train", headers=KEY_HEADER)
    assert whole.status_code == 405


def test_a_data_set_longer_than_jobs_may_be_is_refused(
    make_trainer: Callable[..., Web], tmp_path: Path
) -> None:
    (tmp_path / "data/mnist.npz").write_bytes(b"x" * ((1 << 20) + 1))
    web = make_trainer(job_max_mb=1)
    assert _train(web).status_code == 413
    assert web.blobs == []


@pytest.mark.parametrize(("query", "status"), [("", 201), ("?detail=1", 200)])
def test_who_waits_gets_what_existing_callers_expect(trainer: Web, query: str, status: int) -> None:
    key = {"Idempotency-Key": "k"}
    done = {"body": {"version": "digits-1"}, "status": "ok"}
    first = _train(trainer, headers=key)
    trainer.end(
        first,
        b'{"body":{"version":"digits-1"},"status":"ok"}',
        State.SUCCEEDED,
        result_type="application/json",
        version="digits-1",
    )
    waited = trainer.call("POST", f"/digits/train{query}", {**key, "Prefer": "wait=5"}, json=_GIVEN)
    assert (waited.status_code, waited.json) == (status, done if query else True)
    assert waited.headers["Preference-Applied"] == "wait=5"
    assert waited.headers["X-Model-Version"] == "digits-1"
