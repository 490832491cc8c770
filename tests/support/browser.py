"""Debian's Chromium as people use it: on a desk, on a phone, in the dark."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

_FLAGS: Final = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
DESK: Final[dict[str, Any]] = {"viewport": {"width": 1280, "height": 900}}
PHONE: Final[dict[str, Any]] = {
    "viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True,
}  # fmt: skip
DARK: Final[dict[str, Any]] = {**DESK, "color_scheme": "dark"}
LOOKS: Final = {"desk": DESK, "phone": PHONE, "dark": DARK}


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser."""
    path = shutil.which("chromium")
    assert path, "deploy/debian-packages.sh tests installs it"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(_FLAGS))
        yield browser
        browser.close()


class Visit:
    """A page of the web processes at which somebody is signed in; what it complains of is kept."""

    def __init__(self, browser: Browser, url: str, key: str, **how: Any) -> None:
        self.context: BrowserContext = browser.new_context(base_url=url, **how)
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", lambda message: self._note(message.type, message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto("/")
        self.page.get_by_label("API key").fill(key)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url("**/home*")
        self.page.get_by_role("link", name="Plates").click()
        self.page.wait_for_url("**/home/plates")

    def _note(self, kind: str, text: str) -> None:
        # Pages that refuse something have such a status, which Chromium reports.
        if kind in ("error", "warning") and "status of 4" not in text:
            self.complaints.append(text)

    def barriers(self) -> list[str]:
        """What axe finds on the page as it is: ids of rules, each with the elements."""
        found = Axe().run(self.page).response["violations"]
        return [f"{one['id']}: {[node['html'] for node in one['nodes']]}" for one in found]

    def is_wider_than_its_window(self) -> bool:
        """Whether one has to scroll sideways."""
        wide: bool = self.page.evaluate(
            "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        )
        return wide


@contextmanager
def visiting(browser: Browser, url: str, key: str, **how: Any) -> Iterator[Visit]:
    """A visit in which the page complains of nothing."""
    visit = Visit(browser, url, key, **how)
    try:
        yield visit
        assert visit.complaints == []
    finally:
        visit.context.close()
