"""The validation of a model file in a child process, since a library may crash on a damaged one.

Call one of these before you load a file from outside: `check_model` for a reason that names the
file, `validate` for the manifest, `ValidationProcess` to do other work meanwhile.
"""

import os
import subprocess
import sys
from contextlib import ExitStack, suppress
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from model import catalog, files
from model.errors import ModelRefused
from model.registry.store import MANIFEST

_PROCESS: Final = "model.registry.validation_process"
_PATIENCE: Final = 120.0
# A sample may have a million rows.
_PATIENCE_WITH_SAMPLE: Final = 600.0
# The digests of files that this process has validated, with the positive class and the model.
_good: Final[set[tuple[str, str, str]]] = set()


class Samples(NamedTuple):
    """Files of requests that add to a manifest, None for none.

    The categories in `vocabulary` go into a derived manifest; the distributions of the requests in
    `reference` become the drift reference of any manifest.
    """

    vocabulary: Path | None = None
    reference: Path | None = None

    @property
    def files(self) -> list[Path]:
        """Those that are given."""
        return [path for path in self if path]


NO_SAMPLES: Final = Samples()


class Validated(Struct):
    """The outcome: `refused` is the reason of a refusal, "" for a good file.

    `manifest` is the one in the file's folder or, if `is_derived`, one made from the file alone.
    `resident` is the resident memory of the child process with the model loaded, in bytes; None if
    unknown.
    """

    refused: str = ""
    manifest: msgspec.Raw = msgspec.Raw(b"{}")
    is_derived: bool = False
    resident: int | None = None


class ValidationProcess:
    """A child process that loads a file as it would be served, and scores the golden rows."""

    def __init__(
        self,
        path: Path,
        samples: Samples = NO_SAMPLES,
        positive_class: str = "",
        name: str = catalog.DEFAULT,
    ) -> None:
        """`samples` add to the manifest.

        `positive_class` names the positive class where neither the model nor a manifest does;
        `name` is the model's in the catalog.
        """
        self._patience = _PATIENCE_WITH_SAMPLE if samples.files else _PATIENCE
        given = (str(path.absolute()) if path else "" for path in samples)
        self._outcome = Validated()
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._start(name, str(path.absolute()), positive_class, *given)
        except OSError as error:
            self._outcome.refused = f"it can't be validated: {error.strerror}"
        except ValueError:  # a null byte, or half a surrogate pair
            self._outcome.refused = "it can't be validated: its path or positive class is not text"

    def _start(self, *arguments: str) -> None:
        with ExitStack() as made:
            # Removed afterwards: a child that crashes leaves its temporary files behind.
            folder = made.enter_context(TemporaryDirectory(prefix="validated-"))
            # A file in memory, not a pipe: it need not be read while the child writes.
            self._answer = made.enter_context(os.fdopen(os.memfd_create("validated"), "w+b"))
            self._process = subprocess.Popen(  # noqa: S603 - this interpreter and a module of ours
                [sys.executable, "-m", _PROCESS, folder, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=self._answer,
                stderr=subprocess.DEVNULL,
                cwd=Path(__file__).parents[2],
            )
            self._made = made.pop_all()

    def outcome(self) -> Validated:
        """Wait for the child. A crash and a timeout are refusals, too."""
        if self._process is None:
            return self._outcome
        with self._made:
            try:
                code = self._process.wait(self._patience)
            except subprocess.TimeoutExpired:
                return Validated(refused=f"it is not loaded after {self._patience:g} s")
            finally:  # of no effect on one that has ended
                self._process.kill()
                self._process.wait()
            if code:
                how = f"signal {-code}" if code < 0 else f"exit code {code}"
                return Validated(refused=f"loading it ended the process ({how})")
            self._answer.seek(0)
            return msgspec.json.decode(self._answer.read(), type=Validated)


def validate(
    path: Path,
    samples: Samples = NO_SAMPLES,
    positive_class: str = "",
    name: str = catalog.DEFAULT,
) -> bytes:
    """The manifest of a model file that can be served; if there is none next to it, a derived one.

    `samples` add to the manifest. `positive_class` names the positive class where neither the model
    nor a manifest does; `name` is the model's in the catalog.
    Raises ModelRefused with the reason, a crash of the loader among them.
    """
    validated = ValidationProcess(path, samples, positive_class, name).outcome()
    if validated.refused:
        raise ModelRefused(validated.refused)
    return bytes(validated.manifest)


def check_model(path: Path, positive_class: str = "", name: str = catalog.DEFAULT) -> None:
    """Raises ModelRefused, naming the file and the reason, for one that can't be served.

    `positive_class` and `name` are as for `validate`. A file that this process has validated is
    not validated again.
    """
    try:
        key = model_digest(path), positive_class, name
        if key not in _good:
            validate(path, positive_class=positive_class, name=name)
            _good.add(key)
    except ModelRefused as reason:
        raise ModelRefused(f"{path} is refused: {reason}") from reason


def model_digest(path: Path) -> str:
    """The SHA-256 of a model file and of its manifest: a refusal depends on both.

    Raises ModelRefused for one that can't be read, is not a regular file or too large.
    """
    manifest, hashes = path.parent / MANIFEST, []  # / and . have no name to replace
    try:
        hashes.append(sha256(files.read(path)).hexdigest())
        with suppress(FileNotFoundError):  # it may have none
            hashes.append(sha256(files.read(manifest)).hexdigest())
    except OSError as error:
        name = f"its manifest {manifest}" if hashes else "it"
        raise ModelRefused(f"{name} can't be read: {error.strerror}") from error
    return "-".join(hashes)
