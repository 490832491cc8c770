"""What a process that decodes and its parent say to each other."""

from enum import IntEnum
from struct import Struct
from typing import Final

# Before the file in a message: the arguments of `rgb`.
HOW: Final = Struct("!I?")
# An outcome, the height, the width and the channels.
HEAD: Final = Struct("!IIII")


class Outcome(IntEnum):
    """What became of a file."""

    DECODED = 0
    UNKNOWN = 1
    DAMAGED = 2
    PIXELS = 3
    MEMORY = 4
    # Found by the parent.
    TIME = 5
    CRASHED = 6
