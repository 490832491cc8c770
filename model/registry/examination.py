"""A model file looked at in a process of its own, since CatBoost may crash on a damaged one.

Whoever is about to load a file that it did not write has it examined first: `check_model` where
the reason should name the file, `examine` where the manifest is wanted, `Examining` where there
is other work to do meanwhile.
"""

import os
import stat
import subprocess
import sys
from contextlib import ExitStack
from hashlib import file_digest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec
from msgspec import Struct

from model.errors import ModelRefused
from model.registry.homes import LARGEST, MANIFEST

_EXAMINER: Final = "model.registry.examiner"
_PATIENCE: Final = 120.0
# A sample may have a million rows.
_PATIENCE_WITH_SAMPLE: Final = 600.0
# The digests of what this process has found to be good.
_good: Final[set[str]] = set()


class Examined(Struct):
    """What became of a model file: why it is refused, "" if it is not.

    `manifest` is the one beside it or, if `is_derived`, one made from the file alone. `resident`
    is what the process held in the end, in bytes; None where that can't be told.
    """

    refused: str = ""
    manifest: msgspec.Raw = msgspec.Raw(b"{}")
    is_derived: bool = False
    resident: int | None = None


class Examining:
    """The process that loads a file as it would be served, and scores the golden rows."""

    def __init__(self, path: Path, vocabulary_from: Path | None = None) -> None:
        """`vocabulary_from` is a CSV file of readings, for a derived manifest."""
        self._patience = _PATIENCE_WITH_SAMPLE if vocabulary_from else _PATIENCE
        self._path = path
        self._sample = [str(vocabulary_from.absolute())] if vocabulary_from else []
        self._outcome = Examined()
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._start()
        except ModelRefused as reason:
            self._outcome.refused = str(reason)
        except OSError as error:
            self._outcome.refused = f"it can't be examined: {error.strerror}"

    def _start(self) -> None:
        check_files(self._path)
        with ExitStack() as made:
            # What a process that crashes leaves behind goes with it.
            folder = made.enter_context(TemporaryDirectory(prefix="examined-"))
            # A file in memory, not a pipe: nobody has to read while the process writes.
            self._answer = made.enter_context(os.fdopen(os.memfd_create("examined"), "w+b"))
            paths = (folder, str(self._path.absolute()), *self._sample)
            self._process = subprocess.Popen(  # noqa: S603 - this interpreter and a module of ours
                [sys.executable, "-m", _EXAMINER, *paths],
                stdin=subprocess.DEVNULL,
                stdout=self._answer,
                stderr=subprocess.DEVNULL,
                cwd=Path(__file__).parents[2],
            )
            self._made = made.pop_all()

    def outcome(self) -> Examined:
        """Wait for it. A process that died or takes too long refuses the model, too."""
        if self._process is None:
            return self._outcome
        with self._made:
            try:
                code = self._process.wait(self._patience)
            except subprocess.TimeoutExpired:
                return Examined(refused=f"it is not loaded after {self._patience:g} s")
            finally:  # of no effect on one that has ended
                self._process.kill()
                self._process.wait()
            if code:
                how = f"signal {-code}" if code < 0 else f"exit code {code}"
                return Examined(refused=f"loading it ended the process ({how})")
            self._answer.seek(0)
            return msgspec.json.decode(self._answer.read(), type=Examined)


def examine(path: Path, vocabulary_from: Path | None = None) -> bytes:
    """The manifest of a model file that can be served; if none lies beside it, a derived one.

    `vocabulary_from` is a CSV file of readings, whose categories go into a derived manifest.
    Raises ModelRefused with the reason, a crash of the loader among them.
    """
    examined = Examining(path, vocabulary_from).outcome()
    if examined.refused:
        raise ModelRefused(examined.refused)
    return bytes(examined.manifest)


def check_model(path: Path) -> None:
    """Raises ModelRefused, naming the file and the reason, for one that can't be served.

    What this process has found to be good is not examined again.
    """
    try:
        digest = model_digest(path)
        if digest not in _good:
            examine(path)
            _good.add(digest)
    except ModelRefused as reason:
        raise ModelRefused(f"{path} is refused: {reason}") from reason


def check_files(path: Path) -> list[Path]:
    """The model file and, if there is one, the manifest beside it.

    Raises ModelRefused for what is no regular file or too large: to read it might never end.
    """
    manifest = path.with_name(MANIFEST)
    try:
        files = [(path, "it")]
        if manifest.exists():
            files.append((manifest, f"its manifest {manifest}"))
        for file, name in files:
            found = file.stat()
            if not stat.S_ISREG(found.st_mode):
                raise ModelRefused(f"{name} is no file")
            if found.st_size > LARGEST:
                raise ModelRefused(f"{name} is larger than {LARGEST} bytes")
    except OSError as error:
        raise ModelRefused(f"it can't be read: {error.strerror}") from error
    return [file for file, _ in files]


def model_digest(path: Path) -> str:
    """One SHA-256 for a model file and its manifest: they are refused for one another's sake.

    Raises ModelRefused as `check_files`.
    """
    hashes = []
    try:
        for file in check_files(path):
            with file.open("rb") as content:
                hashes.append(file_digest(content, "sha256").hexdigest())
    except OSError as error:
        raise ModelRefused(f"it can't be read: {error.strerror}") from error
    return "-".join(hashes)
