"""The simulator: valid requests, the same from a seed, with the effects it promises."""

import json
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from model.regno.dataset.rows import read
from model.regno.features import SYMBOLS
from model.regno.plates import FORMATS, UNKNOWN, category
from model.regno.request import FIELDS, from_fields
from model.regno.training.simulate import CAMERAS, FIXED, LENGTHS, MOBILE, Sample, main, simulate
from tests.support.vacuous import nonempty

ROWS = 6000


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return simulate(ROWS, seed=7)


def test_every_request_is_valid_and_names_the_ten_fields(samples: list[Sample]) -> None:
    for sample in nonempty(samples):
        assert tuple(sample.request) == FIELDS
        reading = from_fields(**sample.request)
        assert len(reading.afts_regno_ai_char_scores) == len(reading.afts_regno_ai)
        assert len(reading.afts_regno_ai_length_scores) == LENGTHS


def test_requests_have_the_wire_form(samples: list[Sample]) -> None:
    for sample in nonempty(samples[:500]):
        for name in ("afts_regno_ai_char_scores", "afts_regno_ai_length_scores"):
            text = sample.request[name]
            assert isinstance(text, str)
            assert all(isinstance(score, float) for score in json.loads(text))
        assert len(str(sample.request["time_check"])) == len("2021-08-01 09:02:59")
        assert type(sample.request["direction"]) is int
        assert json.loads(json.dumps(sample.request)) == sample.request


def test_the_readings_differ_and_the_label_says_whether_the_network_is_right(
    samples: list[Sample],
) -> None:
    for request, label, plate in nonempty(samples):
        assert request["regno_recognize"] != request["afts_regno_ai"]
        assert label == int(request["afts_regno_ai"] == plate)


def test_rows_that_neither_read_right_occur_and_are_negative(samples: list[Sample]) -> None:
    neither = [
        label
        for request, label, plate in samples
        if plate not in (request["regno_recognize"], request["afts_regno_ai"])
    ]
    assert neither
    assert not any(neither)


def test_both_labels_are_common(samples: list[Sample]) -> None:
    assert 0.3 < np.mean([sample.label for sample in samples]) < 0.7


@pytest.mark.parametrize("seed", [0, 20210801])
def test_a_seed_gives_the_same_rows_and_more_rows_only_add(seed: int) -> None:
    assert simulate(60, seed) == simulate(90, seed)[:60]


def test_other_seeds_give_other_rows() -> None:
    assert simulate(20, 1) != simulate(20, 2)


def test_more_rows_than_one_batch_of_passages_holds() -> None:
    plates = [sample.plate for sample in simulate(4000, 3)]
    assert len(plates) == 4000
    assert len(set(plates)) > 3900


def test_true_plates_have_known_formats_and_each_format_occurs(samples: list[Sample]) -> None:
    result = [category(sample.plate) for sample in samples]
    assert UNKNOWN not in result
    # The trailer's pattern also matches a taxi's plate, and the first format wins.
    assert set(result) == {name for name, _ in FORMATS}
    assert result.count("private car") / ROWS > 0.75


def test_the_network_writes_only_known_symbols(samples: list[Sample]) -> None:
    letters = {symbol for sample in samples for symbol in str(sample.request["afts_regno_ai"])}
    assert letters - set(SYMBOLS) <= set("CT")  # the Latin letters of diplomats' plates


def _column(samples: list[Sample], name: str, line: str | None = None) -> np.ndarray:
    rows = (s.request for s in samples if line in (None, s.request["camera_class"]))
    return np.array([row[name] for row in rows])


def test_each_product_line_has_its_own_scale(samples: list[Sample]) -> None:
    for line, camera in CAMERAS.items():
        accuracy = _column(samples, "recognition_accuracy", line).astype(float)
        low, high = camera.scale
        assert low <= accuracy.min() <= accuracy.max() <= high
        assert np.ptp(accuracy) > 0.4 * (high - low)
    assert _column(samples, "recognition_accuracy", "Астра-Трафик").max() <= 10
    assert _column(samples, "recognition_accuracy", "АвтоУраган-ВСМ2").min() >= 80


def test_cameras_that_err_more_lose_more_often(samples: list[Sample]) -> None:
    wins = {
        line: np.mean([s.label for s in samples if s.request["camera_class"] == line])
        for line in CAMERAS
    }
    by_error = sorted(CAMERAS, key=lambda line: CAMERAS[line].error)
    assert wins[by_error[0]] + 0.2 < wins[by_error[-1]]


def test_the_networks_confidence_reports_right_from_wrong(samples: list[Sample]) -> None:
    scores = _column(samples, "afts_regno_ai_score").astype(float)
    right = np.array([sample.label for sample in samples]) == 1
    assert np.median(scores[right]) > 0.999
    assert np.median(scores[right]) > np.median(scores[~right]) + 0.01
    assert np.corrcoef(scores, right)[0, 1] > 0.3


def test_the_score_is_no_more_than_any_of_its_parts(samples: list[Sample]) -> None:
    for sample in nonempty(samples):
        parts = json.loads(str(sample.request["afts_regno_ai_char_scores"]))
        assert float(sample.request["afts_regno_ai_score"]) <= min(parts)


def test_length_scores_point_at_the_length_and_sum_to_one(samples: list[Sample]) -> None:
    confident = 0
    for sample in samples:
        scores = json.loads(str(sample.request["afts_regno_ai_length_scores"]))
        assert sum(scores) == pytest.approx(1, abs=1e-6)
        length = len(str(sample.request["afts_regno_ai"]))
        confident += int(np.argmax(scores)) == length
    assert confident / ROWS > 0.98


def test_mobile_cameras_are_worse_at_night(samples: list[Sample]) -> None:
    def night_share(kind: str) -> float:
        times = [str(s.request["time_check"]) for s in samples if s.request["camera_type"] == kind]
        return float(np.mean([not 6 <= int(text[11:13]) < 21 for text in times]))

    assert night_share(MOBILE) > 1.3 * night_share(FIXED)


def test_conditions_vary(samples: list[Sample]) -> None:
    readings = [from_fields(**sample.request) for sample in samples]
    assert {r.direction for r in readings} == {0, 1}
    assert {r.camera_type for r in readings} == {FIXED, MOBILE}
    assert {r.camera_class for r in readings} == set(CAMERAS)
    assert len({r.time_check.weekday for r in readings}) == 7
    assert len({r.time_check.month for r in readings}) == 12
    assert len({r.time_check.hour for r in readings}) == 24


def test_cameras_lose_characters_and_write_underscores(samples: list[Sample]) -> None:
    camera = [(str(s.request["regno_recognize"]), s.plate) for s in samples]
    assert any("_" in reading for reading, _ in camera)
    assert any(len(reading) == len(plate) - 1 for reading, plate in camera)
    regions = ((plate, reading) for reading, plate in camera if plate.endswith("777"))
    assert any(reading == plate[:-3] + "77" for plate, reading in islice(regions, None))


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        *((name, 30) for name in ("r.tsv", "r.csv.gz", "r.jsonl", "r.jsonl.gz")),
        *((name, rows) for name in ("r.parquet", "r.xlsx", "r.csv") for rows in (0, 30)),
    ],
)
def test_files_are_written_in_the_form_of_their_suffix(
    name: str, rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = {"t": "CSV", "c": "CSV", "j": "JSON lines", "p": "Parquet", "x": "Excel"}
    command = ["model.simulate", str(tmp_path / name), "--rows", str(rows), "--label", "right"]
    monkeypatch.setattr("sys.argv", command)
    assert main() == 0
    contents = read(tmp_path / name, "right", lambda _: None)
    assert contents.format.kind == kinds[name[2]]
    assert contents.format.gzip == name.endswith(".gz")
    assert contents.faults == []
    assert contents.rows.labels.tolist() == [sample.label for sample in simulate(rows, 2)]
