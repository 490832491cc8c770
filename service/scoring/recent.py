"""The newest readings of a worker's requests, in memory only."""

from collections import deque
from collections.abc import Iterable
from typing import Final

from model.regno import Reading

# What a reading may take in memory to be kept: a usual one takes about 700 bytes, the greatest that
# the service reads 60,000. So many thousands of them must not fill the memory of a worker.
LARGEST_BYTES: Final = 4096
# Of a number in a list, with its place there, and of a letter beyond Latin.
_NUMBER_BYTES: Final = 32
_LETTER_BYTES: Final = 4


def is_small(reading: Reading) -> bool:
    """Whether a reading takes no more memory than may be kept of it."""
    numbers = len(reading.afts_regno_ai_char_scores) + len(reading.afts_regno_ai_length_scores)
    letters = (
        len(reading.regno_recognize)
        + len(reading.afts_regno_ai)
        + len(reading.camera_type)
        + len(reading.camera_class)
    )
    return numbers * _NUMBER_BYTES + letters * _LETTER_BYTES <= LARGEST_BYTES


class Recent(deque[Reading]):
    """The newest ones, but those that are not small."""

    def append(self, reading: Reading, /) -> None:
        """Keep one."""
        if is_small(reading):
            super().append(reading)

    def extend(self, readings: Iterable[Reading], /) -> None:
        """Keep several, the last one as the newest."""
        super().extend(filter(is_small, readings))


def recent(most: int) -> deque[Reading]:
    """A place for so many; for none where nobody can use them, at no cost."""
    return Recent(maxlen=most) if most else deque(maxlen=0)
