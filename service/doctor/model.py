"""The model that would be served, and what vouches for it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from model.registry import Validated
from service.doctor.finding import Finding, fail, ok, warn

_REFERENCE: Final = (
    "give it one: python -m model.registry add FILE --version NEW --reference-from readings.csv"
)
_TRUST: Final = "put the file back that its manifest was written for, or train it anew"


class _Manifest(Struct):
    """What is read of one."""

    version: str
    golden: list[float]
    classes: list[str]
    positive_class: str
    unexplained: str
    reference: list[msgspec.Raw] = []


def model(path: Path, validated: Validated, *, bundled: bool) -> Iterator[Finding]:
    """Whether the file at a path is served; `validated` is the outcome of its validation."""
    if validated.refused:
        yield fail("model", f"{path} is refused: {validated.refused}", _TRUST)
        return
    manifest = _manifest(validated)
    version, golden = manifest.version, len(manifest.golden)
    if bundled:
        state = f"{version}, the bundled one: it was trained on simulated readings"
        yield warn("model", state, "set SCORING_MODEL to a model of your own cameras")
    elif validated.is_derived and path.with_name("manifest.json").exists():
        state = f"{version}: the manifest in its folder names another file"
        yield warn("model", state, "name the file as its manifest does: its scores go unchecked")
    elif validated.is_derived or not golden:
        state = f"{version}: nothing vouches for its bytes and its scores"
        yield warn("model", state, "keep the manifest.json of its training in its folder")
    else:
        yield ok("model", f"{version}: hash, features, {golden} golden scores agree")


def positive(validated: Validated) -> Iterator[Finding]:
    """Which class is the positive one: that of a model turned round would turn each score round."""
    if validated.refused:
        return
    manifest = _manifest(validated)
    named = f"{manifest.positive_class} of {' and '.join(manifest.classes)}"
    yield ok("classes", f"positive is the probability of class {named}")


def drift_reference(validated: Validated) -> Iterator[Finding]:
    """Whether drift can be measured: what readings and scores are compared with."""
    if validated.refused:
        return
    manifest = _manifest(validated)
    if count := len(manifest.reference):
        yield ok("drift", f"the manifest holds the distributions of {count} variables")
    else:
        state = f"{manifest.version} has no drift reference: InputDrift and ScoreShift can't fire"
        yield warn("drift", state, _REFERENCE)


def explanations(validated: Validated) -> Iterator[Finding]:
    """Whether POST /reg/explain can be answered."""
    if validated.refused:
        return
    if unexplained := _manifest(validated).unexplained:
        state = f"POST /reg/explain answers 501: {unexplained}"
        yield warn("explanations", state, 'train it with grow_policy="SymmetricTree"')
    else:
        yield ok("explanations", "the contributions of a golden row add up to its score")


def _manifest(validated: Validated) -> _Manifest:
    return msgspec.json.decode(validated.manifest, type=_Manifest)
