"""How quick scoring is beside bare onnxruntime: `python -m model.imagenet.speed --help`."""

import argparse
import sys
from base64 import b64encode
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from time import perf_counter, process_time
from typing import Final

import msgspec
import numpy as np
from tqdm import tqdm

from model import files
from model.cli import Exit, command_parser, exit_status, os_errors_exit
from model.errors import InvalidRequest, ModelRefused
from model.imagenet.crop import crop_of
from model.imagenet.model import BUNDLED, MODEL
from model.imagenet.network import BATCH
from model.imagenet.request import Picture, PictureFile
from model.pictures.decoder import LIMITS
from model.pictures.onnx_session import session
from model.pictures.picture_decoder import PictureDecoder

_DESCRIPTION: Final = """\
Measure how many copies of a picture are scored in a second by one thread: by onnxruntime alone, of
pixels that are ready; by the scorer, with labels and answers; and from requests with the file in
base64, which is decoded in another process. The three take turns, so that what else the machine
does hits them alike. The first two are counted in seconds of the CPU.
"""
_EPILOG: Final = """\
exit status: 0 done, 2 wrong usage, 65 the file is not a picture or the model is refused, 66 the
file can't be read.
"""


class Speeds(msgspec.Struct, frozen=True):
    """Pictures a second: of the network alone, of the scorer, and with decoding."""

    network: float
    scorer: float
    requests: float

    @property
    def ratio(self) -> float:
        """The scorer's beside the network's."""
        return self.scorer / self.network


def speeds(picture: bytes, model: Path, rounds: int) -> Speeds:
    """Measure with so many rounds of a batch. Raises InvalidRequest and ModelRefused."""
    scorer = MODEL.load(model)
    network = session(files.read(model))
    body = msgspec.json.encode([{"image": b64encode(picture).decode(), "query": "cat?"}] * BATCH)
    requests_of = partial(_requests, MODEL.decoder(BATCH))
    requests = [Picture(crop_of(picture), "cat?")] * BATCH
    pixels = np.stack([each.image.pixels for each in requests])
    done: list[tuple[Callable[[], object], Callable[[], float]]] = [
        (lambda: network.run(None, {"pixels": pixels}), process_time),
        (lambda: scorer.predict(requests), process_time),
        (lambda: scorer.predict(requests_of(body)), perf_counter),
    ]
    seconds = [0.0] * len(done)
    for _ in tqdm(range(rounds), desc="rounds", disable=None):
        for at, (do, clock) in enumerate(done):
            began = clock()
            do()
            seconds[at] += clock() - began
    return Speeds(*(rounds * BATCH / each for each in seconds))


def _requests(decoder: PictureDecoder[PictureFile, Picture], body: bytes) -> list[Picture]:
    """The requests of an array."""
    return [each for each in chain(*decoder.slices(body)) if isinstance(each, Picture)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure as the command line says. Returns the exit status."""
    parser = command_parser("python -m model.imagenet.speed", _DESCRIPTION, _EPILOG)
    parser.add_argument("picture", type=Path, help="file of a picture")
    parser.add_argument("--model", type=Path, default=BUNDLED, help="default: the bundled file")
    parser.add_argument("--rounds", type=int, default=20, help=f"of {BATCH} pictures each")
    options = parser.parse_args(arguments)
    return exit_status(options.prog, lambda: _run(options))


def _run(options: argparse.Namespace) -> None:
    with os_errors_exit(66, options.picture):
        picture = options.picture.read_bytes()
    if len(picture) > LIMITS.file_bytes:
        raise Exit(65, f"{options.picture}: it is longer than {LIMITS.file_bytes} bytes")
    try:
        found = speeds(picture, options.model, options.rounds)
    except (InvalidRequest, ModelRefused) as reason:
        raise Exit(65, str(reason)) from reason
    sys.stdout.write(
        f"onnxruntime alone: {found.network:.1f} pictures/s of the CPU\n"
        f"scorer: {found.scorer:.1f} pictures/s of the CPU, {found.ratio:.3f} of it\n"
        f"requests with a file: {found.requests:.1f} pictures/s by the wall clock\n"
    )


if __name__ == "__main__":
    sys.exit(main())
