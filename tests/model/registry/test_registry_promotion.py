"""`python -m model.registry promote`: what differs much from the live version is stopped."""

import re
from pathlib import Path

import pytest

from model.registry import Registry, promotion
from model.registry.__main__ import main
from model.regno import Limits
from service.config.settings import Settings
from tests.support.messages import mentions, states
from tests.support.registry import as_json, command, files
from tests.support.swapping import FIRST, SECOND, registry_of_twins, registry_of_two
from tests.support.tables import as_csv, samples


def last_change(registry: Registry) -> tuple[str, str]:
    change = registry.history()[-1]
    return change.what, change.forced


@pytest.mark.slow
def test_different_scores_are_refused_unless_forced(tmp_path: Path) -> None:
    registry = registry_of_two(tmp_path)
    models = ("--models", tmp_path / "models")
    refused = command(tmp_path, "promote", SECOND, *models, expect=1)
    assert "are decided differently" in refused.stderr
    first, head, *classes = refused.stdout.splitlines()
    assert first.startswith("compared on 16 rows: ")
    assert head.split() == ["CAMERA", "CLASS", "ROWS", "TO", "NETWORK", "TO", "CAMERA"]
    assert sum(int(line.split()[-3]) for line in classes[:-2]) == 16
    assert classes[-2].split()[:2] == ["all", "16"]
    assert "live:" not in refused.stdout
    assert registry.aliases().live == FIRST
    command(tmp_path, "promote", SECOND, "--force", *models)
    assert registry.aliases().live == SECOND
    what, forced = last_change(registry)
    assert what == "promote"
    assert "are decided differently" in forced


@pytest.mark.slow
def test_limits_may_be_named(tmp_path: Path) -> None:
    registry = registry_of_two(tmp_path)
    wide = ("--max-flips", "0.5", "--max-difference", "0.5", "--max-slowdown", "100")
    command(tmp_path, "promote", SECOND, *wide, "--models", tmp_path / "models")
    assert registry.aliases().live == SECOND
    assert last_change(registry) == ("promote", "")


def test_the_default_limits_are_those_of_the_service_and_of_the_help(tmp_path: Path) -> None:
    usual, settings = Limits(), Settings()
    help_ = " ".join(command(tmp_path, "promote", "--help").stdout.split())
    defaults = re.findall(r"\(default: ([\d.]+)\)", help_)
    limits = (usual.flips, usual.flips_in_class, usual.mean_difference, usual.slowdown)
    assert [float(number) for number in defaults] == list(limits)
    assert limits == (
        settings.parity_max_flips,
        settings.parity_max_flips_in_class,
        settings.parity_max_difference,
        settings.max_slowdown,
    )


@pytest.mark.parametrize("limit", ["-0.1", "nan", "inf", "much"])
def test_an_invalid_limit_is_a_usage_error(limit: str, tmp_path: Path) -> None:
    errors = command(tmp_path, "promote", "v1", f"--max-flips={limit}", expect=2).stderr
    assert mentions(errors, f"argument --max-flips: {limit} ", "0 or more")


@pytest.mark.slow
def test_equal_scores_pass_and_the_comparison_is_printed(tmp_path: Path) -> None:
    registry = registry_of_twins(tmp_path)
    models = ("--models", tmp_path / "models")
    rows = tmp_path / "rows.csv"
    bad = {**samples(1)[0], "direction": "sideways"}
    rows.write_bytes(as_csv([*samples(300), bad]))
    output = command(tmp_path, "promote", SECOND, "--rows", rows, *models).stdout
    first, *rest = output.splitlines()
    assert mentions(first, "316 rows", "0 decided differently")
    remark, moved = rest[-4:-2]
    assert states(remark, f"1 of 301 rows of {rows} ", "not readings")
    assert moved == f"live: {FIRST} -> {SECOND}"
    assert last_change(registry) == ("promote", "")
    back = as_json(command(tmp_path, "promote", FIRST, "--json", *models))
    assert (back["parity"]["live"], back["parity"]["rows"]) == (SECOND, 16)
    (remark,) = back["remarks"]
    assert mentions(remark, "only 16 rows", "200")


@pytest.mark.slow
def test_a_live_version_that_fails_is_left_by_force_only(tmp_path: Path) -> None:
    registry = registry_of_twins(tmp_path)
    registry.add(files("junk", b"no model"))
    registry.promote("junk", who="the tests")
    models = ("--models", tmp_path / "models")
    refused = command(tmp_path, "promote", SECOND, *models, expect=1)
    assert mentions(refused.stderr, "junk", "live", "can't be compared")
    command(tmp_path, "promote", SECOND, "--force", *models)
    assert registry.aliases().live == SECOND
    assert mentions(last_change(registry)[1], "junk", "can't be compared")


@pytest.mark.slow
def test_a_live_version_that_fails_does_not_hide_that_the_new_one_does(tmp_path: Path) -> None:
    registry = registry_of_twins(tmp_path)
    for version in ("junk", "worse"):
        registry.add(files(version, version.encode()))
    registry.promote("junk", who="the tests")
    arguments = ("promote", "worse", "--models", tmp_path / "models")
    errors = command(tmp_path, *arguments, expect=1).stderr
    assert mentions(errors, "/worse/manifest.json ", "can't be read")
    assert "can't be compared" not in errors


def test_what_became_live_during_the_comparison_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    registry = registry_of_twins(tmp_path)
    registry.add(files("third"))

    def promoting(_: Path, **_named: str) -> None:
        registry.promote("third", who="somebody else")

    monkeypatch.setattr(promotion, "validate", promoting)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    assert main(["promote", SECOND, "--force", "--models", str(tmp_path / "models")]) == 1
    assert mentions(capsys.readouterr().err, "third is live", f"not {FIRST}")
    assert registry.aliases().live == "third"


@pytest.mark.parametrize(
    ("rows", "status", "reason"),
    [
        (None, 66, "No such file"),
        ("a,b\n1,2\n", 65, "lacks regno_recognize"),
        ("header", 65, "no row of"),
    ],
)
def test_rows_that_are_no_readings_are_an_error(
    rows: str | None, status: int, reason: str, tmp_path: Path
) -> None:
    registry_of_twins(tmp_path)
    path = tmp_path / "rows.csv"
    if rows is not None:
        header = as_csv(samples(1)).splitlines(keepends=True)[0].decode()
        path.write_text(header if rows == "header" else rows)
    arguments = ("promote", SECOND, "--rows", path, "--models", tmp_path / "models")
    assert reason in command(tmp_path, *arguments, expect=status).stderr
