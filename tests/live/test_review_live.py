"""The review desk in Chromium, before the real web processes and a real log."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, Page, expect

from model import catalog
from model.regno import golden
from service.decisions import feedback
from service.decisions.decision import Event, decode
from service.decisions.log import DecisionLog
from service.decisions.review import ReviewQueue
from tests.support.browser import DARK, DESK, PHONE, chromium, visiting
from tests.support.commands import Done, run_module
from tests.support.decisions import REGNO, decision, opened
from tests.support.server import METRICS_TOKEN, eventually
from tests.support.web_server import WebServer, web_serving

pytestmark = pytest.mark.slow

ANN, BOB, OTHER = "of-ann", "of-bob", "of-another"
NARROW: Final[dict[str, Any]] = {**PHONE, "viewport": {"width": 320, "height": 700}}
LOOKS: Final = {"desk": DESK, "narrow": NARROW, "dark": DARK}
CASES = 6
READINGS = golden.readings()


class Desk:
    """A log of its own with manual decisions, and one audit draw, before the web processes.

    `second_share` of the cases goes to a second reviewer.
    """

    def __init__(self, server: WebServer, second_share: float = 0.0) -> None:
        self.server = server
        self.url = server.url
        self.link = Path(server.settings["SCORING_DECISIONS_DIR"])
        self.folder = self.link.with_name(f"log-{len(list(self.link.parent.glob('log-*')))}")
        log = self.log()
        log.append([opened(log, one) for one in _cases()])
        queue = ReviewQueue(log, second_share=second_share)
        queue.take_in()
        queue.close()
        log.close()
        aside = self.link.with_name("next")
        aside.symlink_to(self.folder)
        aside.replace(self.link)

    def log(self) -> DecisionLog:
        return DecisionLog(self.folder)

    def run(self, *arguments: str) -> Done:
        """A command of the log."""
        settings = {"SCORING_DECISIONS_DIR": str(self.folder)}
        return run_module(self.folder.parent, "service.decisions", *arguments, settings=settings)

    def labels(self) -> dict[str, list[tuple[str, str]]]:
        """What was said of each request, and by whom."""
        log = self.log()
        try:
            said = {row.request_id: list(feedback.about(log, row)) for row in _decisions(log)}
        finally:
            log.close()
        return {name: [(one.outcome, one.source) for one in all_] for name, all_ in said.items()}

    def accesses(self) -> list[dict[str, str]]:
        """The data of the events that say who has seen what."""
        log = self.log()
        try:
            rows = list(log.store.rows("kind = 'access'"))
            events = [decode(log.canonical(row)) for row in rows]
        finally:
            log.close()
        return [event.data for event in events if isinstance(event, Event)]


def _cases() -> Iterator[Any]:
    bundled = catalog.entry("regno").bundled
    assert bundled
    sha256 = REGNO.load(bundled).sha256
    request = decision(0).request  # all alike, so they come in order
    for number in range(CASES):
        yield decision(number, 1_800_000_000.0 + number, sha256=sha256, request=request)
    drawn: dict[str, Any] = {"decision": "camera", "audited": True, "audit_probability": 0.01}
    yield decision(CASES, 1_900_000_000.0, sha256=sha256, **drawn)
    yield decision(CASES + 1, 1_900_000_001.0, sha256=sha256, decision="network")


def _decisions(log: DecisionLog) -> list[Any]:
    return list(log.store.rows("kind = 'decision'"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    folder = tmp_path_factory.mktemp("review")
    keys = f"ann:{ANN},bob:{BOB},other:{OTHER}"
    log = str(folder / "log")
    with web_serving(
        folder / "web", api_keys=keys, reviewers="ann, bob", decisions_dir=log
    ) as server:
        yield server


@pytest.fixture
def desk(server: WebServer) -> Desk:
    return Desk(server)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


def begin(page: Page) -> None:
    """Follow the link to the queue."""
    page.get_by_role("link", name="Review").click()
    page.wait_for_url("**/review*")


def asked(page: Page) -> str:
    """The request that the page asks about."""
    return page.locator("dt:text-is('request') + dd").inner_text()


def press(page: Page, key: str) -> None:
    """Press a key, and wait for the page that follows."""
    with page.expect_navigation():
        page.keyboard.press(key)


def answer(page: Page, name: str) -> None:
    """Press a button, and wait for the page that follows."""
    with page.expect_navigation():
        page.get_by_role("button", name=name).click()


def test_the_queue_is_a_metric(server: WebServer) -> None:
    Desk(server)

    def page() -> str:
        with server.client(Authorization=f"Bearer {METRICS_TOKEN}") as client:
            return client.get("/metrics").raise_for_status().text

    waiting = f'scoring_review_waiting{{answers="0"}} {CASES + 1}.0'
    eventually(lambda: waiting in page(), "the queue is read")
    assert "scoring_review_oldest_seconds 0.0" in page(), "its cases are of the future"


def test_cases_are_answered_by_the_keyboard_alone(desk: Desk, browser: Browser) -> None:
    with visiting(browser, desk.url, ANN, **DESK) as visit:
        page = visit.page
        begin(page)
        expect(page.locator("#waiting")).to_have_text(str(CASES + 1))
        for key, name in (("n", "network"), ("2", "camera"), ("X", "neither")):
            press(page, key)
            expect(page.get_by_role("status")).to_have_text(f"Your last answer: {name}.")
        assert asked(page) == "request-3"
        press(page, "s")
        assert asked(page) == "request-4"
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name="Network")).to_be_focused()
        page.keyboard.press("Tab")
        press(page, "Enter")
        # The same key with a Cyrillic layout.
        with page.expect_navigation():
            page.evaluate(
                "document.activeElement.dispatchEvent(new KeyboardEvent('keydown',"
                "{key: 'т', code: 'KeyN', bubbles: true}))"
            )
        expect(page.locator("#waiting")).to_have_text("2")
        expect(page.locator("#answered")).to_have_text("5")
    assert desk.labels() == {
        "request-0": [("network", "ann")],
        "request-1": [("camera", "ann")],
        "request-2": [("neither", "ann")],
        "request-3": [],
        "request-4": [("camera", "ann")],
        "request-5": [("network", "ann")],
        "request-6": [],
        "request-7": [],
    }
    seen = [access["index"] for access in desk.accesses()]
    assert seen == ["0", "1", "2", "3", "4", "5", "6"]
    assert desk.run("check").returncode == 0


def test_keys_do_nothing_outside_of_the_content(desk: Desk, browser: Browser) -> None:
    """Who speaks to the browser, or types elsewhere, must not answer by accident."""
    with visiting(browser, desk.url, ANN, **DESK) as visit:
        page = visit.page
        begin(page)
        page.get_by_role("button", name="Sign out").focus()
        page.keyboard.press("n")
        page.get_by_role("button", name="Network").focus()
        page.keyboard.press("Control+x")
        page.keyboard.press("q")
        assert asked(page) == "request-0"
    assert desk.labels()["request-0"] == []


def test_two_reviewers_never_hold_the_same_case(server: WebServer, browser: Browser) -> None:
    desk = Desk(server, second_share=1.0)
    with (
        visiting(browser, desk.url, ANN, **DESK) as ann,
        visiting(browser, desk.url, BOB, **DESK) as bob,
    ):
        pages = {"ann": ann.page, "bob": bob.page}
        for page in pages.values():
            begin(page)
        first = asked(pages["ann"])
        pages["ann"].reload()
        assert asked(pages["ann"]) == first
        for _ in range(CASES):
            held = {name: asked(page) for name, page in pages.items()}
            assert held["ann"] != held["bob"]
            for page in pages.values():
                answer(page, "Network")
        answer(pages["ann"], "Camera")
        expect(pages["ann"].get_by_role("heading", name="No case waits for you")).to_be_visible()
        expect(pages["bob"].get_by_role("heading", name="No case waits for you")).to_be_visible()
        pages["bob"].get_by_role("link", name="Look again").click()
        answer(pages["bob"], "Network")
        expect(pages["bob"].locator("#agreement")).to_contain_text("86 % of 7 cases")
    for name, said in desk.labels().items():
        assert sorted(source for _, source in said) == (
            [] if name == "request-7" else ["ann", "bob"]
        )
    shown = desk.run("review").stdout.splitlines()
    assert shown[0] == "waiting: 0; for a second answer: 0"
    assert [line.split() for line in shown[1:3]] == [["7", "ann"], ["7", "bob"]]
    assert shown[3].startswith("equal answers: 85.7% of 7 cases")


def test_no_script_is_needed(desk: Desk, browser: Browser) -> None:
    with visiting(browser, desk.url, BOB, java_script_enabled=False, **DESK) as visit:
        page = visit.page
        begin(page)
        answer(page, "Camera")
        answer(page, "Skip")
        expect(page.get_by_role("status")).to_contain_text("Skipped")
        assert asked(page) == "request-2"
        expect(page.locator("#waiting")).to_have_text(str(CASES))
    assert desk.labels()["request-0"] == [("camera", "bob")]


@pytest.mark.parametrize("look", LOOKS)
def test_everybody_can_read_it_at_any_width_and_in_the_dark(
    look: str, desk: Desk, browser: Browser
) -> None:
    with visiting(browser, desk.url, ANN, **LOOKS[look]) as visit:
        page = visit.page
        begin(page)
        for path in ("/review", "/decisions/request-0/evidence"):
            page.goto(path)
            assert page.locator(".readings mark").all_inner_texts() == ["0", "6"]
            expect(page.get_by_text("They differ at place 9")).to_be_visible()
            expect(page.locator(".confidences tbody tr")).to_have_count(9)
            assert visit.barriers() == []
            # A phone's page that is too wide widens its window.
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide == LOOKS[look]["viewport"]["width"]


def test_evidence_has_all_that_explains_a_decision_and_can_be_verified(
    desk: Desk, browser: Browser, tmp_path: Path
) -> None:
    with visiting(browser, desk.url, ANN, **DESK) as visit:
        page = visit.page
        begin(page)
        press(page, "c")
        page.goto("/decisions/request-0/evidence?row=0")
        for text in (
            *("Manual review", "0.25", "threshold for the camera", "cost: manual", "v1"),
            *("The network is right with 9.4 %", "request-0", "entry 0 of the log", "ann"),
        ):
            expect(page.get_by_text(text).first).to_be_visible()
        row = page.get_by_role("row").filter(has_text="ann")
        expect(row).to_contain_text("camera")
        command = page.locator(".proof pre").last.inner_text()
        with page.expect_download() as downloading:
            page.get_by_role("link", name="proof.json").click()
        downloading.value.save_as(tmp_path / "proof.json")
        page.emulate_media(media="print")
        expect(page.get_by_role("banner")).to_be_hidden()
        printed = page.pdf(prefer_css_page_size=True)
    found = re.fullmatch(r"plate-scoring decisions verify proof.json --key '(.+)'", command)
    assert found
    verified = desk.run("verify", str(tmp_path / "proof.json"), "--key", found[1])
    assert verified.stdout.startswith("the proof holds: entry 0")
    boxes = re.findall(rb"/MediaBox \[0 0 ([0-9.]+) ([0-9.]+)\]", printed)
    assert len(boxes) <= 2
    for width, height in boxes:
        assert (round(float(width)), round(float(height))) == (595, 842), "A4 in points"
    seen = [access["index"] for access in desk.accesses()]
    assert seen.count("0") == 3, "the case, the evidence and its proof"


def test_no_other_key_sees_a_plate(desk: Desk, browser: Browser) -> None:
    with visiting(browser, desk.url, OTHER, **DESK) as visit:
        page = visit.page
        expect(page.get_by_role("link", name="Review")).to_have_count(0)
        for path in ("/review", "/decisions/request-0/evidence"):
            reply = page.goto(path)
            assert reply
            assert reply.status == 403
            expect(page.get_by_role("alert")).to_contain_text("SCORING_REVIEWERS")
            for plate in (READINGS[0].afts_regno_ai, READINGS[0].regno_recognize):
                assert plate not in page.content()
    assert desk.accesses() == []


def test_a_forgotten_case_leaves_the_queue_and_its_evidence_says_so(
    desk: Desk, browser: Browser
) -> None:
    with visiting(browser, desk.url, ANN, **DESK) as visit:
        page = visit.page
        begin(page)
        assert asked(page) == "request-0"
        forgotten = desk.run("forget", READINGS[0].afts_regno_ai)
        assert forgotten.stdout == f"forgotten: {CASES}\n"
        page.reload()
        assert asked(page) == f"request-{CASES}"
        expect(page.locator("#waiting")).to_have_text("1")
        reply = page.goto("/decisions/request-0/evidence")
        assert reply
        assert reply.status == 410
        expect(page.get_by_role("heading", name="Forgotten")).to_be_visible()
        assert READINGS[0].afts_regno_ai not in page.content()
        assert visit.barriers() == []
