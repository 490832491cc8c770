"""Settings as variables of one prefix, in an environment over a `.env` file.

The settings modules of the service and of the edge pass the environment in. An empty value counts
as not set, and does not hide that of the file.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from io import StringIO
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

import msgspec
from dotenv import dotenv_values
from dotenv.parser import Binding, parse_stream
from msgspec import Struct

Settings = TypeVar("Settings", bound=Struct)

_KINDS: Final = {"integer": "a whole number", "number": "a number", "boolean": "true or false"}
# Cyrillic and Greek capitals, and the Latin ones that they look like.
_LOOKALIKES: Final = str.maketrans(
    "АВЕКМНОРСТУХІЅЈΑΒΕΖΗΙΚΜΝΟΡΤΥΧ",
    "ABEKMHOPCTYXISJABEZHIKMNOPTYX",
)
_DECIMAL_COMMA: Final = re.compile(r"\s*[+-]?\d+,\d+\s*")


class SettingsError(Exception):
    """A setting that can't be used: `variable` is its name in the environment."""

    def __init__(self, variable: str, reason: str) -> None:
        super().__init__(f"{variable}: {reason}")
        self.variable = variable


class Variables(Generic[Settings]):
    """The variables of a struct of settings: a prefix and the field's name in capitals."""

    def __init__(
        self, prefix: str, kind: type[Settings], former: Mapping[str, str] | None = None
    ) -> None:
        """`former` maps fields to the former names of their variables, which are still accepted."""
        self.prefix = prefix
        self._kind = kind
        self.former = former or {}

    def name(self, field: str) -> str:
        """The variable of a field."""
        return self.prefix + field.upper()

    def read(self, environ: Mapping[str, str], dotenv: Path) -> Settings:
        """The settings that are given, each checked by itself. Raises SettingsError."""
        given = self._given(environ, dotenv)
        self._check_names(given)
        sources = self._sources(given)
        values = {field: given[name] for field, name in sources.items()}
        try:
            return msgspec.convert(values, self._kind, strict=False)
        except msgspec.ValidationError as error:
            field = str(error).rpartition("$.")[2].rstrip("`")
            reason = _requirement(self._schema()[field], values[field])
            raise SettingsError(sources[field], reason) from None  # the cause may hold the value

    def unknown(self, environ: Mapping[str, str], dotenv: Path) -> list[str]:
        """Variables that carry the prefix and set nothing: misspelt, or of another version."""
        return sorted(self._given(environ, dotenv).keys() - self._known)

    def renamed(self, environ: Mapping[str, str], dotenv: Path) -> dict[str, str]:
        """The former names that are set, each with the name that replaces it."""
        given = self._given(environ, dotenv)
        return {old: self.name(field) for field, old in self.former.items() if old in given}

    def help(self) -> str:
        """A line for each: its name, what it means, its default."""
        schema = self._schema()
        width = max(map(len, schema)) + len(self.prefix)
        return "\n".join(
            f"  {self.name(field):{width}} {of['description']} [{of.get('default', '')}]"
            for field, of in schema.items()
        )

    def _schema(self) -> dict[str, Any]:
        """What each field may be, by its name."""
        struct: dict[str, Any] = msgspec.json.schema(self._kind)["$defs"][self._kind.__name__]
        return dict(struct["properties"])

    def _given(self, environ: Mapping[str, str], dotenv: Path) -> dict[str, str]:
        return {
            name: value
            for source in (_of_file(dotenv), environ)
            for name, value in source.items()
            if _plain(name).startswith(self.prefix) and value
        }

    @property
    def _known(self) -> set[str]:
        return {*map(self.name, self._kind.__struct_fields__), *self.former.values()}

    def _sources(self, given: Mapping[str, str]) -> dict[str, str]:
        """The variable that sets each field. Raises SettingsError where two disagree."""
        sources = {}
        for field in self._kind.__struct_fields__:
            names = [self.name(field), self.former.get(field, "")]
            names = [name for name in names if name in given]
            if len({given[name] for name in names}) > 1:
                reason = f"{names[0]}, its new name, is set to another value: remove this one"
                raise SettingsError(names[1], reason)
            if names:
                sources[field] = names[0]
        return sources

    def _check_names(self, given: Iterable[str]) -> None:
        """Raise SettingsError for a name that only looks like a setting's: its value is missed."""
        for name in given:
            if name not in self._known and (meant := _plain(name)) in self._known:
                shown = name.encode("ascii", "backslashreplace").decode()
                reason = f"it sets nothing, but looks like {meant}: write that"
                raise SettingsError(shown, reason)


def _plain(name: str) -> str:
    """A name in capitals, with Latin letters for those that look alike, and _ for all between."""
    latin = unicodedata.normalize("NFKC", name).upper().translate(_LOOKALIKES)
    seen = "".join(letter for letter in latin if unicodedata.category(letter) != "Cf")
    return re.sub("[^A-Z0-9]+", "_", seen).strip("_")


def _requirement(schema: Mapping[str, Any], given: str) -> str:
    """What a value must be. Never repeats the value, which may be a misplaced secret."""
    if "enum" in schema:
        return f"it must be one of {', '.join(schema['enum'])}"
    if "pattern" in schema:
        return f"it must match {schema['pattern']}"
    kind = schema["type"]
    comma = kind == "number" and _DECIMAL_COMMA.fullmatch(given)
    hint = ", written with a point, not a comma" if comma else ""
    return f"it must be {_KINDS[kind]}{_bounds(schema)}{hint}"


def _bounds(schema: Mapping[str, Any]) -> str:
    if "minimum" in schema and "maximum" in schema:
        return f" from {schema['minimum']:.12g} to {schema['maximum']:.12g}"
    names = {"exclusiveMinimum": "above", "minimum": "of at least", "maximum": "of at most"}
    bounds = [f"{name} {schema[bound]:.12g}" for bound, name in names.items() if bound in schema]
    return f" {' and '.join(bounds)}" if bounds else ""


def _of_file(dotenv: Path) -> dict[str, str | None]:
    """What a `.env` file sets; nothing if there is none. Raises SettingsError.

    A line that can't be parsed, or sets nothing, is not passed over: it may hold the keys, in
    whose place the example key would be in force.
    """
    try:
        text = dotenv.read_text("utf-8")
    except (FileNotFoundError, IsADirectoryError):
        return {}
    except (OSError, UnicodeError):
        raise SettingsError(str(dotenv), "it can't be read as UTF-8 text") from None
    if "\0" in text:  # in UTF-16 it would set nothing, and the example key would be in force
        raise SettingsError(str(dotenv), "it looks like UTF-16, not UTF-8")
    for binding in parse_stream(StringIO(text)):
        if binding.error or (binding.key is not None and binding.value is None):
            reason = f"line {_line(binding)} is not NAME=value, or a quotation mark does not close"
            raise SettingsError(str(dotenv), reason)
    return dotenv_values(stream=StringIO(text))


def _line(binding: Binding) -> int:
    """The number of its line: the parser counts from the empty ones before it."""
    text = binding.original.string
    return binding.original.line + text[: len(text) - len(text.lstrip())].count("\n")
