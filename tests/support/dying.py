"""The real app in workers that end before they serve: `… -- tests.support.dying:app`.

Not for import: it builds the app. How they end says the file `how` of the working folder, if it is
there.
"""

import os
import signal
import time
from pathlib import Path
from typing import Final

from model import ModelRefused
from service.runtime import restarts
from service.scoring.live import Slot
from service.wsgi import app
from tests.support.planted import PLATE

__all__ = ["app"]

_HOW: Final = Path("how")
_whole = Slot.warm_up


def _dying(self: Slot) -> None:
    match _HOW.read_text() if _HOW.exists() else "":
        case "signal":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "code":
            os._exit(3)
        case "nothing":
            os._exit(0)
        case "exception":
            raise RuntimeError(f"no score for {PLATE}") from ValueError(PLATE)
        case "interrupt":
            raise KeyboardInterrupt(PLATE)
        case "hang":
            time.sleep(1000)
        case "refusal":
            raise ModelRefused("golden row 0 scores 0.5")
    _whole(self)


Slot.warm_up = _dying  # type: ignore[method-assign]
vars(restarts)["HOPELESS_SECONDS"] = 2.0  # a minute is long for a test
