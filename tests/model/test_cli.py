"""How commands end when a file, or a pipe, can't be used."""

import os
from pathlib import Path

import pytest

from model.cli import Exit, os_errors_exit


def _break(path: Path) -> None:
    with os_errors_exit(74, path):
        raise BrokenPipeError(32, "Broken pipe")


def test_an_error_of_a_file_names_it_and_gives_the_status(tmp_path: Path) -> None:
    path = tmp_path / "none"
    with pytest.raises(Exit) as caught, os_errors_exit(66, path):
        path.open().close()
    assert (caught.value.status, str(caught.value)) == (66, f"{path}: No such file or directory")


def test_a_pipe_that_breaks_ends_a_command_by_itself(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (Path("-"), tmp_path / "pipe"):
        with pytest.raises(BrokenPipeError):
            _break(path)


def test_another_pipe_that_breaks_is_an_error_of_the_file(tmp_path: Path) -> None:
    for path in (tmp_path / "out.csv", tmp_path):
        with pytest.raises(Exit) as caught:
            _break(path)
        assert (caught.value.status, str(caught.value)) == (74, f"{path}: Broken pipe")
