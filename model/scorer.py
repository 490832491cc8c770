"""What a model is to the rest of the project: the protocols `Model` and `Scorer`.

A model's package implements both, and `model.catalog` names it. Requests, rows, tables and scores
are types of the model's own: callers pass them on and do not look into them, but for the
`positive` of a score.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, Protocol, TypeAlias

import msgspec
from msgspec import Struct

from model.cache import ExplanationCache
from model.errors import InvalidRequest, ModelRefused, NotExplained
from model.request_decoder import RequestDecoder

if TYPE_CHECKING:
    from model.bulk.outcome import Scored
    from model.drift.comparison import Rows
    from model.tables.cells import Cells
    from model.tables.options import Options

# A struct of the model's own, as it comes out of a body.
Request: TypeAlias = Any
# A request's features, and those of many requests as a table.
Row: TypeAlias = Any
Table: TypeAlias = Any


class Captured(NamedTuple):
    """A live request as it was scored.

    `request_id` is that of the access log and the reply; `row` is its place among the readable rows
    of that request, from 0. `captured` is a time of the epoch in seconds, `model` the version that
    scored.
    """

    request_id: str
    row: int
    captured: float
    model: str
    positive: float
    request: Any


class Score(Protocol):
    """A struct that JSON is made of. Versions are compared by `positive`, a number of 0 to 1."""

    @property
    def positive(self) -> float:
        """How probable the positive class is."""


class ScoredRow(NamedTuple):
    """A row that was scored; `row` is its place in its array, `features` their fingerprint."""

    row: int
    request: Request
    score: Score
    features: str
    warnings: tuple[str, ...]


class Bins(Protocol):
    """A feature or the score, cut into bins; `shares` are those of the reference rows in them.

    Bins of numbers are named by their upper ends, the last one "+Inf".
    """

    @property
    def name(self) -> str:
        """The feature's, or that of the score."""

    @property
    def shares(self) -> Sequence[float]:
        """Of the bins."""

    @property
    def importance(self) -> float:
        """The feature's share of the model's, 0 for the score."""

    @property
    def is_segment(self) -> bool:
        """Whether the expected accuracy is counted by its bins."""

    @property
    def bins(self) -> Sequence[str]:
        """The names of the bins, in the order of `shares`."""


class Drift:
    """Counts scored rows by the bins of the version's reference: here there is none."""

    reference: Sequence[Bins] = ()

    def add_rows(self, rows: Sequence[Row], positives: Sequence[float], /) -> None:
        """Count rows with these scores."""

    def add_table(self, table: Table, positives: Sequence[float], /) -> None:
        """The same for a table."""

    def take(self) -> Mapping[tuple[str, str], int]:
        """The rows by the names of variable and bin since the last call."""
        return {}

    def take_correct(self) -> Mapping[tuple[str, str], float]:
        """How many of the rows that `take` counted are expected to be right, by segment and bin."""
        return {}


class Explainer(Protocol):
    """What computes explanations for one scorer, in a process of its own."""

    def close(self) -> None:
        """End the process."""


class Scorer(Protocol):
    """One loaded version of a model. Immutable: to serve another version, load another scorer.

    `name` is the model's in the catalog, `sha256` that of the version's artifact; `manifest` is the
    one that came with it, None without. What has a body or a value here is optional.
    """

    name: str
    version: str
    sha256: str
    manifest: Any
    # From so many requests on, a table is quicker than rows.
    table_rows: float = inf

    @property
    def classes(self) -> Sequence[str]:
        """The names of its classes."""
        return ()

    @property
    def positive_class(self) -> str:
        """The class whose probability is `positive`."""
        return ""

    @property
    def held_out_accuracy(self) -> float | None:
        """The accuracy on held-out rows, None if it is not known."""
        return None

    @property
    def groups(self) -> Sequence[str]:
        """The groups of requests that have series of their own; see `group_of`."""
        return ()

    @property
    def warning_names(self) -> Sequence[str]:
        """The warnings that it may have, as `kind:field`."""
        return ()

    @property
    def unexplained(self) -> str | None:
        """Why its scores can't be explained, "" if they can, None if it is not known."""
        return "this model makes no explanations"

    def row(self, request: Request, /) -> Row:
        """The features of a request."""
        return request

    def predict(self, rows: Sequence[Row], /) -> Sequence[Any]:
        """One score for each row."""

    def score(self, requests: Sequence[Request], /) -> Sequence[Any]:
        """One score for each request."""
        return self.predict([self.row(request) for request in requests])

    def table_of(self, requests: Sequence[Request], /) -> tuple[Table, Mapping[str, int]]:
        """The table of requests, and how many of them have which warning."""
        return requests, {}

    def score_table(self, table: Table, /) -> Sequence[Any]:
        """One score for each row of a table."""
        return self.score(table)

    def fingerprint(self, row: Row, /) -> str:
        """What equal features have in common and others have not, "" if there is no such thing."""
        del row
        return ""

    def fingerprints(self, table: Table, /) -> Sequence[str]:
        """That of each row of a table."""
        return [self.fingerprint(row) for row in table]

    def warnings_of(self, requests: Sequence[Request], table: Table, /) -> Sequence[Sequence[str]]:
        """The warnings of each request, whose table is given."""
        del table
        return [()] * len(requests)

    def group_of(self, request: Request, /) -> str:
        """The group of a request for which versions are compared apart, "" for none."""
        del request
        return ""

    def groups_of(self, rows: Sequence[Row], /) -> Sequence[str]:
        """The group of each row, "" for none."""
        return [""] * len(rows)

    def drift_counter(self, reference: Sequence[Any] | None = None, /) -> Drift:
        """A new counter of rows by the bins of a reference, without one by the version's own."""
        del reference
        return Drift()

    def explainer(self, cache: ExplanationCache | None = None, /) -> Explainer:
        """What `explained` needs; starts nothing yet. Its process may use the cache."""
        del cache
        raise NotImplementedError

    def explained(self, rows: Sequence[Row], explainer: Any, seconds: float, /) -> Sequence[Any]:
        """The explanation of each row, within so many seconds, by an explainer of this scorer.

        Raises NotExplained.
        """
        raise NotImplementedError

    def explained_here(self, rows: Sequence[Row], /) -> Sequence[Any]:
        """The same in this process, which it holds up: for one that scores nothing.

        Raises NotExplained.
        """
        raise NotExplained(f"this model makes no explanations of {len(rows)} rows")

    def memory_of(self, request: Request, /) -> int:
        """About how many bytes a request takes beyond its fixed part."""
        del request
        return 0

    def warm(self) -> None:
        """Do once what requests will do. Raises ModelRefused when it can't be done."""
        return

    def validate(self) -> None:
        """Try all that will be done with it, and check its scores. Raises ModelRefused."""
        self.warm()

    def prepare(self) -> None:
        """Do what saves memory before a fork; nothing is predicted."""
        return


class Decoder(Protocol):
    """Reads bodies: one request, or an array of them."""

    def __call__(self, body: bytes, /) -> Request | list[Request | InvalidRequest]:
        """One request, or those of an array, each unreadable one in its place.

        Raises InvalidRequest when nothing in the body can be read.
        """

    def slices(self, body: bytes, /) -> Iterator[list[Request | InvalidRequest]]:
        """The requests of an array in order, some in each step. Raises InvalidRequest."""


class Checked(Protocol):
    """A doubtful request, after the policies of its warnings.

    `request` is the one to score in its place, None if it is as it was, and `row` its features;
    `names` are its warnings and what was put right, `fault` is why it is refused, if it is.
    """

    @property
    def request(self) -> Request | None:
        """The request to score instead."""

    @property
    def row(self) -> Row:
        """The features to score."""

    @property
    def names(self) -> Sequence[str]:
        """The warnings."""

    @property
    def fault(self) -> InvalidRequest | None:
        """Why it is refused."""


class Reviewer:
    """What is said of requests in addition to scores, by an operator's settings: here nothing.

    `accept_all`: no request is changed or refused, so that many may be scored as a table.
    """

    accept_all = True

    def warnings(self, scorer: Any, request: Request, row: Row, /) -> Sequence[str]:
        """What makes a request doubtful."""
        del scorer, request, row
        return ()

    def settle(
        self, scorer: Any, request: Request, row: Row, warnings: Sequence[str], /
    ) -> Checked:
        """What becomes of a doubtful request by its warnings."""
        raise NotImplementedError

    def detail(self, scorer: Any, request: Request, score: Any, /) -> Any:
        """The score with what `?detail=1` adds."""
        del scorer, request
        return score


class Decisions(Protocol):
    """Decides by a score. `limits` are thresholds of `positive`, by decision.

    `source` is `manifest` if a version has them of its own, `costs` if costs make them.
    """

    @property
    def names(self) -> Sequence[str]:
        """All decisions."""

    @property
    def source(self) -> str:
        """Where the thresholds come from."""

    @property
    def limits(self) -> Mapping[str, float]:
        """The thresholds in force."""

    def decide(self, positive: float, /) -> str:
        """The decision, one of `names`."""


class Gate(Protocol):
    """A check of one promotion: `parity` is what a comparison of versions found, if there was."""

    parity: Any

    @property
    def remarks(self) -> Sequence[str]:
        """What makes the comparison doubtful."""

    def __call__(self, path: Path, /) -> None:
        """Raises ModelRefused for a model that can't be served, or differs too much."""


class Model(Protocol):
    """A model's package, as its `MODEL`. What has a body here is optional.

    `name` is that of its entry in the catalog. The types are structs of msgspec: of requests,
    scores and scores with details, of explanations, and of what a gate's comparison found; None
    without.
    """

    name: str
    request: type[Struct]
    score: type[Struct]
    explanation: type[Struct] | None = None
    parity: type[Struct] | None = None
    # Features of when a request was made: files differ by them, so they do not count in a mean.
    time_features: Collection[str] = ()

    @property
    def detail(self) -> type[Struct]:
        """The type of what a reviewer's `detail` returns."""
        return self.score

    def decoder(self, max_rows: int, /) -> Decoder:
        """What reads bodies, with at most so many rows in an array."""
        return RequestDecoder(self.request, _no_hook, max_rows)

    def load(self, path: Path, positive_class: str = "") -> Any:
        """The `Scorer` of an artifact. Raises ModelRefused, naming the file and the reason.

        `positive_class` names the positive class where neither the model nor a manifest does.
        """

    def manifest(self, scorer: Any, path: Path, sample: Path | None, /) -> Any:
        """The manifest of a scorer that was loaded from a file, or one derived from the file.

        A struct with `version`, `file` and `sha256`. `sample` is a CSV file of requests.
        """

    def with_reference(self, manifest: Any, scorer: Any, rows: Path, /) -> Any:
        """The same manifest with the drift reference of a file of requests. Raises ModelRefused."""
        del manifest, scorer
        raise ModelRefused(f"{self.name} has no drift reference to make from {rows}")

    def drift_rows(self, path: Path, scorer: Any, options: "Options", /) -> "Rows":
        """The requests of a file with their features and scores, to compare two files by.

        Raises OSError, TableRefused, DataRefused, and ModelRefused for a model without bins.
        """
        del scorer, options
        raise ModelRefused(f"{self.name} makes no bins to compare {path} by")

    def drift_reference(self, rows: "Rows", scorer: Any, /) -> Sequence[Bins]:
        """The bins of such rows and their shares, for the scorer's `drift_counter`."""
        del scorer
        raise ModelRefused(f"{self.name} makes no bins of {len(rows.positives)} rows")

    def trial_requests(self) -> Sequence[Request]:
        """Requests that every version scores before it serves; its speed is measured by them."""

    def schemas(self, ref_template: str, /) -> dict[str, Any]:
        """JSON Schemas by type name; `ref_template` holds `{name}`."""
        kinds = filter(None, (self.request, self.score, self.explanation))
        return msgspec.json.schema_components(kinds, ref_template=ref_template)[1]

    def json_of(self, request: Request, /) -> bytes:
        """A request as JSON that its decoder reads as the same request."""
        return msgspec.json.encode(request)

    def subjects(self, request: Request, /) -> Sequence[str]:
        """The marks by which people ask for what is kept of them, such as a plate; see `mark`."""
        del request
        return ()

    def mark(self, text: str, /) -> str:
        """What a person writes, in the spelling of `subjects`."""
        return text

    def group(self, request: Request, /) -> str:
        """The group of a request for which quality is measured apart, "" for none."""
        del request
        return ""

    def outcome(self, request: Request, truth: str, /) -> str:
        """Whose reading a true one proves right: `network`, `camera`, or `neither` of them."""
        del request, truth
        raise NotImplementedError

    def comparison(self, request: Request, /) -> Any:
        """What a person compares who reviews a decision on a request; None if nobody can.

        A struct with `places` of both readings, a `text` that says where they differ, and
        `likeness`, equal for requests that are compared in the same way. No score is in it.
        """
        del request

    def facts(self, request: Request, /) -> Mapping[str, str | int | float]:
        """What may be kept of a request for analysis, by column: nothing personal."""
        del request
        return {}

    def vectors(self, request: Request, /) -> Mapping[str, Sequence[float]]:
        """The confidences that came with a request, by name: nothing personal either."""
        del request
        return {}

    def reviewer(
        self,
        policies: Mapping[str, Any],
        costs: Mapping[str, float],
        /,
        *,
        by_costs: bool = False,
    ) -> Any:
        """The `Reviewer` by the policies of warnings and the costs of wrong decisions.

        With `by_costs` the costs decide, even if a version has thresholds of its own.
        """
        del policies, costs, by_costs
        return Reviewer()

    def decisions(
        self, costs: Mapping[str, float], scorer: Any, /, *, by_costs: bool = False
    ) -> Decisions | None:
        """Decides by the scores of a scorer, None for a model without decisions.

        By the version's own thresholds, if it has any and not `by_costs`, else by the costs of
        wrong decisions.
        """
        del costs, scorer, by_costs
        return None

    def read_requests(self, path: Path, /) -> Iterator[Request | None]:
        """The requests of a CSV file, None for an invalid row. Raises ModelRefused."""
        raise ModelRefused(f"{self.name} reads no requests from {path}")

    def write_captured(self, path: Path, rows: Sequence[Captured], *, plates: bool) -> None:
        """Write live requests to a new file, personal data only if `plates`. Raises OSError."""
        raise ModelRefused(f"{self.name} writes no requests: {path}, {len(rows)} rows, {plates}")

    def gate(
        self,
        check: Callable[[Path], object],
        live: Any,
        requests: Sequence[Request],
        limits: Mapping[str, float],
    ) -> Gate:
        """The gate of a promotion: `check`, then a comparison with the live scorer."""
        del live, requests, limits
        return _CheckOnly(check)

    def labelled(
        self, path: Path, label: str | None, positive: str = "", /
    ) -> tuple[Any, Sequence[str]]:
        """The labelled rows of a file, for `quality`, None if it has none; and remarks on them.

        `label` names their column, None where the usual one may be missing; `positive` the word
        that means 1, "" for 0 and 1. Raises OSError, TableRefused, DataRefused, and
        ModuleNotFoundError without the packages of training.
        """
        del path, label, positive
        return None, []

    def quality(self, candidate: Any, other: Any, rows: Any, /) -> Any:
        """A struct of how good one scorer is on labelled rows, compared with another one.

        It has a `verdict` (better, worse or unclear), and in words `worse`, a line for each figure
        that is, and `lines`, all that was found. Called with what `labelled` returned.
        """
        del candidate, other, rows
        return None

    def recalibrated(  # noqa: PLR0913, PLR0917 - what a calibration is made of
        self,
        path: Path,
        requests: Sequence[Request],
        labels: Sequence[int],
        weights: Sequence[float],
        method: str,
        version: str,
        /,
    ) -> Any:
        """A version's file with a new calibration, by labelled requests in the order of time.

        It has `manifest`, and the probabilities `before` and `after` of the newest requests.
        Raises ModelRefused, DataRefused, and ModuleNotFoundError without the packages of training.
        """
        del path, requests, labels, weights, method, version
        raise NotImplementedError

    def decision_page(self, measured: Any, about: str, /) -> str:
        """The quality of logged decisions as one HTML page; `about` says which they are.

        Raises ModuleNotFoundError without the packages of training.
        """
        del measured, about
        raise NotImplementedError

    def score_cells(self, artifact: str, cells: "Cells", positive_class: str = "") -> "Scored":
        """The scores of the rows of a table, by the model of a path. Raises ModelRefused.

        `cells` has the columns of the request's fields.
        """
        from model.bulk.rows import score_rows  # noqa: PLC0415 - what serves needs no tables

        return score_rows(self, artifact, cells, positive_class)


def _no_hook(kind: type, _value: object) -> NoReturn:
    raise NotImplementedError(kind.__name__)


class _CheckOnly:
    """The gate of a model that compares no versions."""

    remarks: Sequence[str] = ()
    parity: Any = None

    def __init__(self, check: Callable[[Path], object]) -> None:
        self._check = check

    def __call__(self, path: Path, /) -> None:
        """Raises ModelRefused for a model that can't be served."""
        self._check(path)
