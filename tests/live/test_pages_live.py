"""The pages in Chromium, before the real web processes and their job worker."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import DESK, LOOKS, chromium, visiting
from tests.support.pictures import file_of, five
from tests.support.server import KEY
from tests.support.tables import as_csv, samples
from tests.support.web_server import WebServer, web_serving

pytestmark = pytest.mark.slow

_SCORED = "9.4 %"  # the example of the form, by the bundled model


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    with web_serving(tmp_path_factory.mktemp("web")) as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tables") / "night.csv"
    path.write_bytes(as_csv(samples(300)))
    return path


@pytest.fixture(scope="module")
def number(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pictures") / "n5.png"
    path.write_bytes(file_of(five(), "PNG"))
    return path


def _score(page: Page) -> None:
    page.get_by_role("button", name="Score", exact=True).click()
    expect(page.get_by_text(_SCORED, exact=True)).to_be_visible(timeout=60_000)


@pytest.mark.parametrize("look", LOOKS)
def test_a_reading_is_scored_and_everybody_can_read_why(
    look: str, server: WebServer, browser: Browser
) -> None:
    with visiting(browser, server.url, KEY, **LOOKS[look]) as visit:
        page = visit.page
        assert visit.barriers() == []
        _score(page)
        expect(page.get_by_text("Take the camera’s reading")).to_be_visible()
        expect(page.get_by_role("row")).to_have_count(14)
        assert visit.barriers() == []
        assert not visit.is_wider_than_its_window()
        page.get_by_role("link", name="Models").click()
        expect(page.get_by_text("regno-sim-")).to_be_visible()
        assert visit.barriers() == []


def test_what_was_typed_stays_and_only_the_score_changes(
    server: WebServer, browser: Browser
) -> None:
    with visiting(browser, server.url, KEY, **DESK) as visit:
        page = visit.page
        page.evaluate("window.isTheSamePage = true")
        page.get_by_label("The camera's reading").fill("М123АА77")
        page.get_by_label("0 towards the camera").fill("7")
        page.get_by_role("button", name="Score", exact=True).click()
        expect(page.get_by_role("alert")).to_contain_text("direction")
        page.get_by_label("0 towards the camera").fill("1")
        page.get_by_role("button", name="Score", exact=True).click()
        expect(page.get_by_text("that the network is right")).to_be_visible(timeout=60_000)
        expect(page.get_by_label("The camera's reading")).to_have_value("М123АА77")
        assert page.evaluate("window.isTheSamePage")


def test_it_can_be_done_by_the_keyboard_alone(server: WebServer, browser: Browser) -> None:
    with visiting(browser, server.url, KEY, **DESK) as visit:
        page = visit.page
        page.keyboard.press("Tab")
        expect(page.get_by_text("Skip to the content")).to_be_focused()
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        expect(page.get_by_label("The camera's reading")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.get_by_text(_SCORED, exact=True)).to_be_visible(timeout=60_000)


def test_without_scripts_it_works_as_well(server: WebServer, browser: Browser, night: Path) -> None:
    with visiting(browser, server.url, KEY, java_script_enabled=False, **DESK) as visit:
        page = visit.page
        _score(page)
        expect(page.get_by_label("The network's confidence", exact=True)).to_have_value(
            "0.8689166903495789"
        )
        page.get_by_label("Choose a file").set_input_files(night)
        page.get_by_role("button", name="Score the table").click()
        page.wait_for_url("**/home/tables/*")
        # The page looks again by itself.
        expect(page.get_by_role("link", name="Download")).to_be_visible(timeout=60_000)


def test_a_table_is_dropped_scored_and_downloaded(
    server: WebServer, browser: Browser, night: Path, tmp_path: Path
) -> None:
    with visiting(browser, server.url, KEY, **DESK) as visit:
        page = visit.page
        page.evaluate("window.isTheSamePage = true")
        dropped = page.evaluate_handle(
            """text => {
              const data = new DataTransfer();
              data.items.add(new File([text], "dropped.csv", {type: "text/csv"}));
              return data;
            }""",
            night.read_text(),
        )
        page.dispatch_event("[data-drop]", "drop", {"dataTransfer": dropped})
        link = page.get_by_role("link", name="Download the result")
        expect(link).to_be_visible(timeout=60_000)
        expect(page.get_by_text("300 rows")).to_be_visible()
        assert page.evaluate("window.isTheSamePage")
        assert visit.barriers() == []
        with page.expect_download() as downloading:
            link.click()
        assert downloading.value.suggested_filename == "dropped.csv"
        downloading.value.save_as(tmp_path / "scored.csv")
        lines = (tmp_path / "scored.csv").read_text().splitlines()
        assert len(lines) == 301
        assert "positive" in lines[0]


@pytest.mark.parametrize("look", LOOKS)
def test_a_picture_is_asked_about_and_remembered(
    look: str, server: WebServer, browser: Browser, number: Path
) -> None:
    with visiting(browser, server.url, "of-another", **LOOKS[look]) as visit:
        page = visit.page
        page.get_by_role("link", name="Pictures").click()
        assert visit.barriers() == []
        page.get_by_label("Choose a picture").set_input_files(number)
        expect(page.get_by_alt_text("Preview of n5.png")).to_be_visible()
        page.get_by_role("button", name="Ask").click()
        answer = page.locator(".answer")
        expect(answer.get_by_text("5", exact=True)).to_be_visible(timeout=60_000)
        expect(page.locator(".gallery img").first).to_have_js_property("naturalWidth", 90)
        assert visit.barriers() == []
        assert not visit.is_wider_than_its_window()
        page.get_by_role("button", name="Delete: 5").first.click()
        expect(page.locator(".gallery")).to_have_count(0)


def test_pictures_need_no_scripts(server: WebServer, browser: Browser, number: Path) -> None:
    with visiting(browser, server.url, KEY, java_script_enabled=False, **DESK) as visit:
        page = visit.page
        page.goto("/home")
        page.get_by_label("Choose a picture").set_input_files(number)
        page.get_by_role("button", name="Ask").click()
        expect(page.locator(".answer").get_by_text("5", exact=True)).to_be_visible(timeout=60_000)
        page.get_by_role("button", name="Delete").click()
        expect(page.locator(".gallery")).to_have_count(0)


def test_a_file_that_is_no_picture_is_named(
    server: WebServer, browser: Browser, night: Path
) -> None:
    with visiting(browser, server.url, KEY, **DESK) as visit:
        page = visit.page
        page.goto("/home")
        page.get_by_label("Choose a picture").set_input_files(night)
        page.get_by_role("button", name="Ask").click()
        expect(page.get_by_role("alert")).to_contain_text("not a picture", timeout=60_000)


def test_the_interface_can_be_tried_in_the_session(server: WebServer, browser: Browser) -> None:
    with visiting(browser, server.url, KEY, **DESK) as visit:
        page = visit.page
        page.goto("/v1/ui/")
        listing = page.locator("#operations-default-list_inferences")
        listing.get_by_role("button").first.click()
        listing.get_by_role("button", name="Try it out").click()
        listing.get_by_role("button", name="Execute").click()
        status = listing.locator(".live-responses-table tbody .response-col_status")
        expect(status).to_have_text("200")


def test_who_signs_out_is_out(server: WebServer, browser: Browser) -> None:
    with visiting(browser, server.url, KEY, **DESK) as visit:
        visit.page.get_by_role("button", name="Sign out").click()
        expect(visit.page.get_by_label("API key")).to_be_visible()
        visit.page.go_back()
        expect(visit.page.get_by_label("API key")).to_be_visible()


def test_a_page_of_another_port_can_not_use_the_session(
    server: WebServer, browser: Browser
) -> None:
    """Cookies of one host go to all its ports, so this is a request with the cookie."""
    with visiting(browser, server.url, KEY, **DESK) as visit:
        page, elsewhere = visit.context.new_page(), "http://127.0.0.1:9/"
        form = f"<form action={server.url}/home/plates method=post><button>Win</button></form>"
        page.route(elsewhere, lambda route: route.fulfill(body=form, content_type="text/html"))
        page.goto(elsewhere)
        with page.expect_navigation() as navigating:
            page.get_by_role("button", name="Win").click()
        assert navigating.value.status == 403
        assert "session=" in navigating.value.request.all_headers()["cookie"]
