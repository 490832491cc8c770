"""What is installed is what the locks name, byte for byte, and nothing is built on the way."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.support.paths import ROOT

_LOCKS = sorted(ROOT.glob("requirements*.lock"))
_NPM_LOCKS = sorted(ROOT.glob("tests/screenshots/*/package-lock.json"))
_DOCKERFILE = (ROOT / "deploy/Dockerfile").read_text()


def _make(*targets: str) -> str:
    """What make would run."""
    return subprocess.run(
        ["make", "--no-print-directory", "--dry-run", "--always-make", *targets],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def _installs(commands: str) -> list[str]:
    """The commands that install a lock."""
    joined = commands.replace("\\\n", " ")
    return [line for line in joined.splitlines() if re.search(r"pip\b.* install .*-r ", line)]


def _image_installs() -> list[str]:
    """Those of the images, with the variable that holds what they share."""
    text = _DOCKERFILE.replace("\\\n", " ")
    shared = re.search(r'^ENV INSTALL="(.*)"$', text, re.MULTILINE)
    assert shared
    return _installs(text.replace("${INSTALL}", shared[1]))


_COMMANDS = {"make": _installs(_make("setup", "web", "audit")), "images": _image_installs()}


@pytest.mark.parametrize("where", _COMMANDS)
def test_locks_are_installed_by_hash_and_from_wheels_only(where: str) -> None:
    commands = _COMMANDS[where]
    assert len(commands) == {"make": 4, "images": 7}[where]
    for command in commands:
        assert "--require-hashes" in command
        assert "--only-binary :all:" in command


@pytest.mark.parametrize("path", _LOCKS, ids=lambda path: path.name)
def test_every_package_of_a_lock_has_a_version_and_hashes(path: Path) -> None:
    requirements = path.read_text().replace("\\\n", "").splitlines()
    assert len(requirements) >= 3
    for requirement in requirements:
        assert re.match(
            r"[a-z0-9._-]+==\S+( ; [^#]+?)?(\s+--hash=sha256:[0-9a-f]{64})+$", requirement
        )


def test_no_source_only_package_is_required() -> None:
    """gunicorn's parser in C is one: what would build it is in no lock."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    required = str(project["project"]) + str(project["dependency-groups"])
    assert "gunicorn-h1c" not in required
    assert not [path for path in _LOCKS if "gunicorn-h1c" in path.read_text()]


@pytest.mark.slow
def test_a_lock_installs_from_wheels_only(tmp_path: Path) -> None:
    """The smallest one, really; the others are installed so before any test runs."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--only-binary", ":all:"),
            *("--require-hashes", "--target", str(tmp_path / "there")),
            *("-r", str(ROOT / "requirements-alerts.lock")),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "there" / "msgspec").is_dir()


@pytest.mark.parametrize("path", _NPM_LOCKS, ids=lambda path: path.parent.name)
def test_every_package_of_node_has_a_hash_and_no_address_of_somebodys_own(path: Path) -> None:
    packages = json.loads(path.read_text())["packages"]
    named = {name: of for name, of in packages.items() if name}
    assert len(named) > 20
    for name, package in named.items():
        assert re.match(r"sha512-[A-Za-z0-9+/]{86}==", package["integrity"]), name
        resolved = package.get("resolved", "https://registry.npmjs.org/")
        assert resolved.startswith("https://registry.npmjs.org/"), name


def test_the_workflow_runs_targets_of_the_makefile_with_pinned_actions() -> None:
    text = (ROOT / ".github/workflows/ci.yml").read_text()
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {}
    (job,) = workflow["jobs"].values()
    assert job["permissions"] == {"contents": "read"}
    _make(*job["strategy"]["matrix"]["target"])  # fails for a target that does not exist
    used = re.findall(r"uses: (\S+)", text)
    assert used
    assert [one for one in used if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", one)] == []


@pytest.mark.parametrize(
    ("extra", "packages", "in_both"),
    [
        ("queue", {"celery", "pika", "redis"}, set()),
        ("decisions", {"clickhouse-connect", "duckdb", "pymongo"}, set()),
        # The service's image is without the one that CatBoost brings for its plots.
        ("images", {"onnxruntime"}, {"pillow"}),
        ("train", {"onnx"}, set()),
    ],
)
def test_the_packages_of_an_extra_are_those_that_the_service_has_not(
    extra: str, packages: set[str], in_both: set[str]
) -> None:
    """They are installed without a look at dependencies: what they need is in one of two locks."""
    versions = {
        path.name: dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", path.read_text(), re.MULTILINE))
        for path in _LOCKS
    }
    added, service = versions[f"requirements-{extra}.lock"], versions["requirements.lock"]
    assert added.keys() & service.keys() == in_both
    assert packages <= added.keys()
    assert (added | service).items() <= versions["requirements-dev.lock"].items()


def test_there_are_as_many_locks_as_are_known() -> None:
    assert [path.name for path in _LOCKS] == [
        *("requirements-alerts.lock", "requirements-decisions.lock", "requirements-dev.lock"),
        *("requirements-generator.lock", "requirements-images.lock"),
        *("requirements-queue.lock", "requirements-train.lock", "requirements.lock"),
    ]
    assert [path.parent.name for path in _NPM_LOCKS] == ["page", "schema"]
