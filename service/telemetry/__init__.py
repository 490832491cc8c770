"""What can be known of the service from outside: logs, error reports, traces, metrics; redaction.

May import: prometheus_client, sentry-sdk, opentelemetry, `service.config`, public names of `model`.
Never: `service.scoring`, `service.routes`, `service.server`.
"""
