"""A process that decodes pictures: `python -m model.pictures.process PIPE PIXELS MEMORY CPU`.

PIPE is the file descriptor of the connection to the parent; the process ends when that is closed.
A message is a `HOW` and a file; a reply is a `HEAD`, and the pixels if there are any.

The files come from untrusted senders, and the libraries that decode them have had faults. So the
process has an empty environment, can't open or write files or sockets, and has limits: MEMORY bytes
in addition to those of the libraries, and CPU seconds for each picture. Its parent does not
trust its replies.
"""

import os
import resource
import sys
import warnings
from contextlib import suppress
from io import BytesIO
from math import ceil
from multiprocessing.connection import Connection
from pathlib import Path
from time import process_time
from typing import Final

from PIL import Image, UnidentifiedImageError

from model.pictures.formats import READ
from model.pictures.reply import HEAD, HOW, Outcome
from model.pictures.rgb import TooManyPixels, rgb

# Processes that score on this machine have priority.
_NICE: Final = 10


def main(pipe: str, pixels: str, memory: str, cpu: str) -> None:
    """Reply to each message until the connection is closed."""
    connection = Connection(int(pipe))
    _load_codecs()
    _limit(int(memory))
    with suppress(EOFError, OSError):
        while True:
            message = connection.recv_bytes()
            _limit_cpu(int(cpu))
            head, decoded = _reply(message, int(pixels))
            connection.send_bytes(head)
            if decoded:
                connection.send_bytes(decoded)


def _reply(message: bytes, most_pixels: int) -> tuple[bytes, bytes]:
    side, keep_alpha = HOW.unpack_from(message)
    try:
        image = rgb(message[HOW.size :], most_pixels, side, keep_alpha=keep_alpha)
        channels = len(image.getbands())
        return HEAD.pack(Outcome.DECODED, image.height, image.width, channels), image.tobytes()
    except TooManyPixels:
        outcome = Outcome.PIXELS
    except UnidentifiedImageError:
        outcome = Outcome.UNKNOWN
    except MemoryError:
        outcome = Outcome.MEMORY
    except Exception:  # noqa: BLE001 - Pillow raises anything for a damaged file
        outcome = Outcome.DAMAGED
    return HEAD.pack(outcome, 0, 0, 0), b""


def _load_codecs() -> None:
    """Have all formats written and read once: some modules are imported on first use."""
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    for name in READ:
        file = BytesIO()
        Image.new("RGB", (8, 8)).save(file, name)
        rgb(file.getvalue(), 64, 4)
    with suppress(Exception):
        rgb(b"no picture", 64, 0)


def _limit(memory: int) -> None:
    os.nice(_NICE)
    with suppress(OSError):  # the first to be killed when memory is short; not on every system
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    for limit in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE):
        resource.setrlimit(limit, (0, 0))
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    addresses = pages * resource.getpagesize() + memory
    resource.setrlimit(resource.RLIMIT_AS, (addresses, addresses))
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))  # those that are open stay so


def _limit_cpu(seconds: int) -> None:
    """Limit the CPU time of what follows: a limit counts from the start of the process."""
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (ceil(process_time()) + seconds, hard))


if __name__ == "__main__":
    main(*sys.argv[1:])
