"""One worker's shadow model, which follows the alias `shadow`.

Each worker does so by itself: callers do not learn which version shadows the live model.
"""

import logging
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Final

from model import ModelRefused
from model.registry import RegistryError
from model.scorer import Scorer
from service.scoring.live import Slot
from service.scoring.shadow import Shadow

# A version that can't be had is tried again.
_AGAIN: Final = 30.0

log = logging.getLogger("scoring")


class Shadowing:
    """Puts the shadow into the slot, and takes it out."""

    def __init__(
        self,
        slot: Slot,
        load: Callable[[str], Awaitable[Scorer]],
        make: Callable[[Scorer], Shadow],
        loaded: Callable[[str], None],
    ) -> None:
        """`load` gives a version's scorer; `loaded` counts a load, `loaded` or `refused`."""
        self._slot = slot
        self._load = load
        self._make = make
        self._loaded = loaded
        self._retry_at = 0.0
        self._wanted = ""

    @property
    def version(self) -> str:
        """The version that is the shadow here, "" if there is none."""
        return self._slot.shadow.version if self._slot.shadow else ""

    async def follow(self, version: str) -> None:
        """Have this version as shadow, none if ""."""
        if version != self._wanted:
            self._wanted, self._retry_at = version, 0.0
        if version == self.version or monotonic() < self._retry_at:
            return
        if self._slot.shadow:
            self._slot.shadow.close()
            self._slot.shadow = None
        if version:
            await self._begin(version)

    async def _begin(self, version: str) -> None:
        try:
            self._slot.shadow = self._make(await self._load(version))
        except (ModelRefused, RegistryError) as reason:
            self._loaded("refused")
            log.error("Version %s can't be the shadow: %s", version, str(reason))  # noqa: TRY400 - no trace
        else:
            self._loaded("loaded")
            log.info("Version %s is the shadow", version)
        finally:  # whatever kept it from being loaded
            self._retry_at = monotonic() + _AGAIN
