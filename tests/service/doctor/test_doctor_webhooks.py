"""The doctor's check of the endpoints of webhooks."""

from pathlib import Path

import pytest

from service.config.settings import Settings
from service.doctor.webhooks import webhooks
from tests.support.messages import mentions
from tests.support.webhooks import SECRET


def _found(folder: Path, text: str, allowed: str = "") -> list[tuple[str, str]]:
    """Levels and descriptions for a file of endpoints."""
    path = folder / "endpoints"
    path.write_text(text)
    settings = Settings(webhooks_file=str(path), webhook_allowed_hosts=allowed)
    findings = list(webhooks(settings))
    assert {one.name for one in findings} == {"webhooks"}
    assert not [one for one in findings if SECRET in one.description + one.remedy]
    return [(one.level, one.description) for one in findings]


def test_without_a_file_nothing_is_said() -> None:
    assert list(webhooks(Settings())) == []


def test_each_endpoint_is_judged_by_its_address(tmp_path: Path) -> None:
    lines = [f"camera done https://127.0.0.1/ {SECRET}", f"camera gone https://x.invalid/ {SECRET}"]
    private, gone = _found(tmp_path, "\n".join(lines))
    assert (private[0], gone[0]) == ("warn", "warn")
    assert mentions(private[1], "done of camera: 127.0.0.1 has an address that is not public")
    assert mentions(gone[1], "gone of camera: x.invalid has no address")
    allowed, _ = _found(tmp_path, "\n".join(lines), "127.0.0.1")
    assert allowed == ("ok", "done of camera has an address that may be called")


@pytest.mark.parametrize(
    ("text", "level", "said"),
    [
        ("# none\n", "warn", "has no endpoint"),
        (f"camera done http://example.com/ {SECRET}\n", "fail", "line 1: it must begin with https"),
        ("camera done https://example.com/\n", "fail", "line 1 must be: KEY_NAME NAME URL SECRET"),
    ],
)
def test_a_file_that_can_not_be_used_is_named(
    text: str, level: str, said: str, tmp_path: Path
) -> None:
    ((found, description),) = _found(tmp_path, text)
    assert (found, mentions(description, said)) == (level, True)


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    (finding,) = webhooks(Settings(webhooks_file=str(tmp_path / "none")))
    assert (finding.level, "can't be read" in finding.description) == ("fail", True)
