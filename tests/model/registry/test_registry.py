"""A registry's rules: what any order of adds and changes of aliases leaves."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model import ModelRefused
from model.files import LARGEST
from model.registry import (
    Aliases,
    Damaged,
    Files,
    Refused,
    Registry,
    Unavailable,
    open_registry,
)
from model.registry.file_store import FileStore
from tests.support.messages import mentions, stating
from tests.support.registry import files, no_check


def _registry(folder: Path, check: Callable[[Path], object] = no_check) -> Registry:
    return Registry(FileStore(folder, "model.cbm"), check)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """One of three versions and no aliases."""
    registry = _registry(tmp_path / "models")
    for version in ("v1", "v2", "v3"):
        registry.add(files(version, version.encode()))
    return registry


def _names(registry: Registry) -> list[str]:
    return [entry.version for entry in registry.versions()]


def test_an_empty_registry_is_one(tmp_path: Path) -> None:
    registry = open_registry(tmp_path / "none")
    assert registry.versions() == []
    assert registry.aliases() == Aliases()
    assert registry.history() == []
    assert registry.verify() == []
    assert not (tmp_path / "none").exists()


def test_what_is_fetched_is_what_was_added(registry: Registry) -> None:
    path = registry.fetch("v2")
    assert (path.name, path.read_bytes()) == ("model.cbm", b"v2")
    assert json.loads(path.with_name("manifest.json").read_bytes())["version"] == "v2"


def test_versions_are_reported_oldest_first_with_their_sizes(registry: Registry) -> None:
    assert [(entry.version, entry.size) for entry in registry.versions()] == [
        ("v1", 2),
        ("v2", 2),
        ("v3", 2),
    ]


def test_promote_and_rollback_move_live_and_previous(registry: Registry) -> None:
    assert registry.promote("v1", who="a").after == Aliases("v1", "", "", 1)
    assert registry.promote("v2", who="a").after == Aliases("v2", "", "v1", 2)
    assert registry.rollback(who="b", note="worse").after == Aliases("v1", "", "v2", 3)
    assert registry.rollback(who="b").after == Aliases("v2", "", "v1", 4)
    changes = [(c.what, c.who, c.note, c.forced, c.aliases.live) for c in registry.history()]
    assert changes == [
        ("promote", "a", "", "", "v1"),
        ("promote", "a", "", "", "v2"),
        ("rollback", "b", "worse", "", "v1"),
        ("rollback", "b", "", "", "v2"),
    ]


def test_promoting_what_is_live_changes_nothing(registry: Registry) -> None:
    registry.promote("v1", who="a")
    registry.promote("v2", who="a")
    moved = registry.promote("v2", who="a")
    assert moved.before == moved.after == Aliases("v2", "", "v1", 2)
    assert len(registry.history()) == 2


def test_a_shadow_that_becomes_live_is_no_shadow(registry: Registry) -> None:
    registry.promote("v1", who="a")
    assert registry.shadow("v2", who="a").after == Aliases("v1", "v2", "", 2)
    assert registry.promote("v2", who="a").after == Aliases("v2", "", "v1", 3)
    with pytest.raises(Refused, match="v2 is live"):
        registry.shadow("v2", who="a")
    assert registry.shadow("v1", who="a").after == Aliases("v2", "v1", "v1", 4)
    assert registry.shadow("", who="a").after == Aliases("v2", "", "v1", 5)


def test_without_a_previous_version_there_is_no_way_back(registry: Registry) -> None:
    for _ in range(2):
        with pytest.raises(Refused, match="previous version"):
            registry.rollback(who="a")
        registry.promote("v1", who="a")


def test_an_unknown_version_is_refused_by_name(registry: Registry) -> None:
    for act in (registry.fetch, lambda v: registry.promote(v, who="a", force=True)):
        with pytest.raises(Refused, match=stating("no version", "v9")):
            act("v9")
    assert registry.aliases() == Aliases()


def test_a_version_never_changes(registry: Registry) -> None:
    assert registry.add(files("v1", b"v1")) is False
    with pytest.raises(Refused, match=stating("v1", "another model")):
        registry.add(files("v1", b"other"))
    assert registry.fetch("v1").read_bytes() == b"v1"


@pytest.mark.parametrize(
    "version",
    ["", ".", "..", "../v", "a/b", ".v", "-v", "live", "aliases.json", "v\n", "é", "v" * 129],
)
def test_a_version_is_named_by_a_valid_folder_name(version: str, tmp_path: Path) -> None:
    registry = _registry(tmp_path / "models")
    with pytest.raises(Refused, match=r"is not a name|is taken"):
        registry.add(files(version))
    with pytest.raises(Refused, match="no version"):
        registry.fetch(version)
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (Files(b"model", b"{"), "can't be read"),
        (Files(b"model", b"[" * 100_000), "can't be read"),
        (files("v", file="other.cbm"), "a file other.cbm"),
        (files("v", sha256="0" * 64), "SHA-256 differs"),
    ],
    ids=["open", "deep", "another's", "hash"],
)
def test_files_that_do_not_agree_are_not_added(given: Files, reason: str, tmp_path: Path) -> None:
    registry = _registry(tmp_path)
    with pytest.raises(Damaged, match=reason):
        registry.add(given)
    assert registry.versions() == []


def _shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _enlarge(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(LARGEST + 1)  # a hole: no such amount is written


@pytest.mark.parametrize(
    ("harm", "name", "reason"),
    [
        (_shorten, "model.cbm", "SHA-256 differs"),
        (_enlarge, "model.cbm", "is larger than"),
        (Path.unlink, "model.cbm", "has no model.cbm"),
        (_shorten, "manifest.json", "manifest.json can't be read"),
    ],
    ids=["short", "huge", "gone", "manifest"],
)
def test_a_corrupted_version_is_reported_and_never_promoted(
    harm: Callable[[Path], object], name: str, reason: str, registry: Registry
) -> None:
    harm(registry.fetch("v2").with_name(name))
    ((what, fault),) = registry.verify()
    assert what == "v2"
    assert reason in fault
    for force in (False, True):
        with pytest.raises(Damaged, match=reason):
            registry.promote("v2", who="a", force=force)
    assert registry.aliases() == Aliases()


def test_a_folder_without_a_manifest_is_no_version_and_is_reported(
    registry: Registry, tmp_path: Path
) -> None:
    (tmp_path / "models" / "v4").mkdir()
    assert _names(registry) == ["v1", "v2", "v3"]
    assert [fault.what for fault in registry.verify()] == ["v4"]
    assert registry.add(files("v4", b"v4"))
    assert registry.verify() == []


def test_an_alias_of_a_version_that_is_gone_is_reported(registry: Registry, tmp_path: Path) -> None:
    registry.promote("v1", who="a")
    registry.promote("v2", who="a")
    (tmp_path / "models" / "v1").rename(tmp_path / "elsewhere")
    (fault,) = registry.verify()
    assert fault.what == "previous"
    assert mentions(fault.reason, "no version", "v1")
    with pytest.raises(Refused, match=stating("no version", "v1")):
        registry.rollback(who="a")


@pytest.mark.parametrize("text", ["{", "[]", '{"aliases": 1}', "[" * 100_000])
def test_aliases_that_cant_be_read_are_reported_and_kept(
    text: str, registry: Registry, tmp_path: Path
) -> None:
    (tmp_path / "models" / "aliases.json").write_text(text)
    assert [fault.what for fault in registry.verify()] == ["aliases"]
    with pytest.raises(Damaged, match=stating("aliases.json", "can't be read")):
        registry.promote("v1", who="a")
    assert (tmp_path / "models" / "aliases.json").read_text() == text


def test_a_refused_model_is_promoted_by_force_only_and_the_history_says_so(tmp_path: Path) -> None:
    def refuse(_: Path) -> None:
        raise ModelRefused("it is no good")

    registry = _registry(tmp_path, refuse)
    registry.add(files("v1"))
    with pytest.raises(ModelRefused):
        registry.promote("v1", who="a")
    assert registry.aliases() == Aliases()
    registry.promote("v1", who="a", force=True, note="must")
    (change,) = registry.history()
    assert (change.note, change.forced) == ("must", "it is no good")
    assert [tuple(fault) for fault in registry.verify()] == [("v1", "it is no good")]


def test_a_registry_that_is_a_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    registry = open_registry(tmp_path / "file")
    with pytest.raises(Unavailable, match="Not a directory"):
        registry.add(files("v1"))


@pytest.mark.parametrize("location", ["gs://bucket", "s3://", "s3:///prefix"])
def test_a_location_that_is_none_is_refused(location: str) -> None:
    with pytest.raises(Refused, match="s3://bucket/prefix"):
        open_registry(location)


Step = tuple[str] | tuple[str, str] | tuple[str, str, bytes]
_VERSIONS = ("v1", "v2", "v3")
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.sampled_from(_VERSIONS), st.sampled_from((b"x", b"y"))),
        st.tuples(st.sampled_from(("promote", "shadow")), st.sampled_from((*_VERSIONS, "v9"))),
        st.tuples(st.sampled_from(("rollback", "noshadow"))),
    ),
    max_size=25,
)


@settings(deadline=None, max_examples=60)
@given(steps=_STEPS)
def test_any_steps_keep_the_invariants(
    steps: list[Step], tmp_path_factory: pytest.TempPathFactory
) -> None:
    registry = _registry(tmp_path_factory.mktemp("any"))
    models: dict[str, bytes] = {}
    for step in steps:
        before = registry.aliases()
        try:
            match step:
                case ("add", version, model):
                    registry.add(files(version, model))
                    assert models.setdefault(version, model) == model
                case ("promote", version):
                    moved = registry.promote(version, who="a")
                    assert moved.after.live == version
                    assert moved.after.previous == (
                        before.previous if before.live == version else before.live
                    )
                case ("shadow", version):
                    assert registry.shadow(version, who="a").after.shadow == version
                case ("rollback",):
                    after = registry.rollback(who="a").after
                    assert (after.live, after.previous) == (before.previous, before.live)
                case _:
                    registry.shadow("", who="a")
        except Refused:
            assert registry.aliases() == before
        after = registry.aliases()
        assert after.generation - before.generation == int(after != before)
        assert len(registry.history()) == after.generation
        assert not after.live or after.live not in (after.shadow, after.previous)
        assert {after.live, after.shadow, after.previous} - {""} <= models.keys()
    assert set(_names(registry)) == models.keys()
    assert all(registry.fetch(v).read_bytes() == model for v, model in models.items())
    assert registry.verify() == []
