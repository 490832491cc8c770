"""Settings: a flag, else its environment variable, else a default. An empty value counts as unset.

Locust's command line, which the container has, and `python -m loadgen.load` take the same ones.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import configargparse

from loadgen.common.options import ROOT, ROWS
from loadgen.load import shapes

_FILES: Final = {
    "shapes": (shapes.PATH, "file of shapes"),
    "rows": (ROWS, "CSV of readings to send"),
    # Of the working folder: an installed package is not a place for results.
    "out": (Path("build/load"), "folder of the verdict's files"),
}


def parser(program: str, description: str) -> Any:
    """A parser whose help names the variables."""
    return configargparse.ArgumentParser(
        prog=getattr(sys.modules["__main__"], "PROGRAM", program),
        description=description,
        formatter_class=configargparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def variable(name: str) -> str:
    """The name of an option's environment variable."""
    return "LOADGEN_" + name.upper().replace("-", "_")


def add(parser: Any, name: str, default: Any, help_text: str, **more: Any) -> None:
    """Add an option with its variable; `kind` is its type, text unless given."""
    kind = more.pop("kind", str)
    parser.add_argument(
        f"--{name}", env_var=variable(name), default=default, help=help_text,
        type=_unless_empty(kind, default), **more,
    )  # fmt: skip


def add_files(parser: Any, kind: Callable[[Path], Any] = Path, **more: Any) -> None:
    """Add the options of the input files and the output folder."""
    for name, (default, help_text) in _FILES.items():
        short = default.relative_to(ROOT) if default.is_absolute() else default
        shown = f"{help_text} [{short}]"
        add(parser, name, kind(default), shown, kind=kind, metavar="PATH", **more)


def add_metrics_port(parser: Any, **more: Any) -> None:
    """Add the option of the metrics port."""
    help_text = "port of the generator's own metrics [0: none]"
    add(parser, "metrics-port", 0, help_text, kind=int, metavar="PORT", **more)


def shapes_file() -> Path:
    """The file of shapes on this process's command line, read before the other options."""
    first = configargparse.ArgumentParser(add_help=False, allow_abbrev=False)
    default, help_text = _FILES["shapes"]
    add(first, "shapes", default, help_text, kind=Path)
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
