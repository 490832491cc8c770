"""The master process: gunicorn's arbiter, extended to survive single failures.

Differences from gunicorn: a failed fork is retried; workers that can't boot stop the server only
if no other is ready; restarts back off (`service.runtime.restarts`); HUP stops no worker before a
new one is ready, and does not execute the configuration file again; the text of an exception,
which may hold personal data, goes neither to the log nor to stderr.
"""

import logging
import os
import signal
import sys
from time import monotonic
from typing import TYPE_CHECKING, Final, NoReturn

from gunicorn import util
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.errors import HaltServer

from model import ScoringError
from service.config.overrides import MOST_WORKERS
from service.process import shutdown, ulimits
from service.runtime import runtime
from service.runtime.restarts import Restarts
from service.telemetry.failures import contained, described, hide_texts
from service.telemetry.metrics import multiprocess

if TYPE_CHECKING:
    from service.server.worker import ScoringWorker

# How long the master sleeps at most: usually, and while new workers of a reload are booting.
_SLEEP_SECONDS: Final = 1.0
_SHORT_SLEEP_SECONDS: Final = 0.05
# The longest boot: a model is fetched from a remote registry, and examined.
BOOT_SECONDS: Final = 300.0
_REASON_BYTES: Final = 500
# A worker that dies by one of these was stopped on purpose.
_STOP_SIGNALS: Final = frozenset((signal.SIGTERM, signal.SIGINT, signal.SIGQUIT))
_SIGNALS: Final = frozenset(signal.Signals)

log = logging.getLogger("scoring")


class Master(Arbiter):  # type: ignore[misc]
    """Keeps the configured number of workers running."""

    def __init__(self, app: BaseApplication) -> None:
        self._restarts = Restarts()
        # A reload replaces the workers up to this age.
        self._outdated_age = 0
        # The process ids of workers that were sent TERM.
        self._retiring: set[int] = set()
        self._is_stopping = False
        self._scoreboard = runtime().scoreboard
        super().__init__(app)

    def setup(self, app: BaseApplication) -> None:
        """Load the app. Ends the process, with the reason, where there is too little memory."""
        with ulimits.naming_lack_of_memory():
            super().setup(app)

    def reload(self) -> None:
        """Replace all workers.

        The configuration file is not executed again. Settings are read once, so it would give the
        same values; and it would make a second copy of what all processes share.
        """
        self._outdated_age = self.worker_age
        self.log.reopen_files()

    def handle_ttin(self) -> None:
        """Add a worker, up to the number that the scoreboard has places for."""
        if self.num_workers < MOST_WORKERS:
            super().handle_ttin()

    def handle_term(self) -> NoReturn:
        """Drain, then stop as gunicorn does."""
        shutdown.drain(self, self._scoreboard, runtime().settings.drain_seconds)

    def handle_usr2(self) -> None:
        """Ignore the request to upgrade the executable."""
        shutdown.refuse_upgrade(self)

    def stop(self, graceful: bool = True) -> None:  # noqa: FBT001, FBT002 - gunicorn's signature
        """Stop all workers for good."""
        self._is_stopping = True
        super().stop(graceful)

    def murder_workers(self) -> None:
        """Kill workers whose heartbeat stopped, and workers that hang while they boot."""
        super().murder_workers()
        for pid, worker in list(self.WORKERS.items()):
            is_late = monotonic() - worker.forked_at > BOOT_SECONDS
            if is_late and not self._scoreboard.is_ready(worker.place):
                log.error("Worker (pid:%s) is not ready after %.0f s", pid, BOOT_SECONDS)
                self.kill_worker(pid, signal.SIGKILL)

    def wait_for_signals(self, timeout: float = _SLEEP_SECONDS) -> list[int]:
        """Sleep until a signal comes, or until workers have to be started or stopped."""
        if self._missing:
            timeout = min(timeout, max(_SHORT_SLEEP_SECONDS, self._restarts.pause))
        elif self._workers(outdated=True):
            timeout = _SHORT_SLEEP_SECONDS
        signals: list[int] = super().wait_for_signals(timeout)
        return signals

    def manage_workers(self) -> None:
        """Start missing workers, and stop surplus and outdated ones."""
        self._note_ready_workers()
        contained("files", multiprocess.restore_folder, 2 * self.cfg.workers, runtime().run_folder)
        self.spawn_workers()
        current, outdated = self._workers(outdated=False), self._workers(outdated=True)
        ready = [worker for worker in current if self._scoreboard.is_ready(worker.place)]
        replaced = max(0, len(outdated) + len(ready) - self.num_workers)
        surplus = max(0, len(current) - self.num_workers)
        for worker in (*outdated[:replaced], *current[:surplus]):
            self._retiring.add(worker.pid)
            self.kill_worker(worker.pid, signal.SIGTERM)

    def spawn_workers(self) -> None:
        """Start missing workers, unless a restart has to wait.

        Never more than two generations at once: the scoreboard and the metrics have room for those.
        """
        most = 2 * self.num_workers
        while self._missing and len(self.WORKERS) < most and not self._restarts.pause:
            self.spawn_worker()

    @property
    def _missing(self) -> int:
        missing: int = self.num_workers - len(self._workers(outdated=False))
        return max(0, missing)

    def _workers(self, *, outdated: bool) -> list["ScoringWorker"]:
        """Workers that are not retiring, oldest first: of before the last reload or after it."""
        staying = (worker for pid, worker in self.WORKERS.items() if pid not in self._retiring)
        chosen = [w for w in staying if (w.age <= self._outdated_age) == outdated]
        return sorted(chosen, key=lambda worker: worker.age)

    def _note_ready_workers(self) -> None:
        if any(self._scoreboard.is_ready(worker.place) for worker in self.WORKERS.values()):
            self._restarts.ready()

    def spawn_worker(self) -> int | None:
        """Start one worker. Returns its process id, or None if that failed."""
        self.worker_age += 1
        worker = None
        try:
            worker = self.worker_class(
                self.worker_age,
                self.pid,
                self.LISTENERS,
                self.app,
                self.timeout / 2.0,
                self.cfg,
                self.log,
                lent=self._lends_sockets,
                early_signals=self.SIG_QUEUE,
            )
            self.cfg.pre_fork(self, worker)
            pid = os.fork()
        except Exception as error:  # noqa: BLE001 - the other workers go on
            self._fork_failed(worker, error)
            return None
        if pid == 0:
            self._run_worker(worker)
        worker.pid, worker.forked_at = pid, monotonic()
        self.WORKERS[pid] = worker
        self._restarts.forked()
        return pid

    @property
    def _lends_sockets(self) -> bool:
        """Whether the listening sockets belong to another process, which keeps them open."""
        return bool(self.systemd) or any(isinstance(one, int) for one in self.cfg.address)

    def _fork_failed(self, worker: "ScoringWorker | None", error: Exception) -> None:
        if worker is not None:
            self._release(worker)
        self._restarts.fork_failed()
        log.error(
            "A worker can't be started, %d of %d are running; retry in %.0f s: %s",
            len(self.WORKERS),
            self.num_workers,
            self._restarts.pause,
            described(error),
        )

    def _release(self, worker: "ScoringWorker") -> None:
        """Free what the master holds for a worker."""
        worker.tmp.close()
        contained("exit", self.cfg.child_exit, self, worker)

    def _run_worker(self, worker: "ScoringWorker") -> NoReturn:
        """In the child process: run the worker until it ends."""
        for sibling in self.WORKERS.values():
            sibling.tmp.close()
        worker.pid = os.getpid()
        hide_texts()
        try:
            util._setproctitle(f"worker [{self.proc_name}]")  # noqa: SLF001 - gunicorn's own
            self.log.info("Booting worker with pid: %s", worker.pid)
            self.cfg.post_fork(self, worker)
            worker.init_process()
            sys.exit(0)
        except SystemExit:
            raise
        except BaseException as error:  # noqa: BLE001 - it would run the master's code otherwise
            # Errors of our own hold no personal data.
            reason = str(error) if isinstance(error, ScoringError) else described(error)
            log.critical("Worker (pid:%s) failed: %s", worker.pid, reason)
            contained("exit", _write_reason, worker, reason)
            sys.exit(os.EX_SOFTWARE)
        finally:
            self.log.info("Worker exiting (pid: %s)", worker.pid)
            contained("exit", self.cfg.worker_exit, self, worker)

    def reap_workers(self) -> None:
        """Handle the workers that have ended."""
        while (ended := _wait_for_child()) is not None:
            pid, status = ended
            worker = self.WORKERS.pop(pid, None)
            code = os.waitstatus_to_exitcode(status)
            if worker is not None:
                self._handle_exit(worker, code)
            else:
                self.other_child_ended(pid, code)

    def other_child_ended(self, pid: int, code: int) -> None:
        """Handle the end of a child that is not a worker: an orphan, if this process is init."""

    def _handle_exit(self, worker: "ScoringWorker", code: int) -> None:
        """`code` is the exit code, or the negative number of the signal that killed it."""
        cause = self._log_exit(worker.pid, code)
        if reason := _read_reason(worker):
            cause = f"{cause}: {reason}"
        was_ready = self._scoreboard.is_ready(worker.place)
        if was_ready:
            self._restarts.ready()
        self._release(worker)
        self._note_ready_workers()
        # An exit with 0 is a stop from outside, once the server has shown that it can run.
        is_stop = -code in _STOP_SIGNALS or (code == 0 and self._restarts.was_ready)
        is_stop = is_stop or worker.pid in self._retiring
        self._retiring.discard(worker.pid)
        if self._is_stopping or is_stop:
            return
        self._restarts.died(self.num_workers, booting=not was_ready)
        if self._restarts.is_hopeless:
            self._give_up(cause)
        if self._restarts.pause:
            log.warning("Workers keep dying: the next starts in %.1f s", self._restarts.pause)

    def _log_exit(self, pid: int, code: int) -> str:
        """Log how a worker ended. Returns a short description."""
        if code >= 0:
            if code:
                self.log.error("Worker (pid:%s) exited with code %s", pid, code)
            return f"with exit code {code}"
        name = signal.Signals(-code).name if -code in _SIGNALS else f"signal {-code}"
        hint = " Perhaps out of memory?" if -code == signal.SIGKILL else ""
        write = self.log.info if -code == signal.SIGTERM else self.log.error
        write("Worker (pid:%s) was sent %s!%s", pid, name, hint)
        return f"by {name}"

    def served(self) -> str:
        """What this server serves, in words."""
        from service.wsgi import model_description  # noqa: PLC0415 - built after this module

        return model_description()

    def _give_up(self, cause: str) -> NoReturn:
        served, failed = self.served(), self._restarts.failed_boots
        reason = (
            f"{failed} workers ended before they were ready to serve {served}, the last {cause}"
        )
        how = "Stopped" if self._restarts.was_ready else "Not started"
        sys.stderr.write(f"{how}. {reason}\n")
        raise HaltServer(reason, os.EX_SOFTWARE)


def _wait_for_child() -> tuple[int, int] | None:
    """The process id and the status of a child that has ended; None if there is none."""
    try:
        pid, status = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return None
    return (pid, status) if pid else None


def _write_reason(worker: "ScoringWorker", reason: str) -> None:
    """Pass the reason of a failure to the master, in the heartbeat file that both have open."""
    os.pwrite(worker.tmp.fileno(), reason.encode()[:_REASON_BYTES], 0)


def _read_reason(worker: "ScoringWorker") -> str:
    return os.pread(worker.tmp.fileno(), _REASON_BYTES, 0).decode("utf-8", "replace")
