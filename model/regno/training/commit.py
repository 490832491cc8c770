"""The commit of the code that trains."""

import subprocess
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).parents[3]


def commit() -> str:
    """The Git commit of this code, with "-dirty" after it if files differ from it.

    "" if the code is in no repository, or Git is not installed.
    """
    describe = ("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    try:
        done = subprocess.run(  # noqa: S603 - fixed arguments
            ["git", "-C", str(_ROOT), *describe],  # noqa: S607 - the one on the path
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
