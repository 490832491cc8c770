"""Which readings a worker keeps, and how much memory they take at most."""

import sys
from collections.abc import Callable
from typing import Any

import pytest

from model.regno import Reading, RegnoScorer
from model.regno.request import from_fields
from service.config.settings import Settings
from service.scoring.recent import LARGEST_BYTES, Recent, recent
from tests.support.parts import AppMaker, parts_of


@pytest.fixture
def reading(request_body: dict[str, Any]) -> Callable[..., Reading]:
    def make(**changed: object) -> Reading:
        return from_fields(**{**request_body, **changed})

    return make


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ({}, 0),
        ({"registry": "/m"}, 0),
        ({"admins": "boss"}, 0),
        ({"registry": "/m", "admins": " , "}, 0),
        ({"registry": "/m", "admins": "boss"}, 1000),
        ({"registry": "/m", "admins": "boss", "parity_rows": 7}, 7),
        ({"registry": "/m", "admins": "boss", "parity_rows": 0}, 0),
    ],
)
def test_readings_are_kept_only_where_a_promotion_can_use_them(
    settings: dict[str, Any], kept: int
) -> None:
    assert Settings(**settings).kept_readings == kept


def test_where_none_are_kept_none_are(make_app: AppMaker, request_body: dict[str, Any]) -> None:
    app = make_app()
    for body in (request_body, [request_body] * 3):
        reply = app.test_client().post("/reg/", json=body, headers={"x-api-key": "123321"})
        assert reply.status_code == 200
    assert list(parts_of(app).slot.recent) == []


def test_the_newest_ones_are_kept(reading: Callable[..., Reading]) -> None:
    kept = recent(3, RegnoScorer.memory_of)
    kept.append(reading(camera_class="1"))
    kept.extend(reading(camera_class=str(number)) for number in range(2, 6))
    kept.append(reading(camera_class="6"))
    assert [one.camera_class for one in kept] == ["4", "5", "6"]


_LARGE: list[dict[str, Any]] = [
    {"afts_regno_ai_char_scores": [0.5] * 1000},
    {"afts_regno_ai_length_scores": "[" + "1," * 999 + "1]"},
    *({name: "Ж" * 1000} for name in ("regno_recognize", "afts_regno_ai", "camera_class")),
    {"camera_type": "😀" * 1000},
    {"afts_regno_ai_char_scores": [0.5] * 64, "afts_regno_ai_length_scores": [0.5] * 65},
]


@pytest.mark.parametrize("changed", _LARGE)
def test_large_ones_are_not_kept(changed: dict[str, Any], reading: Callable[..., Reading]) -> None:
    kept, usual = recent(10, RegnoScorer.memory_of), reading()
    kept.append(reading(**changed))
    kept.extend([reading(**changed), usual, reading(**changed)])
    assert list(kept) == [usual]


def test_a_full_place_takes_so_much_memory_at_most(reading: Callable[..., Reading]) -> None:
    """By what Python says of the parts, for the greatest of each kind that is kept."""
    greatest = [
        reading(afts_regno_ai_char_scores=[n / 100 for n in range(90)]),
        reading(camera_class="Ж" * 840),
        reading(camera_class="😀" * 840),
    ]
    assert all(RegnoScorer.memory_of(one) <= LARGEST_BYTES for one in greatest)
    for one in greatest:
        parts = [getattr(one, name) for name in one.__struct_fields__]
        parts += [*one.afts_regno_ai_char_scores, *one.afts_regno_ai_length_scores]
        assert sum(map(sys.getsizeof, [one, *parts])) < 1.5 * LARGEST_BYTES
    assert isinstance(recent(1, RegnoScorer.memory_of), Recent)
