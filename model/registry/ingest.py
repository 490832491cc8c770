"""A model file from outside, made ready to be a version: validated, with its manifest."""

import errno
from collections import Counter
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import msgspec
from msgspec import Struct

from model import catalog, files
from model.errors import ModelRefused
from model.names import is_name
from model.registry.errors import Refused, RegistryError, RowsRefused
from model.registry.store import MANIFEST, Files, check_name
from model.registry.validation import NO_SAMPLES, Samples, validate
from model.utf8 import file_text

# What a training writes next to the model; the first has the model's SHA-256.
_REPORT_DATA: Final = "report.json"
_REPORT_FILES: Final = (_REPORT_DATA, "REPORT.md", "report.html", "*.png")
_LARGEST_REPORT: Final = 32 * 2**20
# Where to see what is wrong with rows.
_REASONS: Final = "python -m model.score counts the reasons"


class _ReportData(Struct):
    """What is read of a report."""

    sha256: str


class FileUnreadable(RegistryError):
    """A file that the operating system does not let us read."""


def ingest(
    path: Path,
    name: str,
    version: str | None = None,
    samples: Samples = NO_SAMPLES,
    positive_class: str = "",
) -> Files:
    """The files of a version: the model's bytes as they are, and its manifest.

    The manifest is the one in the file's folder, if that names the file, else a derived one; in
    either, `name` and, if given, `version` are put in the place of its own. `positive_class`
    names the class that is positive, where neither the model nor that manifest does.
    The samples were checked by `check_rows`. Raises ModelRefused for a model that can't be served,
    FileUnreadable, and Refused for a name that is none.
    """
    model, given = _read(path), _manifest_of(path)
    own = {"name": name, **({"version": check_name("version", version)} if version else {})}
    artifact = catalog.entry(name).artifact
    with TemporaryDirectory(prefix="model-") as folder:
        copy = Path(folder) / artifact
        copy.write_bytes(model)
        if given:
            given |= {**own, "file": artifact}
            (Path(folder) / MANIFEST).write_bytes(msgspec.json.encode(given))
        try:
            complete = validate(copy, samples, positive_class, name)
        except ModelRefused as reason:
            raise ModelRefused(str(reason).replace(folder, str(path.parent))) from reason
    manifest = msgspec.json.decode(complete, type=dict[str, Any]) | own
    report = _report_of(path, manifest["sha256"])
    manifest |= {"report": {name: sha256(content).hexdigest() for name, content in report.items()}}
    if given and isinstance(source := given.get("source"), str):
        manifest |= {"source": source}
    return Files(model, _encoded(manifest), report)


def from_source(files: Files, source: str) -> Files:
    """The same files, whose manifest says where the model came from."""
    manifest = msgspec.json.decode(files.manifest, type=dict[str, Any])
    return files._replace(manifest=_encoded(manifest | {"source": source}))


def _encoded(manifest: dict[str, Any]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def _report_of(path: Path, digest: str) -> dict[str, bytes]:
    """The training report in a model's folder; none if it is missing or another model's."""
    try:
        own = msgspec.json.decode(_read(path.with_name(_REPORT_DATA)), type=_ReportData)
    except (FileUnreadable, msgspec.DecodeError, UnicodeError, RecursionError):
        return {}
    if own.sha256 != digest:
        return {}
    paths = sorted(file for shape in _REPORT_FILES for file in path.parent.glob(shape))
    report = {file.name: _read(file) for file in paths if is_name(file.name)}
    if (size := sum(map(len, report.values()))) > _LARGEST_REPORT:
        raise Refused(
            f"the report next to {path} has {size} bytes, and at most {_LARGEST_REPORT} are kept: "
            f"move away what of {', '.join(_REPORT_FILES)} there is no part of it"
        )
    return report


def check_readable(path: Path) -> None:
    """Raises FileUnreadable for what is not a file, or one that can't be opened."""
    try:
        files.opened(path).close()
    except OSError as error:
        raise FileUnreadable(f"{path}: {error.strerror}") from error


def check_rows(name: str, path: Path) -> list[str]:
    """Remarks on the rows of a file.

    Raises FileUnreadable, and RowsRefused for a file without a row that the model can read.
    """
    check_readable(path)
    try:
        found = Counter(map(bool, catalog.entry(name).load().read_requests(path)))
    except ModelRefused as reason:
        raise RowsRefused(str(reason)) from reason
    return rows_left_out(path, found[True], found[False])


def rows_left_out(path: Path, good: int, bad: int) -> list[str]:
    """A remark that counts the bad rows of a file, none without any.

    Raises RowsRefused if it has no good ones.
    """
    if not good:
        raise RowsRefused(f"no row of {path} is a reading; {_REASONS}")
    if not bad:
        return []
    return [f"{bad} of {good + bad} rows of {path} are not readings; {_REASONS}"]


def _read(path: Path) -> bytes:
    try:
        return files.read(path)
    except OSError as error:
        if error.errno == errno.EFBIG:
            raise ModelRefused(str(error.strerror)) from error
        raise FileUnreadable(f"{path}: {error.strerror}") from error


def _manifest_of(path: Path) -> dict[str, Any] | None:
    """The manifest in a file's folder; None if there is none or it is another file's."""
    given = path.with_name(MANIFEST)
    if not given.exists():
        return None
    try:
        manifest = msgspec.json.decode(file_text(_read(given)), type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ModelRefused(f"its manifest {given} can't be read: {error}") from error
    return manifest if manifest.get("file") == path.name else None
