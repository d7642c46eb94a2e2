"""The dashboard in a real Chromium, on the results that ship with the product."""

import csv
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from bridgex_core.languages import STUDY_LANGUAGES, register

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NAMES = [register()[code].name for code in STUDY_LANGUAGES]
HEATMAP = ".st-key-heatmap .js-plotly-plot"


def boxes(page, what: str) -> list[tuple[float, float, str]]:
    """Middle and text of the heatmap's elements, looked at in one moment."""
    # While a picture is replaced, the old one is kept for a moment, hidden.
    page.wait_for_function("where => document.querySelectorAll(where).length === 1", arg=HEATMAP)
    return page.evaluate(
        """where => [...document.querySelectorAll(where)].map(element => {
            const box = element.getBoundingClientRect();
            return [box.x + box.width / 2, box.y + box.height / 2, element.textContent];
        })""",
        f"{HEATMAP} {what}",
    )


def labels(page) -> list[str]:
    """The names beside the rows of the heatmap, from the top."""
    page.wait_for_selector(f"{HEATMAP} .ytick text")
    texts = [text for _, _, text in sorted(boxes(page, ".ytick text"), key=lambda box: box[1])]
    return [next(name for name in NAMES if text.startswith(name)) for text in texts]


def cell(page, row: str, column: str) -> tuple[float, float]:
    """Where a cell is on the screen."""
    order = labels(page)
    points = boxes(page, ".scatterlayer .trace .point")
    assert len(points) >= len(order) ** 2
    x, y, _ = points[order.index(row) * len(order) + order.index(column)]
    return x, y


def query(page) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


def wait_for_query(page, name: str, value: str) -> None:
    page.wait_for_function(
        "([name, value]) => new URLSearchParams(location.search).get(name) === value",
        arg=[name, value],
    )


def choose(page, name: str, option: str) -> None:
    page.locator(f".st-key-{name}_widget").get_by_role("combobox").click()
    page.get_by_role("option", name=option, exact=True).click()


def test_the_heatmap_of_the_study_languages_is_seen_without_scrolling(open_page) -> None:
    page = open_page()
    assert sorted(labels(page)) == sorted(NAMES)
    assert page.get_by_text("Which languages share neurons inside the model?").is_visible()
    for name in NAMES:
        _, y = cell(page, name, name)
        assert 0 < y < 800


def test_metric_click_and_matrix(open_page, tmp_path: Path) -> None:
    page = open_page()
    labels(page)
    choose(page, "metric", "Shared neurons")
    wait_for_query(page, "metric", "count")
    page.wait_for_function(
        "where => [...document.querySelectorAll(where + ' .heatmaplayer text')]"
        ".some(text => /^[0-9]{2,}$/.test(text.textContent))",
        arg=HEATMAP,
    )
    page.mouse.click(*cell(page, "French", "Spanish"))
    wait_for_query(page, "pair", "fra_Latn,spa_Latn")
    page.get_by_text("The strongest shared neurons").wait_for()
    margin = "getComputedStyle(document.querySelector('.stMainBlockContainer')).paddingLeft"
    assert page.evaluate(margin) == "32px"
    assert page.get_by_text("Only French", exact=True).is_visible()

    with page.expect_download() as download:
        page.get_by_role("button", name="Matrix (CSV)").click()
    path = tmp_path / "matrix.csv"
    download.value.save_as(path)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["", *STUDY_LANGUAGES]
    assert [row[0] for row in rows[1:]] == list(STUDY_LANGUAGES)
    assert float(rows[1][2]) == float(rows[2][1])


def test_downloads_of_the_figure_and_the_graph(open_page, tmp_path: Path) -> None:
    page = open_page("?view=graph")
    page.wait_for_selector(".st-key-graph .js-plotly-plot .main-svg")
    for button, mark in (("Figure (HTML)", "<!DOCTYPE html>"), ("Graph (GraphML)", "swh_Latn")):
        with page.expect_download() as download:
            page.get_by_role("button", name=button).click()
        path = tmp_path / "file"
        download.value.save_as(path)
        assert mark in path.read_text(encoding="utf-8")
    page.hover(".st-key-graph .js-plotly-plot")
    with page.expect_download() as download:
        page.locator(".st-key-graph .modebar-btn[data-title^='Download']").click()
    download.value.save_as(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_a_link_restores_the_view(open_page) -> None:
    link = "?languages=fra_Latn%2Cspa_Latn%2Cfin_Latn%2Chun_Latn&metric=jaccard&order=alphabet"
    page = open_page(link + "&pair=fin_Latn%2Chun_Latn&layers=0.333:0.666")
    assert labels(page) == ["Finnish", "French", "Hungarian", "Spanish"]
    page.get_by_text("Only Finnish", exact=True).wait_for()
    assert page.get_by_text("layers 6 to 11 of 0 to 17").is_visible()
    assert query(page)["pair"] == "fin_Latn,hun_Latn"


def test_a_wrong_link_says_so_and_shows_the_default(open_page) -> None:
    page = open_page("?metric=<img src=x onerror=alert(1)>")
    page.get_by_text("The link's metric cannot be used").wait_for()
    assert sorted(labels(page)) == sorted(NAMES)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("path", ["", "library"])
def test_on_a_phone_nothing_is_cut_off(open_page, path: str, dark: bool, tmp_path: Path) -> None:
    page = open_page(path, width=390, height=844, dark=dark)
    if path:
        page.get_by_text("What can be compared").wait_for()
    else:
        labels(page)
    wide = page.evaluate(
        "() => Math.max(...[...document.querySelectorAll('[data-testid=stMain], "
        "[data-testid=stMainBlockContainer]')].map(e => e.scrollWidth))"
    )
    assert wide <= 390
    background = page.evaluate(
        "() => getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor"
    )
    brightness = sum(map(int, re.findall(r"\d+", background)[:3])) / 3
    assert (brightness < 128) == dark
    page.screenshot(path=tmp_path / "phone.png")


def test_a_reader_computes_languages_of_their_own_corpus(
    open_page, tiny_model_folder: Path, folder_corpus: Path
) -> None:
    page = open_page(f"?model={tiny_model_folder}&corpus={folder_corpus}&selection=active&rate=0.1")
    page.get_by_text("6 languages not computed yet").wait_for()
    page.get_by_text("of memory").wait_for()
    page.get_by_role("button", name="Compute 6 languages").click()
    page.get_by_role("button", name="Cancel").wait_for()
    page.wait_for_function(
        "where => document.querySelectorAll(where).length === 6",
        arg=f"{HEATMAP} .ytick text",
        timeout=120_000,
    )
    page.get_by_role("button", name="Cancel").wait_for(state="hidden")
