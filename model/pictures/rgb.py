"""One file to pixels, with Pillow, in this process: for `process` alone.

The size is checked before anything is decoded, and of a file with several frames the first one is
decoded. The picture is turned as its EXIF orientation says.
"""

from contextlib import suppress
from io import BytesIO

# The plug-in of pictures with several JPEG files in them is imported by that of JPEG when it meets
# the first one: too late, since a process that decodes can't open files.
from PIL import Image, ImageOps, MpoImagePlugin, TiffImagePlugin

from model.pictures.formats import READ

__all__ = ["MpoImagePlugin", "TiffImagePlugin", "TooManyPixels", "rgb"]

TooManyPixels = (Image.DecompressionBombWarning, Image.DecompressionBombError)


def rgb(blob: bytes, most_pixels: int, side: int, *, keep_alpha: bool = False) -> Image.Image:
    """The picture of a file, in mode RGB, reduced where its shorter side stays `side` at least.

    With `side` 0 it keeps its size. It is in mode RGBA if it may `keep_alpha` and has transparent
    parts, which are white otherwise. Raises `TooManyPixels`, UnidentifiedImageError, MemoryError,
    and what else Pillow raises for files that are damaged.
    """
    Image.MAX_IMAGE_PIXELS = most_pixels
    with Image.open(BytesIO(blob), formats=READ) as file:
        if side:
            file.draft(None, (side, side))  # JPEG alone: decoded to a half, a quarter, an eighth
        file.load()
        with suppress(Exception):  # EXIF that can't be read does not say how to turn the picture
            ImageOps.exif_transpose(file, in_place=True)
        image = _of_8_bits(file)
        if not image.has_transparency_data:
            plain = image.convert("RGB")
        elif keep_alpha:
            plain = image.convert("RGBA")
        else:
            plain = _on_white(image.convert("RGBA"))
    factor = min(plain.size) // side if side else 1
    return plain.reduce(factor) if factor > 1 else plain


def _of_8_bits(image: Image.Image) -> Image.Image:
    """The same with 8 bits a channel. Pillow would make all grey values above 255 white."""
    if not image.mode.startswith("I"):
        return image
    grey = image.point(lambda value: value * (1 / 256)).convert("L")
    grey.info.pop("transparency", None)  # of 16 bits
    return grey


def _on_white(image: Image.Image) -> Image.Image:
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=image)
    return white
