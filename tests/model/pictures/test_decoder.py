"""Files of anybody become pixels, or a clear fault, within limits."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from model import InvalidRequest
from model.errors import NoDecoder
from model.pictures.decoder import LIMITS, Decoder, Limits, decoded, shared
from model.pictures.png import LONGEST_SIDE, as_png
from tests.support.paths import ROOT
from tests.support.pictures import (
    bomb,
    file_of,
    many_frames,
    pixels_of,
    smooth,
    turned_by_exif,
)

_LOSSLESS = ("PNG", "BMP", "WEBP")


@pytest.fixture(scope="module", autouse=True)
def _ended() -> Iterator[None]:
    yield
    shared().close()


def _fault(blob: bytes, decoder: Decoder | None = None) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as raised:
        (decoder or shared()).decoded(blob)
    assert raised.value.field == "image"
    return raised.value


@pytest.mark.parametrize("form", _LOSSLESS)
def test_a_lossless_file_becomes_its_pixels(form: str) -> None:
    options = {"lossless": True} if form == "WEBP" else {}
    pixels = decoded(file_of(smooth(), form, **options))
    assert pixels.shape == (40, 60, 3)
    assert pixels.dtype == np.uint8
    assert np.array_equal(pixels, pixels_of(smooth()))


@pytest.mark.parametrize("form", ["JPEG", "GIF"])
def test_a_lossy_file_becomes_nearly_its_pixels(form: str) -> None:
    difference = decoded(file_of(smooth(), form)).astype(int) - pixels_of(smooth())
    assert np.abs(difference).mean() < 6


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_a_picture_is_turned_by_its_exif(form: str, orientation: int) -> None:
    upright = decoded(turned_by_exif(smooth(), 1, form)).astype(int)
    turned = decoded(turned_by_exif(smooth(), orientation, form))
    assert turned.shape == upright.shape
    assert np.abs(turned - upright).mean() < 6


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("1", 1, (255, 255, 255)),
        ("L", 77, (77, 77, 77)),
        ("LA", (0, 0), (255, 255, 255)),
        ("RGBA", (200, 0, 0, 255), (200, 0, 0)),
        ("RGBA", (200, 0, 0, 0), (255, 255, 255)),
        ("RGBA", (0, 0, 0, 51), (204, 204, 204)),
        ("I;16", 0x4D00, (77, 77, 77)),
        ("I;16", 0xFFFF, (255, 255, 255)),
    ],
)
def test_each_mode_of_png_has_the_right_colours(
    mode: str, colour: int | tuple[int, ...], expected: tuple[int, int, int]
) -> None:
    pixels = decoded(file_of(Image.new(mode, (4, 3), colour), "PNG"))
    assert np.array_equal(pixels, np.full((3, 4, 3), expected))


def test_a_palette_keeps_its_colours_and_its_hole_is_white() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    for form in ("PNG", "GIF"):
        assert decoded(file_of(image, form)).tolist() == [[[10, 20, 30], [40, 50, 60]]]
        pixels = decoded(file_of(image, form, transparency=0))
        assert pixels.tolist() == [[[255, 255, 255], [40, 50, 60]]]


def test_alpha_is_kept_for_a_caller_who_asks_for_it() -> None:
    faint = Image.new("RGBA", (4, 4), (255, 0, 0, 51))
    pixels = decoded(file_of(faint, "PNG"), keep_alpha=True)
    assert np.array_equal(pixels, np.full((4, 4, 4), (255, 0, 0, 51)))
    assert decoded(file_of(smooth(), "PNG"), keep_alpha=True).shape == (40, 60, 3)


def test_cmyk_of_a_press_becomes_red() -> None:
    ink = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    difference = decoded(file_of(ink, "JPEG", quality=95)).astype(int) - (255, 0, 0)
    assert np.abs(difference).max() <= 4


def test_a_picture_is_reduced_no_further_than_its_shorter_side_may_be() -> None:
    image = smooth().resize((1200, 800))
    for form in ("PNG", "JPEG"):
        height, width, _ = decoded(file_of(image, form), side=100).shape
        assert (height, width) == (100, 150)
        assert decoded(file_of(image, form), side=700).shape == (800, 1200, 3)


def test_of_ten_thousand_frames_the_first_is_decoded() -> None:
    pixels = decoded(many_frames(10_000))
    assert np.array_equal(pixels, np.full((20, 30, 3), (255, 0, 0)))


def test_what_is_behind_a_picture_is_not_in_what_is_stored() -> None:
    polyglot = file_of(smooth(), "PNG") + b"PK\x03\x04<script>alert(1)</script>"
    stored = as_png(decoded(polyglot))
    assert b"<script>" not in stored
    assert np.array_equal(decoded(stored), pixels_of(smooth()))


def test_what_is_stored_has_no_metadata_and_is_the_same_each_time() -> None:
    turned = decoded(turned_by_exif(smooth(), 6))
    stored = as_png(turned)
    assert stored == as_png(turned.copy())
    assert [stored[at : at + 4] for at in (12, 37)] == [b"IHDR", b"IDAT"]
    assert b"eXIf" not in stored


def test_what_is_stored_of_a_long_picture_is_small() -> None:
    noise = np.random.default_rng(1).integers(0, 255, (2, 8000, 3), dtype=np.uint8)
    assert decoded(as_png(noise)).shape == (1, LONGEST_SIDE, 3)
    noise = noise.reshape(160, 100, 3)
    assert np.array_equal(decoded(as_png(noise)), noise)


def test_what_is_stored_keeps_its_transparency() -> None:
    white = np.full((3, 4, 4), 255, np.uint8)
    white[1, 1, 3] = 0
    assert np.array_equal(decoded(as_png(white), keep_alpha=True)[:, :, 3], white[:, :, 3])


_HEIF = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200)
_SVG = b"<?xml version='1.0'?>\n<svg xmlns='http://www.w3.org/2000/svg'></svg>"


@pytest.mark.parametrize(
    ("blob", "named"),
    [
        (_SVG, "SVG"),
        (b"\xef\xbb\xbf  <svg/>", "SVG"),
        (b"<!doctype html><img src=x>", "HTML"),
        (_HEIF, "HEIC"),
        (b"\0\0\0\x18ftypavif" + bytes(99), "AVIF"),
        (file_of(smooth(), "TIFF"), "TIFF"),
        (b"%PDF-1.7\n" + file_of(smooth(), "JPEG"), "PDF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "PostScript"),
        (file_of(smooth(), "ICO", sizes=[(16, 16)]), "ICO"),
        (b"PK\x03\x04" + file_of(smooth(), "PNG"), "ZIP"),
        (b"GIF89a=1;//<script>alert(1)</script>", "not a picture"),
        (file_of(smooth(), "PPM"), "not a picture"),
        (b"no picture at all", "not a picture"),
    ],
)
def test_a_file_of_another_format_is_refused_by_its_name(blob: bytes, named: str) -> None:
    fault = _fault(blob)
    assert fault.kind == "unreadable"
    assert named in fault.reason


def test_an_empty_file_is_missing() -> None:
    assert _fault(b"").kind == "missing"


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_half_a_file_is_refused(form: str) -> None:
    noise = np.random.default_rng(17).integers(0, 256, (64, 64, 3), np.uint8)
    whole = file_of(Image.fromarray(noise), form)
    fault = _fault(whole[: len(whole) // 2])
    assert fault.kind == "unreadable"


@given(st.sampled_from(["PNG", "JPEG", "WEBP", "GIF", "BMP"]), st.data())
@settings(max_examples=150, deadline=None)
def test_no_change_of_a_file_stops_the_next_one(form: str, data: st.DataObject) -> None:
    changed = bytearray(file_of(smooth(), form))
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(changed) - 1))
        changed[at] = data.draw(st.integers(0, 255))
    with suppress(InvalidRequest):
        assert decoded(bytes(changed)).dtype == np.uint8
    assert decoded(file_of(smooth(), "PNG")).shape == (40, 60, 3)


def test_too_many_pixels_are_refused_before_they_are_decoded() -> None:
    script = (
        "import resource, sys; from model.pictures.decoder import *\n"
        "try: decoded(sys.stdin.buffer.read())\n"
        "except InvalidRequest as fault: print(fault.kind)\n"
        "shared().close(); print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, input=bomb(), capture_output=True, check=True
    )
    kind, kib = done.stdout.split()
    assert kind == b"range"
    assert int(kib) < 64 << 10  # 81 MB in the smallest form


@pytest.mark.parametrize(
    ("limits", "kind"),
    [
        (LIMITS._replace(file_bytes=1000), "length"),
        (LIMITS._replace(memory=8 << 20), "range"),
        (LIMITS._replace(seconds=0.0), "range"),
        (LIMITS._replace(pixels=3_999_999), "range"),
    ],
)
def test_a_picture_beyond_a_limit_is_refused_and_another_one_is_not(
    limits: Limits, kind: str
) -> None:
    large = file_of(Image.new("L", (2000, 2000)), "PNG")
    decoder = Decoder(limits)
    assert _fault(large, decoder).kind == kind
    decoder.close()
    assert decoded(large).shape == (2000, 2000, 3)


def test_a_process_that_was_killed_is_replaced() -> None:
    decoder = Decoder(processes=1)
    blob = file_of(smooth(), "PNG")
    before = {child.pid for child in psutil.Process().children()}
    decoder.warm()
    (child,) = (each for each in psutil.Process().children() if each.pid not in before)
    child.kill()
    child.wait()
    assert decoder.decoded(blob).shape == (40, 60, 3)
    decoder.close()


def test_a_process_can_open_no_file_and_knows_no_secret() -> None:
    decoder = Decoder(processes=1)
    before = {child.pid for child in psutil.Process().children()}
    decoder.warm()
    (child,) = (each for each in psutil.Process().children() if each.pid not in before)
    assert child.rlimit(psutil.RLIMIT_NOFILE) == (0, 0)
    assert child.rlimit(psutil.RLIMIT_FSIZE) == (0, 0)
    assert set(child.environ()) <= {"PYTHONPATH", "LC_CTYPE"}
    decoder.close()
    assert not child.is_running()


def test_threads_share_the_processes() -> None:
    blobs = [file_of(Image.new("RGB", (8, 8), (n, 0, 0)), "PNG") for n in range(40)]
    with ThreadPoolExecutor(8) as threads:
        found = [pixels[0, 0, 0] for pixels in threads.map(decoded, blobs)]
    assert found == list(range(40))


def test_no_process_at_all_is_no_fault_of_the_picture() -> None:
    with pytest.raises(NoDecoder):
        Decoder(LIMITS._replace(seconds=0.0), processes=0).decoded(b"picture")
