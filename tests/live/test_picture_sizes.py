"""Odd and hostile pictures over HTTP: a right answer or a clear 4xx, and everybody stays alive."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import psutil
import pytest
from PIL import Image, ImageOps

from tests.support.pictures import bomb, file_of, five, many_frames, turned_by_exif
from tests.support.web_server import WebServer, web_serving

pytestmark = pytest.mark.slow

_FIVE: Final = file_of(five(), "PNG")
# That of the container in docker-compose.yml.
_MEMORY: Final = 2 << 30
_HEIC: Final = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 99
_SVG: Final = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


def _wide(image: Image.Image) -> Image.Image:
    """A picture with 16 bits a pixel."""
    return image.convert("I").point(lambda value: value * 257).convert("I;16")


def _see_through(image: Image.Image) -> Image.Image:
    """White strokes on nothing."""
    strokes = Image.new("RGBA", image.size, (255, 255, 255, 0))
    strokes.putalpha(image)
    return strokes


_RIGHT: Final = {
    "plain": _FIVE,
    "dark on light": file_of(ImageOps.invert(five()), "PNG"),
    "RGB": file_of(five().convert("RGB"), "PNG"),
    "alpha": file_of(_see_through(five()), "PNG"),
    "palette": file_of(five().convert("P"), "PNG"),
    "palette with a hole": file_of(five().convert("P"), "GIF", transparency=0),
    "16 bits": file_of(_wide(five()), "PNG"),
    "CMYK": file_of(five().convert("CMYK"), "JPEG", quality=95),
    "one bit": file_of(five().convert("1"), "PNG"),
    "turned by EXIF": turned_by_exif(five(), 6),
    "mirrored by EXIF": turned_by_exif(five().convert("RGB"), 5, "JPEG"),
    "a page behind it": _FIVE + b"<html><script>alert(1)</script></html>",
    "a ZIP behind it": _FIVE + b"PK\x03\x04" + b"\0" * 999,
    "25 megapixels": file_of(five().resize((5000, 5000)), "PNG"),
}
_REFUSED: Final = {
    "81 megapixels in 10 kB": (bomb(), 400, "pixels"),
    "half a file": (_FIVE[: len(_FIVE) // 2], 400, "truncated or damaged"),
    "a head alone": (_FIVE[:40], 400, "truncated or damaged|not a picture"),
    "SVG": (_SVG, 400, "is SVG"),
    "HEIC": (_HEIC, 400, "is HEIC"),
    "TIFF": (file_of(five(), "TIFF"), 400, "is TIFF"),
    "text": (b"no picture", 400, "not a picture"),
    "nothing drawn": (file_of(Image.new("L", (90, 90)), "PNG"), 400, "image: "),
    "10,000 frames with nothing drawn": (many_frames(10_000), 400, "image: "),
    "a byte too long": (_FIVE + b"\0" * ((8 << 20) + 1 - len(_FIVE)), 400, "longer"),
    "far too long": (_FIVE + b"\0" * (10 << 20), 413, "at most 8 MiB"),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    """It must have the same processes after all pictures, and have stayed within its memory."""
    with web_serving(tmp_path_factory.mktemp("web")) as server:
        assert _classified(server, _FIVE).status_code == 201
        before = _lasting(server)
        yield server
        assert _classified(server, _FIVE).status_code == 201
        assert _lasting(server) == before
        assert sum(map(_greatest_memory, _processes(server))) < _MEMORY


def _classified(server: WebServer, file: bytes) -> httpx.Response:
    with server.client() as client:
        return client.post("/digits/classify", files={"file": file})


def _processes(server: WebServer) -> list[psutil.Process]:
    return psutil.Process(server.process.pid).children(recursive=True)


def _lasting(server: WebServer) -> set[int]:
    """The server's processes but those that decode, which may be replaced."""
    found = _processes(server)
    return {one.pid for one in found if "model.pictures.process" not in one.cmdline()}


def _greatest_memory(process: psutil.Process) -> int:
    """The most bytes that it had at any time."""
    lines = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii").splitlines()
    (line,) = [line for line in lines if line.startswith("VmHWM:")]
    return int(line.split()[1]) << 10


@pytest.mark.parametrize("name", _RIGHT)
def test_a_digit_is_read_however_its_file_was_written(name: str, server: WebServer) -> None:
    reply = _classified(server, _RIGHT[name])
    assert (reply.status_code, reply.json()) == (201, "[5]")


@pytest.mark.parametrize("name", _REFUSED)
def test_what_can_not_be_read_is_refused_for_its_reason(name: str, server: WebServer) -> None:
    file, status, reason = _REFUSED[name]
    reply = _classified(server, file)
    assert reply.status_code == status
    assert reply.json()["status"] == "fail"
    assert any(one in reply.json()["body"] for one in reason.split("|")), reply.text


def test_of_many_frames_the_first_is_asked_about(server: WebServer) -> None:
    with server.client() as client:
        frames = many_frames(10_000)
        reply = client.post("/query", files={"image": frames}, data={"query": "cat?"})
    assert reply.status_code == 200
    assert reply.json()["body"]["answer"] is False
