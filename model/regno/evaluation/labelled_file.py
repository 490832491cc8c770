"""A file of labelled rows, as commands read it: with progress, and bad rows reported."""

import hashlib
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from tqdm import tqdm

from model.bulk.outcome import by_reason
from model.cli import Exit, SignalFlag, os_errors_exit
from model.regno.dataset import rows as dataset
from model.regno.dataset.rows import Choices, Contents, Fault
from model.regno.evaluation.report import Source
from model.tables.options import SNIFFED, Options
from model.tables.source import open_seekable

_SHOWN_FAULTS: Final = 10
# In the reason of a row whose label is a word.
_WORD: Final = "must be 0 or 1, not "


class Reading(NamedTuple):
    """How to read a file. Bad rows are left out with `skip_bad`, else they end the command."""

    label: str
    format: Options = SNIFFED
    choices: Choices = Choices()
    skip_bad: bool = False
    progress: bool = True


def read_file(path: Path, reading: Reading, signals: SignalFlag) -> tuple[Contents, Source]:
    """The rows of a file, and what the report says of the file. Raises Exit, TableRefused."""
    with os_errors_exit(66, path), open_seekable(path) as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
        size = file.seek(0, 2)
        file.seek(0)
        disable = None if reading.progress else True
        with tqdm(total=size, desc="Reading", unit="B", unit_scale=True, disable=disable) as bar:

            def progress(size: int) -> None:
                bar.update(size)
                signals.check()

            contents = dataset.read(file, reading.label, progress, reading.format, reading.choices)
    rows, faults = contents.rows, contents.faults
    if not contents.format.is_plain:
        sys.stderr.write(f"{path}: {contents.format}\n")
    if contents.empty:
        sys.stderr.write(f"{path}: {contents.empty} empty rows left out\n")
    reasons = Counter(fault.reason for fault in faults)
    if faults:
        _report_faults(path, faults, reasons, len(rows.labels), skipping=reading.skip_bad)
    left_out, count = dict(reasons.most_common()), len(rows.labels)
    source = Source(
        *(path.name, digest, reading.label, count, left_out),
        *(contents.warnings, contents.plate_lengths),
    )
    return contents, source


def _report_faults(
    path: Path, faults: Sequence[Fault], reasons: Counter[str], good: int, *, skipping: bool
) -> None:
    """Report bad rows: the lines of the first ones, and counts by reason."""
    lines = [f"  {fault.where}: {fault.reason}\n" for fault in faults[:_SHOWN_FAULTS]]
    if len(faults) > _SHOWN_FAULTS:
        lines += [f"  and {len(faults) - _SHOWN_FAULTS} more; in all\n", by_reason(reasons)]
    count = f"{path}: {len(faults)} of {good + len(faults)} rows are bad"
    if skipping and good:
        sys.stderr.write("".join([f"{count} and left out\n", *lines]))
        return
    hint = "; --skip-bad leaves them out" if good else ""
    if any(_WORD in reason for reason in reasons):
        hint += "; --positive WORD names the label that means 1"
    raise Exit(65, "".join([f"{count}{hint}\n", *lines]).rstrip("\n"))
