"""A model file looked at in a process of its own, since CatBoost may crash on a damaged one."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from model.errors import ModelRefused

_EXAMINER: Final = "model.registry.examiner"
_PATIENCE: Final = 120.0
# A sample may have a million rows.
_PATIENCE_WITH_SAMPLE: Final = 600.0


class Examined(Struct):
    """What became of a model: why it is refused, "" if it is not; and its manifest."""

    refused: str = ""
    manifest: msgspec.Raw = msgspec.Raw(b"{}")


def examine(path: Path, vocabulary_from: Path | None = None, positive_class: str = "") -> bytes:
    """The manifest of a model file that can be served; if none lies beside it, a derived one.

    `vocabulary_from` is a CSV file of readings, whose categories go into a derived manifest.
    `positive_class` names the positive class where neither the model nor a manifest does.
    Raises ModelRefused with the reason, a crash of the loader among them.
    """
    patience = _PATIENCE_WITH_SAMPLE if vocabulary_from else _PATIENCE
    sample = str(vocabulary_from.absolute()) if vocabulary_from else ""
    try:
        done = subprocess.run(  # noqa: S603 - this interpreter and a module of ours
            [sys.executable, "-m", _EXAMINER, str(path.absolute()), sample, positive_class],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=Path(__file__).parents[2],
            timeout=patience,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ModelRefused(f"it is not loaded after {patience:g} s") from error
    if done.returncode:
        code = done.returncode
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        raise ModelRefused(f"loading it ended the process ({how})")
    examined = msgspec.json.decode(done.stdout, type=Examined)
    if examined.refused:
        raise ModelRefused(examined.refused)
    return bytes(examined.manifest)
