"""Observability: logs, error reports, traces and metrics.

May import: prometheus_client, sentry-sdk, opentelemetry, `service.config`, public names of `model`.
Never: `service.scoring`, `service.routes`, `service.server`.
"""
