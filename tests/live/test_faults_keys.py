"""The keys file is replaced, cut off, emptied, lost and unreadable while requests stream in."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

from loadgen.common.processes import free_port
from tests.support.load import flooding
from tests.support.messages import mentions
from tests.support.metrics import value
from tests.support.planted import stands_in
from tests.support.server import KEY, Server, eventually, serving

pytestmark = pytest.mark.slow

_GOOD = f"# callers\nsteady:{KEY}\n"


class Rotation(NamedTuple):
    """A server of one worker that takes its keys from a file, under a stream of requests."""

    server: Server
    file: Path

    def opens(self, key: str) -> bool:
        with self.server.client(**{"x-api-key": key}) as client:
            return client.get("/").status_code == 200

    def looks(self, result: str) -> float:
        return value(self.server, f'scoring_keys_reloads_total{{result="{result}"}}')

    def warnings(self) -> list[str]:
        return [
            line["message"]
            for line in self.server.log()
            if line["level"] == "warning" and "API keys file" in line.get("message", "")
        ]

    def put(self, text: str) -> None:
        """As it should be done: the whole file, in one step."""
        whole = self.file.with_name("next")
        whole.write_text(text)
        whole.replace(self.file)


@pytest.fixture
def rotation(tmp_path: Path) -> Iterator[Rotation]:
    file = tmp_path / "keys"
    file.write_text(_GOOD)
    address = {"host": "127.0.0.1", "port": str(free_port())}
    with serving(
        tmp_path / "server", **address, workers="1", api_keys="", api_keys_file=str(file)
    ) as server:
        yield Rotation(server, file)


def _cut(file: Path) -> None:
    with file.open("r+") as opened:
        opened.truncate(len(_GOOD) - 3)


def _empty(file: Path) -> None:
    file.write_bytes(b"")


def _garble(file: Path) -> None:
    file.write_bytes(b"\xff\xfe" * 20)


def _lose(file: Path) -> None:
    file.unlink()


def _forbid(file: Path) -> None:
    """Root may read any file, but no user a folder or a link to itself."""
    file.unlink()
    file.symlink_to(file)


_FAULTS = [
    (_cut, "its last line has no end, as if it were cut off"),
    (_empty, "it holds no key"),
    (_garble, "it is not UTF-8 text"),
    (_lose, "No such file or directory"),
    (_forbid, "Too many levels of symbolic links"),
]


def test_old_keys_stay_until_a_good_file_is_there(rotation: Rotation) -> None:
    with flooding(rotation.server.port, 300, 12) as stream:
        for number, (break_it, reason) in enumerate(_FAULTS, start=1):
            _fault(rotation, break_it, reason)
            assert rotation.opens(KEY)
            rotation.put(f"{_GOOD}new:good-{number}\n")
            eventually(partial(rotation.opens, f"good-{number}"), "the good file is taken")
            assert rotation.looks("loaded") == number
        stats = stream.stop()
    assert stats.counts().keys() == {"200"}
    assert stats.ends["200"].count > 300
    written = rotation.server.output() + rotation.server.errors()
    assert not stands_in(written, KEY)
    assert "good-" not in written


def _fault(rotation: Rotation, break_it: Callable[[Path], None], reason: str) -> None:
    """Break the file; the server must say so once, and count it as long as it lasts."""
    seen, warned = rotation.looks("refused"), len(rotation.warnings())
    break_it(rotation.file)
    eventually(lambda: rotation.looks("refused") >= seen + 2, "two looks are counted")
    (new,) = rotation.warnings()[warned:]
    assert mentions(new, "keys file", "old keys stay", reason)


def test_a_key_that_is_taken_back_opens_nothing(rotation: Rotation) -> None:
    rotation.put(_GOOD + "leaver:soon-gone\n")
    eventually(lambda: rotation.opens("soon-gone"), "the key is in force")
    rotation.put(_GOOD)
    eventually(lambda: not rotation.opens("soon-gone"), "the key is out of force")
