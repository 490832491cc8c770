"""Valid requests, and invalid bodies."""

import json
from typing import Any

from hypothesis import strategies as st

from model.regno.request import TIME_PATTERN
from tests.support.paths import GOLDEN, lines

PLATES = st.one_of(
    st.text(alphabet="АВЕКМНОРСТУХABCDTЁЯ0123456789_٣ ", max_size=12), st.text(max_size=12)
)
# As far as the document describes numbers in strings; the decoder reads all that are finite.
FINITE = st.floats(-1e307, 1e307)
TIMES = st.from_regex(TIME_PATTERN, fullmatch=True)


def _number_or_text(numbers: st.SearchStrategy[float]) -> st.SearchStrategy[float | str]:
    return st.one_of(numbers, numbers.map(json.dumps))


def _list_or_text(
    numbers: st.SearchStrategy[float],
) -> st.SearchStrategy[list[float] | str]:
    several = st.lists(numbers, max_size=14)
    return st.one_of(several, several.map(json.dumps))


def requests(
    confidences: st.SearchStrategy[float] = FINITE,
) -> st.SearchStrategy[dict[str, Any]]:
    """Valid requests, in every form the contract accepts; lists hold such confidences."""
    return st.fixed_dictionaries(
        {
            "regno_recognize": PLATES,
            "afts_regno_ai": PLATES,
            "recognition_accuracy": _number_or_text(st.floats(0, 100)),
            "afts_regno_ai_score": _number_or_text(st.floats(0, 1)),
            "afts_regno_ai_char_scores": _list_or_text(confidences),
            "afts_regno_ai_length_scores": _list_or_text(confidences),
            "camera_type": st.one_of(st.sampled_from(["Стационарная", "Передвижная"]), st.text()),
            "camera_class": st.one_of(st.sampled_from(["Астра-Трафик", "Стрелка"]), st.text()),
            "time_check": TIMES,
            "direction": st.sampled_from([0, 1, "0", "1"]),
        }
    )


# A request that has no warning. The row's own list lacks the last character's confidence.
_SCORES = "[1.0, 0.999, 1.0, 0.133, 1.0, 0.639, 1.0, 0.75]"
_USUAL = {**lines(GOLDEN)[0]["request"], "afts_regno_ai_char_scores": _SCORES}
VALID: bytes = json.dumps(_USUAL, ensure_ascii=False).encode()
_SNIPPETS = st.one_of(
    st.binary(max_size=6),
    st.sampled_from(
        [
            b"NaN",
            b"1e999",
            b"-",
            b"[",
            b"]",
            b"{",
            b"}",
            b'"',
            b"\\",
            b"\\ud800",
            b"null",
            b",",
            b":",
        ]
    ),
)


@st.composite
def mutations(draw: st.DrawFn) -> bytes:
    """A valid body, or an array of them, with a few pieces cut out or put in."""
    body = VALID if draw(st.booleans()) else b"[" + VALID + b"," + VALID + b"]"
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(body)))
        cut = draw(st.integers(0, 5))
        body = body[:at] + draw(_SNIPPETS) + body[at + cut :]
    return json.dumps(body.decode("utf-8", "replace")).encode() if draw(st.booleans()) else body
