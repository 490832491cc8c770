"""The bundled model: drawn digits in files of all kinds are what they show."""

from base64 import b64encode
from collections.abc import Callable
from io import BytesIO
from itertools import product
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pytest
from PIL import Image, ImageOps

from model import InvalidRequest
from model.digits import BUNDLED, MODEL, Digit, DigitsScorer, picture_of, picture_of_pixels
from model.digits.drawing import Pen, drawn
from tests.support.commands import run_module
from tests.support.paths import ROOT
from tests.support.pictures import file_of, turned_by_exif

# As in the originals: 5, 6 and 9 of thin dots, white on black, about 87 × 86.
_SAMPLES: Final = {5: (87, 86), 6: (87, 89), 9: (85, 83)}
_DOTS: Final = Pen(1.0, gap=3.5)


@pytest.fixture(scope="module")
def scorer() -> DigitsScorer:
    return MODEL.load(BUNDLED)


def _image(digit: int, pen: Pen = _DOTS) -> Image.Image:
    return Image.fromarray(drawn(digit, pen, _SAMPLES.get(digit, (87, 86))))


def _on_paper(image: Image.Image, paper: str, pen: str) -> Image.Image:
    return ImageOps.colorize(image, paper, pen)


def _transparent(grey: int) -> Callable[[Image.Image], Image.Image]:
    def made(image: Image.Image) -> Image.Image:
        written = Image.new("RGBA", image.size, (grey, grey, grey, 0))
        written.putalpha(image)
        return written

    return made


_CHANGES: Final[dict[str, Callable[[Image.Image], Image.Image]]] = {
    "as it is": lambda image: image,
    "opaque RGBA": lambda image: image.convert("RGBA"),
    "inverted": ImageOps.invert,
    "padded": lambda image: ImageOps.expand(image, (40, 5, 12, 70), 0),
    "padded with white": lambda image: ImageOps.expand(image, (20, 20, 30, 10), 255),
    "inverted, padded with black": lambda image: ImageOps.expand(ImageOps.invert(image), 15, 0),
    "off-centre": lambda image: ImageOps.expand(image, (0, 0, 200, 150), 0),
    "white on nothing": _transparent(255),
    "black on nothing": _transparent(0),
    "blue on yellow": lambda image: _on_paper(image, "gold", "navy"),
    "red on green": lambda image: _on_paper(image, "#008000", "#d02020"),
    "grey on grey": lambda image: _on_paper(image, "#909090", "#404040"),
    "palette": lambda image: image.quantize(8),
    "16 bits": lambda image: Image.fromarray(np.asarray(image).astype(np.uint16) * 257),
    "large": lambda image: image.resize((860, 870), Image.Resampling.BICUBIC),
    "small": lambda image: image.resize((43, 44), Image.Resampling.BOX),
}


@pytest.mark.parametrize("change", _CHANGES)
def test_the_samples_are_right_however_they_are_stored(scorer: DigitsScorer, change: str) -> None:
    files = {digit: file_of(_CHANGES[change](_image(digit)), "PNG") for digit in _SAMPLES}
    scores = scorer.score([picture_of(file) for file in files.values()])
    assert [score.prediction for score in scores] == list(files)
    assert min(score.confidence for score in scores) > 0.6


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_as_their_exif_says(scorer: DigitsScorer, orientation: int) -> None:
    files = [turned_by_exif(_image(digit, Pen(2.5)), orientation, "PNG") for digit in _SAMPLES]
    scores = scorer.score([picture_of(file) for file in files])
    assert [score.prediction for score in scores] == list(_SAMPLES)


@pytest.mark.parametrize("form", ["JPEG", "WEBP"])
def test_other_formats_are_read(scorer: DigitsScorer, form: str) -> None:
    scores = scorer.score([picture_of(file_of(_image(digit), form)) for digit in _SAMPLES])
    assert [score.prediction for score in scores] == list(_SAMPLES)


def test_dots_and_pens_of_many_sizes_are_read(scorer: DigitsScorer) -> None:
    """A 1 with a serif is often a 7 or a 9 to a reader of MNIST: its rate is a rate, not 1."""
    radii, gaps, slants = (0.6, 1.0, 1.5, 2.5, 4.0), (0.0, 3.0, 4.0, 5.0, 6.0), (-0.15, 0.0, 0.15)
    pens = [
        Pen(radius, gap, slant)
        for radius, gap, slant in product(radii, gaps, slants)
        if gap <= 4 * radius + 2
    ]
    wrong: dict[int, int] = {}
    for digit in range(10):
        pictures = [picture_of_pixels(drawn(digit, pen)) for pen in pens]
        found = [score.prediction for score in scorer.score(pictures)]
        wrong[digit] = sum(one != digit for one in found)
    assert {digit: wrong[digit] for digit in _SAMPLES} == dict.fromkeys(_SAMPLES, 0)
    assert sum(wrong.values()) <= 0.01 * 10 * len(pens), wrong


def test_a_score_has_confidence_and_the_three_likeliest(scorer: DigitsScorer) -> None:
    (score,) = scorer.score([picture_of(file_of(_image(9), "PNG"))])
    assert isinstance(score, Digit)
    assert score.prediction == score.top[0].digit == 9
    assert score.confidence == score.positive == score.top[0].probability
    assert [one.probability for one in score.top] == sorted(score.probabilities)[:-4:-1]
    assert [score.probabilities[one.digit] for one in score.top] == [
        one.probability for one in score.top
    ]
    assert sum(score.probabilities) == pytest.approx(1)


def test_many_pictures_score_as_one_by_one(scorer: DigitsScorer) -> None:
    pictures = [picture_of_pixels(drawn(digit, Pen(3.0))) for digit in range(10)]
    together = scorer.score(pictures)
    alone = [scorer.score([picture])[0] for picture in pictures]
    for one, other in zip(together, alone, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-6)
    assert scorer.score([]) == []


def test_the_file_is_small_and_says_how_good_it_is(scorer: DigitsScorer) -> None:
    assert BUNDLED.stat().st_size < 500_000
    assert scorer.held_out_accuracy is not None
    assert scorer.held_out_accuracy >= 0.985
    card = BUNDLED.with_name("MODEL_CARD.md").read_text(encoding="utf-8")
    assert scorer.version in card
    assert scorer.sha256 in card
    assert f"{scorer.held_out_accuracy:.4f}" in card
    scorer.validate()


def _body(*files: bytes) -> bytes:
    rows = [{"image": b64encode(file).decode()} for file in files]
    return msgspec.json.encode(rows if len(rows) > 1 else rows[0])


def test_a_body_is_a_picture_in_base64_or_an_array_of_them(scorer: DigitsScorer) -> None:
    decode = MODEL.decoder(10)
    one: Any = decode(_body(file_of(_image(5), "PNG")))
    many: Any = decode(_body(*(file_of(_image(digit), "PNG") for digit in _SAMPLES)))
    assert [score.prediction for score in scorer.score([one, *many])] == [5, 5, 6, 9]
    assert scorer.memory_of(one) == 28 * 28


_BLANK: Final = file_of(Image.new("L", (50, 50), 255), "PNG")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"image": "!"}', "base64"),
        ('{"image": "\u0436"}'.encode(), "base64"),
        (b'{"image": 5}', "base64"),
        (b'{"image": ""}', "empty"),
        (b'{"image": "aGVsbG8="}', "not a picture"),
        (b"{}", "missing"),
        (_body(_BLANK), "no digit"),
        (_body(file_of(_image(5), "PNG")[:-40]), "truncated"),
    ],
    ids=["no base64", "no ASCII", "number", "empty", "no picture", "missing", "blank", "cut"],
)
def test_what_is_no_picture_of_a_digit_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason) as caught:
        MODEL.decoder(10)(body)
    assert caught.value.field == "image"


def test_a_bad_picture_in_an_array_spoils_no_other(scorer: DigitsScorer) -> None:
    good = file_of(_image(6), "PNG")
    decoded: Any = MODEL.decoder(10)(_body(good, _BLANK, good))
    first, second, third = decoded
    assert str(second) == "image: no digit is in the picture"
    assert [score.prediction for score in scorer.score([first, third])] == [6, 6]


def test_the_schema_is_one_that_clients_can_use() -> None:
    schemas = MODEL.schemas("#/components/schemas/{name}")
    image = schemas["PictureFile"]["properties"]["image"]
    assert (image["type"], image["contentEncoding"]) == ("string", "base64")
    assert set(schemas) == {"PictureFile", "Digit", "Candidate"}


def test_a_file_of_pictures_is_scored(tmp_path: Path) -> None:
    files = [file_of(_image(digit), "PNG") for digit in _SAMPLES]
    cells = [b64encode(file).decode() for file in (*files, _BLANK)]
    rows = "".join(f"{number},{cell}\n" for number, cell in enumerate(cells))
    (tmp_path / "in.csv").write_text(f"id,image\n{rows}")
    done = run_module(
        *(tmp_path, "model.score", tmp_path / "in.csv", tmp_path / "out.csv"),
        *("--name", "digits", "--model", BUNDLED, "--processes", "1"),
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    header, *lines = (tmp_path / "out.csv").read_text().splitlines()
    assert header == "id,image,prediction,confidence,top,probabilities,error"
    found = [line.split(",")[2:] for line in lines]
    assert [row[0] for row in found] == ["5", "6", "9", ""]
    assert found[0][2].startswith("5:")
    assert len(found[0][3].split()) == 10
    assert "no digit" in found[3][-1]


def test_png_of_the_same_pixels_score_the_same(scorer: DigitsScorer) -> None:
    plain = BytesIO()
    _image(5).save(plain, "PNG", optimize=True)
    first, second = scorer.score(
        [picture_of(plain.getvalue()), picture_of_pixels(drawn(5, _DOTS, _SAMPLES[5]))]
    )
    assert first == second
