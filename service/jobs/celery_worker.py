"""The job worker of the distributed form: a Celery worker with forked processes.

The parent talks to the broker and makes no attempt. It keeps the processes running, runs the
sweeper, and takes the dead letters. Each process works on one job at a time. It is acknowledged
when its attempt has ended: a job whose process dies is delivered again, to any worker.
"""

import logging
import os
import signal
import socket
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from mmap import mmap
from time import sleep
from typing import Any, ClassVar, Final

from billiard.process import current_process
from billiard.util import get_logger
from celery import Celery, bootsteps, signals
from celery.exceptions import Reject, SecurityWarning
from celery.worker.consumer import Consumer
from kombu import Consumer as MessageConsumer
from kombu.exceptions import ContentDisallowed, DecodeError

from service.jobs.celery_app import TASK, celery_app
from service.jobs.celery_topology import DEAD, declare, queue_of
from service.jobs.distributed_worker import Deliver, DistributedWorker
from service.jobs.records import RecordsUnavailable
from service.telemetry.failures import contained, log_failure

log = logging.getLogger("scoring")

_TICK_SECONDS: Final = 1.0
# How soon a process that died is noticed to have held a job.
_LOST_SECONDS: Final = 0.2
# A process that can't begin is started again after so long, and one that stops waits for its end.
_AGAIN_SECONDS: Final = 2.0
_LETTERS: Final = 20
# They log two lines for each job.
_TALKATIVE: Final = ("celery.worker.strategy", "celery.app.trace")
_NO_DELAYED_DELIVERY: Final = "celery.worker.consumer.delayed_delivery:DelayedDelivery"


def work(broker: str, kinds: Sequence[str], processes: int, job_worker: DistributedWorker) -> int:
    """Work on jobs of these kinds, with so many processes for each; the exit code at the end.

    TERM stops it when the attempts have saved their work, a second one at once.
    """
    _quieten()
    app = celery_app(broker, kinds)
    stopping = mmap(-1, 1)  # shared with the processes

    def is_stopping() -> bool:
        return stopping[0] != 0

    _add_task(app, job_worker, is_stopping)
    _add_signals(stopping, f"processes: {processes} for each of {', '.join(kinds)}")
    parent = _parent_step(job_worker, kinds, is_stopping)
    app.steps["consumer"] |= {parent, _dead_letters_step(job_worker)}
    app.conf.worker_lost_wait = _LOST_SECONDS / 2
    worker = app.Worker(
        hostname=f"jobs@{socket.gethostname()}",
        pool_cls="prefork",
        concurrency=processes * len(kinds),
        consumer_cls=_consumer_class(processes),
        loglevel="INFO",
        quiet=True,
        without_gossip=True,
        without_mingle=True,
    )
    worker.start()
    log.info("Job worker stopped")
    return int(worker.exitcode or 0)


def _quieten() -> None:
    """Have Celery write to the service's log alone, and not two lines for each job."""
    signals.setup_logging.connect(lambda **_: None, weak=False)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    get_logger().handlers = logging.getLogger().handlers  # Celery has it pass on nothing
    vars(sys)["__stdout__"] = None  # Celery would write there at a signal
    warnings.simplefilter("ignore", SecurityWarning)  # of pickle under root: there is none


def _add_task(app: Celery, job_worker: DistributedWorker, stopping: Callable[[], bool]) -> None:
    """Add the one task there is, and what prepares a process for it."""
    begun: list[Deliver] = []

    def begin(**_: Any) -> None:
        try:
            begun.append(job_worker.begin(stopping, current_process().index))
        except Exception as error:  # noqa: BLE001 - Celery would go on without
            log_failure("the begin of a process of the job worker", error)
            sleep(_AGAIN_SECONDS)
            os._exit(1)  # the parent starts another one

    @app.task(name=TASK, bind=True)  # type: ignore[untyped-decorator]
    def run(task: Any, job: str) -> None:
        if stopping():  # its consumer ends in a moment; until then a rejected job would come again
            sleep(_AGAIN_SECONDS)
            raise Reject(requeue=True)
        try:
            begun[-1](job, redelivered=bool(task.request.delivery_info["redelivered"]))
        except RecordsUnavailable:
            raise Reject(requeue=True) from None
        except Exception as error:  # noqa: BLE001 - handed on without its text
            log_failure("a job worker", error)  # Celery would log the exception's text
            raise Reject(requeue=False) from None

    signals.worker_process_init.connect(begin, weak=False)


def _add_signals(stopping: mmap, description: str) -> None:
    """Have the first TERM ask the processes to stop, and the second one end them."""

    def stop(**_: Any) -> None:
        stopping[0] = 1
        signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGQUIT))

    def ready(**_: Any) -> None:
        # Celery would start itself again with a command that is not the one that began it.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        log.info("Job worker (distributed): %s", description)

    signals.worker_shutting_down.connect(stop, weak=False)
    signals.worker_ready.connect(ready, weak=False)


def _consumer_class(processes: int) -> type[Consumer]:
    class JobConsumer(Consumer):  # type: ignore[misc]
        """Holds no more jobs of a kind than processes are there for it; retries are the sweeper's.

        With quorum queues the limit is one of each consumer, that is of each queue. Celery's is the
        number of all processes: a worker would keep jobs of a kind waiting behind another kind's.
        """

        class Blueprint(Consumer.Blueprint):  # type: ignore[misc]
            default_steps: ClassVar = [
                step for step in Consumer.Blueprint.default_steps if step != _NO_DELAYED_DELIVERY
            ]

        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **{**options, "initial_prefetch_count": processes})

    return JobConsumer


def _parent_step(
    job_worker: DistributedWorker, kinds: Sequence[str], stopping: Callable[[], bool]
) -> type[bootsteps.StartStopStep]:
    class ParentStep(bootsteps.StartStopStep):  # type: ignore[misc]
        """Declares the queues, and does the parent's part while there is a connection."""

        requires = ("celery.worker.consumer.connection:Connection",)
        # Celery stops steps that could not start, too.
        _timers: Sequence[Any] = ()

        def start(self, parent: Any) -> None:
            declare(parent.connection, *map(queue_of, kinds))
            every = parent.timer.call_repeatedly
            self._timers = [
                every(_TICK_SECONDS, self._sweep),
                every(_LOST_SECONDS, parent.pool.maintain_pool),
            ]

        def stop(self, _parent: Any) -> None:
            for timer in self._timers:
                timer.cancel()

        def _sweep(self) -> None:
            if not stopping():  # jobs that were given back are for others
                contained("jobs", job_worker.sweep)

    return ParentStep


def _dead_letters_step(job_worker: DistributedWorker) -> type[bootsteps.ConsumerStep]:
    class DeadLettersStep(bootsteps.ConsumerStep):  # type: ignore[misc]
        """Ends the jobs that the broker gave up; their letters stay while the records are away."""

        requires = ("celery.worker.consumer.tasks:Tasks",)

        def start(self, parent: Any) -> None:
            self._kept: list[Any] = []
            self._again = parent.timer.call_repeatedly(_TICK_SECONDS, self._give_up_kept)
            super().start(parent)

        def stop(self, parent: Any) -> None:
            with suppress(AttributeError):  # Celery stops steps that could not start, too
                self._again.cancel()
            super().stop(parent)

        def get_consumers(self, channel: Any) -> list[MessageConsumer]:
            letters = MessageConsumer(
                channel, [DEAD], on_message=self._give_up, accept=["json"], prefetch_count=_LETTERS
            )
            return [letters]

        def _give_up_kept(self) -> None:
            kept, self._kept = self._kept, []
            for letter in kept:
                self._give_up(letter)

        def _give_up(self, letter: Any) -> None:
            try:
                if job := _job_of(letter):
                    job_worker.give_up(job, _reason_of(letter))
            except RecordsUnavailable:
                self._kept.append(letter)
            else:
                letter.ack()

    return DeadLettersStep


def _job_of(letter: Any) -> str:
    """The id of the job that a message is about, empty if it is none of this project's."""
    try:
        ((job,), _, _) = letter.decode()
    except (DecodeError, ContentDisallowed, TypeError, ValueError):
        log.warning("A dead letter of jobs does not name a job; it is dropped")
        return ""
    return str(job)


def _reason_of(letter: Any) -> str:
    """Why the broker gave a message up, for the caller."""
    if letter.headers.get("x-first-death-reason") == "delivery_limit":
        return "attempts: each one ended its worker"
    return "attempts: the last one could not be made"
