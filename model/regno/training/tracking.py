"""A training as a run of an MLflow server: parameters, metrics, report and model."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import catboost
import msgspec

from model import manifests, mlflow_client
from model.cli import Exit
from model.mlflow_client import MlflowFailed
from model.regno.evaluation.report import Report
from model.regno.training import candidate

# The model's folder among the artifacts, and its file there, as MLflow's flavour has it.
MODEL: Final = "model"
_FILE: Final = "model.cb"
# MLflow adds the address of the Git remote, which may hold a password.
_WITHHELD: Final = {"mlflow.source.git.repoURL": ""}
_METRICS: Final = ("auc", "accuracy", "brier", "log_loss", "calibration_error")


class Tracked:
    """A run that is under way."""

    def __init__(self, mlflow: Any, run: str, where: str) -> None:
        self._mlflow = mlflow
        self.run = run
        self.where = where

    def log(self, made: Report, out: Path) -> None:
        """Log a training whose files are in the folder `out`. Raises Exit."""
        try:
            with mlflow_client.failures():
                self._mlflow.log_params(_parameters(made))
                self._mlflow.log_metrics(_metrics(made))
                for rows, metrics in _learning_curve(made):
                    self._mlflow.log_metrics(metrics, step=rows)
                self._mlflow.set_tag("version", made.version)
                self._mlflow.log_artifacts(str(out))
                self._log_model(out)
        except MlflowFailed as reason:
            raise Exit(69, f"{reason}\nThe model is in {out}; it is not on the server") from reason

    def _log_model(self, out: Path) -> None:
        """The model in CatBoost's flavour: its very bytes, with its manifest.

        Written here, not by `mlflow.catboost`, which saves the model anew: its bytes would differ.
        """
        flavour = {
            "data": _FILE,
            "model_type": "CatBoostClassifier",
            "save_format": "cbm",
            "catboost_version": catboost.__version__,
        }
        with TemporaryDirectory(prefix="mlflow-") as folder:
            place = Path(folder)
            described = self._mlflow.models.Model(run_id=self.run)
            described.add_flavor("catboost", code=None, **flavour)
            described.save(str(place / "MLmodel"))
            shutil.copyfile(out / candidate.MODEL, place / _FILE)
            own = msgspec.json.decode((out / manifests.FILE_NAME).read_bytes(), type=dict[str, Any])
            (place / manifests.FILE_NAME).write_bytes(msgspec.json.encode({**own, "file": _FILE}))
            self._mlflow.log_artifacts(folder, MODEL)


@contextmanager
def tracked(uri: str) -> Iterator[Tracked | None]:
    """A run on the server of a URI that ends with the block, failed if that raises; None for "".

    The experiment is MLflow's own business (MLFLOW_EXPERIMENT_NAME). Raises Exit where no run can
    be begun.
    """
    if not uri:
        yield None
        return
    try:
        mlflow = mlflow_client.client()
        mlflow.set_tracking_uri(uri)
        mlflow_client.announce(uri)
        with mlflow_client.failures():
            run = mlflow.start_run(tags=_WITHHELD).info.run_id
    except MlflowFailed as reason:
        raise Exit(69, f"MLFLOW_TRACKING_URI: {reason}") from reason
    status = "FAILED"
    try:
        yield Tracked(mlflow, run, uri)
        status = "FINISHED"
    finally:
        _end(mlflow, status)


def _end(mlflow: Any, status: str) -> None:
    """End the run. A server that is gone by now was reported, or has all but the end."""
    try:
        with mlflow_client.failures():
            mlflow.end_run(status)
    except MlflowFailed:
        return


def _parameters(made: Report) -> dict[str, Any]:
    given = {
        "seed": made.seed,
        "data": made.data.file,
        "data_sha256": made.data.sha256,
        "rows": made.data.rows,
        "refit": made.refit,
        "calibration": made.calibration or "none",
        "commit": made.commit or "unknown",
    }
    return given | dict(_flat(made.parameters))


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of nested tables, with dots in their names."""
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _learning_curve(made: Report) -> Iterator[tuple[int, dict[str, float]]]:
    """For each point the number of training rows and the metrics; MLflow draws them as a curve."""
    for point in made.learning_curve.points if made.learning_curve else ():
        yield point.rows, {f"learning_curve_{name}": point.metrics[name].value for name in _METRICS}


def _metrics(made: Report) -> dict[str, float]:
    metrics = {name: made.model[name] for name in _METRICS}
    against = made.against.measures if made.against else {}
    return {
        **metrics,
        **{f"{name}_difference": of.difference for name, of in against.items()},
        "trees": made.trees.kept,
        "seconds": made.seconds,
    }
