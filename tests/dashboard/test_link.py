"""The link of a page."""

import pytest

from bridgex_core.spectrum import SpectrumSettings

from .driving import Drawn, Open, calm, link, words_of

# ---- Links -------------------------------------------------------------------------------------


def test_a_link_restores_the_view(opened: Open, drawn: Drawn) -> None:
    wanted = {
        "languages": "deu_Latn,eng_Latn,swh_Latn,fin_Latn",
        "metric": "overlap",
        "selection": "active",
        "rate": "0.03",
        "ties": "include",
        "layers": "0.333:0.666",
        "order": "family",
        "pair": "swh_Latn,eng_Latn",
    }
    app = calm(opened(**wanted))
    matrix = drawn["spectrum_heatmap"][0]
    assert matrix.settings == SpectrumSettings("overlap", "active", 0.03, "include", (0.333, 0.666))
    assert matrix.layers == range(6, 12)
    assert set(matrix.languages) == set(wanted["languages"].split(","))
    assert app.selectbox(key="order_widget").value == "family"
    assert app.selectbox(key="pair_0").value == "swh_Latn"
    assert link(app) == wanted


def test_a_rate_between_the_sliders_steps_is_kept(opened: Open, drawn: Drawn) -> None:
    calm(opened(rate="0.013"))
    assert drawn["spectrum_heatmap"][0].settings.top_rate == 0.013


WRONG = (
    {
        "model": "/no/such/folder", "corpus": "/no/such/folder", "dtype": "float8",
        "languages": "klingon", "metric": "<script>", "selection": "x", "rate": "0", "ties": "x",
        "layers": "0.5", "order": "x", "view": "x", "pair": "eng_Latn", "threshold": "inf",
        "typology": "x",
    },
    {"languages": "eng_Latn,eng_Latn", "rate": "2", "layers": "0.51:0.52", "pair": "x,y"},
    {"languages": "", "rate": "nan", "layers": "1:0", "threshold": "low"},
    {"languages": "ace_Latn", "rate": "many", "layers": "nan:1"},
)  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG, ids=range(len(WRONG)))
def test_what_is_wrong_in_a_link_is_told_in_a_sentence_each(
    opened: Open, wrong: dict[str, str]
) -> None:
    app = calm(opened(**wrong))
    told = words_of(app)
    for name in wrong:
        assert f"The link's {name} cannot be used, so the default is shown instead: " in told
    assert len(app.warning) == len(wrong)
    assert not app.query_params
    assert app.get("plotly_chart")


def test_the_sentence_about_a_link_goes_with_the_next_choice(opened: Open) -> None:
    app = opened(metric="wrong")
    assert app.warning
    calm(app.multiselect(key="languages_widget").unselect("deu_Latn").run())
    assert not app.warning


def test_what_is_foreign_is_shown_as_it_is(opened: Open) -> None:
    app = opened(metric="![x](http://example.org/x.png)<b>")
    assert "![x](" not in app.warning[0].value
    assert "![x](http://example.org/x.png)<b>" in words_of(app)


def test_the_view_survives_a_visit_to_the_library(opened: Open, drawn: Drawn) -> None:
    app = opened(metric="count", rate="0.05", pair="deu_Latn,eng_Latn")
    calm(app.switch_page("pages/library.py").run())
    calm(app.switch_page("pages/spectrum.py").run())
    assert drawn["spectrum_heatmap"][0].settings.metric == "count"
    assert app.select_slider(key="rate_widget").value == 0.05
    assert app.selectbox(key="pair_1").value == "eng_Latn"
    assert link(app) == {"metric": "count", "rate": "0.05", "pair": "deu_Latn,eng_Latn"}


def test_going_back_in_the_browser_brings_the_earlier_view(
    opened: Open, drawn: Drawn, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = opened(metric="overlap")
    app.selectbox(key="metric_widget").select("count").run()
    app.query_params["metric"] = "overlap"  # sent before the browser had heard of the change
    app.run()
    assert drawn["spectrum_heatmap"][0].settings.metric == "count"
    monkeypatch.setattr("pages.parts.state.SETTLING", 0.0)
    app.query_params["metric"] = "overlap"
    calm(app.run())
    assert drawn["spectrum_heatmap"][0].settings.metric == "overlap"
    assert app.selectbox(key="metric_widget").value == "overlap"
    assert link(app) == {"metric": "overlap"}
