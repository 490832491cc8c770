"""`python -m tests.support.hurting_worker`: the real worker, with inputs that hurt or take long."""

import os
import signal
import sys
from collections.abc import Mapping
from time import sleep
from typing import Final

from service.config.settings import Settings
from service.jobs import __main__, kinds
from service.jobs.execution import Attempt, Kind, Result
from service.jobs.models import JobModels

POISON: Final = b'"poison"'
SLOW: Final = b'"slow"'
SLOW_STEPS: Final = 25
_STEP_SECONDS: Final = 0.1


class Hurting:
    """Does what a kind does, but for an input that kills the process, and one that takes 2.5 s."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind

    def run(self, attempt: Attempt) -> Result:
        """Do the job."""
        given = attempt.blobs.read(attempt.job.input)
        if given == POISON:
            os.kill(os.getpid(), signal.SIGKILL)
        if given == SLOW:
            return _slow(attempt)
        return self._kind.run(attempt)


def _slow(attempt: Attempt) -> Result:
    """Go on from the steps that are done, and save each."""
    for step in range(attempt.job.done, SLOW_STEPS):
        sleep(_STEP_SECONDS)
        attempt.save(done=step + 1, total=SLOW_STEPS, checkpoint="", version="1")
    reference = attempt.blobs.put(attempt.job.id, b"slowly")
    return Result(reference, "text/plain", SLOW_STEPS, "1")


def _main() -> int:
    usual = kinds.kinds

    def hurting(models: JobModels, settings: Settings) -> Mapping[str, Kind]:
        return {name: Hurting(kind) for name, kind in usual(models, settings).items()}

    kinds.kinds = hurting
    return __main__.main()


if __name__ == "__main__":
    sys.exit(_main())
