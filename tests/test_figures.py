"""Structure of the figures; how they look is for eyes."""

import itertools
import json
import re
from dataclasses import replace

import networkx as nx
import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plotly.colors import unlabel_rgb

from bridgex_core.errors import InputError
from bridgex_core.figures import (
    ACCENT,
    DOWNLOAD_CONFIG,
    QUALITATIVE,
    agreement_curve,
    download_config,
    fluency_bars,
    graph_figure,
    map_figure,
    pair_layers,
    spectrum_heatmap,
    to_html,
    typology_scatter,
)
from bridgex_core.figures.graphs import label_positions
from bridgex_core.figures.heatmap import LEAST_SPAN, colour_range
from bridgex_core.figures.theme import CLASS_COLOURS, ink_on, luminance, plain, short_number
from bridgex_core.languages import STUDY_LANGUAGES, Language, register
from bridgex_core.pairs import Pair
from bridgex_core.similarity import MatrixCorrelation, cluster
from bridgex_core.spectrum import METRICS, OverlapMatrix, SpectrumSettings

REGISTER = register()
STUDY = [REGISTER[code] for code in STUDY_LANGUAGES]
EVIL = "<img src=x>&Co"


def spectrum_of(languages: list[Language], metric: str = "jaccard", seed: int = 0) -> OverlapMatrix:
    rng = np.random.default_rng(seed)
    count = len(languages)
    values = rng.uniform(-0.6 if metric == "centred" else 0.3, 0.9, (count, count))
    values = (values + values.T) / 2
    shared = rng.integers(100, 360, (count, count))
    shared = (shared + shared.T) // 2
    np.fill_diagonal(shared, 369)
    if metric == "count":
        values = shared.astype(float)
    else:
        np.fill_diagonal(values, 1.0)
    return OverlapMatrix(
        languages=tuple(language.code for language in languages),
        values=values,
        shared=shared,
        sizes=np.full(count, 369),
        settings=SpectrumSettings(metric=metric),
        layers=range(18),
    )


def named(figure: go.Figure, name: str) -> go.Figure:
    return next(trace for trace in figure.data if trace.name == name)


def notes(figure: go.Figure) -> str:
    return "\n".join(note.text for note in figure.layout.annotations)


def contrast(one: str, other: str) -> float:
    """WCAG 2, written from its definition."""

    def level(colour: str) -> float:
        if colour.startswith("#"):
            parts = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        else:
            parts = unlabel_rgb(colour)
        linear = [
            c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
            for c in (part / 255 for part in parts)
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((level(one), level(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def colour_on(scale: tuple[tuple[float, str], ...], place: float) -> str:
    """Linear between the colours of a scale, as plotly.js draws it."""
    stops = [at for at, _ in scale]
    parts = [
        tuple(bytes.fromhex(colour[1:])) if colour[0] == "#" else unlabel_rgb(colour)
        for _, colour in scale
    ]
    mixed = [np.interp(place, stops, channel) for channel in zip(*parts, strict=True)]
    return "rgb({:.2f}, {:.2f}, {:.2f})".format(*mixed)


# ---- The heatmap -------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [2, 15, 90])
def test_cells_are_in_step_with_the_matrix(count: int) -> None:
    languages = list(REGISTER)[:count]
    matrix = spectrum_of(languages)
    figure = spectrum_heatmap(matrix, languages)
    cells = named(figure, "cells")
    assert len(cells.customdata) == len(cells.x) == len(cells.y) == count**2
    for place, (i, j) in enumerate(itertools.product(range(count), repeat=2)):
        row = list(cells.customdata[place])
        assert row[:2] == [matrix.languages[i], matrix.languages[j]]
        assert (cells.y[place], cells.x[place]) == (row[0], row[1])
        assert row[4] == f"{matrix.values[i, j]:.3f}"
        assert row[5:] == [matrix.shared[i, j], matrix.sizes[i], matrix.sizes[j]]


def test_the_heatmap_shows_every_value_but_the_diagonal() -> None:
    matrix = spectrum_of(STUDY)
    shown = np.array(named(spectrum_heatmap(matrix, STUDY), "values").z, dtype=float)
    diagonal = np.eye(len(STUDY), dtype=bool)
    assert np.isnan(shown[diagonal]).all()
    np.testing.assert_array_equal(shown[~diagonal], matrix.values[~diagonal])
    assert not np.isnan(matrix.values).any(), "the matrix itself stays as it was"


def test_clicks_go_to_invisible_points_that_never_dim() -> None:
    figure = spectrum_heatmap(spectrum_of(STUDY), STUDY)
    assert figure.layout.clickmode == "event+select"
    assert figure.layout.dragmode == "pan"
    cells = named(figure, "cells")
    assert cells.marker.symbol == "square"
    assert cells.marker.opacity == 0
    assert cells.selected.marker.opacity == cells.unselected.marker.opacity == 0
    for trace in figure.data:
        if trace.type == "heatmap" and (trace.xaxis, trace.yaxis) in {(None, None)}:
            assert trace.hoverinfo == "skip", trace.name


def test_hover_names_both_languages_in_both_scripts() -> None:
    figure = spectrum_heatmap(spectrum_of(STUDY), STUDY)
    cells = named(figure, "cells")
    row = next(r for r in cells.customdata if list(r[:2]) == ["arb_Arab", "zho_Hans"])
    assert row[2] == "Arabic · \u2067العربية\u2069"
    assert row[3].startswith("Chinese")
    assert REGISTER["zho_Hans"].autonym in row[3]
    assert "Jaccard overlap" in cells.hovertemplate
    assert "%{customdata[7]}" in cells.hovertemplate


def test_every_right_to_left_name_is_isolated() -> None:
    languages = [language for language in REGISTER if language.is_rtl]
    figure = spectrum_heatmap(spectrum_of(languages), languages)
    text = figure.to_json(engine="json")
    for language in languages:
        escaped = json.dumps(f"\u2067{language.autonym}\u2069")[1:-1]
        bare = json.dumps(language.autonym)[1:-1]
        assert text.count(escaped) >= 2 * len(languages)
        assert text.count(bare) == text.count(escaped), language.name


@pytest.mark.parametrize("metric", METRICS)
def test_numbers_are_readable_in_every_cell(metric: str) -> None:
    matrix = spectrum_of(STUDY, metric)
    figure = spectrum_heatmap(matrix, STUDY)
    axis = figure.layout.coloraxis
    traces = [trace for trace in figure.data if trace.name.startswith("values")]
    assert len(traces) == 2
    for i, j in itertools.permutations(range(len(STUDY)), 2):
        written = [(t.text[i][j].strip("\u200b"), t.textfont.color) for t in traces]
        ((text, ink),) = [(text, ink) for text, ink in written if text]
        value = matrix.values[i, j]
        expected = f"{value:.0f}" if metric == "count" else short_number(value)
        assert text == expected
        place = (value - axis.cmin) / (axis.cmax - axis.cmin)
        assert contrast(ink, colour_on(axis.colorscale, place)) >= 4.5
    lengths = {len(text) for t in traces for row in t.text for text in row}
    assert len(lengths) == 1, "plotly sizes the text of a trace by its longest"


@pytest.mark.parametrize(("count", "numbers"), [(2, True), (16, True), (17, False), (90, False)])
def test_numbers_up_to_sixteen_languages(count: int, numbers: bool) -> None:
    languages = list(REGISTER)[:count]
    figure = spectrum_heatmap(spectrum_of(languages), languages)
    assert (named(figure, "values").text is not None) == numbers


def test_labels_shrink_and_large_heatmaps_can_be_zoomed() -> None:
    sizes = []
    for count in (2, 15, 40, 90):
        figure = spectrum_heatmap(spectrum_of(list(REGISTER)[:count]), list(REGISTER)[:count])
        sizes.append(figure.layout.yaxis.tickfont.size)
        assert figure.layout.xaxis.fixedrange == figure.layout.yaxis.fixedrange == (count <= 40)
        assert list(figure.layout.yaxis.range) == [count - 0.5, -0.5]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] >= 8


def test_axes_name_languages_in_english_with_their_script() -> None:
    figure = spectrum_heatmap(spectrum_of(STUDY), STUDY)
    columns, rows = figure.layout.xaxis.labelalias, figure.layout.yaxis.labelalias
    assert columns["swh_Latn"] == "Swahili"
    assert re.fullmatch(r"Arabic <span[^<]*>Arab</span>", rows["arb_Arab"])
    assert list(columns) == list(rows) == list(STUDY_LANGUAGES)


def test_marked_languages_get_a_dagger_that_is_explained() -> None:
    matrix = spectrum_of(STUDY)
    figure = spectrum_heatmap(matrix, STUDY, marked={"swh_Latn"})
    with_dagger = [k for k, v in figure.layout.xaxis.labelalias.items() if "†" in v]
    assert with_dagger == ["swh_Latn"]
    assert figure.layout.yaxis.labelalias["swh_Latn"].startswith("Swahili † ")
    assert "† The model hardly knows" in notes(figure)
    assert "†" not in notes(spectrum_heatmap(matrix, STUDY))
    assert "†" not in notes(spectrum_heatmap(matrix, STUDY, marked={"yor_Latn"}))


def test_the_selected_pair_is_outlined_on_both_sides_of_the_diagonal() -> None:
    figure = spectrum_heatmap(spectrum_of(STUDY), STUDY, selected=("zho_Hans", "arb_Arab"))
    boxes = {(s.x0, s.x1, s.y0, s.y1) for s in figure.layout.shapes if s.line.color == ACCENT}
    assert boxes == {(1.5, 2.5, -0.5, 0.5), (-0.5, 0.5, 1.5, 2.5)}
    with pytest.raises(InputError, match="yor_Latn"):
        spectrum_heatmap(spectrum_of(STUDY), STUDY, selected=("zho_Hans", "yor_Latn"))


def test_the_tree_stands_on_the_columns() -> None:
    matrix = spectrum_of(STUDY)
    tree = cluster(matrix.values)
    order = tree.order
    languages = [STUDY[i] for i in order]
    figure = spectrum_heatmap(matrix.reorder(order), languages, tree=tree)
    (shape,) = figure.layout.shapes
    assert (shape.xref, shape.yref) == ("x", "y2")
    brackets = [
        [tuple(float(v) for v in point.split(",")) for point in part.split("L")]
        for part in shape.path.split("M")[1:]
    ]
    assert len(brackets) == len(STUDY) - 1
    feet = sorted(x for bracket in brackets for x, y in (bracket[0], bracket[3]) if y == 0)
    assert feet == list(range(len(STUDY)))
    # The two languages that are most alike are joined first, at the lowest bar.
    off = np.where(np.eye(len(STUDY), dtype=bool), -1, matrix.reorder(order).values)
    lowest = min(brackets, key=lambda bracket: bracket[1][1])
    assert {lowest[0][0], lowest[3][0]} == set(np.unravel_index(off.argmax(), off.shape))
    assert not spectrum_heatmap(matrix, STUDY).layout.shapes


def test_the_centred_metric_diverges_around_zero() -> None:
    matrix = spectrum_of(STUDY, "centred")
    axis = spectrum_heatmap(matrix, STUDY).layout.coloraxis
    assert axis.cmin == -axis.cmax
    pairs = matrix.values[~np.eye(len(STUDY), dtype=bool)]
    assert axis.cmax == pytest.approx(np.abs(pairs).max())
    middle = [colour_on(axis.colorscale, place) for place in (0.0, 0.5, 1.0)]
    assert luminance(middle[1]) > 0.8 > max(luminance(middle[0]), luminance(middle[2]))
    other = spectrum_heatmap(spectrum_of(STUDY), STUDY).layout.coloraxis
    lightness = [luminance(c[1]) for c in other.colorscale]
    assert lightness == sorted(lightness), "the other scale is sequential"


@given(
    st.sampled_from(METRICS),
    st.lists(st.floats(-1, 1), min_size=3, max_size=3),
    st.floats(1, 1e6),
)
def test_the_colours_span_the_pairs_whatever_the_diagonal(
    metric: str, pairs: list[float], diagonal: float
) -> None:
    values = np.full((3, 3), diagonal)
    values[np.triu_indices(3, 1)] = pairs
    values.T[np.triu_indices(3, 1)] = pairs
    low, high = colour_range(values, metric)
    assert low <= min(pairs) + 1e-12
    assert max(pairs) <= high + 1e-12
    assert high - low >= LEAST_SPAN * 0.999
    assert high < 3, "the diagonal takes no part"


def test_noise_is_not_stretched_to_the_whole_scale() -> None:
    values = np.array([[1, 0.9999, 0.9998], [0.9999, 1, 1.0], [0.9998, 1.0, 1]])
    low, high = colour_range(values, "activation")
    assert high - low == pytest.approx(LEAST_SPAN)
    assert low < 0.9998 < 1.0 < high


def test_family_class_and_script_are_told() -> None:
    figure = spectrum_heatmap(spectrum_of(STUDY), STUDY)
    strips, below = named(figure, "family and class"), named(figure, "family of the column")
    assert (strips.xaxis, below.yaxis) == ("x2", "y3")
    assert list(strips.y) == list(below.x) == list(STUDY_LANGUAGES)
    families = {}
    for language, row, text, column in zip(STUDY, strips.z, strips.text, below.z[0], strict=True):
        assert families.setdefault(language.family, row[0]) == row[0] == column
        assert text[1] == str(language.resource_class)
    assert len(set(families.values())) == len(families)
    for family in families:
        assert family.replace(" ", "\u00a0") in notes(figure)
    about = strips.hovertext[STUDY_LANGUAGES.index("arb_Arab")][0]
    assert "Afro-Asiatic" in about
    assert "Arabic (Arab)" in about
    assert "Resource class 5" in about


def colour_at(strip: go.Heatmap, number: float) -> str:
    place = (number - strip.zmin) / (strip.zmax - strip.zmin)
    return next(high[1] for low, high in itertools.pairwise(strip.colorscale) if high[0] > place)


def test_the_strips_show_the_colours_that_the_key_names() -> None:
    figure = spectrum_heatmap(spectrum_of(STUDY), STUDY)
    strips = named(figure, "family and class")
    for language, (family, resources) in zip(STUDY, strips.z, strict=True):
        colour = colour_at(strips, family)
        assert f"{colour}'>■</span> {language.family}" in notes(figure)
        assert colour_at(strips, resources) == CLASS_COLOURS[language.resource_class]


def test_families_beyond_the_colours_get_letters() -> None:
    count = len(QUALITATIVE) + 3
    languages = [
        replace(language, family=f"{chr(65 + i)}amily", resource_class=None)
        for i, language in enumerate(list(REGISTER)[:count])
    ]
    strips = named(spectrum_heatmap(spectrum_of(languages), languages), "family and class")
    letters = [row[0] for row in strips.text]
    assert letters == [""] * len(QUALITATIVE) + ["Ma", "Na", "Oa"]
    assert [row[1] for row in strips.text] == [""] * count
    assert all(row[1] is None for row in strips.z)
    shown = [(colour_at(strips, row[0]), text) for row, text in zip(strips.z, letters, strict=True)]
    assert len(set(shown)) == count


@pytest.mark.parametrize("colour", [*QUALITATIVE, *CLASS_COLOURS])
def test_letters_read_on_the_strips(colour: str) -> None:
    assert contrast("#000000", colour) >= 3.8


def test_names_of_a_user_are_escaped_and_cut() -> None:
    own = replace(
        STUDY[0], name=EVIL, autonym=EVIL, family=EVIL, branch=EVIL, script=EVIL, script_name=EVIL
    )
    languages = [own, replace(STUDY[1], name="x" * 500), *STUDY[2:]]
    figure = spectrum_heatmap(spectrum_of(languages), languages, marked={own.code})
    assert "<img" not in str(figure.to_dict())
    assert "&lt;img src=x&gt;&amp;Co" in figure.layout.xaxis.labelalias[own.code]
    assert len(figure.layout.xaxis.labelalias[languages[1].code]) <= 26
    assert figure.layout.margin.l < 300


def test_a_matrix_of_other_languages_is_refused() -> None:
    with pytest.raises(InputError, match="order"):
        spectrum_heatmap(spectrum_of(STUDY), STUDY[::-1])


def test_a_figure_is_a_function_of_its_arguments_alone() -> None:
    matrix = spectrum_of(STUDY)
    first = spectrum_heatmap(matrix, STUDY, tree=cluster(matrix.values)).to_json()
    import plotly.io as pio

    before = pio.templates.default
    try:
        pio.templates.default = "plotly_dark"
        second = spectrum_heatmap(matrix, STUDY, tree=cluster(matrix.values)).to_json()
    finally:
        pio.templates.default = before
    assert first == second


# ---- Charts ------------------------------------------------------------------------------------


def test_the_agreement_curve_marks_the_current_rate() -> None:
    frame = pd.DataFrame({"top_rate": [0.05, 0.002, 0.01], "rho": [0.4, np.nan, 1.0]})
    figure = agreement_curve(frame, 0.01)
    (line,) = figure.data
    assert list(line.x) == pytest.approx([0.2, 1, 5])
    np.testing.assert_array_equal(line.y, [np.nan, 1.0, 0.4])
    assert figure.layout.xaxis.type == "log"
    (mark,) = figure.layout.shapes
    assert (mark.x0, mark.x1, mark.line.color) == (1, 1, ACCENT)
    assert "1 %" in notes(figure)
    (note,) = figure.layout.annotations
    assert note.x == pytest.approx(0), "annotations on a log axis stand at the logarithm"


def test_fluency_bars_are_sorted_and_marked_by_more_than_colour() -> None:
    languages = STUDY[:4]
    intervals = [(1.9, 2.3), (0.7, 1.1), (np.nan, np.nan), (2.5, 3.5)]
    marked = {languages[3].code}
    figure = fluency_bars(languages, [2.0, 1.0, 1.5, 3.0], intervals, marked)
    codes = [languages[i].code for i in (1, 2, 0, 3)]
    assert list(figure.layout.yaxis.categoryarray) == codes[::-1], "the first is at the top"
    known, weak = figure.data
    assert list(known.y) == codes[:3]
    assert list(known.x) == [1.0, 1.5, 2.0]
    np.testing.assert_allclose(known.error_x.array, [0.1, 0, 0.3])
    np.testing.assert_allclose(known.error_x.arrayminus, [0.3, 0, 0.1])
    assert list(weak.y) == codes[3:]
    assert weak.marker.color == ACCENT
    assert weak.marker.pattern.shape
    assert "†" in weak.name
    assert "†" in figure.layout.yaxis.labelalias[codes[3]]
    assert "interval" not in known.customdata[1][1]
    assert "0.700 to 1.100" in known.customdata[0][1]


def test_fluency_bars_without_marks_and_with_the_wrong_number() -> None:
    figure = fluency_bars(STUDY[:2], [1.0, 2.0], [(0.9, 1.1), (1.9, 2.1)], set())
    assert not any(trace.showlegend for trace in figure.data)
    with pytest.raises(InputError, match="one value"):
        fluency_bars(STUDY[:2], [1.0], [(0.9, 1.1)], set())


def a_pair() -> Pair:
    shared, only_a, only_b = np.array([3, 0, 5]), np.array([1, 2, 0]), np.array([0, 4, 9])
    empty = pd.DataFrame()
    return Pair("arb_Arab", "heb_Hebr", range(6, 9), shared, only_a, only_b, empty, 0.5, 0.4, 0.6)


def test_pair_layers_stack_to_both_sets() -> None:
    languages = (replace(REGISTER["arb_Arab"], name=EVIL), REGISTER["heb_Hebr"])
    figure = pair_layers(a_pair(), languages)
    assert figure.layout.barmode == "stack"
    assert [list(trace.x) for trace in figure.data] == [[6, 7, 8]] * 3
    shared, only_a, only_b = (list(trace.y) for trace in figure.data)
    assert (shared, only_a, only_b) == ([3, 0, 5], [1, 2, 0], [0, 4, 9])
    assert [trace.name for trace in figure.data][2] == "only Hebrew"
    assert "<img" not in str(figure.to_dict())
    patterns = {trace.marker.pattern.shape for trace in figure.data}
    assert len(patterns) == 3, "told apart without colour"
    with pytest.raises(InputError, match="order"):
        pair_layers(a_pair(), languages[::-1])


CORRELATION = MatrixCorrelation(-0.514, -0.7, 0.12, 0.0312, 4, 6, 1000, 9999, 0.95)


def test_the_typology_scatter_tells_what_it_rests_on() -> None:
    names = ["a – b", "a – c", EVIL, "b – c"]
    figure = typology_scatter(
        [0.1, 0.2, 0.3, np.nan],
        [0.9, np.nan, 0.7, 0.6],
        names,
        kind="genetic",
        correlation=CORRELATION,
    )
    (points,) = figure.data
    assert list(points.x) == [0.9, 0.7]
    assert list(points.y) == [0.1, 0.3]
    assert points.customdata[1][0] == plain(EVIL)
    assert figure.layout.title.text == "Spearman's ρ = −0.51 [−0.70, 0.12]"
    subtitle = figure.layout.title.subtitle.text
    assert "95 % interval" in subtitle
    assert "p = 0.031" in subtitle
    assert "4 languages, 6 pairs" in subtitle
    assert "genetic" in figure.layout.xaxis.title.text


def test_the_typology_scatter_without_a_correlation() -> None:
    nothing = replace(CORRELATION, rho=np.nan, low=np.nan, high=np.nan, p_value=np.nan)
    figure = typology_scatter([1.0], [0.5], ["a – b"], kind="genetic", correlation=nothing)
    assert "not defined" in figure.layout.title.text
    assert "nan" not in figure.layout.title.subtitle.text
    small = replace(CORRELATION, p_value=0.0001)
    text = typology_scatter([1.0], [0.5], ["x"], kind="genetic", correlation=small).layout.title
    assert "p < 0.001" in text.subtitle.text
    with pytest.raises(InputError, match="one value"):
        typology_scatter([1.0, 2.0], [0.5], ["x"], kind="genetic", correlation=CORRELATION)


# ---- Graph and map -----------------------------------------------------------------------------


def small_graph() -> tuple[nx.Graph, dict[str, tuple[float, float]], dict[str, Language]]:
    codes = ["arb_Arab", "heb_Hebr", "eng_Latn", "yor_Latn"]
    graph = nx.Graph()
    for code, community in zip(codes, (0, 0, 1, 2), strict=True):
        graph.add_node(code, community=community)
    graph.add_weighted_edges_from([(codes[0], codes[1], 0.9), (codes[1], codes[2], 0.4)])
    places = dict(zip(codes, [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (-1.0, -1.0)], strict=True))
    return graph, places, {code: REGISTER[code] for code in codes}


def test_the_graph_draws_nodes_by_community_and_edges_by_weight() -> None:
    graph, places, languages = small_graph()
    figure = graph_figure(graph, places, languages)
    nodes = named(figure, "languages")
    assert [tuple(xy) for xy in zip(nodes.x, nodes.y, strict=True)] == list(places.values())
    assert nodes.text[0] == "Arabic"
    assert nodes.customdata[0][1] == "Arabic · \u2067العربية\u2069"
    looks = list(zip(nodes.marker.color, nodes.marker.symbol, strict=True))
    assert looks[0] == looks[1]
    assert len({colour for colour, _ in looks}) == len({symbol for _, symbol in looks}) == 3
    weak, strong = (trace for trace in figure.data if trace.name == "edges")
    assert list(weak.x) == [1.0, 1.0, None]
    assert list(strong.x) == [0.0, 1.0, None]
    assert weak.line.width < strong.line.width
    assert weak.opacity < strong.opacity
    told = {tuple(row) for row in named(figure, "edge values").customdata}
    assert told == {("Arabic – Hebrew", "0.900"), ("Hebrew – English", "0.400")}
    assert "Nearest: Arabic, English" in nodes.customdata[1][2]
    assert "No edge" in nodes.customdata[3][2]


def test_a_graph_without_edges_and_with_equal_ones() -> None:
    graph, places, languages = small_graph()
    graph.remove_edges_from(list(graph.edges))
    assert [trace.name for trace in graph_figure(graph, places, languages).data] == ["languages"]
    graph.add_weighted_edges_from([("arb_Arab", "heb_Hebr", 0.5), ("arb_Arab", "eng_Latn", 0.5)])
    figure = graph_figure(graph, places, languages)
    assert len([trace for trace in figure.data if trace.name == "edges"]) == 1


def test_the_map_keeps_distances_and_tells_its_stress() -> None:
    coordinates = np.random.default_rng(0).normal(size=(15, 2))
    figure = map_figure(coordinates, STUDY, [i % 3 for i in range(15)], 0.123)
    points = named(figure, "languages")
    np.testing.assert_array_equal(np.column_stack([points.x, points.y]), coordinates)
    assert figure.layout.yaxis.scaleanchor == "x"
    assert figure.layout.yaxis.scaleratio == 1
    assert not figure.layout.xaxis.showticklabels
    assert "0.12" in notes(figure)
    assert len(set(points.marker.color)) == 3
    assert len(set(map_figure(coordinates, STUDY, None, 0.1).data[0].marker.color)) == 1
    low, high = figure.layout.xaxis.range
    assert low < coordinates[:, 0].min() < coordinates[:, 0].max() < high
    with pytest.raises(InputError, match="one point"):
        map_figure(coordinates[:3], STUDY, None, 0.1)
    with pytest.raises(InputError, match="group"):
        map_figure(coordinates, STUDY, [0], 0.1)


def test_languages_at_one_point_still_make_a_map() -> None:
    figure = map_figure(np.zeros((3, 2)), STUDY[:3], None, 0.0)
    low, high = figure.layout.xaxis.range
    assert low < 0 < high
    assert len(set(figure.data[0].textposition)) == 3, "their labels stand on different sides"


def test_labels_make_room_for_each_other() -> None:
    # Two points side by side: the left one's label must not run through the right one.
    places = np.array([[0.0, 0.0], [0.05, 0.0], [1.0, 1.0], [-1.0, -1.0]])
    sides = label_positions(places, [9, 9, 4, 4])
    assert sides[0] != "middle right"
    assert "right" in sides[1] or sides[1] != sides[0]
    # A line to the right pushes the label elsewhere.
    far = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, 1.0], [0.5, -1.0]])
    assert label_positions(far, [6, 6, 6, 6])[0] == "middle right"
    assert label_positions(far, [6, 6, 6, 6], lines=[(0, 1)])[0] != "middle right"
    # At the right edge a long label turns inwards.
    assert "left" in label_positions(far, [6, 20, 6, 6])[1]


# ---- What all share ----------------------------------------------------------------------------


def every_figure() -> dict[str, go.Figure]:
    graph, places, languages = small_graph()
    pair = (REGISTER["arb_Arab"], REGISTER["heb_Hebr"])
    frame = pd.DataFrame({"top_rate": [0.01, 0.02], "rho": [1.0, 0.9]})
    return {
        "heatmap": spectrum_heatmap(spectrum_of(STUDY), STUDY, marked={"swh_Latn"}),
        "agreement": agreement_curve(frame, 0.01),
        "fluency": fluency_bars(STUDY[:2], [1, 2], [(0, 2), (1, 3)], {STUDY[0].code}),
        "pair": pair_layers(a_pair(), pair),
        "graph": graph_figure(graph, places, languages),
        "map": map_figure(np.eye(3, 2), STUDY[:3], [0, 1, 1], 0.1),
        "typology": typology_scatter([1], [1], ["x"], kind="genetic", correlation=CORRELATION),
    }


@pytest.mark.parametrize(("name", "figure"), every_figure().items())
def test_figures_take_their_fonts_and_background_from_the_page(
    name: str, figure: go.Figure
) -> None:
    layout = figure.layout.to_plotly_json()
    assert layout["paper_bgcolor"] == layout["plot_bgcolor"] == "rgba(0,0,0,0)"
    assert not layout["template"].get("layout")

    def fonts(node: object, path: str = "") -> list[tuple[str, object]]:
        if isinstance(node, dict):
            return [hit for key, child in node.items() for hit in fonts(child, f"{path}.{key}")]
        if isinstance(node, list | tuple):
            return [hit for child in node for hit in fonts(child, path)]
        return [(path, node)] if "font." in path else []

    assert not [path for path, _ in fonts(layout) if path.endswith((".color", ".family"))]
    margins = layout["margin"]
    assert margins["l"] + margins["r"] < 170, "leaves a narrow screen some room"
    assert layout["height"] > 0


@pytest.mark.parametrize(("name", "figure"), every_figure().items())
def test_figures_are_the_same_every_time(name: str, figure: go.Figure) -> None:
    assert every_figure()[name].to_json() == figure.to_json()


def test_the_download_has_a_name_a_format_and_no_extras() -> None:
    config = download_config('study: 15 languages/"top 1 %"', "png")
    options = config["toImageButtonOptions"]
    assert options == {"format": "png", "filename": "study-15-languages-top-1", "scale": 2}
    assert config["displaylogo"] is config["scrollZoom"] is config["showSendToCloud"] is False
    assert download_config("…")["toImageButtonOptions"]["filename"] == "figure"
    assert DOWNLOAD_CONFIG["toImageButtonOptions"]["format"] == "svg"
    with pytest.raises(InputError, match="svg or png"):
        download_config("x", "pdf")


def test_the_page_of_a_figure_opens_without_a_network() -> None:
    own = replace(STUDY[0], name="</script><script>alert(1)</script>")
    languages = [own, *STUDY[1:]]
    figure = spectrum_heatmap(spectrum_of(languages), languages)
    page = to_html(figure, 'A <b>title</b> & "more"')
    assert not re.search(r'<(script|link|img)[^>]*(src|href)="', page[:2000] + page[-100_000:])
    assert "<h1>A &lt;b&gt;title&lt;/b&gt; &amp; &quot;more&quot;</h1>" in page
    assert "</script><script>alert(1)" not in page
    assert len(page) > 1_000_000, "plotly.js is inside"
    assert figure.layout.paper_bgcolor == "rgba(0,0,0,0)", "the figure itself stays as it was"


@given(st.tuples(*[st.integers(0, 255)] * 3))
def test_ink_has_the_contrast_that_small_text_needs(rgb: tuple[int, int, int]) -> None:
    colour = "#{:02x}{:02x}{:02x}".format(*rgb)
    ink = ink_on(colour)
    assert contrast(ink, colour) >= 4.5
    assert contrast(ink, colour) == max(contrast(c, colour) for c in ("#000000", "#FFFFFF"))
    assert luminance(colour) == pytest.approx(luminance("rgb({}, {}, {})".format(*rgb)))


# Machado, Oliveira and Fernandes (2009), severity 1, linear RGB.
SIGHT = {
    "usual": np.eye(3),
    "no green cones": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "no red cones": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
}


@pytest.mark.parametrize("sight", SIGHT)
def test_the_colours_of_kinds_stay_apart(sight: str) -> None:
    def lab(colour: str) -> np.ndarray:
        srgb = np.array(unlabel_rgb(f"rgb{tuple(bytes.fromhex(colour[1:]))}")) / 255
        linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
        seen = np.clip(SIGHT[sight] @ linear, 0, 1)
        xyz = np.array(
            [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
        )
        x, y, z = np.cbrt(xyz @ seen / (0.9505, 1, 1.089))
        return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])

    assert (
        min(np.linalg.norm(lab(a) - lab(b)) for a, b in itertools.combinations(QUALITATIVE, 2)) > 15
    )
