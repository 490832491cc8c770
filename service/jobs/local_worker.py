"""The job worker of the embedded form: a parent, and child processes that do one job each.

The parent loads the models and forks; a child that dies is replaced within milliseconds, and its
job is given back at once. On TERM each child saves its work and gives its job back, with no
attempt lost.
"""

import logging
import os
import signal
from contextlib import suppress
from time import monotonic, time
from typing import Final

from service.config.settings import Settings
from service.jobs.execution import DIED, Execution, Pace, longest_pause
from service.jobs.job import usual_kinds
from service.jobs.kinds import kinds
from service.jobs.liveness import beat
from service.jobs.local_queue import WakeUp
from service.jobs.metrics_page import MetricsPage
from service.jobs.models import JobModels
from service.jobs.processes import NICENESS, is_dead, limit_memory, worker_name
from service.jobs.stores import Stores, jobs_folder
from service.jobs.sweeper import Sweeper
from service.jobs.transitions import FenceLost
from service.runtime import runtime
from service.runtime.restarts import Restarts
from service.telemetry.error_reports import reports
from service.telemetry.failures import contained, log_failure
from service.telemetry.metrics import multiprocess

# How long a child that finds no job waits before it looks again; a new job wakes it.
_LEAST_WAIT: Final = 0.05
_GREATEST_WAIT: Final = 0.5
_SWEEP_SECONDS: Final = 1.0
# How long the children may take to stop.
_GRACE_SECONDS: Final = 20.0
_RUNNING: Final = 1000
_STOPS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
_AWAITED: Final = {*_STOPS, signal.SIGCHLD}
# What a child ends with: at its stop, by an error, and when it could not begin.
_STOPPED: Final = 0
_FAILED: Final = 1
_NOT_READY: Final = 3
HOPELESS: Final = 70

log = logging.getLogger("scoring")


class Child:
    """A process that does jobs, one after the other."""

    def __init__(self, settings: Settings, stores: Stores, models: JobModels) -> None:
        self._found_one = False
        self._parent = os.getppid()
        self._models = models
        self._records = stores.records
        self._lease = settings.job_lease_seconds
        self._name = worker_name(os.getpid())
        self._kinds = usual_kinds(settings)
        self._wake_up = WakeUp(jobs_folder(settings))
        self._is_stopped = False
        self._execution = Execution(
            stores.records,
            stores.blobs,
            kinds(models, settings),
            Pace(lease=self._lease, checkpoint_rows=settings.job_checkpoint_rows),
            stopping=lambda: self.is_stopping,
            observe=models.observe,
        )

    @property
    def is_stopping(self) -> bool:
        """Whether a stop was signalled, or its parent is gone."""
        return self._is_stopped or os.getppid() != self._parent

    def stop(self) -> None:
        """Stop after the next step."""
        self._is_stopped = True

    def run(self) -> None:
        """Do jobs until it has to stop."""
        pause = _LEAST_WAIT
        while not self.is_stopping:
            contained("models", self._models.follow)
            contained("jobs", self._do_next)
            if self._found_one or self._wake_up.wait(pause):
                pause = _LEAST_WAIT
            else:
                pause = min(2 * pause, _GREATEST_WAIT)

    def _do_next(self) -> None:
        """Do the next job, if there is one. Raises RecordsUnavailable."""
        self._found_one = False
        job = self._records.next(self._kinds, self._name, time(), self._lease)
        if job is not None:
            self._found_one = True
            self._execution.attempt(job)


class LocalWorker:
    """The parent of the children: replaces them, sweeps the records, stops all."""

    def __init__(
        self, settings: Settings, stores: Stores, models: JobModels, page: MetricsPage
    ) -> None:
        self._settings = settings
        self._models = models
        self._page = page
        self._stores = stores
        self._records = stores.records
        self._sweeper = Sweeper(*stores)
        self._restarts = Restarts()
        self._places: dict[int, int] = {}  # of the children, by their process ids
        self._ready, self._tell_ready = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._next_sweep = 0.0

    def run(self) -> int:
        """Work until a signal says to stop, and return the exit status."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _AWAITED)
        log.info(
            "Job worker (embedded): processes: %d; records and files: %s",
            self._settings.job_workers,
            jobs_folder(self._settings),
        )
        while not self._restarts.is_hopeless:
            self._start_children()
            got = signal.sigtimedwait(_AWAITED, self._pause)
            if got is not None and got.si_signo in _STOPS:
                self._stop()
                log.info("Job worker stopped")
                return 0
            self._note_ready()
            self._reap(os.WNOHANG)
            if monotonic() >= self._next_sweep:
                self._next_sweep = monotonic() + _SWEEP_SECONDS
                contained("jobs", self._sweep)
                contained("metrics", self._page.restart_if_ended)
        self._stop()
        log.error("Job worker gives up: no process gets ready")
        return HOPELESS

    @property
    def _pause(self) -> float:
        until_sweep = max(0.0, self._next_sweep - monotonic())
        is_whole = len(self._places) == self._settings.job_workers
        return until_sweep if is_whole else min(until_sweep, self._restarts.pause)

    def _start_children(self) -> None:
        free = set(range(self._settings.job_workers)) - set(self._places.values())
        for place in sorted(free):
            if self._restarts.pause:
                return
            try:
                pid = os.fork()
            except OSError as error:
                self._restarts.fork_failed()
                log.error("A process can't be started: %s", error.strerror)  # noqa: TRY400
                return
            if not pid:
                _be_child(self._settings, self._stores, self._models, place, self._tell_ready)
            self._restarts.forked()
            self._places[pid] = place

    def _note_ready(self) -> None:
        with suppress(BlockingIOError):
            if os.read(self._ready, 64):
                self._restarts.ready()

    def _reap(self, how: int) -> None:
        for pid in list(self._places):
            ended, status = os.waitpid(pid, how)
            if not ended:
                continue
            place = self._places.pop(pid)
            contained("gauges", multiprocess.clear_live_gauges, place, runtime().run_folder.path)
            code = os.waitstatus_to_exitcode(status)
            if code != _STOPPED:
                log.error("A process of the job worker ended with %d", code)
                is_booting = code == _NOT_READY
                self._restarts.died(self._settings.job_workers, booting=is_booting)
                contained("jobs", self._give_back)

    def _sweep(self) -> None:
        beat(self._settings)
        self._give_back()
        self._sweeper.sweep(time())

    def _give_back(self) -> None:
        """Have the jobs tried again whose process on this machine has died."""
        now = time()
        for job in self._records.running(_RUNNING):
            if not is_dead(job.worker):
                continue
            try:
                if job.attempts >= job.max_attempts:
                    # The claim of a job without attempts left ends it.
                    self._records.claim(job.id, job.worker, now, 0.0, redelivered=True)
                else:
                    pause = longest_pause(job.attempts) / 2
                    self._records.retry(job.id, job.fence, now, now + pause, DIED)
            except FenceLost:
                continue

    def _stop(self) -> None:
        """Stop all children; those that do not stop in time are killed, and lose their attempt."""
        for pid in self._places:
            os.kill(pid, signal.SIGTERM)
        latest = monotonic() + _GRACE_SECONDS
        while self._places and monotonic() < latest:
            signal.sigtimedwait({signal.SIGCHLD}, max(0.0, latest - monotonic()))
            self._reap(os.WNOHANG)
        for pid in self._places:
            os.kill(pid, signal.SIGKILL)
        self._reap(0)


def _be_child(
    settings: Settings, stores: Stores, models: JobModels, place: int, tell_ready: int
) -> None:
    """Do jobs in this forked process, and end it."""
    code = _NOT_READY
    try:
        os.nice(NICENESS)
        multiprocess.bind_worker(place)
        contained.start(models.background.failure)
        reports.start(settings, models.background.report)
        child = Child(settings, stores, models)
        for number in (signal.SIGTERM, signal.SIGQUIT):
            signal.signal(number, lambda *_: child.stop())
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent sends TERM then
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _AWAITED)
        models.start(str(place))
        limit_memory(settings.job_memory_mb)
        os.write(tell_ready, b"\0")
        code = _FAILED
        child.run()
        code = _STOPPED
    except Exception as error:  # noqa: BLE001 - a forked process must not return
        log_failure("a process of the job worker", error)
    finally:
        contained("reports", reports.stop)
        # Not by an exception: connections of the parent must not be closed here.
        os._exit(code)
