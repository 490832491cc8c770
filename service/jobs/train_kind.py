"""Jobs of the kind `train`: a data set of digits becomes a candidate version in the registry.

The training is the command `python -m model.digits.train`, in a process of its own that is held to
limits of time and memory. So no package of training is imported here.
"""

import logging
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from select import select
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any, Final, Self

import msgspec
from msgspec import Struct

from model import InvalidRequest
from service.config.settings import Settings, SettingsError, variable
from service.http import reply
from service.jobs.execution import Attempt, Result
from service.jobs.job import TRAIN

NAME: Final = "digits"
_PACKAGES: Final = ("onnx", "onnxruntime")
_TRAIN: Final = (sys.executable, "-m", "model.digits.train")
_REGISTRY: Final = (sys.executable, "-m", "model.registry")
_MODEL: Final = "model.onnx"
# MNIST with its 60,000 images takes one and a half.
_MEMORY: Final = 4 << 30
# How long a look for output lasts; between two, a wish to cancel is read.
_LOOK_SECONDS: Final = 0.5
_ADD_SECONDS: Final = 120.0
# Of sysexits.h, as the command ends with for data that it can't learn.
_DATA_REFUSED: Final = 65
_EPOCH: Final = re.compile(rb"(\d+)/(\d+)")
_DATA: Final = "images_batch_path"

log = logging.getLogger("scoring")


class TrainingFailed(Exception):
    """The command ended otherwise than it should; the log says how."""


class Trained(Struct):
    """The result: the version that is a candidate in the registry now, and how good it is.

    `accuracy` is that of the held-out images, `accuracy_redrawn` that of the same with other pens.
    """

    version: str
    accuracy: float
    accuracy_redrawn: float
    epochs: int
    train_images: int
    held_out_images: int


class _Manifest(Struct):
    """What is read of the new version's manifest."""

    version: str
    metrics: dict[str, Any]
    training: dict[str, Any]


def check_packages(kinds: Sequence[str]) -> None:
    """Raise SettingsError if training is among these kinds, and its packages are missing."""
    lacking = [name for name in _PACKAGES if find_spec(name) is None]
    if TRAIN in kinds and lacking:
        reason = f"training needs {lacking[0]}, which is not installed: install the extra "
        raise SettingsError(variable("trainers"), f"{reason}`train-images`")


class TrainKind:
    """Trains on the data set that is the job's input. Progress is in epochs.

    Parameters: `epochs`; without it the environment variable EPOCHS of this worker, or the usual
    number.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def run(self, attempt: Attempt) -> Result:
        """Train. Raises InvalidRequest for data that can't be learned within the limits."""
        with TemporaryDirectory(prefix="train-") as temporary:
            folder = Path(temporary)
            with (
                attempt.holding(),
                attempt.blobs.open(attempt.job.input) as given,
                (folder / "data.npz").open("wb") as file,
            ):
                shutil.copyfileobj(given, file)
            self._train(attempt, folder)
            made = msgspec.json.decode((folder / "manifest.json").read_bytes(), type=_Manifest)
            with attempt.holding():
                self._add(folder)
        body = reply.ok(_trained(made)).body
        reference = attempt.blobs.put(attempt.job.id, body)
        return Result(reference, "application/json", made.training["epochs"], made.version)

    def _train(self, attempt: Attempt, folder: Path) -> None:
        """Run the command; note each epoch."""
        epochs = attempt.job.parameters.get("epochs", "")
        command = [
            *_TRAIN, "--print-epochs", "--data", str(folder / "data.npz"), "--out", str(folder),
            *(("--epochs", epochs) if epochs else ()),
        ]  # fmt: skip
        latest = monotonic() + self._settings.train_seconds
        with _Process(command, folder / "errors") as process:
            for epoch in process.epochs():
                if monotonic() > latest:
                    raise InvalidRequest("epochs", self._too_long, "range")
                if epoch:
                    attempt.save(done=epoch[0], total=epoch[1], checkpoint="", version="")
                else:
                    attempt.keep()
            process.check()

    @property
    def _too_long(self) -> str:
        seconds = f"{self._settings.train_seconds:g} s"
        return f"training took longer than {variable('train_seconds')} allows, {seconds}"

    def _add(self, folder: Path) -> None:
        """Make the new version a candidate; it is no error that an earlier attempt has."""
        place = ("--name", NAME, "--models", self._settings.registry)
        added = subprocess.run(  # noqa: S603 - a fixed command
            [*_REGISTRY, "add", str(folder / _MODEL), *place],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=_ADD_SECONDS,
            check=False,
        )
        if added.returncode:
            log.error("A trained model can't be added to the registry: %s", _last(added.stderr))
            raise TrainingFailed


class _Process:
    """A training that runs; it is killed when the block ends."""

    def __init__(self, command: Sequence[str], errors: Path) -> None:
        """`errors` is the file for what it writes to stderr."""
        self._errors = errors
        with errors.open("wb") as file:
            self._popen = subprocess.Popen(  # noqa: S603 - a fixed command
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=file, bufsize=0
            )
        resource.prlimit(self._popen.pid, resource.RLIMIT_AS, (_MEMORY, _MEMORY))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._popen.kill()
        self._popen.wait()
        assert self._popen.stdout is not None  # noqa: S101
        self._popen.stdout.close()

    def epochs(self) -> Iterator[tuple[int, int] | None]:
        """Epochs that are over, of how many, as they end; None now and then until the last."""
        out, text = self._popen.stdout, b""
        assert out is not None  # noqa: S101
        while True:
            if not select([out], [], [], _LOOK_SECONDS)[0]:
                yield None
                continue
            piece = out.read(4096)
            if not piece:
                return
            *lines, text = (text + piece).split(b"\n")
            for epoch in filter(None, map(_EPOCH.fullmatch, lines)):
                yield int(epoch[1]), int(epoch[2])

    def check(self) -> None:
        """Raise InvalidRequest or TrainingFailed unless it succeeded."""
        status = self._popen.wait()
        said = _last(self._errors.read_bytes())
        if status == _DATA_REFUSED:
            reason = (
                "no .npz file with x_train, y_train, x_test and y_test: images of 28 × 28, digits"
            )
            raise InvalidRequest(_DATA, reason)
        if status and "MemoryError" in said:
            raise InvalidRequest(_DATA, "takes too much memory to be learned", "range")
        if status:
            log.error("A training ended with %d: %s", status, said)
            raise TrainingFailed


def _last(errors: bytes) -> str:
    """The last line of what a command wrote."""
    lines = errors.decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else ""


def _trained(made: _Manifest) -> Trained:
    training, metrics = made.training, made.metrics
    return Trained(
        made.version,
        metrics["accuracy"],
        metrics["redrawn"]["accuracy"],
        training["epochs"],
        training["train_images"],
        training["held_out_images"],
    )
