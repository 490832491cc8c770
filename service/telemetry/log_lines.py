"""Writes the lines of the log without ever waiting for their reader."""

import logging
import os
import select
import socket
import stat
import sys
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final, TypeAlias

from service.config.settings import Settings
from service.telemetry.failures import hide_texts
from service.telemetry.log_formats import Form, HumanForm, JsonForm

# Writes some bytes at once; how many were taken.
Write: TypeAlias = Callable[[bytes], int]

# The bytes that are kept for a reader that stands still.
_MOST_KEPT: Final = 256 * 1024


class Lines(logging.Handler):
    """Writes lines to a file descriptor, each in one piece: workers share it and must not mix.

    If its reader stands still, some lines are kept, and later ones are `dropped`.
    """

    def __init__(self, descriptor: int, form: Form) -> None:
        super().__init__()
        self.form = form
        self.dropped = 0
        self._opened = ExitStack()
        self._write_now = nonblocking(descriptor, self._opened)
        self._pieces: deque[bytes] = deque()
        self._kept = 0

    @property
    def is_read(self) -> bool:
        """Whether all that was written has been taken."""
        return not self._pieces

    def close(self) -> None:
        """Write no more; the descriptor itself stays open."""
        self._write_now = _to_nothing
        self._opened.close()
        super().close()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a message."""
        self.write(self.form.message(record))

    def write(self, lines: bytes) -> None:
        """Write whole lines, as much of them as is taken at once."""
        at = 0
        while at < len(lines):
            end = len(lines)
            if end - at > select.PIPE_BUF:
                end = lines.rindex(b"\n", at, at + select.PIPE_BUF) + 1
            self._write(lines[at:end])
            at = end

    def flush(self) -> None:
        """Write what waits, as much as is taken at once."""
        self._write(b"")

    def _write(self, piece: bytes) -> None:
        """Write whole lines, of PIPE_BUF bytes at most: a pipe takes them as one, or not at all."""
        self.acquire()  # threads log too
        try:
            if self._kept > _MOST_KEPT:
                self.dropped += piece.count(b"\n")
            elif piece:
                self._pieces.append(piece)
                self._kept += len(piece)
            self._write_pieces()
        except OSError:  # its reader has gone: that must not end what is logged
            self._pieces.clear()
            self._kept = 0
        finally:
            self.release()

    def _write_pieces(self) -> None:
        while self._pieces:
            taken = self._write_now(self._pieces[0])
            self._kept -= taken
            if taken < len(self._pieces[0]):
                self._pieces[0] = self._pieces[0][taken:]
                return
            self._pieces.popleft()


def lines_of(settings: Settings, descriptor: int) -> Lines:
    """Lines in the form that the settings ask for."""
    terminal = os.isatty(descriptor)
    human = settings.log_form == "human" or (settings.log_form == "auto" and terminal)
    return Lines(descriptor, HumanForm(colour=terminal) if human else JsonForm())


def log_to_stdout(settings: Settings) -> None:
    """Log to stdout from now on, in a process without gunicorn, and no text of an exception."""
    lines = lines_of(settings, sys.stdout.fileno())
    logging.getLogger().handlers = [lines]
    logging.getLogger("scoring").setLevel(settings.log_level.upper())
    hide_texts()


def nonblocking(descriptor: int, opened: ExitStack) -> Write:
    """How to write to a descriptor without waiting; what that needs is closed with `opened`.

    The descriptor itself stays as it is: other processes may share it.
    """
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISSOCK(mode):
        return _to_socket(opened.enter_context(socket.socket(fileno=os.dup(descriptor))))
    if stat.S_ISFIFO(mode) or os.isatty(descriptor):
        try:
            path = f"/proc/self/fd/{descriptor}"
            own = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError:  # it belongs to another user
            return _if_ready(descriptor)
        opened.callback(os.close, own)
        return _to_file(own)
    return _to_file(descriptor)


def _to_nothing(piece: bytes) -> int:
    return len(piece)


def _to_file(descriptor: int) -> Write:
    def write(piece: bytes) -> int:
        try:
            return os.write(descriptor, piece)
        except BlockingIOError:
            return 0

    return write


def _to_socket(connection: socket.socket) -> Write:
    def write(piece: bytes) -> int:
        try:
            return connection.send(piece, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0

    return write


def _if_ready(descriptor: int) -> Write:
    """A pipe is ready when it has room for PIPE_BUF bytes; another writer may take it first."""
    ready = select.poll()
    ready.register(descriptor, select.POLLOUT)

    def write(piece: bytes) -> int:
        return os.write(descriptor, piece) if ready.poll(0) else 0

    return write
