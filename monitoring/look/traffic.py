"""Load with all that real callers do: single rows and arrays, mistakes, cameras never seen."""

import csv
import json
import math
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from threading import Event
from typing import Any, Final, NamedTuple, TypeAlias

from monitoring.look.models import ROOT
from monitoring.look.scene import KEYS

_ROWS: Final = ROOT / "loadgen" / "data" / "rows.csv"
_CALLERS: Final = 4
# The load of a day in a minute and a half: up and down by half.
_WAVE_SECONDS: Final = 90.0
_LATIN: Final = str.maketrans("АВЕКМНОРСТУХ", "ABEKMHOPCTYX")

Row: TypeAlias = dict[str, Any]


class Request(NamedTuple):
    """What a caller sends."""

    method: str
    path: str
    key: str
    body: bytes = b""


class Callers:
    """Makes requests of all kinds, each as often as it is met; the same ones on every run."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - load, not secrets
        with _ROWS.open(encoding="utf-8", newline="") as file:
            self._rows = list(csv.DictReader(file))
        kinds: dict[Callable[[], Request], float] = {
            self._single: 87,
            self._array: 4,
            self._mistake: 2,
            self._unseen: 2,
            self._latin: 1,
            self._commas: 1,
            self._stranger: 1,
            self._elsewhere: 2,
        }
        self._kinds, self._weights = list(kinds), list(kinds.values())

    def next(self) -> Request:
        """The next request."""
        return self._random.choices(self._kinds, self._weights)[0]()

    def pause(self, rate: float) -> float:
        """Seconds until the next request, of callers that know nothing of each other."""
        return self._random.expovariate(rate)

    def _row(self) -> Row:
        return dict(self._random.choice(self._rows))

    def _single(self) -> Request:
        return _reg(self._row(), self._random.choices(KEYS, (4, 1))[0])

    def _array(self) -> Request:
        rows = [self._row() for _ in range(self._random.randint(2, 12))]
        if self._random.random() < 0.2:
            rows[0]["direction"] = "left"
        return _reg(rows, KEYS[1])

    def _mistake(self) -> Request:
        row = self._row()
        match self._random.randrange(4):
            case 0:
                del row["time_check"]
            case 1:
                row["recognition_accuracy"] = 640
            case 2:
                row["afts_regno_ai_score"] = "high"
            case _:
                return Request("POST", "/reg/", KEYS[0], b'{"regno_recognize": ')
        return _reg(row, KEYS[0])

    def _unseen(self) -> Request:
        return _reg({**self._row(), "camera_class": "Кордон-Про-2"}, KEYS[0])

    def _latin(self) -> Request:
        row = self._row()
        return _reg({**row, "regno_recognize": row["regno_recognize"].translate(_LATIN)}, KEYS[0])

    def _commas(self) -> Request:
        row = self._row()
        scores = row["afts_regno_ai_char_scores"].replace(".", ",")
        return _reg({**row, "afts_regno_ai_char_scores": scores}, KEYS[0])

    def _stranger(self) -> Request:
        return _reg(self._row(), "no-such-key")

    def _elsewhere(self) -> Request:
        return Request("GET", self._random.choice(("/", "/healthz", "/reg.php")), KEYS[0])


def _reg(content: Row | list[Row], key: str) -> Request:
    return Request("POST", "/reg/", key, json.dumps(content, ensure_ascii=False).encode())


@contextmanager
def flowing(port: int, rate: float) -> Iterator[Counter[str]]:
    """Load on a port of loopback, of so many requests a second on average, until the end.

    The counter holds replies by status, and "broken" for connections that ended without one.
    """
    seen: Counter[str] = Counter()
    over = Event()
    with ThreadPoolExecutor(_CALLERS) as pool:
        ends = [pool.submit(_call, port, rate / _CALLERS, n, seen, over) for n in range(_CALLERS)]
        try:
            yield seen
        finally:
            over.set()
    for end in ends:
        end.result()


def _call(port: int, rate: float, seed: int, seen: Counter[str], over: Event) -> None:
    callers = Callers(seed)
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    began = time.monotonic()
    while True:
        wave = 1 + 0.5 * math.sin(2 * math.pi * (time.monotonic() - began) / _WAVE_SECONDS)
        if over.wait(callers.pause(rate * wave)):
            break
        seen[_ask(connection, callers.next())] += 1
    connection.close()


def _ask(connection: HTTPConnection, request: Request) -> str:
    headers = {"x-api-key": request.key, "Content-Type": "application/json"}
    try:
        connection.request(request.method, request.path, request.body or None, headers)
        reply = connection.getresponse()
        reply.read()
    except (HTTPException, OSError):
        connection.close()  # the next request opens it again
        return "broken"
    return str(reply.status)
