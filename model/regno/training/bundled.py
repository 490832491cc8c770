"""The bundled model: trained on simulated readings, written with its manifest, card and diagram.

All files are written to a temporary folder and moved into place at the end. If the move itself is
cut off, a model and a manifest of different runs are refused at load.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

import numpy as np

from model import manifests
from model.regno import golden
from model.regno.drift.reference import reference
from model.regno.evaluation import metrics, render
from model.regno.features import SETS
from model.regno.manifest_builder import Provenance, build
from model.regno.model_file.catboost_file import BinaryModel
from model.regno.model_file.manifest import Manifest
from model.regno.request import from_fields
from model.regno.scorer import BUNDLED
from model.regno.training import fit
from model.regno.training.fit import Run
from model.regno.training.simulate import Sample, simulate

# Apart from the training seed, so that the golden requests never change with it.
GOLDEN_SEED: Final = 20210801
GOLDEN_ROWS: Final = 16


def golden_requests() -> list[dict[str, Any]]:
    """The worked example of the README and fifteen simulated requests, always the same."""
    simulated = simulate(GOLDEN_ROWS - 1, GOLDEN_SEED)
    return [golden.example(), *(dict(sample.request) for sample in simulated)]


class Recipe(NamedTuple):
    """How many rows to simulate and by which seed, and the name of the feature set to train on."""

    rows: int
    seed: int
    features: str = "v1"


def make(out: Path, recipe: Recipe, run: Run) -> Manifest:
    """Simulate, train, measure, write into the folder `out`. A fifth of the rows is held out."""
    samples = simulate(recipe.rows, recipe.seed)
    cut = recipe.rows * 4 // 5
    trained, held_out, names = samples[:cut], samples[cut:], SETS[recipe.features]
    learn = fit.pool(fit.table(trained, names), fit.labels(trained), names)
    model = fit.train(learn, recipe.seed, run=run)
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=out, prefix=".train-") as temporary:
        folder = Path(temporary)
        model.save_model(str(folder / BUNDLED.name))
        made = _manifest(folder / BUNDLED.name, trained, held_out, recipe)
        manifests.write(made, folder / manifests.FILE_NAME)
        render.write_card(folder)
        lines = (json.dumps(request, ensure_ascii=False) + "\n" for request in golden_requests())
        (folder / "golden.jsonl").write_text("".join(lines), encoding="utf-8")
        for path in sorted(folder.iterdir()):
            os.replace(path, out / path.name)  # noqa: PTH105 - the atomic one, by name
    return made


def _manifest(
    path: Path, trained: Sequence[Sample], held_out: Sequence[Sample], recipe: Recipe
) -> Manifest:
    """The manifest of the model file at `path`, measured as it will be served."""
    model = BinaryModel.load(path)
    rows = fit.table(held_out, SETS[recipe.features])
    positives = [positive for _, positive in model.probabilities(rows)]
    provenance = Provenance(
        vocabularies=fit.vocabularies(trained),
        training={
            "data": "simulated",
            "rows": len(trained) + len(held_out),
            "train_rows": len(trained),
            "held_out_rows": len(held_out),
            "seed": recipe.seed,
            "features": recipe.features,
            "parameters": dict(fit.PARAMETERS),
        },
        metrics=summary(held_out, positives),
        reference=reference(SETS[recipe.features], rows, positives, model.importances()),
    )
    readings = [from_fields(**request) for request in golden_requests()]
    return build(model, path.name, f"regno-sim-{model.sha256[:8]}", provenance, readings)


def summary(held_out: Sequence[Sample], positives: Sequence[float]) -> dict[str, Any]:
    """The metrics of the held-out samples that the manifest has."""
    scores = np.array([sample.request["afts_regno_ai_score"] for sample in held_out], dtype=float)
    classes = np.array([sample.request["camera_class"] for sample in held_out])
    return metrics.summary(fit.labels(held_out), np.array(positives), scores, classes)
