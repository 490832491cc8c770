"""Values that the model never saw, by policy: scored, reported or refused."""

from typing import Any

import pytest
from hypothesis import given

from model.regno import BUNDLED, PLATES, UNSEEN, WARNINGS, Checked, Guards, Reading, RegnoScorer
from model.regno import named as warning_of
from model.regno.features import CALENDAR, CATEGORICAL, NAMES, field_of
from model.regno.model_file.catboost_file import BinaryModel
from model.regno.model_file.vocabulary import PROBED
from model.regno.request import FIELDS, from_fields
from model.regno.review.guards import Policy
from service.config import guard_policies as policies
from tests.support.messages import states
from tests.support.strategies import requests

Fields = dict[str, Any]
_CORRECTABLE = (
    *(f"unseen-category:{name}" for name in PROBED),
    *(f"lookalike-letters:{name}" for name in PLATES),
)
_SCORER = RegnoScorer.load()


def _settled(chosen: dict[str, Policy], reading: Reading, scorer: RegnoScorer) -> Checked:
    """By policies that are named as in the settings."""
    text = ",".join(f"{name}={policy}" for name, policy in chosen.items())
    guards, row = Guards(policies.parse(text)), scorer.row(reading)
    return guards.settle(scorer, reading, row, guards.warnings(scorer, reading, row))


@pytest.fixture
def known(request_body: Fields) -> Fields:
    plates = {"regno_recognize": "А939НО196", "afts_regno_ai": "А939НО190"}
    known = {"camera_class": "Стрелка", "camera_type": "Передвижная"}
    return {**request_body, **plates, **known, "afts_regno_ai_char_scores": [0.9] * 9}


_WRITTEN_OTHERWISE = {
    "camera_class": "СТРЕЛКА ",
    "camera_type": "пеpeдвижная",
    "regno_recognize": "A939HO196",
    "afts_regno_ai": "a939ho190",
}


@pytest.mark.parametrize("field", _WRITTEN_OTHERWISE)
def test_normalised_is_scored_as_if_it_had_been_written_right(
    field: str, scorer: RegnoScorer, known: Fields
) -> None:
    other = from_fields(**{**known, field: _WRITTEN_OTHERWISE[field]})
    right = scorer.row(from_fields(**known))
    assert scorer.row(other) != right
    settled = _settled({field: "normalise"}, other, scorer)
    assert repr(settled.row) == repr(right)  # NaN equals none
    assert settled.normalised == [field]
    assert not settled.warnings
    assert settled.fault is None


@pytest.mark.parametrize("field", _WRITTEN_OTHERWISE)
def test_rejected_names_the_field_and_not_the_value(
    field: str, scorer: RegnoScorer, known: Fields
) -> None:
    other = from_fields(**{**known, field: _WRITTEN_OTHERWISE[field]})
    fault = _settled({field: "reject"}, other, scorer).fault
    assert fault is not None
    assert fault.field == field
    assert fault.kind == ("lookalike" if field in PLATES else "unseen")
    assert _WRITTEN_OTHERWISE[field] not in str(fault)


def test_what_is_no_spelling_of_a_known_value_is_accepted(
    scorer: RegnoScorer, known: Fields
) -> None:
    strange = from_fields(**{**known, "camera_class": "Кордон"})
    settled = _settled({"camera_class": "normalise"}, strange, scorer)
    assert repr(settled.row) == repr(scorer.row(strange))
    assert settled.warnings == ["unseen-category:camera_class"]
    assert not settled.normalised


def test_each_feature_has_its_own_policy(scorer: RegnoScorer, known: Fields) -> None:
    both = from_fields(**{**known, **_WRITTEN_OTHERWISE})
    settled = _settled({"camera_class": "normalise", "camera_type": "reject"}, both, scorer)
    assert settled.normalised == ["camera_class"]
    assert settled.fault is not None
    assert settled.fault.field == "camera_type"
    assert settled.warnings == [
        "unseen-category:camera_type",
        "lookalike-letters:regno_recognize",
        "lookalike-letters:afts_regno_ai",
    ]


def test_a_bare_model_is_probed_what_it_knows(known: Fields) -> None:
    bare = RegnoScorer(BinaryModel.load(BUNDLED))
    other = from_fields(**{**known, "camera_class": "стрелка"})
    assert _settled({"camera_class": "normalise"}, other, bare).normalised == ["camera_class"]


def test_a_computed_category_is_refused_by_the_field_it_is_made_of(known: Fields) -> None:
    scorer = RegnoScorer.load()
    assert scorer.manifest
    scorer.manifest.vocabularies["month"] = ["January"]
    fields = {**known, "time_check": "2021-08-01 09:02:59"}
    fault = _settled({"month": "reject"}, from_fields(**fields), scorer).fault
    assert states(str(fault), "time_check: ", "month", "never saw")


@given(requests())
def test_without_a_policy_nothing_is_changed_or_refused(request: Fields) -> None:
    reading = from_fields(**request)
    row = _SCORER.row(reading)
    settled = _settled({}, reading, _SCORER)
    assert settled.row == row or repr(settled.row) == repr(row)
    assert settled.fault is None
    assert not settled.normalised


@given(requests())
def test_after_normalising_no_lookalikes_are_left_and_known_values_are_as_they_were(
    request: Fields,
) -> None:
    reading = from_fields(**request)
    settled = _settled(dict.fromkeys(_CORRECTABLE, "normalise"), reading, _SCORER)
    assert not {f"lookalike-letters:{name}" for name in PLATES}.intersection(settled.warnings)
    assert settled.fault is None
    sent = _SCORER.warnings(reading, _SCORER.row(reading))
    corrected = {warning for warning in _CORRECTABLE if warning.split(":")[1] in settled.normalised}
    assert corrected <= set(sent)


def test_the_settings_know_the_warnings_that_the_model_has() -> None:
    assert {*policies.SENT, *policies.COMPUTED, *policies.CALENDAR} == set(CATEGORICAL)
    assert tuple(PROBED) == policies.SENT
    assert policies.PLATES == PLATES
    assert policies.CALENDAR == CALENDAR
    of_categories = (warning_of(UNSEEN, feature) for feature in CATEGORICAL)
    assert sorted(policies.WARNINGS) == sorted((*WARNINGS, *of_categories))


def test_every_feature_is_made_of_a_field() -> None:
    fields = {name: field_of(name) for name in NAMES if name != "foreign_sym"}
    assert set(fields.values()) == set(FIELDS)
