"""Many processes at one registry: nothing is lost, nothing is half there."""

import multiprocessing
from collections.abc import Callable
from pathlib import Path

from model.registry import (
    Registry,
    RegistryError,
)
from model.registry.file_store import FileStore
from tests.support.registry import files, no_check


def _registry(folder: Path, check: Callable[[Path], object] = no_check) -> Registry:
    return Registry(FileStore(folder, "model.cbm"), check)


_EACH = 12


def _promote_many(folder: str, mine: list[str]) -> None:
    registry = _registry(Path(folder))
    for number in range(_EACH):
        registry.promote(mine[number % 2], who=mine[0])


def _add_shared(folder: str, mine: list[str]) -> None:
    registry = _registry(Path(folder))
    for number in range(_EACH):
        try:
            registry.add(files(f"shared{number}", mine[0].encode()))
        except RegistryError as error:
            assert "another model" in str(error)  # noqa: PT017 - in a process of its own


def _in_processes(act: Callable[[str, list[str]], None], folder: Path) -> None:
    context = multiprocessing.get_context("spawn")
    pairs = [["v1", "v2"], ["v3", "v4"], ["v5", "v6"]]
    processes = [context.Process(target=act, args=(str(folder), pair)) for pair in pairs]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]


def test_promotions_of_many_processes_are_each_in_the_history(tmp_path: Path) -> None:
    registry = _registry(tmp_path)
    for number in range(1, 7):
        registry.add(files(f"v{number}", b"%d" % number))
    _in_processes(_promote_many, tmp_path)
    history = registry.history()
    assert [change.aliases.generation for change in history] == list(range(1, 3 * _EACH + 1))
    lives = ["", *(change.aliases.live for change in history)]
    assert [change.aliases.previous for change in history] == lives[:-1]


def test_many_processes_that_add_one_version_store_it_once(tmp_path: Path) -> None:
    _in_processes(_add_shared, tmp_path)
    registry = _registry(tmp_path)
    assert len(registry.versions()) == _EACH
    assert registry.verify() == []
