"""Prints the licences of the installed packages; fails if one is missing or a GPL."""

import sys
from importlib.metadata import Distribution, distributions


def licences(package: Distribution) -> list[str]:
    """The licences that a package states: its expression and classifiers, else a first line."""
    stated = [package.metadata["License-Expression"] or ""]
    stated += [
        text.rpartition(" :: ")[2]
        for text in package.metadata.get_all("Classifier", [])
        if text.startswith("License ::")
    ]
    first_line = (package.metadata["License"] or "").strip().splitlines()[:1]
    return [text for text in stated if text] or first_line


packages = {package.name: licences(package) for package in distributions()}
for name, names in sorted(packages.items()):
    sys.stdout.write(f"{name:28}{', '.join(names) or 'NONE'}\n")
bad = sorted(n for n, names in packages.items() if not names or any("GPL" in x for x in names))
if bad:
    sys.exit(f"Check the licences of: {', '.join(bad)}")
