"""Background load of all kinds: single rows, arrays, client errors, unseen categories."""

import csv
import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

from loadgen.common import client
from loadgen.common.open_loop import Job, Stream, streaming
from loadgen.common.options import ROWS
from loadgen.common.schedule import Level
from tests.screenshots.stack import KEYS

_CONNECTIONS: Final = 4
_REQUESTS: Final = 4000
# A day's load in a minute and a half: up and down by half, without end.
_WAVE: Final = (1.0, 1.3, 1.5, 1.3, 1.0, 0.7, 0.5, 0.7)
_STEP_SECONDS: Final = 11
_WAVES: Final = 40
_LATIN: Final = str.maketrans("АВЕКМНОРСТУХ", "ABEKMHOPCTYX")

Row: TypeAlias = dict[str, Any]


class Requests:
    """Builds requests of all kinds by their weights; the same ones on every run."""

    def __init__(self) -> None:
        self._random = random.Random(5)
        with ROWS.open(encoding="utf-8", newline="") as file:
            self._rows = list(csv.DictReader(file))
        self._weights: dict[Callable[[], bytes], float] = {
            self._single: 87,
            self._array: 4,
            self._client_error: 2,
            self._unseen: 2,
            self._latin: 1,
            self._commas: 1,
            self._wrong_key: 1,
            self._other_path: 2,
            self._other_model: 2,
        }

    def build(self, count: int) -> list[bytes]:
        """So many requests, as they go over the connection."""
        kinds = self._random.choices(list(self._weights), list(self._weights.values()), k=count)
        return [kind() for kind in kinds]

    def _row(self, **changed: Any) -> Row:
        return {**self._random.choice(self._rows), **changed}

    def _single(self) -> bytes:
        return _reg(self._row(), self._random.choices(KEYS, (4, 1))[0])

    def _array(self) -> bytes:
        rows = [self._row() for _ in range(self._random.randint(2, 12))]
        if self._random.random() < 0.2:
            rows[0]["direction"] = "left"
        return _reg(rows, KEYS[1])

    def _client_error(self) -> bytes:
        row = self._row()
        match self._random.randrange(4):
            case 0:
                del row["time_check"]
            case 1:
                row["recognition_accuracy"] = 640
            case 2:
                row["afts_regno_ai_score"] = "high"
            case _:
                return client.raw("POST", "/reg/", KEYS[0], b'{"regno_recognize": ')
        return _reg(row, KEYS[0])

    def _unseen(self) -> bytes:
        return _reg(self._row(camera_class="Кордон-Про-2"), KEYS[0])

    def _latin(self) -> bytes:
        row = self._row()
        return _reg({**row, "regno_recognize": row["regno_recognize"].translate(_LATIN)}, KEYS[0])

    def _commas(self) -> bytes:
        row = self._row()
        scores = row["afts_regno_ai_char_scores"].replace(".", ",")
        return _reg({**row, "afts_regno_ai_char_scores": scores}, KEYS[0])

    def _wrong_key(self) -> bytes:
        return _reg(self._row(), "no-such-key")

    def _other_path(self) -> bytes:
        return client.raw("GET", self._random.choice(("/", "/healthz", "/reg.php")), KEYS[0])

    def _other_model(self) -> bytes:
        size = self._random.choice(("1", "2.5", '"x"'))
        return client.raw("POST", "/toy/", KEYS[0], f'{{"size": {size}}}'.encode())


def _reg(content: Row | list[Row], key: str) -> bytes:
    return client.raw("POST", "/reg/", key, json.dumps(content, ensure_ascii=False).encode())


@contextmanager
def background_load(port: int, rate: float) -> Iterator[Stream]:
    """A stream of so many requests a second on average to a port of 127.0.0.1, until stopped."""
    stages = [Level(_STEP_SECONDS, rate * part) for part in _WAVE] * _WAVES
    with streaming(Job(port, stages, _CONNECTIONS, Requests().build(_REQUESTS))) as stream:
        yield stream
