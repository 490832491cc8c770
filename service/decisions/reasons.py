"""Why a decision was made, in words, by the version that made it."""

from threading import Lock
from typing import Any, Final, NamedTuple

from model import ModelRefused, NotExplained, catalog
from service.config.settings import Settings
from service.decisions.decision import Decision
from service.decisions.replay import Scorers

# Of each side, so many reasons are named.
_NAMED: Final = 4
_UNAVAILABLE: Final = "the version that decided is not there"


class Reasons(NamedTuple):
    """What favours each side, the greatest contribution first, and the whole `text`.

    The text names the score; the lists say neither the score nor how much a reason counts. All are
    empty if there is no explanation: `missing` says why.
    """

    network: tuple[str, ...] = ()
    camera: tuple[str, ...] = ()
    text: str = ""
    missing: str = ""


class Explained:
    """Explains decisions in this process, which scores nothing; for any thread."""

    def __init__(self, settings: Settings) -> None:
        self._scorers = Scorers(settings, None)
        self._lock = Lock()

    def of(self, decision: Decision) -> Reasons:
        """The reasons of a decision."""
        model = catalog.entry(decision.model).load()
        try:
            with self._lock:
                scorer = self._scorers.of(decision)
                if scorer is None:
                    return Reasons(missing=_UNAVAILABLE)
                row = scorer.row(model.decoder(1)(bytes(decision.request)))
                (explanation,) = scorer.explained_here([row])
        except ModelRefused:
            return Reasons(missing=_UNAVAILABLE)
        except NotExplained as reason:
            return Reasons(missing=str(reason))
        network, camera = (_favouring(explanation, side) for side in ("network", "camera"))
        return Reasons(network, camera, explanation.text)


def _favouring(explanation: Any, side: str) -> tuple[str, ...]:
    phrases = [one.text.rpartition(": ")[0] for one in explanation.features if one.pushes == side]
    return tuple(phrases[:_NAMED])
