"""The model card, made from the manifest alone.

The sections follow Mitchell et al., Model Cards for Model Reporting (FAT* 2019).
"""

from collections.abc import Mapping
from typing import Any, Final

from model.regno.evaluation import plot
from model.regno.evaluation.display_names import CONTENDERS, MEASURES
from model.regno.evaluation.markdown import table
from model.regno.model_file.manifest import Manifest

_ABOUT: Final = """\
# Model card: {version}

**Trained on SIMULATED readings.** No real plate, camera or network had a part in this model.
It shows the service working and makes its tests meaningful; its probabilities say nothing
about any real camera.

## What it is

A binary classifier. A traffic camera and a neural network read the same Russian number plate
and disagree; `positive` is the probability that the network's reading is the true one,
`negative` its complement. `negative` is not the probability that the camera is right: in some
rows neither reader is.

- CatBoost, {trees} symmetric trees of depth {depth}; {size:.2f} MB; SHA-256 `{sha256}`
- {features} features: {numeric} numeric, {categorical} categorical, {text} text;
  `foreign_sym` is always missing
- made with {libraries}

## Intended use

Trying, testing and load-testing the service. To decide about real plates, train a model on
real, labelled disagreements and put its file in this one's place. Not for fines, not for
identifying anyone, not for plates of other countries.

## How it was made

`python -m model.train --rows {rows} --seed {seed}`. The simulator (`simulate.py`) draws a true
plate, a passage (camera, time, direction, dirt) and both readers' errors, and keeps the rows
on which the readings differ. The label is 1 when the network's reading is the true plate;
rows that neither read right count as 0. The first {train_rows} rows trained the model and the
last {held_out_rows} were held out; step size and regularisation had been chosen on readings of
another seed. The same seed gives the same predictions on the same kind of machine; the file's
bytes differ each time, since CatBoost writes random ids and the time into it.
"""
_LIMITS: Final = """\
## Limits

- The held-out rows come from the same simulator: these figures measure how well the model
  learnt the simulator, not how it would do on a street.
- Every rate in the simulator (errors, look-alikes, night, winter, regions) is an assumption.
- Values of a categorical feature outside the manifest's vocabularies were never seen; CatBoost
  accepts them silently and the score is then a guess.
- Readings that agree never occur in training: the score of such a row has no meaning.
- The two readers' errors are independent but for how hard the plate is to read. Real readers
  that see the same picture share more errors than that.
"""


def text(manifest: Manifest, size: int) -> str:
    """The card in Markdown of a model file of `size` bytes."""
    parts = (_about(manifest, size), _figures(manifest.metrics), _LIMITS)
    return "\n".join(parts)


def _about(manifest: Manifest, size: int) -> str:
    kinds = [feature.kind for feature in manifest.features]
    made_with = ", ".join(f"{name} {version}" for name, version in manifest.libraries.items())
    return _ABOUT.format(
        version=manifest.version,
        sha256=manifest.sha256,
        size=size / 1e6,
        trees=manifest.training["parameters"]["iterations"],
        depth=manifest.training["parameters"]["depth"],
        features=len(kinds),
        numeric=kinds.count("numeric"),
        categorical=kinds.count("categorical"),
        text=kinds.count("text"),
        libraries=made_with,
        rows=manifest.training["rows"],
        seed=manifest.training["seed"],
        train_rows=manifest.training["train_rows"],
        held_out_rows=manifest.training["held_out_rows"],
    )


def _figures(metrics: Mapping[str, Any]) -> str:
    contenders = {name: metrics["contenders"][key] for key, name in CONTENDERS.items()}
    share = metrics["positive_share"]
    return f"""\
## Figures on the held-out rows

The network was right in {share:.1%} of them. Higher is better for AUC and accuracy, lower for
the rest. ECE is the expected calibration error over ten bins of equal width. Log loss is in
nats, of probabilities clipped to 1e-15 from 0 and 1: without that, both hard rules would have
an infinite one.

{table("", contenders, MEASURES)}

![Foretold probability against the share that came true]({plot.FILE_NAME})

### By product line of the camera

{table("camera_class", metrics["by_camera_class"], _SLICE_MEASURES)}
"""


_SLICE_MEASURES: Final = {"rows": "Rows", "positive_share": "Network right", **MEASURES}
