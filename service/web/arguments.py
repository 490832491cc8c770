"""Arguments of requests, in a query string or in the fields of a form: which are known."""

import re
from collections.abc import Collection, Iterable
from typing import Final

from service.http.errors import Refused

# What is no such name may hold a plate, or more than a line.
_PLAIN: Final = re.compile(r"[A-Za-z_-]{1,32}")


def check_known(given: Iterable[str], known: Collection[str]) -> None:
    """Raise Refused, with its name, for an unknown argument."""
    for name in given:
        if name not in known:
            shown = name if _PLAIN.fullmatch(name) else "an argument"
            among = f"known: {', '.join(sorted(known))}" if known else "none is"
            raise Refused(400, f"{shown}: is not known here; {among}")
