"""Alertmanager's configuration as data: receivers, grouping, inhibition."""

from typing import Any, Final

from monitoring.alertmanager.settings import Settings

RECEIVER: Final = "operators"

# (the cause, the inhibited consequences, the labels that must be equal): one notification for one
# cause. A page that is caused by another page is inhibited, too.
_INHIBITIONS: Final = (
    (
        'alertname="ScoringTargetDown"',
        'alertname=~"WorkersMissing|WorkerCrashLoop|ScoringTargetFlapping|ScoringSaturated"',
        ("service", "instance"),
    ),
    (
        'alertname=~"WorkerCrashLoop|ScoringTargetFlapping"',
        'alertname="WorkersMissing"',
        ("service", "instance"),
    ),
    (
        'alertname="AvailabilityBurnFast"',
        'alertname=~"AvailabilityBurnSlow|NoTraffic"',
        ("service",),
    ),
    ('alertname="LatencyBurnFast"', 'alertname="LatencyBurnSlow"', ("service",)),
    ('alertname="BrokerAlarm"', 'alertname="JobStoreAway", part="queue"', ("service",)),
    ('level="major"', 'level="moderate"', ("service", "alertname")),
)


def config(settings: Settings) -> dict[str, Any]:
    """The content of `alertmanager.yml`."""
    return {
        **({"global": _mail_server(settings)} if settings.email_to else {}),
        "route": _route(),
        "receivers": [{"name": RECEIVER, **_webhooks(settings), **_emails(settings)}],
        "inhibit_rules": [
            {
                "source_matchers": [source],
                "target_matchers": target.split(", "),
                "equal": list(equal),
            }
            for source, target, equal in _INHIBITIONS
        ],
    }


def _route() -> dict[str, Any]:
    """The routes: pages are sent at once and repeated, tickets are grouped and sent once a day."""
    return {
        "receiver": RECEIVER,
        # One notification for all instances with the same alert.
        "group_by": ["service", "alertname"],
        "group_wait": "30s",
        "group_interval": "5m",
        "repeat_interval": "4h",
        "routes": [
            {"matchers": ['severity="page"'], "group_wait": "10s", "repeat_interval": "1h"},
            {
                "matchers": ['severity="ticket"'],
                "group_wait": "5m",
                "group_interval": "30m",
                "repeat_interval": "24h",
            },
        ],
    }


def _mail_server(settings: Settings) -> dict[str, Any]:
    login = {
        "smtp_auth_username": settings.smtp_user,
        "smtp_auth_password_file": settings.smtp_password_file,
    }
    return {
        "smtp_smarthost": settings.smtp_host,
        "smtp_from": settings.email_from,
        "smtp_require_tls": settings.smtp_tls,
        **(login if settings.smtp_user else {}),
    }


def _webhooks(settings: Settings) -> dict[str, Any]:
    if not settings.webhook_url:
        return {}
    webhook: dict[str, Any] = {"url": settings.webhook_url, "send_resolved": True}
    if settings.webhook_token_file:
        credentials = {"credentials_file": settings.webhook_token_file}
        webhook["http_config"] = {"authorization": credentials}
    return {"webhook_configs": [webhook]}


def _emails(settings: Settings) -> dict[str, Any]:
    if not settings.email_to:
        return {}
    subject = (
        "[{{ .Status | toUpper }}] {{ .CommonLabels.severity }}: {{ .CommonLabels.alertname }} "
        "({{ .Alerts | len }})"
    )
    email = {"to": settings.email_to, "send_resolved": True, "headers": {"Subject": subject}}
    return {"email_configs": [email]}
