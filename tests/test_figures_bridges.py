"""Structure of the figures of bridges; how they look is for eyes."""

from dataclasses import replace

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from bridgex_core.bridge_hsic import Ranked
from bridgex_core.errors import InputError
from bridgex_core.figures import (
    ACCENT,
    bridge_graph,
    bridge_layers,
    bridge_places,
    bridge_ranking,
    ranker_agreement,
)
from bridgex_core.language_graph import language_graph, positions
from bridgex_core.languages import register

EVIL = "<img src=x>&Co"
REGISTER = register()
CODES = ("eng_Latn", "arb_Arab", "fra_Latn", "spa_Latn")
LANGUAGES = {code: REGISTER[code] for code in (*CODES, "swh_Latn", "ind_Latn")}
EVIL_LANGUAGES = {code: replace(one, name=EVIL, autonym=EVIL) for code, one in LANGUAGES.items()}


def trace(figure: go.Figure, name: str) -> go.Scatter:
    return next(one for one in figure.data if one.name == name)


def ranked(subsamples: int = 40) -> Ranked:
    """French without a score, Arabic and English close together."""
    scores = np.array([0.5, 0.51, np.nan, 0.1])
    halves = scores + 0.02 * np.random.default_rng(0).normal(size=(subsamples, 4))
    return Ranked(CODES, scores, halves, {"fra_Latn": "fra_Latn has no neuron of its own."})


def test_the_ranking_shows_scores_intervals_and_first_shares() -> None:
    result = ranked()
    figure = bridge_ranking(
        result.frame(), LANGUAGES, level=result.as_good_as_first, score="HSIC", chance=0.2
    )
    assert list(figure.layout.yaxis.categoryarray) == list(result.ranking)
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1]  # the best on top
    first, behind = trace(figure, "as good as the first"), trace(figure, "behind")
    assert list(first.y) == ["arb_Arab", "eng_Latn"]
    assert list(behind.y) == ["spa_Latn"]
    assert first.marker.color != behind.marker.color
    assert first.marker.symbol != behind.marker.symbol
    np.testing.assert_allclose(first.x, [0.51, 0.5])
    spread = dict(zip(CODES, result.spread, strict=True))
    np.testing.assert_allclose(first.error_x.array, [spread["arb_Arab"], spread["eng_Latn"]])
    np.testing.assert_allclose(first.error_x.arrayminus, first.error_x.array)
    notes = [note.text for note in figure.layout.annotations]
    shares = dict(zip(CODES, result.first_share, strict=True))
    assert f"{shares['arb_Arab']:.0%}" in notes
    assert "no score" in notes
    assert figure.layout.shapes[0].x0 == 0.2
    labels = figure.layout.yaxis.labelalias
    assert "العربية" in labels["arb_Arab"]
    assert "\u2067" in labels["arb_Arab"]


def test_a_ranking_without_subsamples_has_neither_interval_nor_share() -> None:
    result = ranked(subsamples=0)
    figure = bridge_ranking(result.frame(), LANGUAGES, level=("arb_Arab",), score="HSIC")
    assert not any("%" in note.text for note in figure.layout.annotations)
    assert not trace(figure, "behind").error_x.array.any()
    assert not figure.layout.shapes


def test_names_of_the_ranking_are_escaped() -> None:
    result = ranked()
    drawn = bridge_ranking(result.frame(), EVIL_LANGUAGES, level=(), score="HSIC").to_json()
    assert "<img" not in drawn.replace("\\u003c", "<")


@pytest.mark.parametrize("count", [1, 4, 12])
def test_layers_with_the_band_and_one_line_a_bridge(count: int) -> None:
    codes = [one.code for one in REGISTER][:count]
    rng = np.random.default_rng(0)
    scores = {code: rng.random(18) for code in codes}
    scores[codes[-1]][3] = np.nan
    languages = {code: REGISTER[code] for code in codes}
    figure = bridge_layers(scores, languages, band=range(6, 12), focus=codes[-1])
    assert len(figure.data) == count
    shaded = figure.layout.shapes[0]
    assert (shaded.x0, shaded.x1) == (5.5, 11.5)
    last = figure.data[-1]
    assert last.line.color == ACCENT
    assert not last.connectgaps
    assert np.isnan(last.y[3])
    np.testing.assert_array_equal(last.x, range(18))
    colours = {line.line.color for line in figure.data}
    assert len(colours) == (count if count < 8 else 2)
    assert sum(line.showlegend is not False for line in figure.data) == (count if count < 8 else 1)


def test_the_null_is_drawn_layer_by_layer_and_has_gaps() -> None:
    mean = np.linspace(1, 2, 8)
    mean[[0, 4]] = np.nan
    null = mean - 0.1, mean, mean + 0.2
    scores = {"eng_Latn": np.ones(8)}
    figure = bridge_layers(scores, LANGUAGES, band=range(2, 5), focus="eng_Latn", null=null)
    bands = [one for one in figure.data if one.fill == "toself"]
    assert [sorted(set(one.x)) for one in bands] == [[1, 2, 3], [5, 6, 7]]
    assert sum(one.showlegend for one in bands) == 1
    assert min(bands[0].y) == pytest.approx(mean[1] + -0.1)
    assert max(bands[0].y) == pytest.approx(mean[3] + 0.2)
    assert figure.data[-1].line.color == ACCENT  # in front of the null
    with pytest.raises(InputError, match="in focus"):
        bridge_layers(scores, LANGUAGES, band=range(2, 5), focus="deu_Latn")


def test_the_path_through_the_graph_is_highlighted_in_its_direction() -> None:
    codes = list(LANGUAGES)
    values = np.random.default_rng(1).random((6, 6))
    values = (values + values.T) / 2
    graph = language_graph(values, codes, threshold=2.0)  # no edge: the path is drawn all the same
    places = positions(graph)
    path = ("ind_Latn", "eng_Latn", "swh_Latn")
    figure = bridge_graph(graph, places, LANGUAGES, path)
    arrows = [note for note in figure.layout.annotations if note.showarrow]
    assert [(a.ax, a.ay, a.x, a.y) for a in arrows] == [
        (*places["ind_Latn"], *places["eng_Latn"]),
        (*places["eng_Latn"], *places["swh_Latn"]),
    ]
    assert {arrow.arrowcolor for arrow in arrows} == {ACCENT}
    assert len(trace(figure, "path").x) == 3
    assert not bridge_graph(graph, places, LANGUAGES).layout.annotations
    with pytest.raises(InputError, match="deu_Latn"):
        bridge_graph(graph, places, LANGUAGES, ("deu_Latn",))


def test_places_by_every_ranker() -> None:
    scores = pd.DataFrame({"hsic": [0.2, 0.3, np.nan, 0.1], "random": [0.0] * 4}, index=list(CODES))
    places = scores.rank(ascending=False, method="min")
    titles = {"hsic": EVIL, "random": "Random"}
    figure = bridge_places(places, scores, LANGUAGES, titles, chosen="random")
    dark, light = trace(figure, "values"), trace(figure, "values, light ink")
    both = np.where(np.isnan(dark.z), light.z, dark.z)
    np.testing.assert_array_equal(both, places.to_numpy())
    assert trace(figure, "unknown").z[2][0] == 0
    about = trace(figure, "values").customdata
    assert "place 1, score 0.3" in about[1][0]
    assert "no score" in about[2][0]
    assert "▸ Random" in figure.layout.xaxis.ticktext[1]
    assert "<img" not in figure.to_json().replace("\\u003c", "<")


def test_agreement_of_rankers() -> None:
    tau = pd.DataFrame(
        [[1.0, -0.5, np.nan], [-0.5, 1.0, np.nan], [np.nan] * 3],
        index=list("abc"),
        columns=list("abc"),
    )
    figure = ranker_agreement(tau, {"a": "A", "b": "B", "c": "C"})
    dark, light = trace(figure, "values"), trace(figure, "values, light ink")
    np.testing.assert_array_equal(np.where(np.isnan(dark.z), light.z, dark.z), tau.to_numpy())
    assert (dark.zmin, dark.zmax) == (-1, 1)
    written = {str(one).strip("\u200b") for one in (*np.ravel(dark.text), *np.ravel(light.text))}
    assert written == {"1", "−.50", ""}
    assert "nothing to compare" in dark.customdata[2][2]
