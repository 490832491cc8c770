"""One verdict for all workers, and how long it holds; what is read of a version, and when."""

import json
import os
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from pathlib import Path

import pytest

from model import ModelRefused
from model.regno import BUNDLED, MODEL
from service.rollout.loader import Loader, SharedValidation
from service.rollout.local_copy import LocalCopy
from tests.support.registry import no_check
from tests.support.swapping import FIRST, SECOND, registry_of_twins


class Validator:
    """Refuses while `reason` is not ""."""

    def __init__(self, reason: str = "") -> None:
        self.reason = reason
        self.calls = 0

    def __call__(self, _model: Path) -> None:
        self.calls += 1
        if self.reason:
            raise ModelRefused(self.reason)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.cbm"
    path.write_bytes(b"a model")
    return path


def _age(folder: Path) -> None:
    (verdict,) = folder.glob("validated-*")
    os.utime(verdict, (0, 0))


def test_a_good_model_is_validated_once(model: Path) -> None:
    validator = Validator()
    SharedValidation(model.parent, validator)(model)
    _age(model.parent)
    SharedValidation(model.parent, validator)(model)
    assert validator.calls == 1


def test_a_refusal_is_shared_for_a_while(model: Path) -> None:
    validator = Validator("it is not loaded after 120 s")
    for _ in range(2):
        with pytest.raises(ModelRefused, match="120 s"):
            SharedValidation(model.parent, validator)(model)
    assert validator.calls == 1


def test_a_refused_version_is_tried_again(model: Path) -> None:
    validator = Validator("it is not loaded after 120 s")
    with pytest.raises(ModelRefused):
        SharedValidation(model.parent, validator)(model)
    _age(model.parent)
    validator.reason = ""
    SharedValidation(model.parent, validator)(model)
    SharedValidation(model.parent, validator)(model)
    assert validator.calls == 2


class Reads:
    """A loader of a registry of two, and the versions that it had read and hashed."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        registry = registry_of_twins(folder)
        self.versions: list[str] = []
        monkeypatch.setattr(registry, "fetch", partial(self._fetch, registry.fetch))
        (folder / "kept").mkdir()
        self.kept = LocalCopy(folder / "kept", "model.cbm", "regno")
        validation = SharedValidation(folder, no_check)
        self.loader = Loader(MODEL, registry, validation, self.kept, slowest=3.0)
        self.file = registry.fetch(SECOND)
        self.versions.clear()

    def _fetch(self, fetch: Callable[[str], Path], version: str) -> Path:
        self.versions.append(version)
        return fetch(version)


@pytest.fixture
def reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Reads:
    return Reads(tmp_path, monkeypatch)


def test_an_unchanged_version_is_read_once(reads: Reads) -> None:
    scorer = reads.loader.load(SECOND, None)
    assert reads.loader.is_current(scorer, SECOND)
    reads.loader.keep(SECOND)
    assert reads.loader.is_current(scorer, SECOND)
    assert reads.kept.model(SECOND)
    assert reads.versions == [SECOND]
    # What the server began with was read by the master: once here, then no more.
    for _ in range(2):
        assert reads.loader.is_current(scorer, FIRST)
    assert reads.versions == [SECOND, FIRST]


def test_a_version_that_was_replaced_is_another(reads: Reads) -> None:
    scorer = reads.loader.load(SECOND, None)
    reads.file.touch()
    assert reads.loader.is_current(scorer, SECOND)
    other = BUNDLED.read_bytes() + b"more"
    reads.file.write_bytes(other)
    manifest = json.loads(reads.file.with_name("manifest.json").read_bytes())
    manifest["sha256"] = sha256(other).hexdigest()
    reads.file.with_name("manifest.json").write_text(json.dumps(manifest))
    assert not reads.loader.is_current(scorer, SECOND)


def test_a_loaded_version_whose_file_is_gone_counts_as_unchanged(reads: Reads) -> None:
    scorer = reads.loader.load(SECOND, None)
    reads.file.unlink()
    assert reads.loader.is_current(scorer, SECOND)
