"""POST /digits/train: a job that makes a data set a new version of the digits model."""

from typing import Any, Final

from flask import Blueprint, Response, request

from service.config.settings import Settings, variable
from service.http.authentication import Guard
from service.http.errors import Refused
from service.http.query import wants_details
from service.jobs.job import TRAIN, Job
from service.telemetry.record import record_of
from service.web.arguments import check_known
from service.web.inputs import JSON, Inputs
from service.web.local_files import named_file
from service.web.routes.jobs import JobRoutes
from service.web.routes.pictures import DIGITS
from service.web.submission import job_of
from service.web.uploads import json_fields

MOST_EPOCHS: Final = 100
_LONGEST_BODY: Final = 4096
_PIECE: Final = 1 << 20
_ARGUMENTS: Final = ("detail",)
_FIELDS: Final = ("images_batch_path", "epochs")


class TrainingRoute:
    """Takes trainings from the keys that may train."""

    def __init__(self, settings: Settings, inputs: Inputs, jobs: JobRoutes) -> None:
        self._settings = settings
        self._inputs = inputs
        self._jobs = jobs

    def train(self) -> Any:
        """202 and the job, as of any other; 201 `true` if the caller waits and it comes in time."""
        record = record_of(request.environ)
        self._check(record.key_name)
        check_known(request.args, _ARGUMENTS)
        asked = self._jobs.asked()
        name, parameters = _read()
        with named_file(self._settings.digits_data, _FIELDS[0], name) as file:
            pieces = iter(lambda: file.read(_PIECE), b"")
            given = self._inputs.keep(TRAIN, DIGITS, pieces, parameters)
        return self._jobs.started(job_of(given, record, asked.latest), asked, self._result)

    def _check(self, key: str) -> None:
        if key not in self._settings.trainer_names:
            raise Refused(403, f"{variable('trainers')} does not name this key")
        if not self._settings.registry:
            raise Refused(501, f"a trained model has no place to go: set {variable('registry')}")

    def _result(self, job: Job) -> Any:
        if wants_details(request.query_string.decode("latin-1")):
            return self._jobs.result_of(job)
        record_of(request.environ).model_version = job.version
        return Response("true", 201, content_type=JSON)


def blueprint(route: TrainingRoute, guard: Guard) -> Blueprint:
    """The address; it needs a key."""
    training = Blueprint("training", __name__)
    guard.protect(training)
    training.add_url_rule("/digits/train", "train", route.train, methods=["POST"])
    return training


def _read() -> tuple[object, dict[str, str]]:
    """What the body names as the data set, and the parameters of the job. Raises Refused."""
    request.max_content_length = _LONGEST_BODY
    if request.mimetype != JSON:
        raise Refused(415, f"Content-Type must be {JSON}")
    fields = json_fields()
    check_known(fields, _FIELDS)
    name, epochs = (fields.get(field) for field in _FIELDS)
    if epochs is None:
        return name, {}
    if type(epochs) is not int or not 1 <= epochs <= MOST_EPOCHS:
        raise Refused(400, f"epochs: must be a whole number, 1 to {MOST_EPOCHS}")
    return name, {"epochs": str(epochs)}
