"""`python -m tests.screenshots.pages`: the pictures of the web pages in docs/pictures.

Starts the web processes by themselves, and asks what the pictures show.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from playwright.sync_api import Page, expect

from tests.support.browser import DESK, chromium, visiting
from tests.support.paths import ROOT
from tests.support.server import KEY
from tests.support.web_server import web_serving

_PICTURES: Final = ROOT / "docs/pictures"
# A file and a question: the last one is shown as the answer.
_ASKED: Final = (
    (_PICTURES / "five.png", "Which digit is it?"),
    (ROOT / "tests/support/photos/coffee.jpg", "Is it a dog?"),
    (ROOT / "tests/support/photos/cat.jpg", "Is it a cat?"),
)
_MILLISECONDS: Final = 60_000


def main() -> None:
    """Write the pictures."""
    with (
        TemporaryDirectory() as folder,
        web_serving(Path(folder), image_url_hosts="pictures.example") as server,
        chromium() as browser,
        visiting(browser, server.url, KEY, **DESK) as visit,
    ):
        _ask_about_plates(visit.page)
        visit.page.screenshot(path=_PICTURES / "page_plates.png", full_page=True)
        visit.page.get_by_role("link", name="Pictures").click()
        for number, (path, question) in enumerate(_ASKED, start=1):
            _ask_about_picture(visit.page, path, question, number)
        visit.page.screenshot(path=_PICTURES / "page_pictures.png", full_page=True)


def _ask_about_plates(page: Page) -> None:
    page.get_by_role("button", name="Score", exact=True).click()
    expect(page.locator(".decision")).to_be_visible(timeout=_MILLISECONDS)


def _ask_about_picture(page: Page, path: Path, question: str, number: int) -> None:
    page.get_by_label("Choose a picture").set_input_files(path)
    page.get_by_label(question).check()
    page.get_by_role("button", name="Ask").click()
    shown = page.locator(".gallery img")
    expect(shown).to_have_count(number, timeout=_MILLISECONDS)
    for image in shown.all():  # they are loaded as they come into view
        image.scroll_into_view_if_needed()
        expect(image).not_to_have_js_property("naturalWidth", 0)
    page.mouse.move(0, 0)


if __name__ == "__main__":
    main()
