"""Simulated disagreements between a camera and a network that read the same plate.

A true plate of a realistic format passes one camera in some conditions. The camera misreads
it by the habits of its product line; the network doubts one character or the length, and errs
as often as that doubt says, plus a few confident errors. Only disagreements are kept.

The label is 1 when the network's reading is the true plate. A passage that neither read
right counts as 0, since keeping the network's reading would be wrong there too.
All figures here are plausible assumptions; none was fitted to data.
"""

import argparse
import csv
import io
import json
from bisect import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate, islice
from math import exp, prod
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.random import Generator

from model.bulk.output import whole_file
from model.cli import exit_status, os_errors_exit, program
from model.regno.request import FIELDS
from model.tables.cells import Cells
from model.tables.format import Format
from model.tables.output import Renderer, output_format, unwritable, writer
from model.tables.table import Batch, Layout

Row: TypeAlias = tuple[Any, ...]

FIXED: Final = "Стационарная"
MOBILE: Final = "Передвижная"
LENGTHS: Final = 11  # the network scores the plate lengths 0 to 10

# fmt: off
# L is a letter, d a digit, R a region, the rest stands for itself; the numbers are shares.
_PROGRAM: Final = program("python -m model.simulate")
_PLATES: Final = {
    "LdddLLR": 0.86, "LLdddR": 0.035, "LLddddR": 0.03, "ddddLLR": 0.015, "LddddLL": 0.003,
    "LLdddLR": 0.012, "ТLLdddR": 0.006, "LddddR": 0.015, "ddddLR": 0.004, "dddLR": 0.004,
    "dddCDdR": 0.002, "dddDdddR": 0.01, "dddTdddR": 0.004,
}
_LETTERS: Final = "АВЕКМНОРСТУХ"
# Moscow and its region are met most.
_REGIONS: Final = {
    **dict.fromkeys(("77", "97", "99", "177", "197", "199", "777", "797", "799"), 9),
    **dict.fromkeys(("50", "90", "150", "190", "750", "790"), 5),
    **dict.fromkeys(("40", "69", "71", "62", "33", "76", "67", "196", "78", "98", "178"), 1),
    **dict.fromkeys(("16", "116", "23", "123", "52", "152", "61", "161", "63", "163"), 1),
}
_REGION_MISTAKES: Final = {
    "77": ("777", "177", "97"), "97": ("797", "197", "77"), "99": ("799", "199"),
    "177": ("77", "777", "197"), "197": ("97", "797", "177"), "199": ("99", "799", "197"),
    "777": ("77", "177", "797"), "797": ("777", "197", "799"), "799": ("797", "199", "99"),
}
# What each symbol is taken for; a commoner mistake is written more often.
_LOOK_ALIKES: Final = {
    "0": "8869О", "1": "77Т4", "2": "77", "3": "888В", "4": "1А", "5": "66", "6": "8850",
    "7": "11Т2", "8": "0033В6", "9": "80", "D": "О0", "C": "О", "T": "У71",
    "А": "4Р", "В": "88Е", "Е": "ВВС", "К": "ХХН", "М": "НН", "Н": "ММК", "О": "0СС",
    "Р": "ВВ", "С": "ООЕ", "Т": "71У", "У": "ХХ", "Х": "КУУ",
}
# fmt: on
# Share of the day's traffic in each hour.
_HOURS: Final = (2, 1, 1, 1, 2, 4, 6, 9, 10, 9, 8, 8, 8, 8, 8, 9, 10, 11, 10, 8, 6, 5, 4, 3)
_TRAFFIC: Final = np.array(_HOURS) / sum(_HOURS)
_YEAR: Final = datetime(2021, 1, 1)  # noqa: DTZ001 - wall-clock times bear no zone
_BATCH: Final = 20_000
_CONFIDENT_ERROR: Final = 0.015
_SECOND_MISTAKE: Final = 0.12
_STRICT: Final = 0.8
_ABOUT_LENGTH: Final = 0.25


@dataclass(frozen=True)
class Camera:
    """A product line: its traffic, its accuracy scale and its habits of error.

    `scale` is the least and greatest accuracy it reports, per cent; `error` its chance to
    misread in fair conditions; `candour` (0 to 1) how often its accuracy admits an error;
    `habits` the weights of a look-alike, a lost character, a `_` and a wrong region;
    `weak` the symbols it misreads first.
    """

    share: float
    scale: tuple[float, float]
    decimals: int
    error: float
    candour: float
    mobile: float
    habits: tuple[float, float, float, float]
    weak: str


CAMERAS: Final = {
    "Астра-Трафик": Camera(0.17, (0, 10), 1, 0.030, 0.7, 0.0, (60, 10, 0, 30), "068В"),
    "Стрелка-Плюс": Camera(0.16, (60, 100), 0, 0.022, 0.6, 0.0, (75, 5, 0, 20), "17Т"),
    "Стрелка-М": Camera(0.12, (50, 100), 1, 0.055, 0.5, 0.2, (40, 30, 20, 10), "8В3"),
    "Стрелка-360": Camera(0.09, (0, 100), 2, 0.040, 0.8, 0.0, (60, 20, 0, 20), "МНК"),
    "Стрелка": Camera(0.12, (70, 100), 0, 0.110, 0.3, 0.1, (50, 25, 15, 10), "08ОСD"),
    "Форсаж": Camera(0.11, (0, 100), 0, 0.075, 0.5, 0.7, (45, 15, 30, 10), "ХУК"),
    "АвтоУраган-ВСМ2": Camera(0.13, (80, 100), 1, 0.012, 0.4, 0.1, (70, 5, 0, 25), "7197"),
    "Стрит Фалькон": Camera(0.10, (0, 1), 3, 0.090, 0.6, 0.95, (35, 25, 35, 5), "4АР"),
}


class Sample(NamedTuple):
    """A request as clients send it, its label, and the true plate."""

    request: dict[str, str | float | int]
    label: int
    plate: str


class _Passage(NamedTuple):
    """The conditions of one passage, with the readers' errors; `second` is of the year."""

    camera: str
    mobile: bool
    second: int
    direction: int
    difficulty: float
    camera_errs: bool
    network_errs: bool
    doubt: float


def simulate(rows: int, seed: int) -> list[Sample]:
    """`rows` disagreements. A seed gives the same rows always, a larger `rows` only adds."""
    rng = np.random.default_rng(seed)
    return list(islice(_disagreements(rng), rows))


def _disagreements(rng: Generator) -> Iterator[Sample]:
    while True:
        for passage in _passages(rng):
            sample = _read(passage, rng)
            if sample.request["regno_recognize"] != sample.request["afts_regno_ai"]:
                yield sample


def _passages(rng: Generator) -> list[_Passage]:
    """The passages of one batch with an error: without one the readings agree."""
    lines = list(CAMERAS.values())
    which = rng.choice(len(lines), _BATCH, p=[line.share for line in lines])
    day, hour = rng.integers(365, size=_BATCH), rng.choice(24, _BATCH, p=_TRAFFIC)
    second = day * 86_400 + hour * 3600 + rng.integers(3600, size=_BATCH)
    mobile = rng.random(_BATCH) < np.array([line.mobile for line in lines])[which] * _manned(day)
    direction = rng.integers(2, size=_BATCH)
    difficulty = _difficulty(day, rng)
    error = np.array([line.error for line in lines])[which] * difficulty
    error *= _darkness(hour, mobile) * np.where(direction, 1.2, 1)
    camera_errs = rng.random(_BATCH) < error.clip(0, 0.9)
    doubt = _doubt(difficulty, rng)
    network_errs = rng.random(_BATCH) < doubt + _CONFIDENT_ERROR * difficulty
    names = np.array(list(CAMERAS))[which]
    columns = (names, mobile, second, direction, difficulty, camera_errs, network_errs, doubt)
    kept = [column[camera_errs | network_errs].tolist() for column in columns]
    return [_Passage(*row) for row in zip(*kept, strict=True)]


def _manned(day: np.ndarray) -> np.ndarray:
    """Crews with mobile cameras work less at weekends; 1 January 2021 was a Friday."""
    return np.where((day + 4) % 7 >= 5, 0.6, 1.0)


def _darkness(hour: np.ndarray, mobile: np.ndarray) -> np.ndarray:
    """How much more a camera errs at night: mobile ones have the weaker lamps."""
    night = (hour < 6) | (hour >= 21)
    return np.where(night, np.where(mobile, 2.5, 1.3), 1.0)


def _difficulty(day: np.ndarray, rng: Generator) -> np.ndarray:
    """Dirt, distance and angle, about 1 on average; plates are dirtier from November to March."""
    winter = (day < 90) | (day >= 304)
    return rng.exponential(1.0, day.size) * np.where(winter, 1.4, 0.8)


def _doubt(difficulty: np.ndarray, rng: Generator) -> np.ndarray:
    """The network's doubt about its weakest point: mostly next to none, at times a real one."""
    doubtful = rng.random(difficulty.size) < (0.15 * difficulty).clip(0, 0.9)
    real, slight = rng.uniform(0.1, 2.0, doubtful.size), rng.uniform(3.0, 6.5, doubtful.size)
    return np.asarray(10.0 ** -np.where(doubtful, real, slight))


def _read(passage: _Passage, rng: Generator) -> Sample:
    """Both readers read a new plate."""
    line = CAMERAS[passage.camera]
    plate = _plate(rng)
    camera = _misread(plate, line, rng) if passage.camera_errs else plate
    network, weakest, other_length = _network(plate, errs=passage.network_errs, rng=rng)
    characters = _char_scores(len(network), weakest, passage.doubt, rng)
    length_doubt = passage.doubt if weakest is None else 10.0 ** -rng.uniform(6, 9)
    lengths = _length_scores(len(network), other_length, length_doubt, rng)
    request: dict[str, str | float | int] = {
        "regno_recognize": camera,
        "afts_regno_ai": network,
        "recognition_accuracy": _accuracy(line, passage, right=camera == plate, rng=rng),
        "afts_regno_ai_score": prod(characters) * lengths[len(network)],
        "afts_regno_ai_char_scores": json.dumps(characters),
        "afts_regno_ai_length_scores": json.dumps(lengths),
        "camera_type": MOBILE if passage.mobile else FIXED,
        "camera_class": passage.camera,
        "time_check": str(_YEAR + timedelta(seconds=passage.second)),
        "direction": passage.direction,
    }
    return Sample(request, int(network == plate), plate)


def _weighted(weights: Sequence[float], rng: Generator) -> int:
    """An index, chosen by weight. Generator.choice is made for arrays and slow for one."""
    sums = list(accumulate(weights))
    return bisect(sums, rng.random() * sums[-1], hi=len(sums) - 1)


def _one_of(options: Sequence[str], rng: Generator) -> str:
    return options[int(rng.integers(len(options)))]


def _plate(rng: Generator) -> str:
    template = list(_PLATES)[_weighted(list(_PLATES.values()), rng)]
    region = list(_REGIONS)[_weighted(list(_REGIONS.values()), rng)]
    choices = {"L": _LETTERS, "d": "0123456789", "R": (region,)}
    return "".join(_one_of(choices.get(part, part), rng) for part in template)


def _misread(plate: str, line: Camera, rng: Generator) -> str:
    """One mistake by the camera's habits, now and then a second."""
    mistakes = (_look_alike, _lose, _blank, _other_region)
    reading = plate
    for _ in range(1 + (rng.random() < _SECOND_MISTAKE)):
        mistake = mistakes[_weighted(line.habits, rng)]
        position = _weighted([5 if symbol in line.weak else 1 for symbol in reading], rng)
        reading = mistake(reading, position, rng)
    return reading


def _look_alike(plate: str, position: int, rng: Generator, strict: float = _STRICT) -> str:
    """Cameras mostly know that a digit is not a letter (`strict` is the chance)."""
    symbol = plate[position]
    options = _LOOK_ALIKES.get(symbol, symbol)  # a second mistake can fall on a `_`
    if rng.random() < strict:
        options = "".join(o for o in options if o.isdigit() == symbol.isdigit())
    return plate[:position] + _one_of(options, rng) + plate[position + 1 :]


def _lose(plate: str, position: int, _: Generator) -> str:
    return plate[:position] + plate[position + 1 :]


def _blank(plate: str, position: int, _: Generator) -> str:
    return plate[:position] + "_" + plate[position + 1 :]


def _other_region(plate: str, position: int, rng: Generator) -> str:
    """A wrong region; a plate whose region is never confused gets a look-alike instead."""
    others = _region_mistakes(plate)
    return _one_of(others, rng) if others else _look_alike(plate, position, rng)


def _region_mistakes(plate: str) -> list[str]:
    """The plate with each region its own is taken for."""
    region = next((plate[-n:] for n in (3, 2) if plate[-n:] in _REGION_MISTAKES), "")
    return [plate.removesuffix(region) + other for other in _REGION_MISTAKES.get(region, ())]


def _network(plate: str, *, errs: bool, rng: Generator) -> tuple[str, int | None, int]:
    """Its reading, the position of its doubtful character, and the length it thinks of besides.

    The position is None when the doubt is about the length.
    """
    longer_or_shorter = [p for p in _region_mistakes(plate) if len(p) != len(plate)]
    if longer_or_shorter and rng.random() < _ABOUT_LENGTH:
        wrong = _one_of(longer_or_shorter, rng)
        return (wrong, None, len(plate)) if errs else (plate, None, len(wrong))
    position = int(rng.integers(len(plate)))
    reading = _look_alike(plate, position, rng, strict=1) if errs else plate
    return reading, position, len(plate) - 1


def _char_scores(count: int, weakest: int | None, doubt: float, rng: Generator) -> list[float]:
    doubts = 10.0 ** -rng.uniform(3.5, 7.5, count)
    if weakest is not None:
        doubts[weakest] = doubt
    return _as_network_says(1 - doubts)


def _length_scores(length: int, other: int, doubt: float, rng: Generator) -> list[float]:
    """A softmax over the lengths: nearly all on `length`, the doubt on `other`."""
    scores = rng.normal(3.24e-10, 1e-12, LENGTHS)
    scores[other] += doubt
    scores[length] = 1 - doubt
    return _as_network_says(scores)


def _as_network_says(scores: np.ndarray) -> list[float]:
    # Networks compute in single precision, and their figures show it.
    figures: list[float] = scores.astype(np.float32).tolist()
    return figures


def _accuracy(line: Camera, passage: _Passage, *, right: bool, rng: Generator) -> float:
    """What the camera reports, on the scale of its product line."""
    admits = not right and rng.random() < line.candour
    quality = rng.beta(2.0, 2.5) if admits else rng.beta(6.0, 1.6)
    seen_well, (low, high) = exp(-0.06 * passage.difficulty), line.scale
    return round(low + (high - low) * quality * seen_well, line.decimals)


def main() -> int:
    """Write simulated readings; the same seed writes the same file. Returns the exit status."""
    options = _options()
    names = (*FIELDS, options.label) if options.label else FIELDS
    simulated = simulate(options.rows, options.seed)
    rows = [(*(sample.request[name] for name in FIELDS), sample.label) for sample in simulated]
    form = output_format(options.out, Format("CSV", ",", "utf-8"))

    def run() -> None:
        with os_errors_exit(73, options.out), whole_file(options.out) as file:
            _write(file, form, names, rows)

    return exit_status(_PROGRAM, run)


def _write(file: BinaryIO, out: Format, names: Sequence[str], rows: Sequence[Row]) -> None:
    """Write the columns of these names, which rows begin with, in any form."""
    renderer = Renderer(Layout(Format("Parquet"), names, (), ()), out, ())
    target = writer(file, out, renderer, "readings")
    if out.kind == "CSV":
        text = io.StringIO(newline="")
        lines = csv.writer(text, delimiter=out.sep, lineterminator="\n")
        lines.writerows(row[: len(names)] for row in rows)
        target.write(text.getvalue().encode())
    else:
        columns = list(zip(*rows, strict=True)) or [()] * len(names)
        batch = pa.RecordBatch.from_pydict(dict(zip(names, columns, strict=False)))
        target.write(renderer.render(Batch(batch, 1), Cells((), (), {}, ()), {}))
    target.close()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=_PROGRAM,
        description="Write simulated readings as a file of the ten fields. Its form is that of its "
        "suffix: .csv, .tsv or .jsonl, also with .gz behind it, .parquet or .xlsx.",
    )
    parser.add_argument("out", type=Path, help="the file to write")
    parser.add_argument("--rows", type=int, default=1000, help="number of readings [1000]")
    parser.add_argument("--seed", type=int, default=2, help="of the random numbers [2]")
    parser.add_argument("--label", metavar="COLUMN", help="add a column of labels, for training")
    options = parser.parse_args()
    if options.rows < 0 or options.seed < 0:
        parser.error("--rows and --seed must not be negative")
    if options.label in FIELDS:
        parser.error(f"{options.label} is a field of the reading and can't be the label")
    if wrong := unwritable(options.out):
        parser.error(wrong)
    return options
