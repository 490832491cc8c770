"""What can be set: by a flag, else by its variable, else a default. An empty value is none.

Locust's command line, which the container has, and those of this room take the same settings.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import configargparse

from loadgen.common.options import ROOT, ROWS
from loadgen.load import shapes

_FILES: Final = {
    "shapes": (shapes.PATH, "file of shapes"),
    "rows": (ROWS, "CSV of readings to send"),
    "out": (ROOT / "build/load", "folder of the verdict's files"),
}


def parser(program: str, words: str) -> Any:
    """A command line whose help tells the variables."""
    return configargparse.ArgumentParser(
        prog=program,
        description=words,
        formatter_class=configargparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def variable(name: str) -> str:
    """The environment variable of an option."""
    return "LOADGEN_" + name.upper().replace("-", "_")


def add(parser: Any, name: str, default: Any, words: str, **more: Any) -> None:
    """An option that is a variable too; of another `kind` than text if that is given."""
    kind = more.pop("kind", str)
    parser.add_argument(
        f"--{name}", env_var=variable(name), default=default, help=words,
        type=_unless_empty(kind, default), **more,
    )  # fmt: skip


def add_files(parser: Any, kind: Callable[[Path], Any] = Path, **more: Any) -> None:
    """The files that a run reads and the folder that it writes to."""
    for name, (default, words) in _FILES.items():
        shown = f"{words} [{default.relative_to(ROOT)}]"
        add(parser, name, kind(default), shown, kind=kind, metavar="PATH", **more)


def add_metrics_port(parser: Any, **more: Any) -> None:
    """Where the generator tells of itself."""
    words = "port of the generator's own metrics [0: none]"
    add(parser, "metrics-port", 0, words, kind=int, metavar="PORT", **more)


def shapes_file() -> Path:
    """The file of shapes of this process's own command line, before the rest of it is read."""
    first = configargparse.ArgumentParser(add_help=False, allow_abbrev=False)
    default, words = _FILES["shapes"]
    add(first, "shapes", default, words, kind=Path)
    path: Path = first.parse_known_args()[0].shapes
    return path


def _unless_empty(kind: Callable[[str], Any], default: Any) -> Callable[[str], Any]:
    def convert(text: str) -> Any:
        if not text:
            return default
        try:
            return kind(text)
        except ValueError as error:
            expected = "a whole number" if kind is int else f"a {kind.__name__}"
            raise configargparse.ArgumentTypeError(f"it must be {expected}") from error

    return convert
