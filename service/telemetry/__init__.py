"""Observability: logs, error reports, traces and metrics.

May import: prometheus_client, sentry-sdk, opentelemetry, `service.config`, `runtime`, `overload`,
public names of `model`. Never: `service.http`, `scoring`, `routes`, `server`, `process`.
"""
