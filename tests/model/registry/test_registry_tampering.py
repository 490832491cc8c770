"""What callers and changed files may not do to a registry."""

import json
from pathlib import Path

import pytest

from model.errors import ModelRefused
from model.registry import Damaged, Refused, Registry
from model.registry.file_store import FileStore
from tests.support.messages import mentions, stating
from tests.support.registry import files, no_check


def test_a_promotion_says_what_it_was_compared_with(tmp_path: Path) -> None:
    registry = Registry(FileStore(tmp_path, "model.cbm"), no_check)
    for version in ("a", "b", "c"):
        registry.add(files(version))
    registry.promote("a", who="x")
    registry.promote("b", who="x", instead="a")
    with pytest.raises(Refused, match=stating("b is live", "not a")):
        registry.promote("c", who="y", instead="a")
    with pytest.raises(Refused, match=stating("b is live", "not nothing")):
        registry.promote("c", who="y", instead="")
    assert registry.aliases().live == "b"


@pytest.mark.parametrize("note", ["x" * 1001, "two\nlines", "\x1b[31mred", "\udcff"])
def test_a_note_is_short_and_printable(note: str, tmp_path: Path) -> None:
    registry = Registry(FileStore(tmp_path, "model.cbm"), no_check)
    registry.add(files("a"))
    with pytest.raises(Refused, match=stating("note", "1000 characters")):
        registry.promote("a", who="x", note=note)
    assert registry.aliases().live == ""


@pytest.mark.parametrize("note", ["А939НО196 was wrong", "for 77 1234 АВ", "a/939/ho/196"])
def test_a_note_holds_no_plate(note: str, tmp_path: Path) -> None:
    registry = Registry(FileStore(tmp_path, "model.cbm"), no_check)
    registry.add(files("a"))
    for change in (registry.promote, registry.shadow):
        with pytest.raises(Refused, match=r"^note: .*number plate$"):
            change("a", who="x", note=note)
    assert registry.history() == []


@pytest.mark.parametrize("version", ["A939HO196", "v1-77AB1234", "a+939+ho+196"])
def test_a_version_that_may_be_a_plate_gets_no_alias_even_by_force(
    version: str, tmp_path: Path
) -> None:
    """An older registry may have it."""
    store = FileStore(tmp_path, "model.cbm")
    store.add(version, files(version))
    registry = Registry(store, no_check)
    for change in (registry.promote, registry.shadow):
        with pytest.raises(Refused, match=r"^version: .*number plate$"):
            change(version, who="x", force=True)
    with pytest.raises(Refused, match=r"^version: .*number plate$"):
        registry.add(files(version))
    assert registry.aliases().live == ""


def test_the_reason_of_a_refusal_that_was_overridden_is_kept_without_a_plate(
    tmp_path: Path,
) -> None:
    def refuse(_: Path) -> None:
        raise ModelRefused("it has the class А939НО196")

    registry = Registry(FileStore(tmp_path, "model.cbm"), refuse)
    registry.add(files("a"))
    registry.promote("a", who="x", force=True)
    assert [change.forced for change in registry.history()] == ["it has the class [plate]"]


@pytest.mark.parametrize(
    "aliases", [{"live": "x" * 3000}, {"live": "../x"}, {"generation": 10**40}, {"generation": -1}]
)
def test_aliases_that_no_registry_writes_are_damaged(aliases: object, tmp_path: Path) -> None:
    (tmp_path / "aliases.json").write_text(json.dumps({"aliases": aliases}))
    with pytest.raises(Damaged):
        Registry(FileStore(tmp_path, "model.cbm"), no_check).aliases()


def test_aliases_with_one_mark_of_utf8_are_read_and_those_in_utf16_named(tmp_path: Path) -> None:
    registry = Registry(FileStore(tmp_path, "model.cbm"), no_check)
    text = json.dumps({"aliases": {"live": "a", "generation": 1}})
    (tmp_path / "aliases.json").write_text(text, "utf-8-sig")
    assert registry.aliases().live == "a"
    (tmp_path / "aliases.json").write_text(text, "utf-16")
    with pytest.raises(Damaged) as caught:
        registry.aliases()
    assert mentions(str(caught.value), "aliases.json ", "UTF-16", "UTF-8")
