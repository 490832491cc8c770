"""The project's commands as processes, with the given settings and no others."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeAlias

from loadgen.common import processes

Done: TypeAlias = subprocess.CompletedProcess[str]
_NONE: Final[Mapping[str, str]] = MappingProxyType({})
_TIMEOUT: Final = 120.0


def environment(folder: Path, settings: Mapping[str, str] = _NONE) -> dict[str, str]:
    """This process's environment with only the given settings, and `folder` for temporary files."""
    return processes.environment({"TMPDIR": str(folder), **settings})


def prefixed(prefix: str, settings: Mapping[str, str]) -> dict[str, str]:
    """Settings by the names of their variables: `host` as `SCORING_HOST`."""
    return {f"{prefix}_{name.upper()}": value for name, value in settings.items()}


def run_module(
    folder: Path,
    module: str,
    *arguments: object,
    settings: Mapping[str, str] = _NONE,
    cwd: Path | None = None,
    through: tuple[str, ...] = (),
) -> Done:
    """Run a module to its end, in `folder` unless `cwd` is another.

    `through` is a command that takes rights or resources away.
    """
    return subprocess.run(
        [*through, sys.executable, "-m", module, *map(str, arguments)],
        cwd=cwd or folder,
        env=environment(folder, settings),
        capture_output=True,
        text=True,
        timeout=_TIMEOUT,
        check=False,
    )
