"""The check that all targets return the same scores, before any of them is measured."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from typing import Any, Final

from loadgen.common import client
from loadgen.common.errors import WrongAnswers
from loadgen.common.service import KEY, Server

TOLERANCE: Final = 1e-12
# Several at once: a target that scores concurrent rows in one call must score each as alone.
_AT_ONCE: Final = 8


def positives(server: Server, bodies: Sequence[bytes]) -> list[float]:
    """The `positive` of each body of one row. Raises WrongAnswers."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        replies = list(pool.map(client.post, repeat(server.port), bodies, repeat(KEY)))
    return _read(server, [_content(server, reply) for reply in replies])


def positives_of_array(server: Server, body: bytes) -> list[float]:
    """The `positive` of each row of one body. Raises WrongAnswers."""
    rows = _content(server, client.post(server.port, body, KEY))
    return _read(server, rows if isinstance(rows, list) else [rows])


def rejects_wrong_key(server: Server, body: bytes) -> None:
    """Raise WrongAnswers if a wrong key is accepted: the check of the key is measured, too."""
    status = client.post(server.port, body, "not-" + KEY).status
    if status != 401:
        raise WrongAnswers(f"{server.name} returns {status} for a wrong key")


def greatest_difference(scores: Mapping[str, Sequence[float]]) -> float:
    """The greatest difference of a score from the first target's; 0 for a single target.

    Raises WrongAnswers, which names the row and its scores, if it is over TOLERANCE.
    """
    greatest = 0.0
    for number, row in enumerate(zip(*scores.values(), strict=True)):
        differences = [abs(score - row[0]) for score in row]
        if not all(difference <= TOLERANCE for difference in differences):  # NaN fails
            listed = ", ".join(f"{name} {score!r}" for name, score in zip(scores, row, strict=True))
            raise WrongAnswers(f"The scores of row {number} differ: {listed}")
        greatest = max(greatest, *differences)
    return greatest


def _content(server: Server, reply: client.Reply) -> Any:
    if reply.status != 200 or not isinstance(reply.content, dict):
        raise WrongAnswers(f"{server.name} returns {reply.status}: {reply.content}")
    return reply.content.get("body")


def _read(server: Server, scores: Sequence[Any]) -> list[float]:
    try:
        return [float(score["positive"]) for score in scores]
    except (KeyError, TypeError) as error:
        raise WrongAnswers(f"{server.name} returns an invalid score") from error
