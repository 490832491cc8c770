"""The picture process: batches, what it says of bad pictures, its life under the web processes."""

import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, cast

import pytest
from PIL import Image

from loadgen.common.processes import Program
from model import InvalidRequest
from service.images.batches import Batches
from service.images.client import Pictures, PicturesBusy, PicturesFailed, PicturesUnavailable
from service.images.messages import WAITING, Task, listen
from tests.support.paths import ROOT
from tests.support.pictures import bomb, file_of, five
from tests.support.server import eventually

if TYPE_CHECKING:
    from model.scorer import Scorer


class Counting:
    """What batches know of a scorer. It keeps them; each waits until it may go on."""

    name = "counting"
    version = "v1"

    def __init__(self) -> None:
        self.batches: list[list[Any]] = []
        self.may_go_on = Event()

    def row(self, request: Any, /) -> Any:
        return request

    def predict(self, rows: Sequence[Any], /) -> Sequence[Any]:
        self.batches.append(list(rows))
        assert self.may_go_on.wait(30)
        if "bad" in rows:
            raise ValueError("it is bad")
        return [row.upper() for row in rows]


@pytest.fixture
def counting() -> Counting:
    return Counting()


def test_rows_that_wait_at_the_same_time_are_one_batch(counting: Counting) -> None:
    batches = Batches(lambda: cast("Scorer", counting), most=4)
    with ThreadPoolExecutor(12) as threads:
        first = threads.submit(batches.score, "first")
        eventually(lambda: counting.batches == [["first"]], "the first one is alone")
        rest = [threads.submit(batches.score, f"row-{n}") for n in range(6)]
        eventually(lambda: batches._waiting.qsize() == 6, "the others wait")
        counting.may_go_on.set()
        assert first.result().score == "FIRST"
        assert [one.result().score for one in rest] == [f"ROW-{n}" for n in range(6)]
    assert [len(batch) for batch in counting.batches] == [1, 4, 2]


def test_a_batch_that_fails_fails_for_those_in_it_only(counting: Counting) -> None:
    counting.may_go_on.set()
    batches = Batches(lambda: cast("Scorer", counting))
    with pytest.raises(ValueError, match="it is bad"):
        batches.score("bad")
    assert batches.score("good").score == "GOOD"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pictures]:
    """The client of a process of its own, whose folder has a path too long for a socket."""
    folder = tmp_path_factory.mktemp("run") / ("x" * 100)
    folder.mkdir()
    environment = {"TMPDIR": str(folder), "PYTHONPATH": str(ROOT)}
    with listen(folder) as listening:
        number = listening.fileno()
        run = [sys.executable, "-m", "service.images", str(folder), "pictures-0", str(number)]
        process = Program(run, folder, folder / "output", environment, pass_fds=[number])
        try:
            yield Pictures(folder)  # the first picture waits in the socket
            assert process.stop() == 0
        finally:
            process.close()


@pytest.mark.slow
def test_a_digit_is_scored_and_comes_back_as_a_picture(pictures: Pictures) -> None:
    plain = pictures.score(Task("digits", file_of(five(), "PNG")))
    assert plain.score["prediction"] == 5
    assert plain.png == b""
    kept = pictures.score(Task("digits", file_of(five(), "BMP"), keep=True))
    assert kept.png.startswith(b"\x89PNG")
    assert kept.score == plain.score


@pytest.mark.slow
def test_a_panorama_comes_back_small_and_a_white_stroke_on_nothing_stays_visible(
    pictures: Pictures,
) -> None:
    noise = Image.effect_noise((8000, 520), 90).convert("RGB")
    kept = pictures.score(Task("imagenet", file_of(noise, "JPEG"), "cat?", keep=True))
    assert Image.open(BytesIO(kept.png)).size == (1600, 104)
    stroke = Image.new("RGBA", (90, 90), (255, 255, 255, 0))
    stroke.putalpha(five())
    kept = pictures.score(Task("digits", file_of(stroke, "PNG"), keep=True))
    assert kept.score["prediction"] == 5
    assert Image.open(BytesIO(kept.png)).getchannel("A").getextrema() == (0, 255)


@pytest.mark.slow
def test_many_at_the_same_time_get_their_own_scores(pictures: Pictures) -> None:
    blank = file_of(Image.new("L", (40, 40), 255), "PNG")
    a_five = file_of(five(), "PNG")

    def is_five(picture: bytes) -> bool:
        try:
            return bool(pictures.score(Task("digits", picture)).score["prediction"] == 5)
        except InvalidRequest:
            return False

    with ThreadPoolExecutor(24) as threads:
        found = list(threads.map(is_five, [a_five, blank] * 40))
    assert found == [True, False] * 40


@pytest.mark.slow
@pytest.mark.parametrize("picture", [b"", b"no picture", bomb(), b"x" * (8 << 20)])
def test_a_bad_picture_is_named_and_the_next_one_is_scored(
    pictures: Pictures, picture: bytes
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        pictures.score(Task("digits", picture))
    assert refused.value.field == "image"
    assert pictures.score(Task("digits", file_of(five(), "PNG"))).score["prediction"] == 5


@pytest.mark.slow
def test_a_model_that_is_not_there_is_a_failure(pictures: Pictures) -> None:
    with pytest.raises(PicturesFailed):
        pictures.score(Task("none", file_of(five(), "PNG")))


def test_no_more_pictures_are_in_work_than_may_be(tmp_path: Path) -> None:
    with listen(tmp_path) as silent, ThreadPoolExecutor(1) as threads:
        pictures = Pictures(tmp_path, most=1)
        first = threads.submit(pictures.score, Task("digits", b"x"))
        with silent.accept()[0], pytest.raises(PicturesBusy):
            pictures.score(Task("digits", b"x"))
        with pytest.raises(PicturesUnavailable):
            first.result()


def test_without_a_process_pictures_are_away(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(PicturesUnavailable):
            Pictures(folder).score(Task("digits", b"x"))


@pytest.mark.slow
def test_web_processes_import_no_library_of_pictures() -> None:
    import subprocess

    code = (
        "import sys, service.web.app, service.web.wsgi\n"
        "print([name for name in ('PIL', 'onnxruntime') if name in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[]"


def test_more_pictures_than_may_wait_are_turned_away(tmp_path: Path) -> None:
    """No process takes them; the kernel lets one more wait than the socket was told."""
    with listen(tmp_path), ExitStack() as opened:
        pictures = Pictures(tmp_path)
        for _ in range(WAITING + 1):
            opened.enter_context(pictures._connected())
        with pytest.raises(PicturesBusy):
            pictures.score(Task("digits", b"x"))
