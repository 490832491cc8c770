"""The distribution: one version, one program, and a wheel that serves without the repository."""

import re
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest

from loadgen.common.processes import free_port, running
from plate_scoring.__main__ import COMMANDS, help_text
from service import VERSION
from tests.support.commands import environment
from tests.support.paths import ROOT, lines

_PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_the_version_is_defined_in_the_service_alone() -> None:
    """Compose can't read it there: tests/stack/test_stack_file.py compares its images' tags."""
    assert _PROJECT["project"]["dynamic"] == ["version"]
    assert _PROJECT["tool"]["hatch"]["version"]["path"] == "service/__init__.py"
    assert VERSION not in (ROOT / "deploy/Dockerfile").read_text()
    assert re.fullmatch(r"\d+\.\d+\.\d+", VERSION)


def test_the_extra_for_load_is_the_group_that_the_image_is_made_of() -> None:
    extras = _PROJECT["project"]["optional-dependencies"]
    assert extras["load"] == _PROJECT["dependency-groups"]["generator"]


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_is_a_module_that_python_runs(name: str) -> None:
    module = COMMANDS[name].module
    spec = find_spec(module)
    assert spec is not None
    assert spec.submodule_search_locations is None or find_spec(f"{module}.__main__")
    assert f"  {name} " in help_text()


def _program(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "plate_scoring", *arguments],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_a_command_gets_its_arguments_and_its_status_is_the_programs() -> None:
    done = _program("edge", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: plate-scoring edge ")
    assert _program("edge", "--no-such-flag").returncode == 2


@pytest.mark.slow
def test_a_command_names_the_program_as_it_was_called() -> None:
    for name in ("serve", "simulate", "doctor", "edge", "decisions", "jobs", "send", "load"):
        called = "client" if COMMANDS[name].arguments else name
        shown = _program(name, "--help").stdout
        assert re.match(rf"usage: plate-scoring {called}[ \n]", shown), (name, shown[:60])
    done = _program("score", "none.csv", "out.csv")
    assert done.stderr == "plate-scoring score: none.csv: No such file or directory\n"
    usual = [sys.executable, "-m", "model.score", "--help"]
    shown = subprocess.run(usual, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert shown.startswith("usage: python -m model.score ")


def test_an_unknown_command_is_named_and_so_are_the_known_ones() -> None:
    done = _program("serves")
    assert (done.returncode, done.stdout) == (2, "")
    assert {"serves", *COMMANDS} <= set(re.findall(r"\w+", done.stderr))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The distribution, built as pip builds it."""
    folder = tmp_path_factory.mktemp("wheel")
    command = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir")
    subprocess.run([*command, folder, ROOT], check=True, capture_output=True)
    (made,) = folder.iterdir()
    return made


@pytest.mark.slow
def test_the_wheel_holds_what_serves_and_nothing_else(wheel: Path) -> None:
    assert wheel.name == f"plate_scoring-{VERSION}-py3-none-any.whl"
    names = set(zipfile.ZipFile(wheel).namelist())
    held = {name.partition("/")[0] for name in names}
    about = f"plate_scoring-{VERSION}.dist-info"
    rooms = {"client", "service", "model", "loadgen", "monitoring", "plate_scoring"}
    assert held == {*rooms, about}
    assert {name for name in names if name.startswith("monitoring")} == {"monitoring/slo.toml"}
    typed = {f"{room}/py.typed" for room in ("client", "model", "plate_scoring")}
    assert {f"{about}/licenses/LICENSE", "model/regno/regno.cbm", *typed} <= names


@pytest.mark.slow
def test_the_program_serves_where_only_the_wheel_is_installed(wheel: Path, tmp_path: Path) -> None:
    program = _installed(wheel, tmp_path / "venv")
    usual = environment(tmp_path, {"PYTHONPATH": ""})
    library = program.with_name("python"), "-c", _LIBRARY
    for command in ((program, "simulate", "readings.csv", "--rows", "20"), library):
        subprocess.run(command, env=usual, cwd=tmp_path, check=True)
    shown = subprocess.run(
        [program, "--version"], env=usual, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert shown.stdout == f"plate-scoring {VERSION}\n"
    with httpx.Client(base_url=f"http://127.0.0.1:{free_port()}") as client:
        settings = {"PYTHONPATH": "", "TMPDIR": str(tmp_path), "SCORING_WORKERS": "1"}
        settings["SCORING_PORT"] = str(client.base_url.port)
        log = tmp_path / "log"
        with running((program, "serve"), log, lambda: _is_ready(client), settings) as server:
            _score_a_golden_row(client)
    assert server.returncode == 0


# Scores a file of simulated readings where no repository is.
_LIBRARY = """
import pandas as pd
import plate_scoring
scored = plate_scoring.load().score_frame(pd.read_csv("readings.csv"))
assert scored["positive"].between(0, 1).all(), scored
"""


def _installed(wheel: Path, folder: Path) -> Path:
    """The program in a new environment, which takes the dependencies of this one by a path."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    install = ("-m", "pip", "install", "--quiet", "--no-deps", "--no-index")
    subprocess.run([folder / "bin/python", *install, wheel], check=True, capture_output=True)
    (packages,) = folder.glob("lib/python3*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return folder / "bin/plate-scoring"


def _score_a_golden_row(client: httpx.Client) -> None:
    row = lines(ROOT / "loadgen/data/golden.jsonl")[0]
    reply = client.post("/reg/", json=row["request"], headers={"x-api-key": "123321"})
    assert reply.json()["body"]["positive"] == row["positive"]


def _is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").is_success
    except httpx.ConnectError:
        return False
