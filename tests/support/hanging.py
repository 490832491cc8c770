"""As `tests.support.dying`, in a server with less patience: `… -- tests.support.hanging:app`.

Not for import: it builds the app.
"""

from service.process import master
from tests.support.dying import app

__all__ = ["app"]

master.BOOT_SECONDS = 2.0  # type: ignore[misc]
