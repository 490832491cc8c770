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
    classes: list[str]
    positive_class: str
    unexplained: str


def model(path: Path, examined: Examined, *, bundled: bool) -> Iterator[Finding]:
    """Whether the file at a path is served; `examined` is what became of it in the examiner."""
    if examined.refused:
        yield fail("model", f"{path} is refused: {examined.refused}", _TRUST)
        return
    manifest = _manifest(examined)
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


def positive(examined: Examined) -> Iterator[Finding]:
    """Which class is the positive one: that of a model turned round would turn each score round."""
    if examined.refused:
        return
    manifest = _manifest(examined)
    named = f"{manifest.positive_class} of {' and '.join(manifest.classes)}"
    yield ok("classes", f"positive is the probability of class {named}")


def explanations(examined: Examined) -> Iterator[Finding]:
    """Whether POST /reg/explain can be answered."""
    if examined.refused:
        return
    if unexplained := _manifest(examined).unexplained:
        found = f"POST /reg/explain answers 501: {unexplained}"
        yield warn("explanations", found, 'train it with grow_policy="SymmetricTree"')
    else:
        yield ok("explanations", "the contributions of a golden row add up to its score")


def _manifest(examined: Examined) -> _Manifest:
    return msgspec.json.decode(examined.manifest, type=_Manifest)
