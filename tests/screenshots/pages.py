"""`python -m tests.screenshots.pages`: the pictures of the web pages in docs/pictures.

Starts the web processes by themselves, and asks what the pictures show.
"""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from time import time
from typing import Any, Final

from playwright.sync_api import Page, expect

from model import catalog
from model.regno import golden
from service.decisions.decision import OUTCOMES
from service.decisions.log import DecisionLog
from service.decisions.review import ReviewQueue
from tests.support.browser import DESK, chromium, visiting
from tests.support.decisions import REGNO, decision, opened
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
_COSTS: Final = {"network_wrong": 1.0, "camera_wrong": 1.0, "manual": 0.3}


def main() -> None:
    """Write the pictures."""
    with (
        TemporaryDirectory() as folder,
        web_serving(
            Path(folder),
            image_url_hosts="pictures.example",
            reviewers="example",
            decisions_dir=str(_reviewed(Path(folder) / "decisions")),
        ) as server,
        chromium() as browser,
        visiting(browser, server.url, KEY, **DESK) as visit,
    ):
        _ask_about_plates(visit.page)
        visit.page.screenshot(path=_PICTURES / "page_plates.png", full_page=True)
        visit.page.get_by_role("link", name="Pictures").click()
        for number, (path, question) in enumerate(_ASKED, start=1):
            _ask_about_picture(visit.page, path, question, number)
        visit.page.screenshot(path=_PICTURES / "page_pictures.png", full_page=True)
        visit.page.get_by_role("link", name="Review").click()
        visit.page.screenshot(path=_PICTURES / "page_review.png", full_page=True)
        visit.page.goto("/decisions/request-1/evidence")
        visit.page.screenshot(path=_PICTURES / "page_evidence.png", full_page=True)


def _reviewed(folder: Path) -> Path:
    """A log of decisions on the golden readings, some of which two people have reviewed."""
    log = DecisionLog(folder)
    log.append([opened(log, one) for one in _decisions()])
    queue = ReviewQueue(log, second_share=1.0)
    queue.take_in()
    for number in range(24):
        for name in ("ann", "bob"):
            case = queue.next(name)
            assert case, "there are enough"
            disagrees = name == "bob" and number % 8 == 0
            usual = OUTCOMES[case.entry % 2]
            queue.answer(name, case.entry, "neither" if disagrees else usual)
    queue.close()
    log.close()
    return folder


def _decisions() -> Iterator[Any]:
    bundled = catalog.entry("regno").bundled
    assert bundled
    scorer, readings = REGNO.load(bundled), 2 * golden.readings()
    decided = REGNO.decisions(_COSTS, scorer)
    assert decided
    for number, score in enumerate(scorer.score(readings)):
        yield decision(
            number,
            time() - 3600 + 60 * number,
            audited=True,
            version=scorer.version,
            sha256=scorer.sha256,
            positive=score.positive,
            decision=decided.decide(score.positive),
            limits=dict(decided.limits),
            costs=_COSTS,
            warnings=(),
        )


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
