"""Import rules of the packages that the import contracts of `make check` can't express."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.paths import ROOT
from tests.support.vacuous import nonempty

_PACKAGES = ("client", "model", "service", "loadgen", "monitoring", "plate_scoring")
_MODULES = sorted(
    path
    for package in _PACKAGES
    for path in (ROOT / package).rglob("*.py")
    if "__pycache__" not in path.parts
)
# Configuration and scripts: run, not imported.
_RUN = {
    *("service/gunicorn.conf.py", "service/wsgi.py"),
    *("service/web/gunicorn.conf.py", "service/web/wsgi.py", "service/amqp/gunicorn.conf.py"),
}

_PROBE = """
import importlib, json, os, sys, threading
before, files = dict(os.environ), sorted(os.listdir("."))
sys.stdout.flush()
importlib.import_module(sys.argv[1])
print(json.dumps({
    "threads": [thread.name for thread in threading.enumerate()],
    "changed": {k: v for k, v in os.environ.items() if before.get(k) != v},
    "lost": sorted(before.keys() - os.environ.keys()),
    "children": open(f"/proc/self/task/{os.getpid()}/children").read(),
    "files": sorted(set(os.listdir(".")) - set(files)),
}))
"""


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _importable() -> list[str]:
    names = [_name(path) for path in _MODULES if _name(path) not in _RUN]
    plain = (name.removesuffix(".py").replace("/", ".") for name in names)
    return sorted({name.removesuffix(".__init__") for name in plain})


def test_there_are_modules_to_look_at() -> None:
    assert {"model.regno.scorer", "service.app", "model", "service"} <= set(_importable())


@pytest.mark.parametrize("package", ["model", "service", "monitoring"])
def test_importing_all_of_a_package_starts_nothing(package: str, tmp_path: Path) -> None:
    """One process imports the whole package, so each module that starts something is seen."""
    names = [
        name for name in _importable() if name.split(".")[0] == package and "__main__" not in name
    ]
    assert len(names) > 10
    (tmp_path / "whole_room.py").write_text("".join(f"import {name}\n" for name in names))
    effects = _import("whole_room", tmp_path)
    assert effects["threads"] == ["MainThread"]
    assert effects["changed"] == {}
    assert effects["lost"] == []
    assert effects["children"].strip() == ""
    assert effects["files"] in ([], ["__pycache__"])


def _import(name: str, folder: Path) -> dict[str, Any]:
    ran = subprocess.run(
        [sys.executable, "-B", "-c", _PROBE, name],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{ROOT}:{folder}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert ran.stderr == ""
    effects: dict[str, Any] = json.loads(ran.stdout)  # nothing else was printed
    return effects


_ENVIRONMENT = {"environ", "environb", "getenv", "putenv"}


def _touches_environment(path: Path) -> bool:
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Attribute(value=ast.Name(id="os"), attr=name) if name in _ENVIRONMENT:
                return True
            case ast.ImportFrom(module="os", names=names) if {n.name for n in names} & _ENVIRONMENT:
                return True
    return False


def test_only_the_settings_read_the_environment() -> None:
    touching = {_name(path) for path in _MODULES if _touches_environment(path)}
    readers = {name for name in touching if not name.startswith("loadgen/")}
    assert readers == {
        "client/command_line.py",  # programs of their own
        "model/digits/train.py",  # EPOCHS, as the trainer had it that it replaces
        "model/pictures/onnx_session.py",  # onnxruntime's telemetry has no other switch
        "model/mlflow_client.py",  # MLflow takes its settings from there alone
        "model/train.py",  # where to log, by MLflow's own variable
        "monitoring/alertmanager/settings.py",
        "service/config/settings.py",
        "service/edge/settings.py",
    }


@pytest.mark.parametrize(
    "package",
    [
        *(ROOT / name / "__init__.py" for name in ("plate_scoring", "deploy")),
        *(path for path in _MODULES if path.name == "__init__.py"),
    ],
    ids=_name,
)
def test_each_package_docstring_states_its_import_rules(package: Path) -> None:
    rules = ast.get_docstring(ast.parse(package.read_text())) or ""
    assert "import" in rules
    assert "Never" in rules
    assert len(rules.splitlines()) <= 20


def test_monitoring_reads_only_its_own_files() -> None:
    """Its code is in an image without the other packages, and import contracts see no paths."""
    package = ROOT / "monitoring"
    modules = [path for path in _MODULES if path.is_relative_to(package)]
    assert len(modules) > 20
    for path in modules:
        text = path.read_text()
        for level in re.findall(r"__file__\)\.parents\[(\d+)\]", text):
            assert path.parents[int(level)].is_relative_to(package), _name(path)
        assert not re.search(r"""["'/](model|service|loadgen|tests)/\w""", text), _name(path)


@pytest.mark.parametrize("path", _MODULES, ids=_name)
def test_every_module_says_what_it_is(path: Path) -> None:
    text = path.read_text()
    assert not text.strip() or ast.get_docstring(ast.parse(text))


def _imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


_PUBLIC = {
    "model",
    "model.cache",
    "model.catalog",
    "model.cli",
    "model.scorer",
    "model.pictures.decoder",
    "model.pictures.picture_decoder",
    "model.pictures.png",
    "model.redaction",
    "model.registry",
    "model.utf8",
}
# What scores files, for those who take them from callers.
_OF_TABLES = {
    "model.bulk.workers",
    "model.json_split",
    *(f"model.tables.{name}" for name in ("errors", "format", "options", "output", "parts")),
    "model.tables.table",
}


def test_the_service_takes_only_public_names_of_the_model() -> None:
    for path in nonempty([path for path in _MODULES if _name(path).startswith("service/")]):
        inner = {name for name in _imports(path) if name.startswith("model")}
        tables = _OF_TABLES if _name(path).startswith(("service/jobs/", "service/web/")) else set()
        assert inner <= _PUBLIC | tables, _name(path)


# Commands and the library of the default model.
_OF_ONE_SCORER = {
    *(f"model/{name}.py" for name in ("drift", "evaluate", "golden", "simulate", "train")),
    "plate_scoring/__init__.py",
}


def _scorers(root: Path) -> set[str]:
    packages = (root / "model").glob("*/__init__.py")
    return {path.parent.name for path in packages if "MODEL" in path.read_text()}


def _names_of_scorers(root: Path) -> set[str]:
    """The modules that import a scorer from outside of its package."""
    scorers = _scorers(root)
    assert "regno" in scorers
    modules = [*(root / "model").rglob("*.py"), *(root / "service").rglob("*.py")]
    modules += (root / "plate_scoring").rglob("*.py")
    return {
        str(path.relative_to(root))
        for path in modules
        if path.relative_to(root).parts[1] not in scorers
        and {f"model.{name}" for name in scorers}
        & {".".join(name.split(".")[:2]) for name in _imports(path)}
    }


def test_only_the_commands_of_one_scorer_name_it(tmp_path: Path) -> None:
    assert _names_of_scorers(ROOT) <= _OF_ONE_SCORER
    for name in ("regno", "digits"):
        (tmp_path / "model" / name).mkdir(parents=True)
        (tmp_path / "model" / name / "__init__.py").write_text("MODEL = None\n")
    (tmp_path / "model/score.py").write_text("from model.digits import MODEL\n")
    assert _names_of_scorers(tmp_path) == {"model/score.py"}


def _imports_between_scorers(root: Path) -> list[str]:
    """The files of a scorer that import another scorer."""
    packages = (root / "model").glob("*/__init__.py")
    scorers = {path.parent.name for path in packages if "MODEL" in path.read_text()}
    assert "regno" in scorers
    return [
        str(path.relative_to(root))
        for scorer in scorers
        for path in (root / "model" / scorer).rglob("*.py")
        if {f"model.{other}" for other in scorers - {scorer}}
        & {".".join(name.split(".")[:2]) for name in _imports(path)}
    ]


def test_no_scorer_imports_another(tmp_path: Path) -> None:
    assert _imports_between_scorers(ROOT) == []
    for name, text in (("regno", ""), ("toy", "from model.regno.scorer import RegnoScorer\n")):
        (tmp_path / "model" / name).mkdir(parents=True)
        (tmp_path / "model" / name / "__init__.py").write_text(f"{text}MODEL = None\n")
    assert _imports_between_scorers(tmp_path) == ["model/toy/__init__.py"]
