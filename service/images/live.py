"""The version of a picture model that serves: the registry's live one, else the bundled one."""

import logging
from time import monotonic
from typing import Final

from model import ModelRefused
from model.catalog import Entry
from model.registry import RegistryError
from model.scorer import Scorer
from service.config.settings import Settings
from service.rollout.startup import loader_of, registry_of

# A version that could not be loaded is tried again after so long.
_AGAIN_SECONDS: Final = 30.0

log = logging.getLogger("scoring")


class Live:
    """Loads a model on first use, and follows the registry between batches."""

    def __init__(self, entry: Entry, settings: Settings) -> None:
        self._entry = entry
        self._settings = settings
        self._scorer: Scorer | None = None
        self._next_look = 0.0

    def __call__(self) -> Scorer:
        """The scorer. Raises ModelRefused if there is none."""
        if self._settings.registry and monotonic() >= self._next_look:
            self._next_look = monotonic() + self._settings.registry_poll_seconds
            self._follow()
        if self._scorer is None:
            self._scorer = self._bundled()
        return self._scorer

    def _bundled(self) -> Scorer:
        if self._entry.bundled is None:
            raise ModelRefused(f"{self._entry.name}: no version is live, and none is bundled")
        scorer: Scorer = self._entry.load().load(self._entry.bundled)
        scorer.warm()
        return scorer

    def _follow(self) -> None:
        name = self._entry.name
        try:
            registry = registry_of(self._settings, name)
            version = registry.aliases().live
            if not version or (self._scorer and self._scorer.version == version):
                return
            scorer = loader_of(self._settings, registry, name).load(version, None)
        except (RegistryError, ModelRefused) as error:
            self._next_look = monotonic() + _AGAIN_SECONDS
            log.warning("Pictures are scored by the former version of %s: %s", name, error)
            return
        self._scorer = scorer
        log.info("Pictures are scored by version %s of %s", version, name)
