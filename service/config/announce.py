"""`python -m service.config.announce`: print the address that the service will listen on.

For `make run`, before it serves. A bad setting ends it as it ends the service.
"""

import sys

from service.config.options import EXAMPLE_KEY, Settings
from service.config.settings import SettingsError, load, refuse_start


def main() -> None:
    """Write one line."""
    try:
        settings = load()
    except SettingsError as error:
        refuse_start(error)
    sys.stdout.write(f"Serving on {_url(settings)}{_key(settings)}. Ctrl-C stops it.\n")


def _url(settings: Settings) -> str:
    public = settings.binds[0]
    return public if public.startswith("unix:") else f"http://{public}"


def _key(settings: Settings) -> str:
    """The example key, if it is in force; no other key is shown."""
    return f", key {EXAMPLE_KEY}" if settings.api_keys == f"example:{EXAMPLE_KEY}" else ""


if __name__ == "__main__":
    main()
