"""The Lab in a real Chromium, with a tiny model of the reader's own."""

from pathlib import Path

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_a_reader_measures_stops_and_goes_on(open_page, tiny_model_folder: Path) -> None:
    page = open_page(
        f"lab?model={tiny_model_folder}&lab_view=measure&bridges=eng_Latn,deu_Latn&items=100"
    )
    page.get_by_role("button", name="Measure 3 routes").click()
    cancel = page.get_by_role("button", name="Cancel")
    cancel.click()
    page.get_by_role("button", name="Go on").click()
    chart = page.locator(".st-key-lab_routes .js-plotly-plot .main-svg").first
    chart.wait_for(timeout=120_000)
    text = page.locator("[data-testid=stMainBlockContainer]").inner_text()
    assert "100 items, 4 demonstrations, 1 run" in text
    cancel.wait_for(state="hidden")
    assert page.get_by_role("button", name="Measure 3 routes").count() == 0
