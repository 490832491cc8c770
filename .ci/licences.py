"""The licences of what is installed here; one that is missing, or that would reach us, fails."""

import sys
from importlib.metadata import Distribution, distributions


def licences(package: Distribution) -> list[str]:
    """What a package says of its licence: the expression, its classifiers, or the first line."""
    told = [package.metadata["License-Expression"] or ""]
    told += [
        text.rpartition(" :: ")[2]
        for text in package.metadata.get_all("Classifier", [])
        if text.startswith("License ::")
    ]
    stated = (package.metadata["License"] or "").strip().splitlines()[:1]
    return [text for text in told if text] or stated


found = {package.name: licences(package) for package in distributions()}
for name, told in sorted(found.items()):
    sys.stdout.write(f"{name:28}{', '.join(told) or 'NONE'}\n")
bad = sorted(n for n, told in found.items() if not told or any("GPL" in text for text in told))
if bad:
    sys.exit(f"Look at the licences of: {', '.join(bad)}")
