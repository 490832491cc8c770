"""A manifest is held to its model at load: what can't be true of it is a refusal by its field."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model import ModelRefused
from model.drift.counter import OTHER, SCORE
from model.regno import BUNDLED, RegnoScorer, golden_readings
from model.regno.drift.reference import reference
from model.regno.features import CATEGORICAL
from tests.support.messages import mentions, states, stating
from tests.support.registry import command

Json = dict[str, Any]
_BUNDLED: Json = json.loads(BUNDLED.with_name("manifest.json").read_bytes())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With the bundled model, as a link."""
    (tmp_path / BUNDLED.name).symlink_to(BUNDLED)
    return tmp_path


def _load(folder: Path, manifest: Json | str, *, warm: bool = True) -> RegnoScorer:
    text = manifest if isinstance(manifest, str) else json.dumps(manifest)
    (folder / "manifest.json").write_text(text)
    return RegnoScorer.load(folder / BUNDLED.name, warm=warm)


def _refusal(folder: Path, manifest: Json | str) -> str:
    """The reason, without the names of both files that it begins with."""
    with pytest.raises(ModelRefused) as caught:
        _load(folder, manifest)
    start = f"{folder / BUNDLED.name} is refused: its manifest {folder / 'manifest.json'} "
    message = str(caught.value)
    assert message.startswith(start)
    assert message.isprintable()
    return message.removeprefix(start)


def test_the_bundled_one_is_sound(folder: Path) -> None:
    scorer = _load(folder, _BUNDLED)
    assert (scorer.version, scorer.positive_class) == (_BUNDLED["version"], "1")
    assert scorer.unexplained == ""


def test_an_older_one_without_the_newer_fields_is_sound(folder: Path) -> None:
    newer = ("reference", "borders", "classes", "positive_class", "unexplained")
    scorer = _load(folder, {name: _BUNDLED[name] for name in _BUNDLED if name not in newer})
    assert (scorer.classes, scorer.positive_class) == (("0", "1"), "1")
    assert scorer.unexplained == ""  # found out, as the manifest does not say


@pytest.mark.parametrize(
    "version",
    ["модель-осень", "v1\r\nX-Evil: 1\r\n\r\n<b>", "", "v 1", "v" * 70_000, ".v", "live", "v\x00"],
)
@pytest.mark.parametrize("field", ["version", "name"])
def test_a_name_that_no_header_may_hold_is_refused(field: str, version: str, folder: Path) -> None:
    reason = _refusal(folder, {**_BUNDLED, field: version})
    assert states(reason, f"is wrong: {field}: ", "not a name", "letters", "digits", ". _ + -")
    assert len(reason) < 200


_PLATE = "it holds what may be a number plate"


@pytest.mark.parametrize("version", ["A939HO196", "v1-77AB1234", "a+939+ho+196", "1234ab77.2"])
@pytest.mark.parametrize("field", ["version", "name"])
def test_a_name_that_may_be_a_plate_is_refused_and_not_repeated(
    field: str, version: str, folder: Path
) -> None:
    assert _refusal(folder, {**_BUNDLED, field: version}) == f"is wrong: {field}: {_PLATE}"


@pytest.mark.parametrize("plate", ["А939НО196", "77 1234 АВ", "А/939/НО/196", "a939ho196"])
def test_a_text_or_a_category_that_holds_a_plate_is_refused_by_its_field(
    plate: str, folder: Path
) -> None:
    classes = [*_BUNDLED["vocabularies"]["camera_class"], plate]
    shares = {"shares": [*_CLASS["shares"], 0], "values": [*_CLASS["values"], plate]}
    manifests: dict[str, Json] = {
        "unexplained": _with("unexplained", f"{plate} is why"),
        "training: last": _with("training", {"last": plate}),
        "vocabularies: camera_class": _with("vocabularies", {"camera_class": classes}),
        "reference: camera_class": _varied("camera_class", **shares),
    }
    for field, manifest in manifests.items():
        assert _refusal(folder, manifest) == f"is wrong: {field}: {_PLATE}"


@pytest.mark.parametrize("name", ["Стрелка-360", "АвтоУраган-ВСМ2", "Кордон-М2", "SpecLab-1234"])
def test_cameras_names_with_digits_are_no_plates(name: str, folder: Path) -> None:
    classes = [*_BUNDLED["vocabularies"]["camera_class"], name]
    assert name in _load(folder, _with("vocabularies", {"camera_class": classes})).groups


def _with(field: str, value: object) -> Json:
    return {**_BUNDLED, field: value}


def _varied(name: str, **changed: object) -> Json:
    """With one variable of the reference changed."""
    result = [
        {**variable, **changed} if variable["name"] == name else variable
        for variable in _BUNDLED["reference"]
    ]
    return _with("reference", result)


def _variable(name: str) -> Json:
    (result,) = [variable for variable in _BUNDLED["reference"] if variable["name"] == name]
    return dict(result)


_HOUR = _variable("hour")
_CLASS = _variable("camera_class")


def _added(**variable: object) -> Json:
    return _with("reference", [*_BUNDLED["reference"], {"importance": 0, **variable}])


@pytest.mark.parametrize(
    ("manifest", "stated"),
    [
        (
            _with("features", _BUNDLED["features"][1:]),
            ("features:", "other features"),
        ),
        (
            _with("features", _BUNDLED["features"][::-1]),
            ("features:", "other features"),
        ),
        (_with("classes", ["1", "0"]), ("classes:", "0 and 1")),
        (_with("classes", ["1"]), ("classes:", "0 and 1")),
        (
            _with("vocabularies", {"hour": ["1"]}),
            ("vocabularies: hour", "not a category"),
        ),
        (
            _with("vocabularies", {"regno_recognize_text": ["А"]}),
            ("vocabularies: regno_recognize_text", "not a category"),
        ),
        (_with("vocabularies", {"speed": ["1"]}), ("vocabularies: speed", "not a category")),
        (
            _with("vocabularies", {"camera_class": ["x" * 1001]}),
            ("vocabularies: camera_class:", "a value", "longer"),
        ),
        (
            _with("vocabularies", {"camera_class": [str(n) for n in range(10_001)]}),
            ("vocabularies: camera_class:", "10000 values"),
        ),
        (_with("golden", _BUNDLED["golden"][1:]), ("golden:", "15 scores", "16 rows")),
        (_with("golden", [2.0, *_BUNDLED["golden"][1:]]), ("golden:", "not a probability")),
        (_with("golden", [-0.1, *_BUNDLED["golden"][1:]]), ("golden:", "not a probability")),
        (
            _added(name="regno_recognize_text", bounds=[1.0], shares=[0.1, 0.9]),
            ("reference: regno_recognize_text:", "no bins"),
        ),
        (
            _added(name="regno_recognize_text", values=["А"], shares=[0.1, 0.9]),
            ("reference: regno_recognize_text:", "no bins"),
        ),
        (
            _added(name="speed", bounds=[1.0], shares=[0.1, 0.9]),
            ("reference: speed", "not a feature"),
        ),
        (_with("reference", [_HOUR, _HOUR]), ("reference:", "variable", "twice")),
        (
            _varied("camera_class", bounds=[1.0], values=[], shares=[0.5, 0.5]),
            ("reference: camera_class:", "category", "no bounds"),
        ),
        (
            _varied("camera_class", values=[], shares=[1.0]),
            ("reference: camera_class:", "category", "no bounds"),
        ),
        (
            _varied("hour", values=["1"], bounds=[], shares=[0.5, 0.5]),
            ("reference: hour:", "number", "no values"),
        ),
        (
            _varied("hour", bounds=[], shares=[1.0]),
            ("reference: hour:", "number", "no values"),
        ),
        (
            _varied("positive", values=["1"], bounds=[], shares=[0.5, 0.5]),
            ("reference: positive:", "number", "no values"),
        ),
        (
            _varied("hour", bounds=[2.0, 1.0], shares=[0.5, 0.25, 0.25]),
            ("reference: hour:", "bounds", "rising"),
        ),
        (
            _varied("hour", bounds=[1.0, 1.0], shares=[0.5, 0.25, 0.25]),
            ("reference: hour:", "bounds", "rising"),
        ),
        (
            _varied("hour", bounds=[1.0000001, 1.0000002], shares=[0.5, 0.25, 0.25]),
            ("reference: hour:", "two", "bins", "one name"),
        ),
        (
            _varied("camera_class", values=["a", "a"], shares=[0.5, 0.25, 0.25]),
            ("reference: camera_class:", "two", "bins", "one name"),
        ),
        (
            _varied("camera_class", values=["a", OTHER], shares=[0.5, 0.25, 0.25]),
            ("reference: camera_class:", "bins", "called other"),
        ),
        (
            _varied("hour", bounds=[1.0], shares=[1.0]),
            ("reference: hour:", "1 shares", "2 bins"),
        ),
        (
            _varied("hour", bounds=[1.0], shares=[1.5, -0.5]),
            ("reference: hour: a share",),
        ),
        (
            _varied("hour", bounds=[1.0], shares=[0.5, 0.25]),
            ("reference: hour:", "shares", "add up to 1"),
        ),
        (_varied("hour", importance=-0.1), ("reference: hour:", "importance")),
        (_varied("hour", importance=1.5), ("reference: hour:", "importance")),
        (_with("borders", {"camera_class": [1.0]}), ("borders: camera_class", "not a number")),
        (_with("borders", {"speed": [1.0]}), ("borders: speed", "not a number")),
        (_with("borders", {"hour": [2.0, 1.0]}), ("borders: hour:", "rising")),
        (_with("plate_lengths", 1001), ("plate_lengths:", "long")),
        (_with("plate_lengths", 10**30), ("plate_lengths:", "long")),
        (_with("training", {"last": 5}), ("training: last", "not text")),
        (_with("unexplained", "x" * 301), ("unexplained:", "too long", "not printable")),
        (_with("unexplained", "a\nb"), ("unexplained:", "too long", "not printable")),
    ],
)
def test_a_fault_is_reported_with_its_field(
    manifest: Json, stated: tuple[str, ...], folder: Path
) -> None:
    refusal = _refusal(folder, manifest)
    assert states(refusal.removeprefix("is wrong: "), *stated), refusal


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        (json.dumps(_with("golden", ["high"])), "Expected `float`, got `str` - at `$.golden[0]`"),
        (json.dumps(_with("version", 5)), "Expected `str`, got `int` - at `$.version`"),
        (json.dumps(_with("vocabularies", {"hour": [1]})), "Expected `str`, got `int` - at `$.voc"),
        (json.dumps(_with("plate_lengths", 0)), "Expected `int` >= 1 - at `$.plate_lengths`"),
        (json.dumps(_varied("hour", shares=["1"])), "Expected `float`, got `str` - at `$.ref"),
        (
            json.dumps(_varied("hour", bounds=[float("nan")])),
            "JSON is malformed: invalid character",
        ),
        (json.dumps(_BUNDLED).replace('"golden": [', '"golden": [1e999, '), "Number out of range"),
        ('{"training": {"a": ' + "[" * 100_000 + "]" * 100_000 + "}}", "nested"),
        ('{"training": ' + '{"a":' * 100_000 + "1" + "}" * 100_000 + "}", "nested"),
        ('{"nobody knows this": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested"),
        (" " * (4 * 2**20 + 1), "4194304 bytes"),
    ],
    ids=[
        "golden",
        "version",
        "vocabulary",
        "plate lengths",
        "share",
        "nan",
        "infinite",
        "deep",
        "objects",
        "unknown",
        "large",
    ],
)
def test_what_cant_be_read_is_reported(text: str, fact: str, folder: Path) -> None:
    """What does not fit is said by msgspec, with the place."""
    assert states(_refusal(folder, text), "can't be read: ", fact)


def test_a_pipe_in_its_place_is_refused_at_once(folder: Path) -> None:
    os.mkfifo(folder / "manifest.json")
    with pytest.raises(ModelRefused, match=stating("can't be read", "not a regular file")):
        RegnoScorer.load(folder / BUNDLED.name)


def test_scores_that_are_not_the_models_are_refused_where_it_is_tried(folder: Path) -> None:
    other = [1 - score for score in _BUNDLED["golden"]]
    with pytest.raises(ModelRefused, match=stating("golden row 0 ", "manifest")):
        _load(folder, _with("golden", other))


def _shares(bins: int) -> st.SearchStrategy[list[float]]:
    parts = st.lists(st.floats(0.01, 1), min_size=bins, max_size=bins)
    return parts.map(lambda result: [part / sum(result) for part in result])


@st.composite
def _variables(draw: st.DrawFn) -> Json:
    """Any that a reference may hold."""
    name = draw(st.sampled_from(["hour", "foreign_sym", "Х", "camera_class", "weekday", SCORE]))
    bins: Json = {}
    if name in CATEGORICAL:
        texts = st.text(max_size=20).filter(lambda text: text != OTHER)
        bins["values"] = draw(st.lists(texts, min_size=1, max_size=5, unique=True))
    else:
        numbers = st.floats(allow_nan=False, allow_infinity=False)
        some = st.lists(numbers, min_size=1, max_size=5, unique_by=lambda number: f"{number:g}")
        bins["bounds"] = sorted({number + 0.0 for number in draw(some)})
    (result,) = bins.values()
    shares = draw(_shares(len(result) + 1))
    return {"name": name, "shares": shares, "importance": draw(st.floats(0, 1)), **bins}


@given(_variables())
def test_whatever_a_sound_variable_is_rows_and_tables_are_counted_by_it(
    tmp_path_factory: pytest.TempPathFactory, variable: Json
) -> None:
    folder = tmp_path_factory.getbasetemp()
    if not (folder / BUNDLED.name).exists():
        (folder / BUNDLED.name).symlink_to(BUNDLED)
    scorer = _load(folder, _with("reference", [variable]))
    counter = scorer.drift_counter()
    readings = golden_readings()
    positives = [score.positive for score in scorer.score(readings)]
    counter.add_rows(scorer.rows(readings), positives)
    by_rows = counter.take()
    counter.add_table(scorer.table.of_readings(readings), positives)
    assert by_rows == counter.take()
    assert sum(by_rows.values()) == len(readings)


def test_a_category_called_as_the_last_bin_goes_into_it() -> None:
    rows = [["a"], [OTHER], ["b"], ["a"]]
    variable, score = reference(["camera_class"], rows, [0.1, 0.2, 0.3, 0.4], {"camera_class": 1})
    assert (variable.values, variable.shares) == (["a", "b"], [0.5, 0.25, 0.25])
    assert score.name == "positive"


@pytest.mark.parametrize(
    ("change", "facts"),
    [
        (lambda manifest: manifest | {"version": "модель"}, ("version: модель ", "not a name")),
        (
            lambda manifest: manifest | _varied("hour", shares=[1.0]),
            ("reference: hour: ", "1 shares"),
        ),
    ],
)
def test_the_registry_takes_none_that_is_wrong(
    change: Callable[[Json], Json], facts: tuple[str, ...], folder: Path
) -> None:
    (folder / "manifest.json").write_text(json.dumps(change(_BUNDLED)))
    models = folder / "models"
    added = command(folder, "add", folder / BUNDLED.name, "--models", models, expect=1)
    assert mentions(added.stderr, str(folder / "manifest.json"), *facts)
    assert not models.exists()


def test_the_registry_takes_none_that_is_nested_beyond_reading(folder: Path) -> None:
    (folder / "manifest.json").write_text('{"file": "regno.cbm", "a": ' + "[" * 100_000)
    arguments = ("add", folder / BUNDLED.name, "--models", folder / "models")
    refused = command(folder, *arguments, expect=1).stderr
    assert mentions(refused, f"manifest {folder / 'manifest.json'} can't be read")


def test_a_version_that_is_named_takes_the_place_of_a_bad_one(folder: Path) -> None:
    (folder / "manifest.json").write_text(json.dumps(_with("version", "модель")))
    arguments = ("add", folder / BUNDLED.name, "--version", "v1", "--models", folder / "models")
    assert command(folder, *arguments).stdout.startswith("v1: added")


def test_one_mark_of_utf8_is_passed_over(folder: Path) -> None:
    (folder / "manifest.json").write_text(json.dumps(_BUNDLED), "utf-8-sig")
    assert RegnoScorer.load(folder / BUNDLED.name).version == _BUNDLED["version"]


@pytest.mark.parametrize(
    ("encoding", "facts"),
    [("utf-16", ("UTF-16", "UTF-8")), ("utf-16-le", ("UTF-16", "UTF-8")), ("cp1251", ("UTF-8",))],
)
def test_another_encoding_is_named(encoding: str, facts: tuple[str, ...], folder: Path) -> None:
    text = json.dumps({**_BUNDLED, "name": "модель"}, ensure_ascii=False)
    (folder / "manifest.json").write_bytes(text.encode(encoding, "ignore"))
    with pytest.raises(ModelRefused) as caught:
        RegnoScorer.load(folder / BUNDLED.name)
    assert mentions(str(caught.value), "manifest.json can't be read", *facts)
