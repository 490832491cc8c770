"""The real app with a live and a shadow model: `… -- tests.support.shadowed:app`.

Not for import: it builds the app. The shadow is the bundled model, so that its scores differ
from the live ones only where SCORING_MODEL names another.
"""

from model.regno import RegnoScorer
from service.runtime import runtime
from service.scoring.shadow import Shadow
from service.wsgi import app

__all__ = ["app"]

_parts = app.parts
_parts.slot.shadow = Shadow(
    RegnoScorer.load(),
    runtime().settings,
    _parts.metrics.shadow,
    live_version=lambda: _parts.slot.current.version,
    busy=lambda: _parts.admission.crowded,
)
