"""The patterns of number plates in texts and ids, and the redaction of texts with them.

No code passes a plate to a log, a report or a trace. This is the second defence, for texts from
elsewhere: ids that clients choose, messages of libraries, names in a traceback. A plate that is
taken for an id would stay in logs, but an id that is taken for a plate only costs its client the
id. So everything that may be a plate counts as one.

A plate may be in small letters, with Latin letters that look or sound like the Cyrillic ones, with
gaps between any of its characters, with its region first, and within a longer word. One in small
letters within a longer word in small letters is not found if all its digits are at one end, or if
it has no region: `node12345` is not a trailer's plate. In a text, a short English word between
blanks is not a group of letters, and neither is a unit after a number.

The patterns for ids use the syntax that Python and PCRE share, since `service.edge` uses them, too.
"""

import re
import unicodedata
from collections.abc import Iterable
from itertools import groupby
from typing import Final, NamedTuple
from urllib.parse import unquote

_WITHHELD: Final = "[plate]"

# L is a letter of plates, P one other than D, F any letter, d a digit, R the region, which is also
# found first; another letter is itself. A number says how many there are. The formats are those of
# `model.regno.plates`.
_LAYOUTS: Final = (
    "d3 C D d1-4 R",  # diplomats: before what is shorter
    "d3 L d3-4 R",  # by D or T
    "L d3 L2 R",  # cars
    "d4 L2 R",  # motorcycles, tractors
    "L2 d3 L R",  # transit
    "L2 d2 L2 R",  # old ones
    "L2 d3-4 R",  # taxis, buses, trailers
    "T L2 d3 R",  # export
    "P d4 R",  # police cars
    "d3-4 L R",  # police motorcycles and trailers
)
_REGION: Final = "d2-3"
_FORMS: Final = tuple(
    form.replace("R", _REGION)
    for layout in _LAYOUTS
    for form in (layout, f"R {layout.removesuffix(' R')}")
)
_WITHOUT_REGION: Final = "L d3-4 L2"  # cars, old ones


def _groups(form: str) -> int:
    """How often letters follow on digits or these on letters, and one more."""
    return len(list(groupby(token[0] == "d" for token in form.split())))


# These are found within other letters and digits, too.
_ANYWHERE: Final = tuple(form for form in _FORMS if _groups(form) > 2)
# Letters and digits in one piece each. They are not found where the letters go on; nor where the
# digits do behind them, as numbers do behind a short word.
_APART: Final = tuple(form for form in _FORMS if _groups(form) == 2)
# Those of them that begin with letters: without gaps, behind a letter that no plate has.
_BEHIND_WORDS: Final = ("L2-3 d5-7", "P d6-7", _WITHOUT_REGION)
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
    # Dates, and times in ISO 8601, whose T is a letter of plates.
    r"(?:19|20)\d\d-?[01]\d-?[0-3]\d(?:T\d\d(?::?\d\d){1,2}(?:\.\d{1,9})?Z?)?",
    # Versions of models.
    r"(?:sha256|regno)-[\da-f]{12}|(?:regno-sim|digits)-[\da-f]{8}",
    # Addresses in memory.
    r"0x[\da-f]{9,16}",
)
# Where a word begins and ends.
_BEGIN: Final = r"(?<![^\W_])"
_END: Final = r"(?![^\W_])"
_ID: Final = f"{_BEGIN}(?:{'|'.join(_IDS)}){_END}"


class _Letters(NamedTuple):
    """The insides of character classes: the letters of plates, of foreign ones, by case.

    `but` is a lookahead for what is not a group of letters of a plate.
    """

    of_plates: str
    of_foreign: str
    upper: str
    lower: str
    but: str = ""


# Those that look like the twelve letters of plates, or stand for them: V, N, R, S, U too; and D.
_LATIN: Final = _Letters("A-EHKM-PR-VXYa-ehkm-pr-vxy", "A-Za-z", "A-Z", "a-z")
_CYRILLIC: Final = "АВЕКМНОРСТУХавекмнорстух"
_ALL: Final = _Letters(f"{_LATIN.of_plates}{_CYRILLIC}", "A-Za-zА-ЯЁа-яё", "A-ZА-ЯЁ", "a-zа-яё")
# With blanks between letters and numbers, these would be words and units.
_PRINTED: Final = _ALL._replace(
    of_foreign="A-ZА-ЯЁ",
    but=r"(?!(?:a|am|an|as|at|b|be|by|do|h|he|m|me|ms|my|no|on|or|s|so|to|up|us)[\s,;.)])",
)


def _layouts(layouts: Iterable[str], letters: _Letters, between: str, within: str = "") -> str:
    """Any of some layouts, with gaps between their groups and within these."""
    return "|".join(
        between.join(_group(token[0], token[1:], letters, within) for token in layout.split())
        for layout in layouts
    )


def _group(symbol: str, count: str, letters: _Letters, gap: str) -> str:
    classes = {
        "L": f"[{letters.of_plates}]",
        "P": f"(?![Dd])[{letters.of_plates}]",
        "F": f"[{letters.of_foreign}]",
        "d": r"\d",
    }
    least, _, most = (count or "1").partition("-")
    character = classes.get(symbol, f"[{symbol}{symbol.lower()}]")
    more = f"(?:{gap}{character})?" * (int(most or least) - int(least))
    whole = gap.join([character] * int(least)) + more
    return whole if symbol == "d" else letters.but + whole


def _open(form: str) -> str:
    """A form without the digits that a plate may have more: enough where others may follow."""
    return re.sub(r"(?<=d\d)-\d", "", form)


def _shape(form: str) -> str:
    return "".join(token[0] * int(token[1:] or "1") for token in form.split())


def _shortest(forms: Iterable[str]) -> list[str]:
    """Of forms that are found anywhere, those that hold no other one."""
    shapes = {_shape(form): form for form in map(_open, forms)}
    return [
        form
        for shape, form in shapes.items()
        if not any(other in shape for other in shapes if other != shape)
    ]


def _plates(letters: _Letters, mark: str, gap: str, *, least: bool = False) -> str:
    """Any plate; `mark` is the class of characters that may be in gaps, `gap` is one or none.

    `least` is enough to see that there is one, though not all of it, in a pattern of less length:
    nginx takes 4,000 characters.
    """
    anywhere = _layouts(_shortest(_ANYWHERE) if least else _ANYWHERE, letters, gap, gap)
    open_apart = (_open(form) if form.startswith("d") else form for form in _APART)
    apart = _layouts(open_apart if least else _APART, letters, gap, gap)
    shorter = _layouts((_WITHOUT_REGION,), letters, gap, gap)
    foreign = _layouts(_FOREIGN, letters, f"{mark}?")
    whole = _layouts(_FOREIGN_WORDS, letters, f"{mark}?")
    behind = _layouts(_BEHIND_WORDS, letters, "")
    cases = (f"[{letters.upper}]", f"[{letters.lower}]")
    begin = "|".join(f"(?<!{case})(?={case})" for case in cases)
    end = "|".join(f"(?<={case})(?!{case})" for case in cases)
    return (
        rf"{anywhere}|(?:{begin}|(?=\d))(?:{apart})(?:{end}|(?<=\d))(?!\d)"
        rf"|(?:{begin})(?:{shorter})(?:{end})"
        rf"|(?:{begin}|(?<!\d)(?=\d))(?:{foreign})(?:{end}|(?<=\d)(?!\d))"
        rf"|{_BEGIN}(?:{whole}){_END}|(?<=[fgijlqwz])(?:{behind})(?!\d)"
    )


_MARK: Final = "[ ._:-]"
_GAP: Final = f"{_MARK}*"


def _like(letter: str, gap: str) -> str:
    """Where a plate may begin, quickly seen: letters and a digit, or digits and a letter."""
    return rf"{letter}(?:{gap}{letter}){{0,2}}{gap}\d|\d(?:{gap}\d){{1,6}}{gap}{letter}"


# From the start of an id to the end of the first plate in it, past usual ids.
_HERE: Final = _plates(_LATIN, _MARK, _GAP, least=True)
PLATE_IN_ID: Final = rf"(?>{_ID}|.)*?(?={_like('[A-Za-z]', _GAP)})(?!{_ID})(?:{_HERE})"
_in_id: Final = re.compile(PLATE_IN_ID, re.ASCII).match

# What is quicker to see: that all of it is a usual id or a number; and that it has neither three
# digits beside a letter nor two beside two, which each plate has.
_is_usual: Final = re.compile("|".join((*_IDS, r"[\d._:-]+")), re.ASCII).fullmatch
_has_digits: Final = re.compile(
    rf"[A-Za-z]{_GAP}\d{_GAP}\d{_GAP}\d|\d{_GAP}\d{_GAP}\d{_GAP}[A-Za-z]"
    rf"|\d{_GAP}\d{_GAP}[A-Za-z]{_GAP}[A-Za-z]{_GAP}\d",
    re.ASCII,
).search


def may_be_plate(identifier: str) -> bool:
    """Whether an id that a client chose may hold a plate."""
    if not identifier.isascii():
        return redact(identifier) != identifier
    return bool(not _is_usual(identifier) and _has_digits(identifier) and _in_id(identifier))


# In texts, one or two of whatever is not a letter or digit are a gap, or any number of usual ones;
# within words, none is blank. `&` is between fields. Letters before a gap belong to others before.
_ANY: Final = r"(?:(?!&)[\W_])"
_NO_BLANK: Final = r"(?:(?![\s&])[\W_])"
_ANY_GAP: Final = rf"(?>{_ANY}{{1,2}}(?!{_ANY})|[\s._:-]*)"
_NO_BLANKS: Final = rf"(?>{_NO_BLANK}{{1,2}}(?!{_NO_BLANK})|[._:-]*)"
_STARTS: Final = r"(?=\d|[^\W\d_]{1,3}\d)|(?<![A-ZА-ЯЁ])(?=[A-ZА-ЯЁ])|(?<![a-zа-яё])(?=[a-zа-яё])"
# Cars' in small letters, with blanks: hardly any English is like them.
_CAR: Final = _layouts(("L d3 L2 d2-3", "d2-3 L d3 L2"), _ALL, f"{_ANY}?")
# One blank between all characters, as the model's features of text have them, whatever the layout.
_SPACED: Final = r"(?=(?:\w ){0,30}[^\W\d_])(?=(?:\w ){0,30}\d)\w(?: \w){5,}"
# Any other mixture of Cyrillic letters and digits, whole or misread.
_MIXED: Final = r"(?=[^\W_]*[А-Яа-яЁё])(?=[^\W_]*\d)[^\W_]{4,}"
# A number with its unit.
_MEASURE: Final = rf"\d[\d\W_]*(?:[kKMT]?B|[mun]?s|[mhKMC]){_END}(?!{_ANY}*\d)"
_LETTER: Final = r"[^\W\d_]"
_WITH_BLANKS: Final = (
    rf"(?={_like(_LETTER, _ANY_GAP)})(?!{_MEASURE})(?:{_plates(_PRINTED, _ANY, _ANY_GAP)})"
)
_WITHIN_WORDS: Final = (
    rf"(?={_like(_LETTER, _NO_BLANKS)})(?:{_STARTS})(?:{_plates(_ALL, _NO_BLANK, _NO_BLANKS)})"
)
# What is behind a plate within a word goes with it.
_in_text: Final = re.compile(
    rf"(?P<id>{_ID})"
    rf"|{_BEGIN}(?:{_SPACED}|(?:{_WITH_BLANKS})(?:{_ANY_GAP}\d)?|{_CAR}){_END}"
    rf"|(?:{_WITHIN_WORDS})(?:{_NO_BLANKS}\d(?!\d))?[^\W_]*"
    rf"|{_BEGIN}{_MIXED}{_END}"
)
_has_digit: Final = re.compile(r"\d").search
_BYTE: Final = re.compile(r"\\x([\da-fA-F]{2})")
_CODE: Final = re.compile(r"[\\%]u(?![dD][89a-fA-F])([\da-fA-F]{4})")


def _misread() -> dict[str, str]:
    """The Cyrillic letters of plates by what they become when they are read by a wrong encoding."""
    wrong = [("cp1251", "latin-1"), ("utf-8", "latin-1"), ("utf-8", "cp1252"), ("utf-8", "cp1251")]
    return {
        letter.encode(written).decode(read, "replace"): letter
        for letter in _CYRILLIC
        for written, read in wrong
    }


_MISREAD: Final = _misread()
_misread_letter: Final = re.compile("|".join(sorted(_MISREAD, key=len, reverse=True)))


def redact(text: str) -> str:
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
    unquoted = unquote(unquote(quoted))
    read = _misread_letter.sub(lambda match: _MISREAD[match[0]], unquoted)
    return unicodedata.normalize("NFKC", read)


_is_layout: Final = re.compile(
    _layouts((*_FORMS, _WITHOUT_REGION), _ALL, f"{_ANY}*", f"{_ANY}*")
).fullmatch


def is_whole_plate(text: str) -> bool:
    """Whether all of a text is of a plate's layout: not so what only has a plate in it."""
    return bool(_is_layout(_plain(text)))
