"""A second model of the project's own: one folder and one line, on a copy of the tree."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import Done, environment, run_module
from tests.support.doctor import Report
from tests.support.paths import ROOT
from tests.support.server import METRICS_TOKEN, serving

pytestmark = pytest.mark.slow

_TOY = ROOT / "tests" / "support" / "toy" / "toy_scorer" / "model.py"
_LINE = '    Entry("toy", "model.toy", "/toy/", "model.json"),\n'


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What serves, with the toy in a folder next to `regno` and in a line of the catalog."""
    tree = tmp_path_factory.mktemp("tree")
    for room in ("model", "service"):
        shutil.copytree(ROOT / room, tree / room, ignore=shutil.ignore_patterns("__pycache__"))
    (tree / "model" / "toy").mkdir()
    shutil.copy(_TOY, tree / "model" / "toy" / "__init__.py")
    catalog = tree / "model" / "catalog.py"
    before, opening, after = catalog.read_text().partition("_OWN: Final = (\n")
    own, closing, rest = after.partition("\n)\n")
    assert opening
    assert closing
    catalog.write_text(f"{before}{opening}{own}\n{_LINE.rstrip()}{closing}{rest}")
    return tree


def _run(tree: Path, module: str, *arguments: object, **settings: str) -> Done:
    return run_module(tree, module, *arguments, settings={"PYTHONPATH": str(tree), **settings})


@pytest.fixture(scope="module")
def models(tree: Path) -> Path:
    """A registry with live versions of both models."""
    models = tree / "models"
    (tree / "slope.json").write_text('{"slope": 0.1}')
    regno = tree / "model" / "regno" / "regno.cbm"
    for name, file, version in (("toy", tree / "slope.json", "gentle"), ("regno", regno, "usual")):
        named = ("--models", models, "--name", name)
        done = _run(tree, "model.registry", "add", file, "--version", version, *named)
        assert done.returncode == 0, done.stderr
        done = _run(tree, "model.registry", "promote", version, *named)
        assert done.returncode == 0, done.stderr
    return models


def test_the_first_line_stays_the_default_and_the_name_is_known(tree: Path) -> None:
    printed = "from model import catalog; print(catalog.DEFAULT, *catalog.entries())"
    done = subprocess.run(
        [sys.executable, "-c", printed],
        cwd=tree, env=environment(tree, {"PYTHONPATH": str(tree)}),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    default, *names = done.stdout.split()
    assert (default, names[0], names[-1]) == ("regno", "regno", "toy")
    unknown = _run(tree, "model.registry", "list", "--models", tree / "none", "--name", "tyo")
    assert unknown.returncode != 0
    assert {"regno", "toy"} <= set(unknown.stderr.replace(",", " ").replace("'", " ").split())


def test_it_is_served_measured_and_documented(tree: Path, models: Path, tmp_path: Path) -> None:
    with (
        serving(tmp_path, python_path=str(tree), registry=str(models), workers="1") as server,
        server.client() as client,
    ):
        reply = client.post("/toy/", json=[{"size": 5}, {}])
        assert reply.headers["X-Model-Version"] == "gentle"
        assert reply.json()["body"][0] == {"positive": 0.5}
        assert list(reply.json()["body"][1]) == ["error"]
        document = client.get("/openapi.json").json()
        assert {"/reg/", "/toy/"} <= set(document["paths"])
        page = client.get("/metrics", headers={"Authorization": f"Bearer {METRICS_TOKEN}"}).text
        assert 'scoring_catalog_rows_total{model="toy",result="scored"} 1.0' in page


def test_its_address_passes_the_edge_and_the_doctor_checks_it(tree: Path, models: Path) -> None:
    config = tree / "nginx.conf"
    assert _run(tree, "service.edge", "--output", config).returncode == 0
    assert "location ~ ^/toy(/|$) {" in config.read_text()
    doctor = _run(tree, "service.doctor", "--json", SCORING_REGISTRY=str(models))
    report = Report(doctor.returncode, doctor.stdout, doctor.stderr)
    assert report.level("model file toy") == "ok"


@pytest.mark.parametrize(
    ("contents", "wrong"), [(None, "no module model.toy"), ("", "model.toy has no MODEL")]
)
def test_a_line_without_its_model_is_refused_by_name(
    tree: Path, tmp_path: Path, contents: str | None, wrong: str
) -> None:
    copy = tmp_path / "tree"
    shutil.copytree(tree, copy, ignore=shutil.ignore_patterns("models", "toy"))
    if contents is not None:
        (copy / "model" / "toy.py").write_text(contents)
    (tmp_path / "slope.json").write_text('{"slope": 0.1}')
    named = ("--version", "x", "--models", tmp_path / "models", "--name", "toy")
    done = _run(copy, "model.registry", "add", tmp_path / "slope.json", *named)
    assert done.returncode == 1
    assert done.stderr.endswith(f"{wrong}\n")
