"""The code that builds the dashboards: a module for each dashboard or section, and shared parts.

May import: `monitoring.slo`, grafana-foundation-sdk. Never: what writes the files.
"""

from collections.abc import Callable
from typing import Final

from grafana_foundation_sdk.models.dashboard import Dashboard

from monitoring.grafana.panels import (
    decisions,
    jobs,
    load,
    model,
    pictures,
    quality,
    service,
    workers,
)
from monitoring.slo import Slo

DASHBOARDS: Final[dict[str, Callable[[Slo], Dashboard]]] = {
    "service": service.build,
    "model": model.build,
    "workers": workers.build,
    "jobs": jobs.build,
    "decisions": decisions.build,
    "pictures": pictures.build,
    "quality": quality.build,
    "load": load.build,
}
