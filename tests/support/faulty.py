"""Model files on which CatBoost itself dies, or which take what they can get."""

import json
import pickle
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Final

from catboost import CatBoostClassifier, Pool

from model.registry import Files
from model.regno import BUNDLED

CRASHED: Final = "loading it ended the process (signal 11)"


def repickled(folder: Path) -> Path:
    """The bundled model through pickle, which loses what its text features need: load crashes."""
    model = pickle.loads(pickle.dumps(CatBoostClassifier().load_model(str(BUNDLED))))
    return _saved(model, folder)


def without_tables(folder: Path) -> Path:
    """A model without the tables of its categories: it loads, and the first predict crashes."""
    rows = Pool(
        [[f"c{n % 5}"] for n in range(100)],
        [int(n % 5 > 2) for n in range(100)],
        feature_names=["camera_class"],
        cat_features=[0],
    )
    model = CatBoostClassifier(
        iterations=5,
        final_ctr_computation_mode="Skip",
        one_hot_max_size=2,
        verbose=False,
        allow_writing_files=False,
    )
    return _saved(model.fit(rows), folder)


def as_version(version: str, model: bytes) -> Files:
    """Any bytes as a version, with the bundled model's manifest made to fit them."""
    manifest = json.loads(BUNDLED.with_name("manifest.json").read_bytes())
    own = {"version": version, "file": "model.cbm", "sha256": sha256(model).hexdigest()}
    return Files(model, json.dumps({**manifest, **own}).encode())


def with_a_manifest_of(lists: int, folder: Path) -> Path:
    """The bundled model with a manifest of so many empty lists, twenty times as large in memory."""
    return _with_training(f"[{','.join(['[]'] * lists)}]", folder)


def with_a_deep_manifest(folder: Path) -> Path:
    """The bundled model with a manifest that is nested too deep to be read."""
    return _with_training("[" * 100_000 + "]" * 100_000, folder)


def _with_training(text: str, folder: Path) -> Path:
    manifest = json.loads(BUNDLED.with_name("manifest.json").read_bytes())
    whole = json.dumps({**manifest, "file": "faulty.cbm", "training": {"x": "here"}})
    (folder / "manifest.json").write_text(whole.replace('"here"', text))
    path = folder / "faulty.cbm"
    path.write_bytes(BUNDLED.read_bytes())
    return path


def _saved(model: CatBoostClassifier, folder: Path) -> Path:
    path = folder / "faulty.cbm"
    model.save_model(str(path))
    return path


CRASHING: Final[dict[str, Callable[[Path], Path]]] = {
    "at load": repickled,
    "at the first score": without_tables,
}
