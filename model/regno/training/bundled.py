"""The bundled model: trained on simulated readings, and written with its papers.

They are regno.cbm, manifest.json, MODEL_CARD.md, reliability.png and golden.jsonl. All are
made aside and moved into place at the end; a model and a manifest of different runs are
refused at load, should the move itself be cut off.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np

from model.cli import SignalFlag
from model.regno.drift.drift import Variable
from model.regno.drift.reference import reference
from model.regno.evaluation import card, evaluate, plot
from model.regno.features import NAMES, all_features
from model.regno.model_file import manifest
from model.regno.model_file.catboost_file import BinaryModel
from model.regno.request import from_fields
from model.regno.scorer import RegnoScorer
from model.regno.training import training
from model.regno.training.simulate import Sample, simulate

MODEL_NAME: Final = "regno.cbm"
# Apart from the training seed, so that the golden requests never change with it.
GOLDEN_SEED: Final = 20210801
GOLDEN_ROWS: Final = 16
# The worked example of the README: the first golden request, so that what people try first
# is what every model is checked with.
EXAMPLE: Final = {
    "regno_recognize": "А939НО196",
    "afts_regno_ai": "А939НО190",
    "recognition_accuracy": 6.4,
    "afts_regno_ai_score": 0.8689166903495789,
    "afts_regno_ai_char_scores": (
        "[0.9998925924301147, 0.9999872446060181, 0.9999798536300659, 0.9999990463256836, "
        "0.9988356232643127, 0.9998175501823425, 1.0, 0.999994158744812, 0.8702163696289062]"
    ),
    "afts_regno_ai_length_scores": (
        "[3.2404470773350624e-10, 3.236617363011618e-10, 3.2367283853140805e-10, "
        "3.2651523151905337e-10, 3.234087164738497e-10, 3.259402747701756e-10, "
        "3.2362224011706076e-10, 4.545459564297971e-09, 2.996458192683349e-08, 1.0, "
        "3.2479344214131345e-10]"
    ),
    "camera_type": "Стационарная",
    "camera_class": "Астра-Трафик",
    "time_check": "2021-08-01 09:02:59",
    "direction": 0,
}


def golden_requests() -> list[dict[str, Any]]:
    """The sixteen golden requests: the worked example and simulated ones, always the same."""
    simulated = simulate(GOLDEN_ROWS - 1, GOLDEN_SEED)
    return [dict(EXAMPLE), *(dict(sample.request) for sample in simulated)]


def make(
    out: Path, rows: int, seed: int, *, progress: bool = True, stopped: SignalFlag | None = None
) -> manifest.Manifest:
    """Simulate, train, measure, write into the folder `out`. A fifth of the rows is held out."""
    samples = simulate(rows, seed)
    cut = rows * 4 // 5
    model = training.train(samples[:cut], seed, progress=progress, stopped=stopped)
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=out, prefix=".train-") as aside:
        folder = Path(aside)
        model.save_model(str(folder / MODEL_NAME))
        papers = _papers(folder / MODEL_NAME, samples[:cut], samples[cut:], seed)
        _write(papers, folder)
        for path in sorted(folder.iterdir()):
            os.replace(path, out / path.name)  # noqa: PTH105 - the atomic one, by name
    return papers


def _papers(
    path: Path, trained: Sequence[Sample], held_out: Sequence[Sample], seed: int
) -> manifest.Manifest:
    """The manifest of the model file at `path`, measured as it will be served."""
    model = BinaryModel.load(path)
    golden = [all_features(from_fields(**request)) for request in golden_requests()]
    return manifest.Manifest(
        name="regno",
        version=f"regno-sim-{model.sha256[:8]}",
        file=path.name,
        sha256=model.sha256,
        features=[manifest.Feature(name, kind) for name, kind in model.features],
        vocabularies=training.vocabularies(trained),
        golden=[positive for _, positive in model.probabilities(golden)],
        training={
            "data": "simulated",
            "rows": len(trained) + len(held_out),
            "train_rows": len(trained),
            "held_out_rows": len(held_out),
            "seed": seed,
            "parameters": dict(training.PARAMETERS),
        },
        libraries=manifest.libraries(),
        metrics=metrics(model, held_out),
        reference=_reference(model, held_out),
        borders=model.borders(),
        classes=list(model.classes.names),
        positive_class=model.classes.positive,
        unexplained=RegnoScorer(model).try_explaining(),
    )


def metrics(model: BinaryModel, held_out: Sequence[Sample]) -> dict[str, Any]:
    """The figures of the held-out samples that the manifest has."""
    probabilities = np.array(model.probabilities(training.table(held_out)))[:, 1]
    labels = training.labels(held_out)
    scores = np.array([sample.request["afts_regno_ai_score"] for sample in held_out], dtype=float)
    lines = np.array([sample.request["camera_class"] for sample in held_out])
    return evaluate.summary(labels, probabilities, scores, lines)


def _reference(model: BinaryModel, held_out: Sequence[Sample]) -> list[Variable]:
    rows = training.table(held_out)
    positives = [positive for _, positive in model.probabilities(rows)]
    return reference(NAMES, rows, positives, model.importances())


def _write(papers: manifest.Manifest, folder: Path) -> None:
    """Everything that lies beside the model file."""
    manifest.write(papers, folder / manifest.FILE_NAME)
    size = (folder / papers.file).stat().st_size
    (folder / "MODEL_CARD.md").write_text(card.text(papers, size), encoding="utf-8")
    (folder / plot.FILE_NAME).write_bytes(plot.reliability(papers.metrics["reliability"]))
    lines = (json.dumps(request, ensure_ascii=False) + "\n" for request in golden_requests())
    (folder / "golden.jsonl").write_text("".join(lines), encoding="utf-8")
