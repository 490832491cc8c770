"""The runbook has an entry of the same form for each alert, and links that lead somewhere."""

import re
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from monitoring import rules, slo
from monitoring.alertmanager.config import config
from monitoring.alertmanager.settings import Settings
from tests.monitoring import stack
from tests.monitoring.tools import tool
from tests.support.paths import ROOT
from tests.support.vacuous import nonempty

_TEXT: Final = (ROOT / "monitoring" / "RUNBOOK.md").read_text("utf-8")
_ENTRIES: Final[dict[str, str]] = {
    part.partition("\n")[0]: part.partition("\n")[2] for part in _TEXT.split("\n## ")[1:]
}


def _alerts() -> dict[str, dict[str, Any]]:
    files = [yaml.safe_load(text) for text in rules.render(slo.load()).values()]
    every = [rule for file in files for group in file["groups"] for rule in group["rules"]]
    return {rule["alert"]: rule for rule in every if "alert" in rule}


def test_every_alert_has_a_heading_and_every_heading_an_alert() -> None:
    assert set(_ENTRIES) == set(_alerts())
    assert len(_ENTRIES) == len(re.findall("^##", _TEXT, re.MULTILINE))


@pytest.mark.parametrize("name", sorted(_ENTRIES))
def test_an_entry_says_look_decide_do(name: str) -> None:
    paragraphs = [" ".join(p.split()) for p in _ENTRIES[name].strip().split("\n\n")]
    assert [re.match(r"(?:\*\*(\w+)\.\*\* )?", p).group(1) for p in paragraphs] == [  # type: ignore[union-attr]
        None,
        "Look",
        "Decide",
        "Do",
    ]
    assert all(len(paragraph) > 40 for paragraph in paragraphs)


@pytest.mark.parametrize("name", sorted(_ENTRIES))
def test_an_entry_begins_with_the_alerts_severity(name: str) -> None:
    severity = _alerts()[name]["labels"]["severity"]
    assert _ENTRIES[name].strip().startswith(f"A {severity}: ")


def test_the_commands_to_silence_an_alert_work(tmp_path: Path) -> None:
    [block] = re.findall(r"```\n(amtool .*?)```", _TEXT, re.DOTALL)
    add, query, expire = block.strip().splitlines()
    program = tool("amtool")
    with stack.alertmanager(tmp_path, config(Settings(allow_no_receiver=True))) as address:

        def run(line: str) -> str:
            command = line.replace("http://127.0.0.1:9093", address).replace("amtool", program, 1)
            done = subprocess.run(command.split(), capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            return done.stdout

        silence = run(add).strip()
        assert re.fullmatch("[0-9a-f-]{36}", silence)
        assert 'alertname="NoTraffic"' in run(query)
        run(expire.replace("ID", silence))
        assert silence not in run(query)


def test_links_within_it_lead_to_headings() -> None:
    anchors = set(re.findall(r"\]\(#([\w-]+)\)", _TEXT))
    assert anchors <= {name.lower() for name in _ENTRIES}
    assert anchors


def test_links_of_alerts_lead_to_headings() -> None:
    for name, rule in nonempty(_alerts()).items():
        path, _, anchor = rule["annotations"]["runbook_url"].partition("#")
        assert (ROOT / path).is_file()
        assert anchor in {heading.lower() for heading in _ENTRIES}, name
