"""The parameters of jobs: what a caller may say about an input, checked when it is submitted."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from model import InvalidRequest
from model.tables.options import FORMATS, SEPARATORS, Dates, Options, text_encoding
from service.http.query import flag

_DATES: Final[dict[str, Dates]] = {"": "", "dmy": "dmy", "mdy": "mdy"}
_NAMES: Final = ("detail", "format", "sep", "encoding", "decimal", "dates", "sheet")
_SEPARATORS: Final = {"tab": "\t", **{sep: sep for sep in SEPARATORS}}


class TableParameters(NamedTuple):
    """How a file is read, in what form its result is written (that of the file if ""), details."""

    options: Options
    format: str
    detail: bool


def wants_detail(parameters: Mapping[str, str]) -> bool:
    """Whether `detail` asks for details. Raises InvalidRequest unless it is 0 or 1."""
    return flag("detail", parameters.get("detail") or "0")


def wants_explanation(parameters: Mapping[str, str]) -> bool:
    """Whether `explain` asks for an explanation. Raises InvalidRequest unless it is 0 or 1."""
    return flag("explain", parameters.get("explain") or "0")


def table_parameters(parameters: Mapping[str, str]) -> TableParameters:
    """Return the parameters of a table. Raises InvalidRequest for what they can't be."""
    for name in _NAMES:
        if parameters.get(name) == "":
            raise InvalidRequest(name, "must not be empty", "range")
    given = {name: parameters.get(name, "") for name in _NAMES}
    if given["format"] not in {"", *FORMATS}:
        raise InvalidRequest("format", f"must be one of {', '.join(FORMATS)}", "range")
    if given["sep"] not in {"", *_SEPARATORS}:
        raise InvalidRequest("sep", "must be one of , ; | and tab", "range")
    if given["decimal"] not in {"", ".", ","}:
        raise InvalidRequest("decimal", "must be . or ,", "range")
    if given["dates"] not in _DATES:
        raise InvalidRequest("dates", "must be dmy or mdy", "range")
    options = Options(
        _SEPARATORS.get(given["sep"], ""),
        _encoding(given["encoding"]),
        given["decimal"],
        _DATES[given["dates"]],
        given["sheet"],
    )
    return TableParameters(options, given["format"], wants_detail(parameters))


def _encoding(name: str) -> str:
    try:
        return text_encoding(name) if name else ""
    except LookupError:
        raise InvalidRequest("encoding", "is not known", "range") from None
