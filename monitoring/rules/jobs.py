"""Alerts on jobs, their webhooks, and requests over AMQP."""

from typing import Final

from monitoring.rules.promql import Alerts, Group, Rule, disappeared, group, number
from monitoring.slo import Slo

# All web processes read the same records: each shows the same numbers.
_JOBS: Final = 'max by (kind) (scoring_jobs{{state="{}"}})'


def groups(slo: Slo) -> list[Group]:
    """The group of these alerts."""
    alerts = Alerts(slo.runbook)
    made = (
        *(_waiting, _no_worker, _dead, _away, _webhooks, _late_webhooks),
        *(_no_consumer, _target, _no_web_process, _alarm),
    )
    return [group("scoring-jobs", [make(slo, alerts) for make in made])]


def _waiting(slo: Slo, alerts: Alerts) -> Rule:
    limit, sustained = number(slo.jobs.waiting_seconds), slo.jobs.waiting_for
    return alerts.make(
        "JobsWait",
        f"max by (kind) (scoring_jobs_oldest_waiting_seconds) > {limit}",
        severity="ticket",
        sustained=sustained,
        summary="Jobs of the kind {{ $labels.kind }} wait too long",
        description=(
            f"For {sustained}, the oldest job of the kind {{{{ $labels.kind }}}} that is due has "
            f"waited longer than {limit} s; now {{{{ $value | humanizeDuration }}}}."
        ),
    )


def _no_worker(slo: Slo, alerts: Alerts) -> Rule:
    waiting, running = _JOBS.format("queued"), _JOBS.format("running")
    return alerts.make(
        "JobsWithoutWorker",
        f"{waiting} > 0 and {running} == 0 "
        "and max by (kind) (scoring_jobs_oldest_waiting_seconds) > 10",
        severity="page",
        sustained=slo.jobs.no_worker_for,
        summary="No worker does jobs of the kind {{ $labels.kind }}",
        description=(
            f"For {slo.jobs.no_worker_for}, jobs of the kind {{{{ $labels.kind }}}} have waited "
            "and none has run; {{ $value }} wait now."
        ),
    )


def _dead(_slo: Slo, alerts: Alerts) -> Rule:
    dead = _JOBS.format("dead")
    return alerts.make(
        "JobsDead",
        f"{dead} - {_JOBS.format('dead').replace('})', '} offset 15m)')} > 0",
        severity="ticket",
        summary="Jobs of the kind {{ $labels.kind }} were given up",
        description=(
            "In the last 15m, {{ $value }} jobs of the kind {{ $labels.kind }} were given up after "
            "their last attempt. Each is kept until it is requeued or dropped, or expires."
        ),
    )


def _away(slo: Slo, alerts: Alerts) -> Rule:
    return alerts.make(
        "JobStoreAway",
        "max by (part) (scoring_jobs_reachable) == 0",
        severity="page",
        sustained=slo.jobs.away_for,
        summary="The {{ $labels.part }} of jobs can't be reached",
        description=(
            f"For {slo.jobs.away_for}, no web process has reached the {{{{ $labels.part }}}} of "
            "jobs. Without records no job is taken or shown; without the queue jobs wait."
        ),
    )


def _webhooks(_slo: Slo, alerts: Alerts) -> Rule:
    return alerts.make(
        "WebhooksDead",
        'sum(increase(scoring_webhooks_total{result="dead"}[1h])) > 0',
        severity="ticket",
        summary="Webhooks were given up",
        description=(
            "In the last hour, {{ $value | humanize }} webhooks were given up: their endpoints did "
            "not take them for three days, are gone, or are registered no more."
        ),
    )


def _late_webhooks(slo: Slo, alerts: Alerts) -> Rule:
    limit, sustained = number(slo.jobs.webhook_seconds), slo.jobs.webhook_for
    return alerts.make(
        "WebhooksLate",
        f"max(scoring_webhooks_oldest_due_seconds) > {limit}",
        severity="ticket",
        sustained=sustained,
        summary="Webhooks wait to be sent",
        description=(
            f"For {sustained}, the oldest webhook that is due has waited longer than {limit} s for "
            "an attempt, now {{ $value | humanizeDuration }}: its endpoint can't be reached, or no "
            "web process sends."
        ),
    )


def _no_consumer(slo: Slo, alerts: Alerts) -> Rule:
    return alerts.make(
        "AmqpWithoutConsumer",
        disappeared("sum(scoring_amqp_consumers)"),
        severity="page",
        sustained=slo.jobs.no_consumer_for,
        summary="No process takes requests over AMQP",
        description=(
            f"For {slo.jobs.no_consumer_for}, no process has consumed requests over AMQP, where "
            "some did within the last day. Requests wait in the broker until they expire."
        ),
    )


def _target(slo: Slo, alerts: Alerts) -> Rule:
    return alerts.make(
        "JobsTargetDown",
        'up{job=~"jobs|rabbitmq"} == 0',
        severity="ticket",
        sustained=slo.process.scrapes_missing_for,
        summary="{{ $labels.instance }} does not answer scrapes",
        description=(
            "Prometheus has had no metrics from {{ $labels.instance }}, a web process, a worker or "
            f"RabbitMQ, for {slo.process.scrapes_missing_for}: it is down, unreachable, or refuses "
            "the bearer token."
        ),
    )


def _no_web_process(slo: Slo, alerts: Alerts) -> Rule:
    return alerts.make(
        "JobsWithoutWebProcess",
        disappeared("count(scoring_jobs_reachable)"),
        severity="page",
        sustained=slo.jobs.away_for,
        summary="No web process shows the state of jobs",
        description=(
            f"For {slo.jobs.away_for}, Prometheus has had no state of jobs from any web process, "
            "where one showed it within the last day. No job is taken, and the other alerts on "
            "jobs are silent."
        ),
    )


def _alarm(slo: Slo, alerts: Alerts) -> Rule:
    kinds = ("memory_used", "free_disk_space")
    alarms = " or ".join(f"rabbitmq_alarms_{kind}_watermark > 0" for kind in kinds)
    return alerts.make(
        "BrokerAlarm",
        f"max by (instance) ({alarms})",
        severity="page",
        sustained=slo.jobs.away_for,
        summary="RabbitMQ at {{ $labels.instance }} is short of memory or disk",
        description=(
            f"For {slo.jobs.away_for}, RabbitMQ at {{{{ $labels.instance }}}} has had an alarm on "
            "and has taken no messages: requests over AMQP fail, and jobs wait."
        ),
    )
