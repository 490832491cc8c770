"""The models that would be served, and whether their files and scores can be checked."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from model import catalog
from model.registry import Validated
from service.doctor.finding import Finding, fail, ok, titled, warn

_REFERENCE: Final = (
    "give it one: python -m model.registry add FILE{name} --version NEW --reference-from TABLE"
)
_TRUST: Final = "put the file back that its manifest was written for, or train it anew"


class _Thresholds(Struct):
    camera: float
    network: float


class _Manifest(Struct):
    """What is read of one."""

    version: str
    golden: list[msgspec.Raw] | dict[str, msgspec.Raw] = []
    classes: list[str] = []
    positive_class: str = ""
    # None for a model that makes no explanations.
    unexplained: str | None = None
    # None for a model by whose inputs no drift can be measured.
    reference: list[msgspec.Raw] | None = None
    thresholds: _Thresholds | None = None


def not_served(name: str) -> Iterator[Finding]:
    """That a model of the catalog has no file to serve."""
    state = "not served: it has neither a live version in a registry nor a bundled file"
    remedy = f"promote one: python -m model.registry --name {name} promote VERSION"
    yield warn(titled("model", name), state, remedy)


def model(
    path: Path, validated: Validated, *, bundled: bool, name: str = catalog.DEFAULT
) -> Iterator[Finding]:
    """Whether the file at a path is served; `validated` is the outcome of its validation."""
    subject = titled("model", name)
    if validated.refused:
        yield fail(subject, f"{path} is refused: {validated.refused}", _TRUST)
        return
    manifest = _manifest(validated)
    version, golden = manifest.version, len(manifest.golden)
    if bundled and name == catalog.DEFAULT:
        state = f"{version}, the bundled one: it was trained on simulated readings"
        yield warn(subject, state, "set SCORING_MODEL to a model of your own cameras")
    elif validated.is_derived and path.with_name("manifest.json").exists():
        state = f"{version}: the manifest in its folder names another file"
        yield warn(subject, state, "name the file as its manifest does: its scores go unchecked")
    elif validated.is_derived or not golden:
        state = f"{version}: no manifest with golden scores, so that these are not checked"
        yield warn(subject, state, "keep the manifest.json of its training in its folder")
    else:
        yield ok(subject, f"{version}: hash, features, {golden} golden scores agree")


def positive(validated: Validated, name: str = catalog.DEFAULT) -> Iterator[Finding]:
    """Which class is the positive one: that of a model turned round would turn each score round."""
    if validated.refused:
        return
    manifest = _manifest(validated)
    if manifest.classes:
        named = f"{manifest.positive_class} of {' and '.join(manifest.classes)}"
        yield ok(titled("classes", name), f"positive is the probability of class {named}")


def drift_reference(validated: Validated, name: str = catalog.DEFAULT) -> Iterator[Finding]:
    """Whether drift can be measured: what requests and scores are compared with."""
    if validated.refused:
        return
    manifest, subject = _manifest(validated), titled("drift", name)
    if manifest.reference:
        count = len(manifest.reference)
        yield ok(subject, f"the manifest holds the distributions of {count} variables")
    elif manifest.reference is not None:
        alerts, option = "InputDrift and ScoreShift", ""
        if name != catalog.DEFAULT:
            alerts, option = "OtherModelDrift", f" --name {name}"
        state = f"{manifest.version} has no drift reference: {alerts} can't fire"
        yield warn(subject, state, _REFERENCE.format(name=option))


def thresholds(validated: Validated, setting: str) -> Iterator[Finding]:
    """Which thresholds decide: those of the manifest, or those of the costs."""
    if validated.refused:
        return
    own = _manifest(validated).thresholds
    if own is None:
        yield ok("thresholds", "SCORING_COST_* decide: the manifest has no thresholds")
    elif setting == "costs":
        yield ok("thresholds", "SCORING_COST_* decide, as SCORING_THRESHOLDS=costs says")
    else:
        state = f"the manifest's decide, not SCORING_COST_*: camera up to {own.camera:.4g}"
        yield ok("thresholds", f"{state}, network from {own.network:.4g}")


def explanations(validated: Validated, name: str = catalog.DEFAULT) -> Iterator[Finding]:
    """Whether POST to explain, as /reg/explain, can be answered."""
    if validated.refused:
        return
    unexplained, subject = _manifest(validated).unexplained, titled("explanations", name)
    if unexplained:
        state = f"POST {catalog.entry(name).path}explain answers 501: {unexplained}"
        yield warn(subject, state, 'train it with grow_policy="SymmetricTree"')
    elif unexplained is not None:
        yield ok(subject, "the contributions of a golden row add up to its score")


def _manifest(validated: Validated) -> _Manifest:
    return msgspec.json.decode(validated.manifest, type=_Manifest)
