"""A plate and a key that tests put into requests, to search all outlets for them."""

import re
from typing import Final

PLATE: Final = "Х777УК799"
KEY: Final = "wL9xQ-planted-7Yz"
# A camera class on which the scorer of `tests.support.breaking` breaks.
POISON: Final = "СЛОМАНО"


def stands_in(text: str, key: str) -> bool:
    """Whether a text holds a key of digits, other than within a random id or a number."""
    return re.search(rf"(?<![\w.]){re.escape(key)}(?!\w)", text) is not None
