"""A model file from outside, made ready to be a version: examined, with its manifest."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from model.errors import ModelRefused
from model.registry.errors import RegistryError
from model.registry.examination import examine
from model.registry.homes import LARGEST, MANIFEST, MODEL, Files, check_name


class FileUnreadable(RegistryError):
    """A file that the operating system does not let us read."""


def incoming(path: Path, name: str, version: str | None, vocabulary_from: Path | None) -> Files:
    """The files of a version: the model's bytes as they are, and its manifest.

    The manifest is the one beside the file, if that names the file, else a derived one; in
    either, `name` and, if given, `version` are put in the place of its own.
    Raises ModelRefused for a model that can't be served, FileUnreadable, and Refused for a
    name that is none.
    """
    model, beside = read_file(path), _manifest_of(path)
    if vocabulary_from:
        read_file(vocabulary_from, 1)
    with TemporaryDirectory(prefix="model-") as folder:
        copy = Path(folder) / MODEL
        copy.write_bytes(model)
        if beside:
            (Path(folder) / MANIFEST).write_bytes(msgspec.json.encode({**beside, "file": MODEL}))
        try:
            told = examine(copy, vocabulary_from)
        except ModelRefused as reason:
            raise ModelRefused(str(reason).replace(folder, str(path.parent))) from reason
    papers = msgspec.json.decode(told, type=dict[str, Any])
    papers |= {"name": name, "version": check_name("version", version or papers["version"])}
    return Files(model, msgspec.json.format(msgspec.json.encode(papers), indent=2) + b"\n")


def read_file(path: Path, enough: int = LARGEST) -> bytes:
    """The bytes of a file, `enough` and one at most. Raises FileUnreadable, ModelRefused."""
    try:
        with path.open("rb") as file:
            content = file.read(enough + 1)
    except OSError as error:
        raise FileUnreadable(f"{path}: {error.strerror}") from error
    if enough == LARGEST and len(content) > LARGEST:
        raise ModelRefused(f"it is larger than {LARGEST} bytes")
    return content


def _manifest_of(path: Path) -> dict[str, Any] | None:
    """The manifest beside a file; None if there is none or it is another file's."""
    beside = path.with_name(MANIFEST)
    if not beside.exists():
        return None
    try:
        papers = msgspec.json.decode(read_file(beside), type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ModelRefused(f"its manifest {beside} can't be read: {error}") from error
    return papers if papers.get("file") == path.name else None
