"""From `make run` to a digit in the browser: the README's steps, with no packages but theirs."""

import re
import subprocess
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest
from playwright.sync_api import expect

from loadgen.common.processes import Program, free_port, responds
from tests.support import packages
from tests.support.browser import DESK, chromium, visiting
from tests.support.paths import ROOT
from tests.support.server import KEY

pytestmark = pytest.mark.slow

README: Final = (ROOT / "README.md").read_text("utf-8")
_RUN: Final = packages.locked()
_WEB: Final = _RUN | packages.locked("requirements-images.lock")


def _found(pattern: str) -> str:
    """What the README says at one place alone."""
    (text,) = re.findall(pattern, README, re.MULTILINE)
    return str(text)


def _checkout(folder: Path) -> Path:
    """This folder as it is when make has installed what its locks name."""
    for path in ROOT.iterdir():
        if path.name not in {".venv", ".git", ".env", "build"}:
            (folder / path.name).symlink_to(path)
    (folder / ".venv").mkdir()
    for path in (ROOT / ".venv").iterdir():
        if not path.name.startswith("."):
            (folder / ".venv" / path.name).symlink_to(path)
    for name in (".runtime", ".images"):
        (folder / ".venv" / name).touch()
    return folder


def _make(folder: Path, target: str, installed: Collection[str], **settings: str) -> Program:
    """A target, started where no packages but these are installed."""
    hooks = folder / f"packages-{target}"
    hooks.mkdir()
    environment = {
        "PYTHONPATH": packages.python_path(hooks, installed),
        "TMPDIR": str(hooks),
        **{f"SCORING_{name.upper()}": value for name, value in settings.items()},
    }
    return Program(["make", target], folder, hooks / "output", environment)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where `make web` serves, beside `make run`."""
    folder = _checkout(tmp_path_factory.mktemp("checkout"))
    ports = free_port(), free_port()
    run = _make(folder, "run", _RUN, port=str(ports[0]))
    web = _make(folder, "web", _WEB, web_port=str(ports[1]), jobs_dir=str(folder / "jobs"))
    try:
        run.wait_until(lambda: responds(f"http://127.0.0.1:{ports[0]}/readyz"))
        web.wait_until(lambda: responds(f"http://127.0.0.1:{ports[1]}/readyz"))
        yield f"http://127.0.0.1:{ports[1]}"
    finally:
        web.close()
        run.close()


def test_make_run_installs_no_library_of_pictures() -> None:
    """Pillow is there all the same: CatBoost requires matplotlib, and that Pillow."""
    models = {"onnxruntime", "onnx", "torch", "mlxtend", "scikit-image", "opencv-python"}
    assert models.isdisjoint(_RUN)
    assert {"onnxruntime", "pillow"} <= packages.locked("requirements-images.lock")


def test_the_steps_are_in_the_order_of_a_fresh_machine() -> None:
    steps = ("make run ", "make web ", "/home", "docs/pictures/five.png", "*Ask*")
    places = [README.index(step) for step in steps]
    assert places == sorted(places)


def test_a_digit_is_uploaded_on_the_page_and_it_is_a_5(url: str) -> None:
    page_of = _found(r"Open http://127\.0\.0\.1:5001(/home) ")
    file = ROOT / _found(r"choose\s+\[`(.+?)`\]")
    button, answer = _found(r"press \*(\w+)\*"), _found(r"the answer is (\d)\.")
    with chromium() as browser, visiting(browser, url, KEY, **DESK) as visit:
        page = visit.page
        page.goto(page_of)
        page.get_by_label("Choose a picture").set_input_files(file)
        page.get_by_role("button", name=button, exact=True).click()
        shown = page.locator(".answer").get_by_text(answer, exact=True)
        expect(shown).to_be_visible(timeout=60_000)


def test_a_program_asks_by_the_command_that_is_printed(url: str) -> None:
    command = _found(r"^(curl -F file_name=.*)$")
    ran = subprocess.run(
        ["bash", "-euc", command.replace("localhost:5001", httpx.URL(url).netloc.decode())],
        cwd=ROOT,
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert b'"prediction":5,' in ran.stdout
