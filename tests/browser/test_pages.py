"""The other pages in a real Chromium, on the results that ship with the product."""

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_bridges_opens_on_a_ranking_that_ships(open_page):
    page = open_page("bridges")
    page.wait_for_selector(".st-key-bridges .js-plotly-plot .main-svg")
    text = page.locator("[data-testid=stMainBlockContainer]").inner_text()
    assert "fewer than the 50 that a judgement needs" in text
    assert "the ranker whose first choices lost least" in text
    page.wait_for_selector(".st-key-bridge_layers .js-plotly-plot .main-svg")


def test_the_study_that_ships_is_whole(open_page):
    page = open_page("study")
    page.wait_for_selector(".js-plotly-plot .main-svg")
    text = page.locator("[data-testid=stMainBlockContainer]").inner_text()
    assert "87 bridged routes over 15 pairs" in text


def test_the_atlas_opens_with_the_classes(open_page):
    page = open_page("atlas")
    page.wait_for_selector(".js-plotly-plot .main-svg")
    assert "understanding" in page.locator("[data-testid=stMainBlockContainer]").inner_text()


def test_one_click_from_bridges_to_the_lab(open_page):
    page = open_page("bridges")
    page.wait_for_selector(".st-key-bridges .js-plotly-plot .main-svg")
    page.locator(".st-key-to_lab button").click()
    page.wait_for_url("**/lab**")
    page.get_by_role("button", name="Run").wait_for()
