"""An import on the Spectrum in a real Chromium: from the upload to its picture and back."""

from pathlib import Path

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow]

IDLE = "[data-testid=stApp][data-test-script-state=notRunning]"


def choose(page, name: str) -> None:
    """Choose what the Spectrum is drawn from; a rerun of the page closes an open list."""
    from playwright.sync_api import TimeoutError as TimedOut

    option = page.get_by_role("option", name=name)
    for _ in range(5):
        page.wait_for_selector(IDLE)
        page.get_by_role("combobox", name="Drawn from").click()
        try:
            option.click(timeout=3000)
        except TimedOut:
            continue
        return
    raise AssertionError(f"the list never stayed open long enough to choose {name}")


def test_neuron_sets_are_uploaded_and_drawn(open_page, tmp_path: Path) -> None:
    sets = tmp_path / "sets.csv"
    codes = ("eng_Latn", "deu_Latn", "swh_Latn")
    rows = [f"{code},{layer},{layer + k}" for k, code in enumerate(codes) for layer in range(6)]
    sets.write_text("language,layer,neuron\n" + "\n".join([*rows, "eng_Latn,5,9", "deu_Latn,5,9"]))
    page = open_page("atlas?analysis=files")
    page.locator("[data-testid=stFileUploader] input").set_input_files(sets)
    page.get_by_text("sets.csv").wait_for()
    page.wait_for_selector(IDLE)
    page.get_by_label("Name", exact=True).fill("three sets")
    page.get_by_role("button", name="Import", exact=True).click()
    page.get_by_role("button", name="Open on the Spectrum").click()
    page.wait_for_url("**drawn_from=three**")
    caption = page.get_by_text("three sets, imported from sets.csv; 6 layers × 10 neurons.")
    caption.wait_for()
    halves = page.get_by_text("Split-half reliability")
    halves.wait_for(state="hidden")

    choose(page, "Gemma 3 270M, computed here")
    halves.wait_for()
    caption.wait_for(state="hidden")
    choose(page, "three sets, imported")
    caption.wait_for()
    halves.wait_for(state="hidden")
