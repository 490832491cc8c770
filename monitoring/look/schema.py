"""The dashboards held to Grafana's own types, as its npm package has them."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from monitoring.look import npm

_SCHEMA: Final = Path(__file__).with_name("schema")


def complaints(files: Iterable[Path]) -> list[str]:
    """What Grafana's types do not allow, file by file; empty when all is well.

    Raises CannotLook when the packages can't be installed.
    """
    folder = npm.installed(_SCHEMA)
    paths = [str(path.resolve()) for path in files]
    found: dict[str, list[str]] = json.loads(npm.run_node(folder, "check.mjs", *paths))
    return [f"{Path(path).name}: {said}" for path, all_said in found.items() for said in all_said]
