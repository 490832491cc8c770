"""The model that would be served, loaded in a process of its own.

CatBoost may crash on a damaged file, and a crash must be a finding. `python -m
service.doctor.model FILE CLASS` is that process: it tells an `Examined` as JSON.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from model import ModelRefused
from service.doctor.finding import Finding, fail, ok, warn

_PATIENCE: Final = 30.0
_TRUST: Final = "put the file back that its manifest was written for, or train it anew"


class Examined(Struct):
    """What became of a model: `refused` says why it is not served.

    `path` is the file; `golden` the number of rows whose scores its manifest vouches for, None
    without one; `resident` what the process held in the end, in bytes. `classes` are the
    model's, of which `positive_class` is the positive one; `unexplained` says why its scores
    can't be explained, "" if they can.
    """

    path: str
    version: str = ""
    refused: str = ""
    golden: int | None = None
    resident: int | None = None
    classes: tuple[str, ...] = ()
    positive_class: str = ""
    unexplained: str = ""


class Examination:
    """One that goes on in its process while other checks run."""

    def __init__(self, path: str, positive_class: str = "") -> None:
        """`path` is a .cbm file, empty for the bundled one; `positive_class` as in the settings."""
        self._path = str(Path(path).absolute()) if path else ""
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter and this module
            [sys.executable, "-m", __spec__.name, self._path, positive_class],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=Path(__file__).parents[2],
        )

    def outcome(self) -> Examined:
        """What it told; a process that died or took too long has refused the model too."""
        try:
            told, _ = self._process.communicate(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
            return Examined(self._path, refused=f"it is not loaded after {_PATIENCE:g} s")
        code = self._process.returncode
        if code:
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            return Examined(self._path, refused=f"loading it ended the process ({how})")
        return msgspec.json.decode(told, type=Examined)


def model(examined: Examined, *, bundled: bool) -> Iterator[Finding]:
    """Whether it is served, and what vouches for it."""
    if examined.refused:
        yield fail("model", examined.refused, _TRUST)
    elif bundled:
        found = f"{examined.version}, the bundled one: it was trained on simulated readings"
        yield warn("model", found, "set SCORING_MODEL to a model of your own cameras")
    elif examined.golden is None and Path(examined.path).with_name("manifest.json").exists():
        found = f"{examined.version}: the manifest beside it names another file"
        yield warn("model", found, "name the file as its manifest does: its scores go unchecked")
    elif not examined.golden:
        found = f"{examined.version}: nothing vouches for its bytes and its scores"
        yield warn("model", found, "keep the manifest.json of its training beside it")
    else:
        yield ok(
            "model", f"{examined.version}: hash, features, {examined.golden} golden scores agree"
        )


def positive(examined: Examined) -> Iterator[Finding]:
    """Which class is the positive one: that of a model turned round would turn each score round."""
    if not examined.refused:
        named = f"{examined.positive_class} of {' and '.join(examined.classes)}"
        yield ok("classes", f"positive is the probability of class {named}")


def explanations(examined: Examined) -> Iterator[Finding]:
    """Whether POST /reg/explain can be answered."""
    if examined.refused:
        return
    if examined.unexplained:
        found = f"POST /reg/explain answers 501: {examined.unexplained}"
        yield warn("explanations", found, 'train it with grow_policy="SymmetricTree"')
    else:
        yield ok("explanations", "the contributions of a golden row add up to its score")


def examine(given: str, positive_class: str) -> Examined:
    """Load a model, score the golden rows, explain one."""
    from model.regno import BUNDLED, RegnoScorer  # noqa: PLC0415 - CatBoost and pandas take a second

    path = Path(given) if given else BUNDLED
    try:
        scorer = RegnoScorer.load(path, positive_class, warm=True)
    except (ModelRefused, OSError) as reason:
        return Examined(str(path), refused=str(reason))
    resident = _resident()  # explanations have a process of their own in the server
    return Examined(
        str(path),
        scorer.version,
        golden=len(scorer.manifest.golden) if scorer.manifest else None,
        resident=resident,
        classes=scorer.classes,
        positive_class=scorer.positive_class,
        unexplained=scorer.try_explaining(),
    )


def _resident() -> int | None:
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(examine(*sys.argv[1:])))
