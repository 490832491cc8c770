"""What is planted in requests to see where it turns up."""

from typing import Final

PLATE: Final = "Х777УК799"
KEY: Final = "wL9xQ-planted-7Yz"
# A camera class on which the scorer of `tests.support.breaking` breaks.
POISON: Final = "СЛОМАНО"
