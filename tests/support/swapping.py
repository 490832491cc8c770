"""A registry with two models that can be served, and requests to a server that follows it."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import httpx

from loadgen.common.processes import free_port
from model.registry import Files, Registry, open_registry
from model.registry.ingest import ingest
from model.regno import BUNDLED
from service.rollout.rollout_state import NAME, RolloutState
from tests.support import toys
from tests.support.registry import no_check
from tests.support.server import Server, eventually, serving
from tests.support.strategies import VALID

FIRST: Final = "first"
SECOND: Final = "second"
_NAMES: Final = ("hour", "afts_regno_ai_score", "ai_len", "cam_len")


def registry_of_two(folder: Path) -> Registry:
    """The bundled model as `first`, which is live, and a small one as `second`.

    Both are known to be good: a promotion does not validate them again, which takes seconds.
    """
    (folder / "made").mkdir()
    registry = open_registry(folder / "models", check=no_check)
    small = toys.save(toys.train(_NAMES, iterations=40, depth=4), folder / "made")
    for version, path in ((FIRST, BUNDLED), (SECOND, small)):
        registry.add(ingest(path, "regno", version))
    registry.promote(FIRST, who="the tests")
    return registry


def registry_of_twins(folder: Path, **changed: Any) -> Registry:
    """The bundled model as `first`, which is live, and again as `second`, with another manifest.

    The file is known to be good and nothing is trained, so that this takes no time.
    """
    model = BUNDLED.read_bytes()
    bundled = json.loads(BUNDLED.with_name("manifest.json").read_bytes())
    own = {"file": "model.cbm", "sha256": sha256(model).hexdigest()}
    registry = open_registry(folder / "models", check=no_check)
    for version, more in ((FIRST, {}), (SECOND, changed)):
        manifest = {**bundled, **own, "version": version, **more}
        registry.add(Files(model, json.dumps(manifest).encode()))
    registry.promote(FIRST, who="the tests")
    return registry


@contextmanager
def following(folder: Path, **settings: str) -> Iterator[Server]:
    """Two workers that follow the registry in `folder`; the usual key is an admin's."""
    usual = {
        "registry": str(folder / "models"),
        "registry_poll_seconds": "0.1",
        "host": "127.0.0.1",
        "port": str(free_port()),
        "api_keys": "example:123321,night:a-key-of-the-night",
        "admins": "example",
    }
    with serving(folder / "server", **{**usual, **settings}) as server:
        yield server


def shown(server: Server) -> Any:
    """The body of GET /model."""
    with server.client() as client:
        return client.get("/model").raise_for_status().json()["body"]


def serves(server: Server, version: str, workers: int = 2) -> bool:
    """Whether all workers are there and serve a version."""
    shown_workers = shown(server)["workers"]
    return [worker["serving"]["version"] for worker in shown_workers] == [version] * workers


def wait_until_all_serve(server: Server, version: str) -> None:
    """Wait until both workers serve a version."""
    eventually(lambda: serves(server, version), f"all serve {version}")


def scored(server: Server) -> tuple[str, str]:
    """The version that scored a row, and the reply's body."""
    with server.client() as client:
        reply = client.post(
            "/reg/", content=VALID, headers={"Content-Type": "application/json"}
        ).raise_for_status()
    return reply.headers["X-Model-Version"], reply.text


def post(server: Server, path: str, body: Any = None, **headers: str) -> httpx.Response:
    """POST a change of the aliases."""
    with server.client(**headers) as client:
        return client.post(path, json={} if body is None else body)


def rollout_state_of(server: Server) -> RolloutState:
    """The state that the workers share, read from outside."""
    descriptors = Path(f"/proc/{server.process.pid}/fd")
    memory = next(d for d in descriptors.iterdir() if NAME in str(d.readlink()))
    return RolloutState(os.open(memory, os.O_RDWR))
