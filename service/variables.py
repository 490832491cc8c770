"""Settings as variables of one prefix, in an environment over a `.env` file.

For all settings of this room. What looks at an environment is its settings files, which hand it
in here. An empty value counts as not set, and does not hide that of the file.
"""

from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Generic, TypeVar

import msgspec
from dotenv import dotenv_values
from dotenv.parser import Binding, parse_stream
from msgspec import Struct

Settings = TypeVar("Settings", bound=Struct)


class SettingsError(Exception):
    """A setting that can't be used: `variable` is its name in the environment."""

    def __init__(self, variable: str, reason: str) -> None:
        super().__init__(f"{variable}: {reason}")
        self.variable = variable


class Variables(Generic[Settings]):
    """The variables of a struct of settings: a prefix and the field's name in capitals."""

    def __init__(self, prefix: str, kind: type[Settings]) -> None:
        self.prefix = prefix
        self._kind = kind

    def name(self, field: str) -> str:
        """The variable of a field."""
        return self.prefix + field.upper()

    def read(self, environ: Mapping[str, str], dotenv: Path) -> Settings:
        """The settings that are given, each checked by itself. Raises SettingsError."""
        given = self._given(environ, dotenv)
        fields = {field: self.name(field) for field in self._kind.__struct_fields__}
        values = {field: given[name] for field, name in fields.items() if name in given}
        try:
            return msgspec.convert(values, self._kind, strict=False)
        except msgspec.ValidationError as error:
            reason, _, path = str(error).partition(" - at `$.")
            name = self.name(path.rstrip("`"))
            raise SettingsError(name, reason.replace("`", "")) from None  # the cause tells values

    def unknown(self, environ: Mapping[str, str], dotenv: Path) -> list[str]:
        """Those that carry the prefix and set nothing: misspelt, or of another version."""
        known = map(self.name, self._kind.__struct_fields__)
        return sorted(self._given(environ, dotenv).keys() - set(known))

    def help(self) -> str:
        """A line for each: its name, what it means, its default."""
        schema = msgspec.json.schema(self._kind)["$defs"][self._kind.__name__]["properties"]
        width = max(map(len, schema)) + len(self.prefix)
        return "\n".join(
            f"  {self.name(field):{width}} {of['description']} [{of.get('default', '')}]"
            for field, of in schema.items()
        )

    def _given(self, environ: Mapping[str, str], dotenv: Path) -> dict[str, str]:
        return {
            name: value
            for source in (_of_file(dotenv), environ)
            for name, value in source.items()
            if name.startswith(self.prefix) and value
        }


def _of_file(dotenv: Path) -> dict[str, str | None]:
    """What a `.env` file sets; nothing if there is none. Raises SettingsError.

    A line that can't be parsed is not passed over: it may hold the keys, in whose place the
    example key would be in force.
    """
    try:
        text = dotenv.read_text("utf-8")
    except (FileNotFoundError, IsADirectoryError):
        return {}
    except (OSError, UnicodeError):
        raise SettingsError(str(dotenv), "it can't be read as UTF-8 text") from None
    for binding in parse_stream(StringIO(text)):
        if binding.error:
            reason = f"line {_line(binding)} is no NAME=value, or a quotation mark does not close"
            raise SettingsError(str(dotenv), reason)
    return dotenv_values(stream=StringIO(text))


def _line(binding: Binding) -> int:
    """The number of its line: the parser counts from the empty ones before it."""
    text = binding.original.string
    return binding.original.line + text[: len(text) - len(text.lstrip())].count("\n")
