"""The kinds of jobs by their names: what is done with an input."""

from collections.abc import Mapping

from service.config.settings import Settings
from service.jobs.execution import Kind
from service.jobs.job import SCORE, TABLE
from service.jobs.models import JobModels
from service.jobs.score_kind import ScoreKind
from service.jobs.table_kind import TableKind


def kinds(models: JobModels, settings: Settings) -> Mapping[str, Kind]:
    """Return what does the jobs of each kind. Another kind is added here."""
    return {SCORE: ScoreKind(models), TABLE: TableKind(models, settings)}
