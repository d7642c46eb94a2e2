"""The dashboard on a port of its own, and a Chromium that opens it."""

import os
from collections.abc import Iterator

import pytest

from scripts.screenshots import FLAGS, HOW_TO_GET, dashboard, find_chromium

# Asked for beneath a page's own address first, and found at the root then.
HARMLESS = ("/_stcore/health", "/_stcore/host-config")


@pytest.fixture(scope="session")
def browser() -> Iterator:
    """A headless Chromium; without one the tests are skipped, or fail where it is required."""
    path, how = find_chromium(), HOW_TO_GET
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        path, how = None, "get its driver with `pip install -r requirements-dev.txt`"
    if path is None:
        reason = f"no browser to test with; {how}"
        if os.environ.get("BRIDGEX_REQUIRE_BROWSER"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=path, args=list(FLAGS))
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, browser: object) -> Iterator[str]:
    """The address of a running dashboard with an empty store over the bundled results."""
    store = tmp_path_factory.mktemp("store")
    with (
        (tmp_path_factory.mktemp("log") / "server.log").open("w") as log,
        dashboard(store, log) as address,
    ):
        yield address


class Watched:
    """A page whose errors are collected."""

    def __init__(self, page) -> None:
        self.page = page
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._note)

    def _note(self, message) -> None:
        where = message.location.get("url", "")
        if message.type == "error" and not where.endswith(HARMLESS):
            self.errors.append(f"{message.text} ({where})")


@pytest.fixture
def open_page(browser, server: str) -> Iterator:
    """Opens an address of the dashboard; an error in the browser's console fails the test."""
    watched: list[Watched] = []

    def open_address(path: str = "", *, width: int = 1280, height: int = 800, dark: bool = False):
        page = browser.new_page(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
        )
        page.set_default_timeout(60_000)
        watched.append(Watched(page))
        page.goto(f"{server}/{path}")
        return page

    yield open_address
    errors = [error for one in watched for error in one.errors]
    for one in watched:
        one.page.close()
    assert not errors
