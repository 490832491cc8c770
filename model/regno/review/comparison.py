"""What a person compares who reviews a decision: two readings, place by place."""

from collections.abc import Iterator
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Final

from msgspec import Struct

from model.regno.request import Reading

# Of readings longer than any plate the alignment would take long, and show nothing.
_LONGEST: Final = 24
# So many differences are described one by one.
_DESCRIBED: Final = 3
_DIRECTIONS: Final = ("towards the camera", "away from the camera")


class Place(Struct, frozen=True):
    """A place of both readings; "" where one has no character.

    `confidence` is the network's in its own character, None where there is none.
    """

    camera: str
    network: str
    confidence: float | None

    @property
    def differs(self) -> bool:
        """Whether the characters are not the same."""
        return self.camera != self.network


class Comparison(Struct, frozen=True):
    """Two readings of a plate, and what is known of them apart from any score.

    `text` says where they differ. Cases of equal `likeness` are compared in the same way; no
    character is in it. Confidences are shares of 1.
    """

    places: tuple[Place, ...]
    text: str
    likeness: str
    camera_confidence: float
    network_confidence: float
    circumstances: dict[str, str]


def compare(reading: Reading) -> Comparison:
    """The comparison of the two readings of a request."""
    places = tuple(_places(reading))
    differing = [number for number, place in enumerate(places, start=1) if place.differs]
    circumstances = {
        "camera type": reading.camera_type,
        "camera class": reading.camera_class,
        "time": reading.time_check.text,
        "direction": _DIRECTIONS[reading.direction],
    }
    return Comparison(
        places,
        _text(places, differing),
        f"{reading.camera_type}: {','.join(map(str, differing[:_LONGEST]))}",
        reading.recognition_accuracy / 100,
        reading.afts_regno_ai_score,
        circumstances,
    )


def _places(reading: Reading) -> Iterator[Place]:
    """Readings of one length are compared place by place, others by what they have in common."""
    confidences = iter(reading.afts_regno_ai_char_scores)
    for camera, network in _aligned(reading.regno_recognize, reading.afts_regno_ai):
        yield Place(camera, network, next(confidences, None) if network else None)


def _aligned(camera: str, network: str) -> Iterator[tuple[str, str]]:
    if len(camera) == len(network) or max(len(camera), len(network)) > _LONGEST:
        yield from zip_longest(camera, network, fillvalue="")
        return
    matcher = SequenceMatcher(None, camera, network, autojunk=False)
    for _, begin, end, other_begin, other_end in matcher.get_opcodes():
        yield from zip_longest(camera[begin:end], network[other_begin:other_end], fillvalue="")


def _text(places: tuple[Place, ...], differing: list[int]) -> str:
    if not differing:
        return "The readings are equal."
    if len(differing) > _DESCRIBED:
        return f"They differ at {len(differing)} of {len(places)} places."
    named = (f"at place {number}, {_difference(places[number - 1])}" for number in differing)
    return f"They differ {'; '.join(named)}."


def _difference(place: Place) -> str:
    return f"the camera read {place.camera or 'nothing'}, the network {place.network or 'nothing'}"
