"""Regno as a model of the catalog."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model.redaction import is_whole_plate
from model.regno import analysis, capture_file, golden, manifest_builder
from model.regno.columns import sample
from model.regno.evaluation.gate import Gate
from model.regno.evaluation.parity import Limits, Parity
from model.regno.explain.explanation import Explanation
from model.regno.features import CALENDAR
from model.regno.model_file.manifest import Manifest
from model.regno.plates import plain
from model.regno.request import Reading, encode_reading
from model.regno.review.comparison import Comparison, compare
from model.regno.review.decision import Costs, ThresholdChoice, Thresholds
from model.regno.review.detail import Detail, Reviewer
from model.regno.schema import components
from model.regno.score import Score
from model.regno.scorer import RegnoScorer
from model.request_decoder import RequestDecoder
from model.scorer import Captured, Model

if TYPE_CHECKING:
    from model.bulk.outcome import Scored
    from model.drift.comparison import Rows
    from model.drift.counter import Variable
    from model.tables.cells import Cells
    from model.tables.options import Options


class RegnoModel(Model):
    """The scorer of number-plate disagreements."""

    name = RegnoScorer.name
    request = Reading
    score = Score
    explanation = Explanation
    parity = Parity
    time_features = (*CALENDAR, "hour")

    @property
    def detail(self) -> type[Detail]:
        """The type of a score with its details."""
        return Detail

    def decoder(self, max_rows: int, /) -> RequestDecoder[Reading]:
        """What reads bodies: one reading, or an array of at most `max_rows`."""
        return RegnoScorer.decoder(max_rows)

    def load(self, path: Path, positive_class: str = "") -> RegnoScorer:
        """The scorer of a .cbm file and the manifest next to it. Raises ModelRefused."""
        return RegnoScorer.load(path, positive_class)

    def manifest(self, scorer: RegnoScorer, path: Path, sample: Path | None, /) -> Manifest:
        """The manifest of a scorer, or one derived from its file. Raises ModelRefused."""
        return manifest_builder.complete(scorer, path, sample)

    def with_reference(self, manifest: Manifest, scorer: RegnoScorer, rows: Path, /) -> Manifest:
        """The same manifest with the drift reference of a file of readings. Raises ModelRefused."""
        return manifest_builder.with_reference(manifest, scorer, rows)

    def drift_rows(self, path: Path, scorer: RegnoScorer, options: "Options", /) -> "Rows":
        """The readings of a file with their features and scores; see `Model.drift_rows`."""
        return _drift_rows().read(path, scorer, options)  # type: ignore[no-any-return]

    def drift_reference(self, rows: "Rows", scorer: RegnoScorer, /) -> "Sequence[Variable]":
        """The bins of readings, of about equal shares."""
        return _drift_rows().reference_of(rows, scorer)  # type: ignore[no-any-return]

    def trial_requests(self) -> Sequence[Reading]:
        """The golden readings."""
        return golden.readings()

    def json_of(self, request: Reading, /) -> bytes:
        """A reading as JSON, with its time as it was sent."""
        return encode_reading(request)

    def subjects(self, request: Reading, /) -> Sequence[str]:
        """The plates of both readings."""
        return (self.mark(request.regno_recognize), self.mark(request.afts_regno_ai))

    def mark(self, text: str, /) -> str:
        """A plate without blanks, in Cyrillic capitals."""
        return plain(text)

    def group(self, request: Reading, /) -> str:
        """The camera class, "" where a caller sent a plate in its place."""
        group = RegnoScorer.group_of(request)
        return "" if is_whole_plate(group) else group

    def outcome(self, request: Reading, truth: str, /) -> str:
        """Whose reading a plate proves right; the network's if both are of that plate."""
        camera, network = self.subjects(request)
        right = {camera: "camera", network: "network"}
        return right.get(self.mark(truth), "neither")

    def comparison(self, request: Reading, /) -> Comparison:
        """Both readings place by place, and what is known of them."""
        return compare(request)

    def facts(self, request: Reading, /) -> dict[str, str | int | float]:
        """What no plate can be told from: camera, hour, templates, lengths, confidences."""
        return analysis.facts(request)

    def vectors(self, request: Reading, /) -> dict[str, list[float]]:
        """The network's confidences, without the characters."""
        return analysis.vectors(request)

    def schemas(self, ref_template: str, /) -> dict[str, Any]:
        """JSON Schemas of readings, scores, details and explanations."""
        return components(ref_template)

    def reviewer(
        self,
        policies: Mapping[str, Any],
        costs: Mapping[str, float],
        /,
        *,
        by_costs: bool = False,
    ) -> "Reviewer":
        """Guards by the policies, decisions by the thresholds of a manifest or by the costs."""
        return Reviewer(policies, ThresholdChoice(Costs(**costs), by_costs=by_costs))

    def decisions(
        self, costs: Mapping[str, float], scorer: RegnoScorer, /, *, by_costs: bool = False
    ) -> Thresholds:
        """The thresholds of the scorer's manifest, or those that cost least."""
        return ThresholdChoice(Costs(**costs), by_costs=by_costs).of(scorer.manifest)

    def read_requests(self, path: Path, /) -> Iterator[Reading | None]:
        """The readings of a CSV file, None for an invalid row. Raises ModelRefused."""
        return sample.read(path)

    def write_captured(self, path: Path, rows: Sequence[Captured], *, plates: bool) -> None:
        """Write live readings to a Parquet file, their plates only if asked to. Raises OSError."""
        capture_file.write(path, rows, plates=plates)

    def gate(
        self,
        check: Callable[[Path], object],
        live: RegnoScorer,
        requests: Sequence[Reading],
        limits: Mapping[str, float],
    ) -> Gate:
        """The parity gate, with those of `Limits` that are not the usual ones."""
        return Gate(check, live, requests, Limits(**limits))  # type: ignore[arg-type]

    def labelled(
        self, path: Path, label: str | None, positive: str = "", /
    ) -> tuple[Any, Sequence[str]]:
        """The labelled readings of a file, with remarks; see `Model.labelled`."""
        return _verdict().labelled(path, label, positive)  # type: ignore[no-any-return]

    def quality(self, candidate: RegnoScorer, other: RegnoScorer, rows: Any, /) -> Any:
        """The `Quality` of a scorer on labelled readings, compared with another one."""
        return _verdict().quality(candidate, other, rows)

    def recalibrated(  # noqa: PLR0913, PLR0917 - see Model
        self,
        path: Path,
        requests: Sequence[Reading],
        labels: Sequence[int],
        weights: Sequence[float],
        method: str,
        version: str,
        /,
    ) -> Any:
        """A version's file with a new calibration; see `Model.recalibrated`."""
        module = import_module("model.regno.training.recalibration")
        return module.recalibrated(path, requests, labels, weights, method, version)

    def decision_page(self, measured: Any, about: str, /) -> str:
        """The page on the quality of logged decisions."""
        page = import_module("model.regno.evaluation.decision_page")
        return page.html(measured, about)  # type: ignore[no-any-return]

    def score_cells(self, artifact: str, cells: "Cells", positive_class: str = "") -> "Scored":
        """The scores of the rows of a table, by the model of a path."""
        from model.regno import bulk  # noqa: PLC0415 - what serves needs no tables

        return bulk.score_cells(artifact, cells, positive_class)


def _drift_rows() -> Any:
    """The module that reads files, which what serves goes without."""
    return import_module("model.regno.evaluation.drift_rows")


def _verdict() -> Any:
    """The module that needs the packages of training, which what serves goes without."""
    return import_module("model.regno.evaluation.verdict")


MODEL = RegnoModel()
