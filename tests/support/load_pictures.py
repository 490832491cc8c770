"""`python -m tests.support.load_pictures FILE`: write the pictures of load tests."""

import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
from PIL import Image

from loadgen.common.pictures import Picture
from model.digits.drawing import Pen, drawn
from tests.support.paths import ROOT
from tests.support.pictures import file_of

_PHOTOS = ROOT / "tests/support/photos"


def pictures() -> Iterator[Picture]:
    """The ten digits as dots, a cat, and a cup of coffee."""
    for digit in range(10):
        image = Image.fromarray(drawn(digit, Pen(1.6, gap=4.0)))
        file = file_of(image, "PNG", optimize=True)
        yield Picture("digit", f"[{digit}]", "image/png", file)
    for name, is_cat in (("cat", True), ("coffee", False)):
        file = (_PHOTOS / f"{name}.jpg").read_bytes()
        yield Picture("query", is_cat, "image/jpeg", file, "cat?")


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(msgspec.json.Encoder().encode_lines(pictures()))
