"""The known categories of a model without a manifest."""

from typing import Any

import pytest

from model.regno import BUNDLED, Reading, RegnoScorer, golden
from model.regno.model_file.catboost_file import BinaryModel
from model.regno.model_file.vocabulary import PROBED
from model.regno.request import from_fields


@pytest.fixture
def bare() -> RegnoScorer:
    """The bundled model without its manifest."""
    return RegnoScorer(BinaryModel.load(BUNDLED))


def _unseen(scorer: RegnoScorer, **changed: str) -> list[str]:
    first = golden.readings()[0]
    values = {name: getattr(first, name) for name in Reading.__struct_fields__}
    return scorer.unseen(scorer.row(Reading(**{**values, **changed})))


def test_it_knows_what_its_manifest_lists_and_nothing_else(
    bare: RegnoScorer, scorer: RegnoScorer
) -> None:
    assert scorer.manifest
    for value in scorer.manifest.vocabularies["camera_class"]:
        assert _unseen(bare, camera_class=value) == []
        assert _unseen(bare, camera_class=value.lower()) == ["camera_class"]


def test_a_feature_of_two_values_is_not_probed_about(
    bare: RegnoScorer, scorer: RegnoScorer
) -> None:
    assert scorer.manifest
    assert len(scorer.manifest.vocabularies["camera_type"]) == 2
    for value in (*scorer.manifest.vocabularies["camera_type"], "anything"):
        assert _unseen(bare, camera_type=value) == []


def test_the_customers_model_knows_the_customers_rows(
    customer_scorer: RegnoScorer, conformance: list[dict[str, Any]]
) -> None:
    readings = [from_fields(**line["request"]) for line in conformance]
    known = [r for r in readings if r.camera_class in PROBED["camera_class"]]
    assert len(known) >= 100
    unseen = {name for r in known for name in customer_scorer.unseen(customer_scorer.row(r))}
    assert "camera_class" not in unseen
    assert _unseen(customer_scorer, camera_class="астра-трафик") == ["camera_class"]


def test_a_value_longer_than_any_name_is_unseen_without_a_question(bare: RegnoScorer) -> None:
    assert _unseen(bare, camera_class="А" * 201) == ["camera_class"]


def test_a_flood_of_new_values_is_unseen_to_the_last_and_hides_no_known_one(
    bare: RegnoScorer,
) -> None:
    assert _unseen(bare, camera_class="Стрелка") == []
    unseen = [_unseen(bare, camera_class=f"new {number}") for number in range(3000)]
    assert unseen == [["camera_class"]] * 3000
    assert _unseen(bare, camera_class="Стрелка") == []


def test_a_month_that_a_bare_model_never_saw_is_no_warning(bare: RegnoScorer) -> None:
    row = list(bare.row(golden.readings()[0]))
    names = [name for name, _ in BinaryModel.load(BUNDLED).features]
    row[names.index("month")] = "Brumaire"
    assert bare.unseen(row) == []
