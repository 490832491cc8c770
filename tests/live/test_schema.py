"""The served document and the live server agree, in every check that schemathesis has."""

import subprocess
import sys
from pathlib import Path

import pytest

from loadgen.common.processes import free_port
from tests.support.pictures import file_of, five
from tests.support.server import KEY, serving
from tests.support.swapping import registry_of_twins
from tests.support.web_server import web_serving

pytestmark = pytest.mark.slow

# 413 says more than 400 of an array that is too long; the tool's own list lacks it. That tensors
# have the names of a model's inputs, and all the same rows, no schema says.
_CONFIGURATION = """
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 409, 413, 415, 429, 503]
[[operations]]
include-path-regex = "/infer$"
checks.positive_data_acceptance.expected-statuses = ["2xx", 400, 401, 404]
"""


def test_schemathesis_finds_no_fault(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "schemathesis.toml").write_text(_CONFIGURATION)
    with serving(tmp_path, host="127.0.0.1", port=str(port), admins="example"):
        ran = subprocess.run(
            [
                *(str(Path(sys.executable).with_name("schemathesis")), "run"),
                f"http://127.0.0.1:{port}/openapi.json",
                *("--header", f"x-api-key: {KEY}", "--checks", "all"),
                *("--max-examples", "100", "--seed", "1", "--generation-database", "none"),
                "--no-color",
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=570,
            check=False,
        )
    assert ran.returncode == 0, ran.stdout[-20_000:] + ran.stderr
    assert "Tested: 21" in ran.stdout, "every operation was requested"


# A name may be of no webhook, a file may come without its model's name, an encoding be unknown.
# Headers that have no meaning are ignored.
_OF_JOBS = """
[generation]
allow-extra-parameters = false
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 409, 413, 415, 422, 429, 503]
[checks.positive_data_acceptance]
expected-statuses = ["2xx", 304, 400, 401, 404, 409, 410, 415, 422, 429]
"""


def test_schemathesis_finds_no_fault_in_jobs(tmp_path: Path) -> None:
    (tmp_path / "schemathesis.toml").write_text(_OF_JOBS)
    registry_of_twins(tmp_path)
    models = str(tmp_path / "models")
    rights = {"trainers": "example", "reviewers": "example"}
    log = str(tmp_path / "decisions")
    with web_serving(tmp_path, **rights, registry=models, decisions_dir=log) as server:
        with server.client() as client:  # the models are loaded then
            picture = {"file_name": file_of(five(), "PNG")}
            assert client.post("/v1/inference", files=picture).json()["prediction"] == 5
        ran = subprocess.run(
            [
                *(str(Path(sys.executable).with_name("schemathesis")), "run"),
                f"{server.url}/openapi.json",
                *("--header", f"x-api-key: {KEY}", "--checks", "all"),
                # DELETE cancels a job, which can still be looked at.
                *(
                    "--exclude-checks",
                    "use_after_free",
                    "--max-examples",
                    "30",
                    "--seed",
                    "1",
                    "--generation-database",
                    "none",
                ),
                "--no-color",
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        said = server.output()
    assert ran.returncode == 0, ran.stdout[-20_000:] + ran.stderr
    assert "Tested: 30" in ran.stdout, "every operation was requested"
    assert '"status":500' not in said
