"""A training on a terminal."""

import os
import pty
import select
import subprocess
import sys
import termios
from pathlib import Path

from loadgen.common.processes import Program
from tests.support.labelled import labelled, write


class Terminal(Program):
    """The command with a terminal as its standard error, whose text is `shown`."""

    def __init__(self, folder: Path, *options: str, trees: int = 100_000, depth: int = 8) -> None:
        write(folder / "rows.csv", labelled(1000))
        (folder / "long.toml").write_text(
            f"[catboost]\niterations = {trees}\nearly_stopping_rounds = {trees}\n"
            f"depth = {depth}\n[tune.ranges]\ndepth = [{depth}, {depth}]\n",
            encoding="utf-8",
        )
        command = [sys.executable, "-m", "model.train", "--data", "rows.csv", "--out", "out"]
        command += ["--parameters", "long.toml", *options]
        self.shown, (self._screen, keyboard) = "", pty.openpty()
        termios.tcsetwinsize(keyboard, (24, 80))
        super().__init__(command, folder, subprocess.DEVNULL, errors=keyboard)
        os.close(keyboard)

    def shows(self, text: str) -> bool:
        """Whether the text has been shown so far."""
        while select.select([self._screen], [], [], 0)[0]:
            try:
                self.shown += os.read(self._screen, 65536).decode(errors="replace")
            except OSError:  # the other end is closed, and all is read
                break
        return text in self.shown

    def close(self) -> None:
        """End the training and the terminal."""
        self.kill()
        os.close(self._screen)
