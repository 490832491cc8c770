"""The lines of the log: whole, in order, and never waited for."""

import logging
import os
import pty
import socket
import tty
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from select import PIPE_BUF

import psutil
import pytest

from service.telemetry.log_formats import JsonForm
from service.telemetry.log_lines import Lines
from tests.support.parts import logger_of

# More than any pipe or socket of this machine takes, and what is kept for it.
FLOOD = 80_000
KEPT = 256 * 1024


class Ends:
    """Two connected descriptors, one that lines are written to, one that they are read from."""

    def __init__(self, reader: int, writer: int) -> None:
        self.reader, self.writer = reader, writer
        os.set_blocking(reader, False)

    def read(self, size: int = 1 << 20) -> bytes:
        """What can be read now, up to so many bytes."""
        pieces = b""
        with suppress(BlockingIOError):
            while len(pieces) < size and (piece := os.read(self.reader, size - len(pieces))):
                pieces += piece
        return pieces

    def close(self) -> None:
        os.close(self.reader)
        os.close(self.writer)


def terminal() -> tuple[int, int]:
    reader, writer = pty.openpty()
    tty.setraw(writer)
    return reader, writer


def stream() -> tuple[int, int]:
    ours, theirs = socket.socketpair()
    return ours.detach(), theirs.detach()


@pytest.fixture(params=[os.pipe, stream, terminal])
def ends(request: pytest.FixtureRequest) -> Iterator[Ends]:
    with closing(Ends(*request.param())) as made:
        yield made


@pytest.fixture
def pipe() -> Iterator[Ends]:
    with closing(Ends(*os.pipe())) as made:
        yield made


@pytest.fixture
def lines(ends: Ends) -> Iterator[Lines]:
    with closing(Lines(ends.writer, JsonForm())) as made:
        yield made


def numbered(count: int) -> list[bytes]:
    return [b"line %d\n" % number for number in range(count)]


def all_read(ends: Ends, *writers: Lines) -> bytes:
    """All that can be read, also of what the writers have kept."""
    read = b""
    while piece := ends.read():
        read += piece
        for lines in writers:
            lines.flush()
    return read


def test_lines_are_written_in_order(ends: Ends, lines: Lines) -> None:
    for written in (b"line 0\n", b"line 1\nline 2\n", b""):
        lines.write(written)
    assert ends.read() == b"line 0\nline 1\nline 2\n"


def test_a_message_is_one_line(ends: Ends, lines: Lines) -> None:
    lines.emit(logging.LogRecord("gunicorn.error", logging.INFO, "f", 1, "Booting", (), None))
    line = ends.read()
    assert line.count(b"\n") == 1
    assert line.endswith(b'"message":"Booting"}\n')


def test_a_stalled_reader_causes_counted_dropped_lines(ends: Ends, lines: Lines) -> None:
    written = numbered(FLOOD)
    for at in range(0, FLOOD, 100):
        lines.write(b"".join(written[at : at + 100]))
    dropped = lines.dropped
    assert dropped > 0
    read = all_read(ends, lines)
    assert lines.is_read
    # In between, a terminal takes some, and later lines are kept again.
    read_lines = read.splitlines(keepends=True)
    assert len(read_lines) == FLOOD - dropped
    kept = set(read_lines)
    assert read_lines == [line for line in written if line in kept]
    assert len(read) > KEPT
    lines.write(b"the next\n")
    assert ends.read() == b"the next\n"
    assert lines.dropped == dropped


def test_what_was_dropped_is_reported_once_the_log_is_read_again(ends: Ends, lines: Lines) -> None:
    logger = logger_of(lines)
    lines.write(b"".join(numbered(FLOOD)))
    dropped = lines.dropped
    assert logger.tick() == dropped > 0
    assert b"were dropped" not in all_read(ends, lines)
    assert logger.tick() == 0
    assert (
        b"%d log lines were dropped: their reader was stopped or too slow" % dropped in ends.read()
    )
    logger.tick()
    assert ends.read() == b""


def test_writers_of_one_pipe_do_not_mix_their_lines(pipe: Ends) -> None:
    line = {bytes([sign]) * 1500 + b"\n" for sign in b"ABC"}
    with ExitStack() as stack:
        writers = [stack.enter_context(closing(Lines(pipe.writer, JsonForm()))) for _ in line]
        read = b""
        for _ in range(100):
            for lines, own in zip(writers, line, strict=True):
                lines.write(own * 5)
            read += pipe.read(777)
        read += all_read(pipe, *writers)
    assert set(read.splitlines(keepends=True)) == line


def test_a_descriptor_that_can_not_be_opened_anew_is_not_waited_for_either(
    pipe: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe of another user's: it may be written to, not opened."""

    def refuse(*_: object) -> int:
        raise PermissionError

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refuse)
        lines = Lines(pipe.writer, JsonForm())
    written = [b"%b%d\n" % (b"a" * 1000, number) for number in range(1000)]
    lines.write(b"".join(written))
    dropped = lines.dropped
    assert dropped > 0
    assert all_read(pipe, lines).splitlines(keepends=True) == written[: 1000 - dropped]


def test_a_file_is_written_to_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("ab") as file, closing(Lines(file.fileno(), JsonForm())) as lines:
        lines.write(b"".join(numbered(2)))
        assert path.read_bytes() == b"line 0\nline 1\n"
        assert lines.is_read


def test_the_descriptor_stays_blocking_for_others(ends: Ends, lines: Lines) -> None:
    lines.flush()
    assert os.get_blocking(ends.writer)


def test_once_closed_they_leave_the_descriptor_open_and_nothing_else(ends: Ends) -> None:
    before = psutil.Process().num_fds()
    lines = Lines(ends.writer, JsonForm())
    lines.close()
    assert psutil.Process().num_fds() <= before
    lines.write(b"a line\n")
    assert ends.read() == b""
    os.write(ends.writer, b"another\n")
    assert ends.read() == b"another\n"


def test_a_log_without_a_reader_raises_nothing() -> None:
    reader, writer = os.pipe()
    with closing(Lines(writer, JsonForm())) as lines:
        os.close(reader)
        for _ in range(2):
            lines.write(b"a line\n")
            assert lines.is_read
        with closing(Lines(writer, JsonForm())) as late:
            late.write(b"a line\n")
        os.close(writer)
        lines.write(b"a line\n")
        assert lines.is_read


def test_pieces_are_no_longer_than_what_a_pipe_takes_whole() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs, closing(Lines(ours.fileno(), JsonForm())) as lines:
        lines.write((b"a" * 999 + b"\n") * 10)
        sizes = [len(theirs.recv(1 << 20)) for _ in range(3)]
    assert sizes == [4000, 4000, 2000]
    assert max(sizes) <= PIPE_BUF
