"""Loads a version from the registry: fetched, validated, loaded, warm and held to a speed.

All of it runs in a thread. CatBoost can crash on a damaged file, so a separate process validates
each model first, once for each host: all workers read its verdict.
"""

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from time import thread_time, time
from typing import Final, NamedTuple

from model import ModelRefused, catalog
from model.registry import Registry, RegistryError, model_digest, validate
from model.scorer import Model, Request, Scorer
from service.rollout.local_copy import LocalCopy

_ROUNDS: Final = 5
# How long a refusal is remembered: the machine may have been short of memory or time, and then
# a later validation has another result.
_REFUSED_SECONDS: Final = 20.0
# The greatest size of a verdict in bytes, and its last byte: a partial write is not a verdict.
_LONGEST: Final = 4096
_END: Final = b"\0"


class SharedValidation:
    """Validates each model file once on this host; after a refusal again, but not at once.

    `folder` holds the verdicts for all workers, and is removed with the server. If a verdict can't
    be written there, each worker validates the file itself.
    """

    def __init__(
        self,
        folder: Path,
        check: Callable[[Path], object] = validate,
        name: str = catalog.DEFAULT,
    ) -> None:
        """`check` is that of the model of this name."""
        self._folder = folder
        self._name = name
        self._check = check

    def __call__(self, model: Path) -> None:
        """Raises ModelRefused, as `check` does, or as it did for another worker."""
        with self._alone(model_digest(model)) as verdict:
            reason = _known(verdict)
            if reason is None:
                reason = self._reason(model)
                _note(verdict, reason)
        if reason:
            raise ModelRefused(reason)

    def _reason(self, model: Path) -> str:
        try:
            self._check(model)
        except ModelRefused as reason:
            return str(reason)
        return ""

    @contextmanager
    def _alone(self, digest: str) -> Iterator[int]:
        """Within, no other worker has this verdict's file; the kernel frees a dead one's lock."""
        verdict = self._opened(digest)
        try:
            fcntl.flock(verdict, fcntl.LOCK_EX)
            yield verdict
        finally:
            os.close(verdict)

    def _opened(self, digest: str) -> int:
        path = self._folder / f"validated-{self._name}-{digest}"
        try:
            return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError:
            return os.memfd_create(path.name)


def _known(verdict: int) -> str | None:
    """The reason of a refusal, "" for a good model; None if there is no verdict, or an old one."""
    text = os.pread(verdict, _LONGEST, 0)
    if not text.endswith(_END):
        return None
    is_old = time() - os.fstat(verdict).st_mtime > _REFUSED_SECONDS
    reason = text.removesuffix(_END).decode("utf-8", "replace")
    return None if reason and is_old else reason


def _note(verdict: int, reason: str) -> None:
    with suppress(OSError):  # a verdict without its end is ignored
        os.ftruncate(verdict, 0)
        os.pwrite(verdict, reason.encode()[: _LONGEST - 1] + _END, 0)


class Fetched(NamedTuple):
    """A model file that was read, its SHA-256, and a stamp that differs once it is touched."""

    path: Path
    sha256: str
    stamp: tuple[int, int, int]

    @classmethod
    def of(cls, path: Path, digest: str) -> "Fetched":
        """A file as it is now. Raises OSError."""
        file = path.stat()
        return cls(path, digest, (file.st_ino, file.st_size, file.st_mtime_ns))

    @property
    def is_untouched(self) -> bool:
        """Whether it is what was read; a file that is gone is not."""
        with suppress(OSError):
            return self == Fetched.of(self.path, self.sha256)
        return False


class Loader:
    """Loads versions of a registry.

    A file that has not changed since it was read is not read again: while callers are served,
    reading and hashing a model takes longer than the whole swap.
    """

    def __init__(
        self,
        model: Model,
        registry: Registry,
        validation: SharedValidation,
        copy: LocalCopy,
        slowest: float,
    ) -> None:
        """`slowest` is how many times as long as the present model another one may take."""
        self._model = model
        self._registry = registry
        self._validation = validation
        self._copy = copy
        self._slowest = slowest
        self._fetched: dict[str, Fetched] = {}

    def keep(self, version: str) -> None:
        """Keep a copy for workers that start later, when the registry may be unreachable."""
        known = self._fetched.get(version)
        with suppress(RegistryError):
            path = known.path if known and known.is_untouched else self._registry.fetch(version)
            self._copy.keep(version, path.parent)

    def is_current(self, scorer: Scorer, version: str) -> bool:
        """Whether a scorer was loaded from what the registry has; true if that can't be read."""
        known = self._fetched.get(version)
        if known and known.sha256 == scorer.sha256 and known.is_untouched:
            return True
        try:
            path = self._registry.fetch(version)
            known = Fetched.of(path, sha256(path.read_bytes()).hexdigest())
        except (RegistryError, OSError):
            return True
        self._fetched[version] = known
        return known.sha256 == scorer.sha256

    def serving(self, version: str) -> Scorer:
        """A warm scorer of what the other workers serve; from the registry if there is no copy.

        Raises ModelRefused, RegistryError.
        """
        try:
            scorer = self._of_copy(version) or self.read(version)
        except ModelRefused:  # a swap has just removed the copy
            scorer = self.read(version)
        scorer.warm()
        return scorer

    def _of_copy(self, version: str) -> Scorer | None:
        path = self._copy.model(version)
        if path is None:
            return None
        self._validation(path)
        scorer: Scorer = self._model.load(path)
        return scorer

    def read(self, version: str) -> Scorer:
        """A scorer of a version, validated but not warm: it can still be shared by a fork.

        Raises ModelRefused with the reason, RegistryError when the version can't be had.
        """
        path = self._registry.fetch(version)
        self._validation(path)
        try:
            known = Fetched.of(path, "")
        except OSError as error:
            raise ModelRefused(f"it can't be read: {error.strerror}") from error
        scorer: Scorer = self._model.load(path)
        self._fetched[version] = known._replace(sha256=scorer.sha256)
        return scorer

    def load(self, version: str, present: Scorer | None) -> Scorer:
        """A warm scorer of a version, held to the speed of `present`, if one is given.

        Raises as `read`.
        """
        scorer = self.read(version)
        scorer.warm()
        if present:
            self._hold_to_speed(scorer, present)
        return scorer

    def _hold_to_speed(self, scorer: Scorer, present: Scorer) -> None:
        trial = self._model.trial_requests()
        ratio = _seconds(scorer, trial) / _seconds(present, trial)
        if ratio > self._slowest:
            than = f"as {present.version}, which serves; {self._slowest:g} times may be"
            raise ModelRefused(f"it takes {ratio:.1f} times as long {than}")


def _seconds(scorer: Scorer, requests: Sequence[Request]) -> float:
    """The processor time for some requests, the best of some rounds: others share the machine."""

    def once() -> float:
        began = thread_time()
        scorer.score(requests)
        return thread_time() - began

    return min(once() for _ in range(_ROUNDS))
