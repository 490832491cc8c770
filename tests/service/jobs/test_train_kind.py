"""Jobs of the kind `train`: the real command in its process, its limits, and what becomes of it."""

import json
import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import psutil
import pytest

from model.registry import open_registry
from service.config.settings import Settings, SettingsError
from service.jobs import train_kind
from service.jobs.blobs import FileBlobs
from service.jobs.execution import Execution, Pace
from service.jobs.job import KINDS, TRAIN, Job
from service.jobs.sqlite_records import SqliteRecords
from service.jobs.states import State
from service.jobs.train_kind import TrainKind, check_packages
from tests.support.digits import write_digits
from tests.support.jobs import a_job
from tests.support.server import eventually

pytestmark = pytest.mark.slow

_LEASE = 30.0


class Bench:
    """A worker in this process that trains into a registry of its own."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.models = folder / "models"
        self.records = SqliteRecords(folder / "records.sqlite")
        self.blobs = FileBlobs(folder / "blobs")
        self.is_stopping = False
        settings = msgspec.structs.replace(settings, registry=str(self.models))
        self.execution = Execution(
            self.records,
            self.blobs,
            {TRAIN: TrainKind(settings)},
            Pace(_LEASE, 1000),
            lambda: self.is_stopping,
        )

    def submit(self, data: bytes, **parameters: str) -> str:
        """The id of a new job."""
        new = a_job(kind=TRAIN, model="digits", parameters=parameters)
        given = msgspec.structs.replace(new, input=self.blobs.put(new.id, data))
        self.records.accept(given, "", 9)
        return new.id

    def job(self, job: str) -> Job:
        """The record."""
        found = self.records.get(job)
        assert found is not None
        return found

    def done(self, data: bytes, **parameters: str) -> Job:
        """A job that was done at once."""
        job = self.submit(data, **parameters)
        self.execution.deliver(job, "w")
        return self.job(job)


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a worker's environment: numpy starts no threads for a training."""
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")


@pytest.fixture
def make_bench(settings: Settings, tmp_path: Path) -> Callable[..., Bench]:
    def make(**changed: Any) -> Bench:
        return Bench(tmp_path, msgspec.structs.replace(settings, **changed))

    return make


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    return make_bench()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_digits(tmp_path_factory.mktemp("digits") / "mnist.npz").read_bytes()


def _trainings() -> list[psutil.Process]:
    """The trainings that this process has started."""
    return [child for child in psutil.Process().children() if _is_training(child)]


def _is_training(child: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):  # one of another test that has ended
        return "model.digits.train" in child.cmdline()
    return False


def test_a_training_makes_a_candidate_that_is_not_live(bench: Bench, data: bytes) -> None:
    job = bench.done(data, epochs="1")
    assert (job.state, job.done, job.total) == (State.SUCCEEDED, 1, 1)
    result = json.loads(bench.blobs.read(job.result))
    assert result["status"] == "ok"
    made = result["body"]
    assert (made["version"], made["epochs"]) == (job.version, 1)
    assert (made["train_images"], made["held_out_images"]) == (200, 40)
    assert 0 <= made["accuracy"] <= 1
    registry = open_registry(str(bench.models), "digits")
    assert [entry.version for entry in registry.versions()] == [job.version]
    assert registry.aliases().live == ""
    assert bench.done(data, epochs="1").version == job.version, "the same again is no error"


def test_data_that_can_not_be_learned_end_the_job(bench: Bench, tmp_path: Path) -> None:
    wrong = write_digits(tmp_path / "wrong.npz", y_test=np.arange(40))
    for given in (wrong.read_bytes(), b"no arrays"):
        job = bench.done(given, epochs="1")
        assert (job.state, job.attempts) == (State.FAILED, 1)
        assert job.error.startswith("images_batch_path: no .npz file with x_train")


def test_a_training_that_takes_too_long_is_ended(
    make_bench: Callable[..., Bench], data: bytes
) -> None:
    job = make_bench(train_seconds=0.5).done(data, epochs="100000")
    assert (job.state, job.attempts) == (State.FAILED, 1)
    assert job.error == ("epochs: training took longer than SCORING_TRAIN_SECONDS allows, 0.5 s")
    assert _trainings() == []


def test_a_training_that_takes_too_much_memory_is_ended(
    bench: Bench, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_kind, "_MEMORY", 64 << 20)
    job = bench.done(data, epochs="1")
    assert job.state is not State.SUCCEEDED
    assert _trainings() == []


def test_a_wish_to_cancel_ends_the_process(bench: Bench, data: bytes) -> None:
    job = bench.submit(data, epochs="100000")
    with ThreadPoolExecutor(1) as worker:
        attempt = worker.submit(bench.execution.deliver, job, "w")
        eventually(lambda: bench.job(job).done > 0, "an epoch is over")
        assert len(_trainings()) == 1
        bench.records.cancel(job, bench.job(job).owner, bench.job(job).created)
        attempt.result(30)
    assert bench.job(job).state is State.CANCELLED
    assert _trainings() == []
    assert not bench.models.exists()


def test_a_worker_that_stops_gives_the_training_back(bench: Bench, data: bytes) -> None:
    job = bench.submit(data, epochs="100000")
    with ThreadPoolExecutor(1) as worker:
        attempt = worker.submit(bench.execution.deliver, job, "w")
        eventually(lambda: len(_trainings()) == 1, "it trains")
        bench.is_stopping = True
        attempt.result(30)
    assert (bench.job(job).state, bench.job(job).attempts) == (State.QUEUED, 0)
    assert _trainings() == []


def test_a_process_that_dies_is_tried_again(bench: Bench, data: bytes) -> None:
    job = bench.submit(data, epochs="100000")
    with ThreadPoolExecutor(1) as worker:
        attempt = worker.submit(bench.execution.deliver, job, "w")
        eventually(lambda: len(_trainings()) == 1, "it trains")
        os.kill(_trainings()[0].pid, signal.SIGKILL)
        attempt.result(30)
    found = bench.job(job)
    assert (found.state, found.attempts) == (State.QUEUED, 1)
    assert found.error == "attempt: failed with TrainingFailed"


def test_a_registry_that_takes_no_version_is_tried_again(
    make_bench: Callable[..., Bench], data: bytes, tmp_path: Path
) -> None:
    (tmp_path / "models").write_text("a file, not a folder")
    job = make_bench().done(data, epochs="1")
    assert (job.state, job.attempts) == (State.QUEUED, 1)


def test_without_the_packages_no_worker_that_trains_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    check_packages(KINDS)
    monkeypatch.setattr(train_kind, "_PACKAGES", ("onnx", "no_such_package"))
    check_packages(["score", "table"])
    with pytest.raises(SettingsError, match=r"no_such_package.*train-images"):
        check_packages(KINDS)
