"""The system's Chromium, driven by Playwright, and what a page must never do while it is looked at."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright, Request, Response, sync_playwright

# The same names as in tools/chromium.sh.
PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Nothing but the product is to be talked to, and tests may run as root.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--disable-sync",
)
MISSING = "The browser tests need Chromium: install it with 'apt-get install chromium fonts-liberation' or 'make test'."


@contextmanager
def running_chromium() -> Iterator[Browser]:
    """AssertionError with one sentence where there is no Chromium: a test that cannot look must not pass."""
    with sync_playwright() as playwright:
        program = _program(playwright)
        assert program is not None, MISSING
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


def _program(playwright: Playwright) -> str | None:
    system = next((path for name in PROGRAMS if (path := shutil.which(name))), None)
    own = playwright.chromium.executable_path
    return system or (own if Path(own).exists() else None)


class Watch:
    """Notes what pages do wrong: errors, breaches of the content security policy, requests that fail or stray."""

    def __init__(self, origin: str) -> None:
        self.problems: list[str] = []
        self._origin = origin
        self._expected: set[int] = set()

    def expect(self, *statuses: int) -> None:
        """From now on answers with these statuses are part of the test."""
        self._expected.update(statuses)

    def attach(self, page: Page) -> None:
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.problems.append(f"{page.url}: {error}"))
        page.on("request", self._request)
        page.on("requestfailed", self._failed)
        page.on("response", self._response)

    def _console(self, message: ConsoleMessage) -> None:
        # Chromium says of a bad status what `_response` says already.
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self.problems.append(f"{message.location.get('url')}: {message.text}")

    def _request(self, request: Request) -> None:
        if not request.url.startswith((self._origin + "/", "data:", "blob:")):
            self.problems.append(f"{request.url} is no address of CostHub")

    def _failed(self, request: Request) -> None:
        # Leaving a page ends what it was still loading.
        if request.failure != "net::ERR_ABORTED":
            self.problems.append(f"{request.method} {request.url}: {request.failure}")

    def _response(self, response: Response) -> None:
        if response.status >= 400 and response.status not in self._expected:
            self.problems.append(f"{response.request.method} {response.url}: {response.status}")


class Visitors:
    """Opens pages in browser windows that share nothing with each other; `watch` sees all of them."""

    def __init__(self, browser: Browser, origin: str) -> None:
        self.watch = Watch(origin)
        self._browser, self._origin = browser, origin

    def open(self, state: Any = None, **options: Any) -> Page:
        """A window of its own; `state` are the cookies and the storage of an earlier one, `options` Playwright's."""
        settings = {"viewport": {"width": 1440, "height": 900}, "reduced_motion": "reduce"} | options
        context = self._browser.new_context(
            base_url=self._origin, storage_state=state, timezone_id="Europe/Berlin", **settings
        )
        context.set_default_timeout(10_000)
        page = context.new_page()
        self.watch.attach(page)
        return page

    def close(self) -> None:
        for context in list(self._browser.contexts):
            context.close()
