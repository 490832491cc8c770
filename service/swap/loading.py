"""A version out of the registry, fit to serve: fetched, examined, loaded, timed, warm.

All of it runs beside the event loop, in a thread. CatBoost can crash on a damaged file, so that
a process of its own looks at each model first: one for the host, whose verdict all workers read.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from time import thread_time, time
from typing import Final, NamedTuple

from model import ModelRefused
from model.registry import Registry, RegistryError, examine
from model.regno import RegnoScorer, golden_readings
from service.swap.kept import MANIFEST, Kept

_ROUNDS: Final = 5
# So long a refusal holds: the machine may have been short of memory or time, and who tries again
# later is to get another answer.
_REFUSED_SECONDS: Final = 20.0


class Examination:
    """The check of a model file, once for each file on this host; after a refusal anew in a while.

    `folder` is where the verdicts lie, the same for all workers and gone with the server.
    """

    def __init__(self, folder: Path, check: Callable[[Path], object] = examine) -> None:
        self._folder = folder
        self._check = check

    def __call__(self, model: Path) -> None:
        """Raises ModelRefused, as `check` does, or as it did for another worker."""
        with self._alone(_digest(model)) as verdict:
            if _is_open(verdict):
                os.ftruncate(verdict, 0)
                os.write(verdict, b"." + self._reason(model).encode())
            reason = os.pread(verdict, 1 << 16, 1).decode()
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
        path = self._folder / f"examined-{digest}"
        verdict = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(verdict, fcntl.LOCK_EX)
            yield verdict
        finally:
            os.close(verdict)


def _digest(model: Path) -> str:
    """Of the model and its manifest: they are refused for one another's sake."""
    papers = model.with_name(MANIFEST)
    return sha256(
        model.read_bytes() + (papers.read_bytes() if papers.exists() else b"")
    ).hexdigest()


def _is_open(verdict: int) -> bool:
    """Whether there is none, or an old refusal; one that nobody wrote to its end counts as none."""
    file = os.fstat(verdict)
    is_old = time() - file.st_mtime > _REFUSED_SECONDS
    return file.st_size == 0 or (file.st_size > 1 and is_old)


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

    What was read once and nobody touched since is not read again: to read and hash a model beside
    what callers wait for takes longer than the whole swap.
    """

    def __init__(
        self, registry: Registry, examination: Examination, kept: Kept, slowest: float
    ) -> None:
        """`slowest` is how many times as long as the present model another one may take."""
        self._registry = registry
        self._examination = examination
        self._kept = kept
        self._slowest = slowest
        self._fetched: dict[str, Fetched] = {}

    def keep(self, version: str) -> None:
        """Let workers that start later have this version, whatever becomes of the registry."""
        known = self._fetched.get(version)
        with suppress(RegistryError):
            path = known.path if known and known.is_untouched else self._registry.fetch(version)
            self._kept.keep(version, path.parent)

    def is_that(self, scorer: RegnoScorer, version: str) -> bool:
        """Whether a scorer is of the version as it is in the registry, if that can be told."""
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

    def serving(self, version: str) -> RegnoScorer:
        """What the other workers of this host serve; from the registry if it was not kept.

        Raises ModelRefused, RegistryError.
        """
        path = self._kept.model(version) or self._registry.fetch(version)
        scorer = RegnoScorer.load(path)
        scorer.warm()
        return scorer

    def load(self, version: str, present: RegnoScorer | None) -> RegnoScorer:
        """A warm scorer of a version, held to the speed of `present`, if one is given.

        Raises ModelRefused with the reason, RegistryError when the version can't be had.
        """
        path = self._registry.fetch(version)
        self._examination(path)
        known = Fetched.of(path, "")
        scorer = RegnoScorer.load(path)
        self._fetched[version] = known._replace(sha256=scorer.sha256)
        scorer.warm()
        if present:
            self._hold_to_speed(scorer, present)
        return scorer

    def _hold_to_speed(self, scorer: RegnoScorer, present: RegnoScorer) -> None:
        ratio = _seconds(scorer) / _seconds(present)
        if ratio > self._slowest:
            than = f"as {present.version}, which serves; {self._slowest:g} times may be"
            raise ModelRefused(f"it takes {ratio:.1f} times as long {than}")


def _seconds(scorer: RegnoScorer) -> float:
    """The processor time for the golden rows, the best of some rounds: others share the machine."""

    def once() -> float:
        began = thread_time()
        scorer.score(golden_readings())
        return thread_time() - began

    return min(once() for _ in range(_ROUNDS))
