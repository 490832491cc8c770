"""The app of the web processes in this process, and a worker's hand on its records."""

import json
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Any, Final

from werkzeug.test import TestResponse

from service.config.settings import Settings
from service.http.api_keys import ApiKeys
from service.images.client import Pictures
from service.jobs.job import Job
from service.jobs.states import State
from service.jobs.stores import Stores, open_stores
from service.jobs.webhooks import endpoints_of
from service.runtime.scoreboard import PLACES, Scoreboard
from service.telemetry.metrics import ServerMetrics
from service.web.app import Parts, create_app
from tests.support.server import KEY_HEADER
from tests.support.strategies import VALID

if TYPE_CHECKING:
    from flask import Flask

    from service.telemetry.record import Record

READING: Final[dict[str, Any]] = json.loads(VALID)
OTHER_HEADER: Final = {"x-api-key": "of-another"}
KEYS: Final = "example:123321,other:of-another"
LEASE: Final = 30.0


class Web:
    """An app with stores of its own; what it answers is in `records`."""

    def __init__(
        self,
        settings: Settings,
        stores: Stores | None = None,
        pictures: Pictures | None = None,
    ) -> None:
        self.settings = settings
        self.stores = stores or open_stores(settings)
        self.scoreboard = Scoreboard(PLACES)
        self.answered: list[Record] = []
        self.keys = keys = ApiKeys(settings)
        metrics = ServerMetrics(keys.names, (), kept=False)
        parts = Parts(
            *(settings, keys, metrics, self.scoreboard, self.stores, endpoints_of(settings)),
            pictures or Pictures(Path("/none")),
        )
        self.app: Flask = create_app(parts, self.answered.extend)
        self.client = self.app.test_client()

    @property
    def blobs(self) -> list[Path]:
        """The files that hold inputs and results."""
        folder = Path(self.settings.jobs_dir) / "blobs"
        return [path for path in folder.rglob("*") if path.is_file()]

    def call(
        self, method: str, path: str, headers: dict[str, str] | None = None, **rest: Any
    ) -> TestResponse:
        """A request with the key."""
        named = {**KEY_HEADER, **(headers or {})}
        return self.client.open(path, method=method, headers=named, buffered=True, **rest)

    def submit(self, given: object, headers: dict[str, str] | None = None) -> TestResponse:
        """POST a job for the default model."""
        body = json.dumps({"model": "regno", "input": given})
        return self.call(
            "POST", "/jobs", headers, data=body.encode(), content_type="application/json"
        )

    def upload(self, content: bytes, content_type: str, query: str = "model=regno") -> TestResponse:
        """POST a file."""
        return self.call("POST", f"/jobs?{query}", data=content, content_type=content_type)

    def form(self, content: bytes, filename: str, query: str = "", **fields: str) -> TestResponse:
        """POST a file as a form."""
        data = {**fields, "file": (BytesIO(content), filename)}
        return self.call("POST", f"/jobs{query}", data=data, content_type="multipart/form-data")

    def job(self, reply: TestResponse) -> Job:
        """The record of a job that a reply shows."""
        found = self.stores.records.get(body_of(reply)["id"])
        assert found is not None
        return found

    def begin(self, reply: TestResponse) -> Job:
        """Claim a job, as a worker does."""
        claimed = self.stores.records.claim(self.job(reply).id, "w", time(), LEASE)
        assert claimed is not None
        return claimed

    def end(
        self,
        reply: TestResponse,
        result: bytes = b"",
        state: State = State.SUCCEEDED,
        **more: Any,
    ) -> Job:
        """Claim and finish a job."""
        job = self.begin(reply)
        reference = self.stores.blobs.put(job.id, result) if result else ""
        return self.stores.records.finish(
            job.id, job.fence, time(), state, result=reference, **more
        )


def body_of(reply: TestResponse) -> Any:
    """What a good reply holds."""
    assert reply.json is not None, reply.text
    assert reply.json["status"] == "ok", reply.text
    return reply.json["body"]


def reason_of(reply: TestResponse) -> str:
    """Why a request was refused."""
    assert reply.content_type == "application/json"
    assert reply.json is not None
    assert reply.json["status"] == "fail"
    reason: str = reply.json["body"]
    return reason


def ids_of(reply: TestResponse) -> Sequence[str]:
    """The ids of a list of jobs."""
    return [job["id"] for job in body_of(reply)["jobs"]]
