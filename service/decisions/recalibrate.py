"""A new version of a model in the registry: the same file, calibrated by the newest labels."""

import re
from collections.abc import Sequence
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from time import gmtime, strftime
from typing import Any, Final, NamedTuple

import msgspec

from model import catalog
from model.registry import MANIFEST, Files, Registry, validate
from service.decisions import probabilities
from service.decisions.probabilities import Weighted
from service.decisions.training_set import LABEL, WEIGHT, Example

METHODS: Final = ("isotonic", "platt")
# What `version_of` adds to a name.
_ADDED: Final = re.compile(rf"-(?:{'|'.join(METHODS)})-\d{{8}}T\d{{6}}$")


class Measured(NamedTuple):
    """Weighted log loss and calibration error of the newest labels."""

    log_loss: float
    calibration_error: float


class Recalibration(NamedTuple):
    """A calibration that was fitted; the figures are of the newest labels, not fitted to them."""

    manifest: Any
    before: Measured
    after: Measured
    labels: int

    @property
    def is_better(self) -> bool:
        """Whether it has the lower log loss."""
        return self.after.log_loss < self.before.log_loss


def fitted(path: Path, examples: Sequence[Example], method: str, version: str) -> Recalibration:
    """The calibration of a version's file by labelled decisions. Raises ModelRefused, DataRefused.

    `version` is the name of the new one.
    """
    model = catalog.entry(catalog.DEFAULT).load()
    decoder = model.decoder(1)
    ordered = sorted(examples, key=lambda one: one.time)
    labels = [one.cells[LABEL] for one in ordered]
    weights = [one.cells[WEIGHT] for one in ordered]
    requests = [decoder(one.request) for one in ordered]
    made = model.recalibrated(path, requests, labels, weights, method, version)
    first = len(ordered) - len(made.before)
    before, after = (
        _measured(list(map(Weighted, positives, map(bool, labels[first:]), weights[first:])))
        for positives in (made.before, made.after)
    )
    return Recalibration(made.manifest, before, after, len(ordered))


def add(registry: Registry, path: Path, made: Recalibration) -> str:
    """Add the new version, which is validated first: its name. Raises ModelRefused, Refused."""
    with TemporaryDirectory(prefix="calibrated-") as folder:
        copy = Path(folder) / path.name
        copyfile(path, copy)
        copy.with_name(MANIFEST).write_bytes(msgspec.json.encode(made.manifest))
        manifest = msgspec.json.format(validate(copy), indent=2)
        registry.add(Files(copy.read_bytes(), manifest))
    name: str = made.manifest.version
    return name


def version_of(version: str, method: str, moment: float) -> str:
    """The name of a version with another calibration, made at some time."""
    return f"{_ADDED.sub('', version)}-{method}-{strftime('%Y%m%dT%H%M%S', gmtime(moment))}"


def _measured(rows: Sequence[Weighted]) -> Measured:
    return Measured(probabilities.log_loss(rows), probabilities.calibration_error(rows))
