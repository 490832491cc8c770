"""The doctor's checks of the registry, and of the callers who may change the live model."""

import shutil
from pathlib import Path

from service.config.settings import Settings
from service.doctor import registry
from tests.support.doctor import GOOD_KEY, only
from tests.support.messages import mentions
from tests.support.swapping import FIRST, SECOND, registry_of_twins, registry_of_two


def test_no_registry_is_no_finding() -> None:
    assert list(registry.registry(Settings())) == []
    assert registry.live_file(Settings(model="given.cbm")) == "given.cbm"


def test_a_registry_with_a_way_back_is_well(tmp_path: Path) -> None:
    settings = Settings(registry=str(tmp_path / "models"))
    versions = registry_of_two(tmp_path)
    finding = only(registry.registry(settings))
    assert finding.level == "warn"
    assert mentions(finding.description, f"{FIRST} is live", "no previous version")
    versions.promote(SECOND, who="the tests")
    finding = only(registry.registry(settings))
    assert finding.level == "ok"
    assert mentions(finding.description, f"{SECOND} is live", FIRST)
    assert registry.live_file(settings) == str(versions.fetch(SECOND))


def test_a_registry_without_its_live_version_fails(tmp_path: Path) -> None:
    settings = Settings(registry=str(tmp_path / "models"))
    assert only(registry.registry(settings)).level == "fail"
    registry_of_two(tmp_path)
    shutil.rmtree(tmp_path / "models" / "regno" / FIRST)
    finding = only(registry.registry(settings))
    assert finding.level == "fail"
    assert FIRST in finding.description
    (tmp_path / "models" / "regno" / "aliases.json").write_text("{")
    assert only(registry.registry(settings)).level == "fail"


def test_a_live_version_that_cannot_be_fetched_fails(tmp_path: Path) -> None:
    registry_of_twins(tmp_path)
    (tmp_path / "models" / "regno" / FIRST / "model.cbm").write_bytes(b"harmed")
    finding = only(registry.registry(Settings(registry=str(tmp_path / "models"))))
    assert finding.level == "fail"
    assert mentions(finding.description, "SHA-256")


def test_an_admin_without_a_key_is_reported() -> None:
    keys = f"ops:{GOOD_KEY}"
    assert list(registry.admins(Settings(api_keys=keys, admins="ops"))) == []
    finding = only(registry.admins(Settings(api_keys=keys, admins="ops, nihgt")))
    assert finding.level == "warn"
    assert mentions(finding.description, "no key", "nihgt")
