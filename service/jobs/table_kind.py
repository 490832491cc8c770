"""Jobs of the kind `table`: a file of readings that is scored as `python -m model.score` does."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO, Final

from model.bulk.workers import CHUNK_ROWS, ERROR, Work, outcome_of
from model.tables.format import SAMPLE_BYTES, Format, binary_kind
from model.tables.output import Renderer, Writer, output_format, writer
from model.tables.parts import can_be_packed, packed, unpacked
from model.tables.table import Parcel, Table, open_table
from service.config.settings import Settings
from service.jobs.checkpoint import Checkpoint
from service.jobs.execution import Attempt, Result
from service.jobs.models import JobModel, JobModels
from service.jobs.parameters import TableParameters, table_parameters
from service.jobs.watched_file import watched

_MEDIA_TYPES: Final[Mapping[str, str]] = {
    "CSV": "text/csv",
    "JSON lines": "application/jsonl",
    "Parquet": "application/vnd.apache.parquet",
    "Excel": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
# Of these the place in the file says how many rows there will be.
_TEXTS: Final = frozenset(("CSV", "JSON lines"))


class TableKind:
    """Scores the rows of a file; the result is the file that `python -m model.score` writes.

    Parameters: `detail`, 0 or 1; `format` of the result, that of the input by default; `sep`,
    `encoding` and `decimal` where they are not to be found out.
    """

    def __init__(self, models: JobModels, settings: Settings) -> None:
        self._models = models
        self._costs = settings.costs
        self._by_costs = settings.thresholds == "costs"

    def run(self, attempt: Attempt) -> Result:
        """Score the file. Raises InvalidRequest, TableRefused."""
        job = attempt.job
        served, parameters = self._models.of(job.model), table_parameters(job.parameters)
        wanted = served.model.request.__struct_fields__
        with ExitStack() as opened:
            with attempt.holding():  # Excel's texts are read at once
                blob = opened.enter_context(attempt.blobs.open(job.input))
                file = opened.enter_context(_watched(blob, attempt))
                table = opened.enter_context(open_table(file, wanted, parameters.options))
            out = output_format(Path(), table.layout.format, parameters.format)
            work = self._work(served, table, out, parameters)
            rows = _Rows(attempt, table, work, out, served.live.version)
            reference = rows.scored()
        return Result(reference, _MEDIA_TYPES[out.kind], rows.done, served.live.version)

    def _work(
        self, served: JobModel, table: Table, out: Format, parameters: TableParameters
    ) -> Work:
        model = served.model
        new = (model.detail if parameters.detail else model.score).__struct_fields__
        return Work(
            model.name,
            served.artifact,
            table.layout,
            Renderer(table.layout, out, [*new, ERROR]),
            positive_class=served.positive_class,
            costs=self._costs if parameters.detail else None,
            by_costs=self._by_costs,
        )


@contextmanager
def _watched(blob: BinaryIO, attempt: Attempt) -> Iterator[BinaryIO]:
    """The file, of which a book of Excel is read for long before its first row."""
    is_book = binary_kind(blob.read(SAMPLE_BYTES)) == "Excel"
    blob.seek(0)
    with watched(blob, attempt.look) if is_book else nullcontext(blob) as file:
        yield file


class _Rows:
    """The rows of a table, scored parcel by parcel, from the checkpoint on.

    An output in Excel's form has no checkpoints: another attempt begins anew.
    """

    def __init__(
        self, attempt: Attempt, table: Table, work: Work, out: Format, version: str
    ) -> None:
        self._attempt = attempt
        self._table = table
        self._work = work
        self._out = out
        self._checkpoint = Checkpoint.of(attempt, version)
        self._saved = self._checkpoint.done
        self._read = 0
        self._unsaved: list[Any] = []

    @property
    def done(self) -> int:
        """The rows that are scored."""
        return self._checkpoint.done

    def scored(self) -> str:
        """Score the rows that are left, and return the reference of the whole output."""
        done_before = self._checkpoint.parcels
        for number, parcel in enumerate(self._table.parcels(CHUNK_ROWS)):
            self._read += self._table.source.read_more()
            if number >= done_before:
                self._add(parcel)
            else:
                self._attempt.keep()
        with self._attempt.holding(), self._attempt.blobs.writing(self._attempt.job.id) as blob:
            renderer, look = self._work.renderer, self._attempt.look
            self._write(writer(blob.file, self._out, renderer, look=look))
        return blob.reference

    def _write(self, target: Writer) -> None:
        """Write the whole output; it is given up where a cancellation or a stop comes before."""
        try:
            for content in self._contents():
                self._attempt.keep()
                target.write(content)
        except BaseException:
            target.abandon()
            raise
        target.close()

    def _add(self, parcel: Parcel) -> None:
        checkpoint, outcome = self._checkpoint, outcome_of(self._work, parcel)
        self._unsaved.append(outcome.content)
        checkpoint.done += outcome.rows
        checkpoint.parcels += 1
        if not self._attempt.is_to_save(checkpoint.done - self._saved):
            return
        if can_be_packed(self._out):
            checkpoint.save(self._attempt, packed(self._unsaved, self._out), self._total)
            self._unsaved.clear()
        else:
            version = checkpoint.version
            self._attempt.save(
                done=checkpoint.done, total=self._total, checkpoint="", version=version
            )
        self._saved = checkpoint.done

    def _contents(self) -> Iterator[Any]:
        for reference in self._checkpoint.parts:
            yield from unpacked(self._attempt.blobs.read(reference), self._out)
        yield from self._unsaved

    @property
    def _total(self) -> int:
        """The rows of the file; of a text an estimate by its bytes, 0 if there is none."""
        table, size = self._table, self._table.source.size
        if table.layout.format.kind not in _TEXTS or not size or not self._read:
            return table.count
        return max(self._checkpoint.done, round(self._checkpoint.done * size / self._read))
