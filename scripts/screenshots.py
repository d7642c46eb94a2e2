"""Screenshots of the running dashboard for the documentation: `make screenshots`.

Needs Chromium (Debian: `apt-get install chromium`) and requirements-dev.txt.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PROJECT = Path(__file__).resolve().parent.parent
FOLDER = PROJECT / "docs" / "screenshots"
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
HOW_TO_GET = "get one with `apt-get install chromium`"
PATIENCE = 60  # seconds


@dataclass(frozen=True)
class Shot:
    """One screenshot.

    Attributes
    ----------
    name : of the file.
    path : page and link.
    wait : selector of what has to be there.
    top : selector of what to scroll to the top, "" for the page's top.
    """

    name: str
    path: str
    wait: str
    top: str = ""
    width: int = 1280
    height: int = 800
    dark: bool = False


HEATMAP = ".st-key-heatmap .main-svg"
CHART = ".js-plotly-plot .main-svg"
SHOTS = (
    Shot("spectrum", "", HEATMAP),
    Shot("spectrum-dark", "", HEATMAP, dark=True),
    Shot("spectrum-phone", "", HEATMAP, width=390, height=844),
    Shot("pair", "?pair=por_Latn,spa_Latn", ".st-key-pair_layers .main-svg", "#pair"),
    Shot("graph", "?view=graph", ".st-key-graph .main-svg"),
    Shot("map", "?view=map", ".st-key-map .main-svg"),
    Shot("typology", "?view=typology", ".st-key-typology .main-svg"),
    Shot("bridges", "bridges", CHART, height=1500),
    Shot("bridges-dark", "bridges", CHART, height=1100, dark=True),
    Shot("bridges-phone", "bridges", CHART, width=390, height=844),
    Shot("study", "study", CHART, height=1100),
    Shot("lab", "lab?source=ind_Latn&target=heb_Hebr&text=api", "[data-testid=stButton]"),
    Shot("atlas", "atlas", CHART, height=1300),
    Shot(
        "interventions",
        "atlas?analysis=interventions",
        ".st-key-perplexity_random .main-svg",
        ".st-key-tokens_widget",
    ),
    Shot("detection", "atlas?analysis=detection", CHART, height=1000),
    Shot(
        "robustness",
        "atlas?analysis=robustness&source=arb_Arab&target=heb_Hebr",
        CHART,
        height=1400,
    ),
    Shot("library", "library", "[data-testid=stTabs]"),
)


def find_chromium() -> str | None:
    """The path of a Chromium or Chrome, if there is one."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextlib.contextmanager
def dashboard(store: Path | None = None, log: IO[str] | int = subprocess.DEVNULL) -> Iterator[str]:
    """The dashboard on a free port while open; yields its address."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)],
        cwd=PROJECT,
        env=os.environ | ({"BRIDGEX_STORE": str(store)} if store else {}),
        stdout=log,
        stderr=log,
    )
    try:
        address = f"http://localhost:{port}"
        _wait(process, f"{address}/_stcore/health")
        yield address
    finally:
        process.terminate()
        process.wait(10)


def _wait(process: subprocess.Popen[bytes], address: str) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=1):
            return
        time.sleep(0.2)
    raise RuntimeError("The dashboard did not start.")


def take(browser: Browser, address: str, shot: Shot) -> Path:
    """Take one screenshot and return its file."""
    page = browser.new_page(
        viewport={"width": shot.width, "height": shot.height},
        color_scheme="dark" if shot.dark else "light",
        device_scale_factor=2 if shot.width < 500 else 1,
    )
    page.goto(f"{address}/{shot.path}")
    page.wait_for_selector(shot.wait, timeout=1000 * PATIENCE)
    # The page is at rest once its indicator of running is gone.
    page.wait_for_selector("[data-testid=stStatusWidget]", state="hidden")
    if shot.top:
        page.locator(shot.top).evaluate("element => element.scrollIntoView()")
    page.wait_for_timeout(1500)
    path = FOLDER / f"{shot.name}.png"
    page.screenshot(path=path)
    page.close()
    return path


def main() -> int:
    """Take them all."""
    from playwright.sync_api import sync_playwright

    chromium = find_chromium()
    if chromium is None:
        print(f"There is no Chromium here; {HOW_TO_GET}.", file=sys.stderr)
        return 2
    FOLDER.mkdir(parents=True, exist_ok=True)
    with dashboard() as address, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=list(FLAGS))
        for shot in SHOTS:
            path = take(browser, address, shot)
            print(f"{path.relative_to(PROJECT)}: {path.stat().st_size / 1000:.0f} kB")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
