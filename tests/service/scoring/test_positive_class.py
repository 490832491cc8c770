"""Which class is positive, as operators set it and see it."""

from pathlib import Path
from typing import Any

import pytest
from openapi_schema_validator import OAS31Validator

from loadgen.common.processes import free_port
from model.regno import BUNDLED, RegnoScorer
from service.config.settings import SettingsError, load
from service.routes.openapi import document
from tests.support import toys
from tests.support.doctor import Report, checked
from tests.support.messages import mentions, states
from tests.support.parts import AppMaker
from tests.support.paths import GOLDEN, lines
from tests.support.server import KEY_HEADER, refused

_DEPTHWISE = "its contributions do not add up to its score, as happens if trees are not symmetric"


@pytest.fixture
def named(tmp_path: Path) -> Path:
    """A model of the classes b and a, without a positive class."""
    return toys.save(toys.classifier("a", "b", class_names=["b", "a"]), tmp_path)


def _shown(make_app: AppMaker, scorer: RegnoScorer) -> Any:
    client = make_app(scorer, admins="example").test_client()
    reply: Any = client.get("/model", headers=KEY_HEADER)
    assert reply.status_code == 200
    schemas = document(10)["components"]["schemas"]
    reference = {"$ref": "#/components/schemas/StateReply", "components": {"schemas": schemas}}
    OAS31Validator(reference).validate(reply.json)
    return reply.json["body"]


def test_the_address_for_operators_says_it(
    make_app: AppMaker, scorer: RegnoScorer, named: Path
) -> None:
    usual = _shown(make_app, scorer)
    assert (usual["classes"], usual["positive_class"]) == (["0", "1"], "1")
    assert usual["unexplained"] == ""
    own = _shown(make_app, RegnoScorer.load(named, "b"))
    assert (own["classes"], own["positive_class"]) == (["b", "a"], "b")


def test_the_address_for_operators_says_what_cant_be_explained(
    make_app: AppMaker, tmp_path: Path
) -> None:
    model = toys.classifier(0, 1, grow_policy="Depthwise")
    state = _shown(make_app, RegnoScorer.load(toys.save(model, tmp_path)))
    assert state["unexplained"] == _DEPTHWISE


def test_the_replies_of_a_model_that_cant_be_explained_are_documented() -> None:
    replies = document(10)["paths"]["/reg/explain"]["post"]["responses"]
    assert {"501", "503"} <= replies.keys()


def test_a_registrys_versions_name_it_themselves(tmp_path: Path) -> None:
    given = {"SCORING_REGISTRY": "models", "SCORING_POSITIVE_CLASS": "b"}
    with pytest.raises(SettingsError, match=r"^SCORING_POSITIVE_CLASS: .*SCORING_MODEL"):
        load(given, tmp_path / "none.env")


@pytest.mark.parametrize(
    ("positive_class", "facts"),
    [("", ("b and a", "not clear which is positive")), ("c", ("positive_class is c", "b and a"))],
)
def test_a_start_without_a_valid_positive_class_ends_with_78(
    positive_class: str, facts: tuple[str, ...], named: Path, tmp_path: Path
) -> None:
    ran = refused(tmp_path, model=str(named), positive_class=positive_class)
    assert ran.returncode == 78
    assert states(ran.stderr, f"Not started. SCORING_MODEL: {named} ", *facts)


def test_a_start_with_another_class_than_the_manifests_ends_with_78(tmp_path: Path) -> None:
    ran = refused(tmp_path, model=str(BUNDLED), positive_class="0")
    assert ran.returncode == 78
    assert mentions(ran.stderr, "manifest", "positive_class is 1", "not 0")


def _report(folder: Path, **settings: str) -> Report:
    settings["port"] = str(free_port())
    return checked(folder, "--json", **settings)


def test_the_doctor_says_it(named: Path, tmp_path: Path) -> None:
    usual = _report(tmp_path)
    assert mentions(usual["classes"]["description"], "positive", "class 1 of 0 and 1")
    assert usual.level("explanations") == "ok"
    unclear = _report(tmp_path, model=str(named))
    assert (unclear.code, unclear.level("model")) == (1, "fail")
    assert mentions(unclear["model"]["description"], "not clear which is positive")
    result = _report(tmp_path, model=str(named), positive_class="b")
    assert result.code == 0
    assert mentions(result["classes"]["description"], "positive", "class b of b and a")


def test_the_doctor_warns_of_what_cant_be_explained(tmp_path: Path) -> None:
    model = toys.classifier(0, 1, grow_policy="Depthwise")
    report = _report(tmp_path, model=str(toys.save(model, tmp_path)))
    assert (report.code, report.level("explanations")) == (0, "warn")
    assert states(report["explanations"]["description"], "POST /reg/explain ", "501", _DEPTHWISE)


def test_arrays_small_and_large_are_scored_by_it(make_app: AppMaker, named: Path) -> None:
    """One row, rows one by one, and as a table: the same for the same reading."""
    client = make_app(RegnoScorer.load(named, "b")).test_client()

    def scores(body: object) -> Any:
        reply: Any = client.post("/reg/", json=body, headers=KEY_HEADER)
        return reply.json["body"]

    rows = [line["request"] for line in lines(GOLDEN)[:40]]
    few = scores(rows)
    assert few == [scores(row) for row in rows]
    assert scores(rows * 15) == few * 15
    sure = [row["positive"] > 0.5 for row in few]
    assert sure == [row["afts_regno_ai_score"] > 0.5 for row in rows]
