"""The model that would be served, and what vouches for it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

import model as room
from model.registry import Examined
from service.doctor.finding import Finding, fail, ok, warn

# By its place: to import the scorer, which knows it, takes a second.
BUNDLED: Final = Path(room.__file__).parent / "regno" / "regno.cbm"
_TRUST: Final = "put the file back that its manifest was written for, or train it anew"


class _Manifest(Struct):
    """What is read of one."""

    version: str
    golden: list[float]


def model(path: Path, examined: Examined, *, bundled: bool) -> Iterator[Finding]:
    """Whether the file at a path is served; `examined` is what became of it in the examiner."""
    if examined.refused:
        yield fail("model", f"{path} is refused: {examined.refused}", _TRUST)
        return
    manifest = msgspec.json.decode(examined.manifest, type=_Manifest)
    version, golden = manifest.version, len(manifest.golden)
    if bundled:
        found = f"{version}, the bundled one: it was trained on simulated readings"
        yield warn("model", found, "set SCORING_MODEL to a model of your own cameras")
    elif examined.is_derived and path.with_name("manifest.json").exists():
        found = f"{version}: the manifest beside it names another file"
        yield warn("model", found, "name the file as its manifest does: its scores go unchecked")
    elif examined.is_derived or not golden:
        found = f"{version}: nothing vouches for its bytes and its scores"
        yield warn("model", found, "keep the manifest.json of its training beside it")
    else:
        yield ok("model", f"{version}: hash, features, {golden} golden scores agree")
