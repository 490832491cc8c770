"""The README's example call, as a reader would run it, gives the README's reply."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from loadgen.common.processes import free_port
from tests.support.paths import ROOT
from tests.support.server import serving

README = (ROOT / "README.md").read_text()


def _block(language: str, after: int = 0) -> tuple[str, int]:
    """The first fenced block of a language, and where it ends."""
    match = re.compile(rf"```{language}\n(.*?)```", re.DOTALL).search(README, after)
    assert match, f"no {language} block"
    return match[1], match.end()


def _call() -> tuple[str, str]:
    """The call and its reply."""
    call, end = _block("sh")
    reply, _ = _block("json", end)
    return call, reply


def test_the_readme_opens_with_the_two_commands() -> None:
    assert README.index("make run") < README.index("make test") < README.index("curl ")


def test_the_call_is_the_customers() -> None:
    call, _ = _call()
    assert call.startswith("curl -L -X POST 'localhost:5000/reg/'")
    assert "-H 'x-api-key: 123321'" in call
    assert '"regno_recognize": "А939НО196"' in call


def test_the_call_gives_the_reply(tmp_path: Path) -> None:
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    call, reply = _call()
    port = free_port()
    with serving(tmp_path, host="127.0.0.1", port=str(port)):
        ran = subprocess.run(
            ["bash", "-c", call.replace("localhost:5000", f"localhost:{port}")],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
    assert json.loads(ran.stdout) == json.loads(reply)


def test_the_readme_says_plainly_what_the_model_was_trained_on() -> None:
    assert re.search(r"trained on simulated", README, re.IGNORECASE)
    assert "SCORING_MODEL" in README


PAGES = [
    page
    for page in sorted(
        {*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("[!.]*/**/README.md")}
    )
    if not {"node_modules", "build"} & set(page.relative_to(ROOT).parts)
    and page.name != "CHANGELOG.md"
]


def _links(page: Path) -> set[Path]:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
    return {(page.parent / link).resolve() for link in links if "://" not in link}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_a_page_links_to_is_there(page: Path) -> None:
    assert {link for link in _links(page) if not link.exists()} == set()


def _anchors(page: Path) -> set[str]:
    """The names that headings of a page have in links."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_heading_that_a_page_links_to_is_there(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]*)#([^)]+)\)", page.read_text())
    named = {(page.parent / link if link else page, anchor) for link, anchor in links}
    assert {(page, anchor) for page, anchor in named if anchor not in _anchors(page)} == set()


def test_the_readme_leads_to_every_other_page() -> None:
    reached = _links(ROOT / "README.md")
    assert reached & set(PAGES)
    index = ROOT / "docs/decisions/README.md"
    assert set(PAGES) - {ROOT / "README.md"} <= reached | _links(index)


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 150
