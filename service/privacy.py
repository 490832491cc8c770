"""What looks like a number plate, and its removal from what leaves the process.

Nothing that holds a plate is meant to reach a log, a report or a trace in the first place.
This is the second fence, for words that come from elsewhere: ids that clients choose, messages
of libraries, names in a traceback. A plate that is taken for an id stays in logs; an id that is
taken for a plate only costs its client the own id. So what may be a plate is taken for one.

A plate may be in small letters, with Latin letters that look or sound like the Cyrillic ones, with
gaps between any of its characters, with its region first, and within a longer word. Not found is,
in small letters at the end of a word in small letters, what has its digits in one piece at one
end, or no region: `node12345` is no trailer's plate. Nor is, in a text, a short English word
between blanks a group of letters.

The patterns for ids are in the dialect that Python and PCRE share: `service.edge` has them, too.
"""

import re
import unicodedata
from collections.abc import Iterable
from typing import Final, NamedTuple
from urllib.parse import unquote

_WITHHELD: Final = "[plate]"

# L is a letter of plates, P one that is no D, F any letter, d a digit; another letter is itself.
# A number says how many there are. The formats are those of `model.regno.plates`.
_ANYWHERE: Final = (
    "L d3 L2 d2",  # cars
    "d2-3 L d3 L2",  # cars, region first
    "d4 L2 d2",  # motorcycles, tractors
    "L2 d3 L d2",  # transit
    "L2 d2 L2 d2",  # old ones
)
# Found only where the letters and digits at their ends do not go on.
_APART: Final = (
    "d3 C D d3-6",  # diplomats: before what is shorter
    "d3 D d3-6",
    "d3 T d3-6",
    "L2 d5-7",  # taxis, buses, trailers
    "T L2 d5-6",  # export
    "P d6-7",  # police cars
    "d3-4 L d2-3",  # police motorcycles and trailers
    "L d3-4 L2",  # cars without their region, old ones
    "d2-3 L2 d3",  # region first
    "d2-3 L d4",
)
# Those of them that begin with letters: without gaps, behind a letter that no plate has.
_BEHIND_WORDS: Final = ("L2-3 d5-7", "P d6-7", "L d3-4 L2")
# Of other countries; gaps are between letters and digits only. The second are whole words.
_FOREIGN: Final = ("F2 d4 F2", "d3 F3 d2")
_FOREIGN_WORDS: Final = ("F1-2 d3 F2-3", "d4 F2 d")

_UUID: Final = r"[\da-fA-F]{8}(?:-?[\da-fA-F]{4}){3}-?[\da-fA-F]{12}"
# Usual ids, which hold no plate whatever they spell.
_IDS: Final = (
    _UUID,
    # Other numbers in hex: with more letters than a plate has, or one that no plate has.
    r"(?=[\da-f]*f|(?:\d*[a-f]){4})[\da-f]{12,64}",
    r"(?=[\dA-F]*F|(?:\d*[A-F]){4})[\dA-F]{12,64}",
    # W3C's trace context, B3, Jaeger; X-Ray.
    r"(?:[\da-f]{2}-)?(?:[\da-f]{16}){1,2}[:-][\da-f]{16}(?:[:-][\da-f]{1,2}){0,2}",
    r"1-[\da-f]{8}-[\da-f]{24}",
    # ULIDs, up to the year 2039.
    r"01(?:[\dA-HJKMNP-TV-Z]{24}|[\da-hjkmnp-tv-z]{24})",
    # Times in ISO 8601, whose T is a letter of plates.
    r"\d{4}-?\d\d-?\d\dT\d\d(?::?\d\d){1,2}(?:\.\d{1,9})?Z?",
    # Versions of models.
    r"(?:sha256|regno)-[\da-f]{12}|regno-sim-[\da-f]{8}",
    # Addresses in memory.
    r"0x[\da-f]{9,16}",
)
# Where a word begins and ends.
_BEGIN: Final = r"(?<![^\W_])"
_END: Final = r"(?![^\W_])"
_ID: Final = f"{_BEGIN}(?:{'|'.join(_IDS)}){_END}"


class _Letters(NamedTuple):
    """The insides of character classes: the letters of plates but D, of foreign ones, by case.

    `but` is a lookahead for what is no group of letters of a plate.
    """

    of_plates: str
    of_foreign: str
    upper: str
    lower: str
    but: str = ""


# Those that look like the twelve letters of plates, or stand for them: V, N, R, S, U too.
_LATIN: Final = _Letters("A-CEHKM-PR-VXYa-cehkm-pr-vxy", "A-Za-z", "A-Z", "a-z")
_ALL: Final = _Letters(
    f"{_LATIN.of_plates}АВЕКМНОРСТУХавекмнорстух", "A-Za-zА-ЯЁа-яё", "A-ZА-ЯЁ", "a-zа-яё"
)
# With blanks between letters and numbers, these would be words and units.
_PRINTED: Final = _ALL._replace(
    of_foreign="A-ZА-ЯЁ",
    but=r"(?!(?:a|am|an|as|at|b|be|by|do|h|he|m|me|ms|my|no|on|or|s|so|to|up|us)\s)",
)


def _layouts(layouts: Iterable[str], letters: _Letters, between: str, within: str = "") -> str:
    """Any of some layouts, with gaps between their groups and within these."""
    return "|".join(
        between.join(_group(token[0], token[1:], letters, within) for token in layout.split())
        for layout in layouts
    )


def _group(symbol: str, count: str, letters: _Letters, gap: str) -> str:
    classes = {
        "L": f"[{letters.of_plates}Dd]",
        "P": f"[{letters.of_plates}]",
        "F": f"[{letters.of_foreign}]",
        "d": r"\d",
    }
    least, _, most = (count or "1").partition("-")
    character = classes.get(symbol, f"[{symbol}{symbol.lower()}]")
    more = f"(?:{gap}{character})?" * (int(most or least) - int(least))
    whole = gap.join([character] * int(least)) + more
    return whole if symbol == "d" else letters.but + whole


def _plates(letters: _Letters, gap: str) -> str:
    """Any plate; `gap` is the class of the characters that may be in gaps."""
    anywhere = _layouts(_ANYWHERE, letters, f"{gap}*", f"{gap}*")
    apart = _layouts(_APART, letters, f"{gap}*", f"{gap}*")
    foreign = _layouts(_FOREIGN, letters, f"{gap}?")
    whole = _layouts(_FOREIGN_WORDS, letters, f"{gap}?")
    behind = _layouts(_BEHIND_WORDS, letters, "")
    kinds = (f"[{letters.upper}]", f"[{letters.lower}]", r"\d")
    begin = "|".join(f"(?<!{kind})(?={kind})" for kind in kinds)
    end = "|".join(f"(?<={kind})(?!{kind})" for kind in kinds)
    return (
        rf"{anywhere}|(?:{begin})(?:{apart}|{foreign})(?:{end})"
        rf"|{_BEGIN}(?:{whole}){_END}|(?<=[fgijlqwz])(?:{behind})(?!\d)"
    )


_GAP: Final = "[ ._:-]"
# Where a plate may begin, quickly seen: up to three letters and a digit, or digits and a letter.
_LIKE: Final = rf"[A-Za-z](?:{_GAP}*[A-Za-z]){{0,2}}{_GAP}*\d|\d(?:{_GAP}*\d){{1,6}}{_GAP}*[A-Za-z]"
# From the begin of an id to the end of the first plate in it, past usual ids.
PLATE_IN_ID: Final = rf"(?>{_ID}|.)*?(?={_LIKE})(?!{_ID})(?:{_plates(_LATIN, _GAP)})"
_in_id: Final = re.compile(PLATE_IN_ID, re.ASCII).match

# What is quicker to see: that all of it is a usual id or a number; and that it has neither three
# digits beside a letter nor two beside two, which each plate has.
_is_usual: Final = re.compile("|".join((*_IDS, r"[\d._:-]+")), re.ASCII).fullmatch
_has_digits: Final = re.compile(
    rf"[A-Za-z]{_GAP}*\d{_GAP}*\d{_GAP}*\d|\d{_GAP}*\d{_GAP}*\d{_GAP}*[A-Za-z]"
    rf"|\d{_GAP}*\d{_GAP}*[A-Za-z]{_GAP}*[A-Za-z]{_GAP}*\d",
    re.ASCII,
).search


def may_be_plate(identifier: str) -> bool:
    """Whether an id that a client chose may hold a plate."""
    if not identifier.isascii():
        return scrub(identifier) != identifier
    return bool(not _is_usual(identifier) and _has_digits(identifier) and _in_id(identifier))


# Cars' in small letters, with blanks: hardly any English is like them.
_CAR: Final = _layouts(("L d3 L2 d2-3", "d2-3 L d3 L2"), _ALL, r"[\s._:-]?")
# One blank between all characters, as the model's features of text have them, whatever the layout.
_SPACED: Final = r"(?=(?:\w ){0,30}[^\W\d_])(?=(?:\w ){0,30}\d)\w(?: \w){5,}"
# Any other mixture of Cyrillic letters and digits, whole or misread.
_MIXED: Final = r"(?=[^\W_]*[А-Яа-яЁё])(?=[^\W_]*\d)[^\W_]{4,}"
_WITH_BLANKS: Final = _plates(_PRINTED, r"[\s._:-]")
_WITHIN_WORDS: Final = _plates(_ALL, "[._:-]")
# What is behind a plate within a word goes with it.
_in_text: Final = re.compile(
    rf"(?P<id>{_ID})"
    rf"|{_BEGIN}(?:{_SPACED}|(?:{_WITH_BLANKS})(?:[\s._:-]*\d)?|{_CAR}){_END}"
    rf"|(?:{_WITHIN_WORDS})(?:[._:-]*\d(?!\d))?[^\W_]*"
    rf"|{_BEGIN}{_MIXED}{_END}"
)
_has_digit: Final = re.compile(r"\d").search
_BYTE: Final = re.compile(r"\\x([\da-fA-F]{2})")
_CODE: Final = re.compile(r"\\u(?![dD][89a-fA-F])([\da-fA-F]{4})")


def scrub(text: str) -> str:
    """The text with everything that looks like a plate replaced.

    Where a plate is written in escapes or in other forms of its characters, such as those of full
    width, all of the text is put into plain ones.
    """
    if not _has_digit(text):
        return text
    plain = _plain(text)
    scrubbed = _in_text.sub(lambda match: match["id"] or _WITHHELD, plain)
    return text if scrubbed == plain else scrubbed


def _plain(text: str) -> str:
    coded = _CODE.sub(lambda match: chr(int(match[1], 16)), text)
    quoted = _BYTE.sub(r"%\1", coded)
    # Twice, as addresses are quoted within addresses.
    return unicodedata.normalize("NFKC", unquote(unquote(quoted)))
