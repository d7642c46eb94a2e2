"""Structure of the Atlas's figures; how they look is for eyes."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from bridgex_core.alignment import SentenceStates, alignment_matrix
from bridgex_core.atlas import alignment_by_layer
from bridgex_core.depth_parts import depth_parts
from bridgex_core.drivers import DrivingSentence
from bridgex_core.errors import InputError
from bridgex_core.figures import (
    alignment_curve,
    class_layers,
    language_matrix,
    lens_grid,
    lens_shares,
    neuron_bars,
    perplexity_matrix,
    pitfall_points,
    script_colours,
    shaded_sentence,
    upset,
)
from bridgex_core.figures.theme import luminance
from bridgex_core.figures.thought import script_label
from bridgex_core.languages import STUDY_LANGUAGES, Language, register
from bridgex_core.lens import Lens, share_by_layer
from bridgex_core.neuron_classes import CLASSES, Classes, intersections
from bridgex_core.perplexity import PerplexityChange
from bridgex_core.text_language import SCRIPTS

REGISTER = register()
STUDY = [REGISTER[code] for code in STUDY_LANGUAGES]
ENG, SWH, HEB = (REGISTER[code] for code in ("eng_Latn", "swh_Latn", "heb_Hebr"))
INKS = ("values", "values, light ink")
EVIL = "<img src=x onerror=alert(1)>&"


def named(figure: go.Figure, name: str) -> go.Figure:
    return next(trace for trace in figure.data if trace.name == name)


def classes(layers: int = 8, width: int = 50) -> Classes:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, (layers, width)).astype(np.int8)
    labels[: layers // 2] = 3
    masks = rng.random((3, layers, width)) < 0.1
    masks[:, 0, 0] = True
    return Classes("membership", ("eng_Latn", "swh_Latn", "heb_Hebr"), labels, CLASSES, masks)


# ---- Classes and sets --------------------------------------------------------------------------


def test_class_layers_draws_every_neuron_once() -> None:
    found = classes()
    figure = class_layers(found.by_layer(), depth_parts(found))
    for label, name in enumerate(CLASSES):
        np.testing.assert_array_equal(named(figure, name).y, (found.labels == label).sum(1))
    assert sum(sum(bar.y) for bar in figure.data) == found.labels.size
    assert named(figure, "inactive").visible == "legendonly"
    assert [note.text for note in figure.layout.annotations] == list(depth_parts(found).parts)
    marks = [line.x0 for line in figure.layout.shapes]
    assert marks == [start - 0.5 for start in depth_parts(found).boundaries]


def test_class_layers_without_parts_marks_nothing() -> None:
    figure = class_layers(classes().by_layer())
    assert not figure.layout.annotations
    assert not figure.layout.shapes
    with pytest.raises(InputError, match="four classes"):
        class_layers(classes().by_layer().iloc[:, :3])


def test_upset_shows_columns_members_and_sizes() -> None:
    found = classes()
    bars = intersections(found.masks, found.languages)
    sizes = found.masks.sum((1, 2))
    figure = upset(bars, sizes, [ENG, SWH, HEB])
    assert list(named(figure, "intersections").y) == list(bars["neurons"])
    members = named(figure, "members")
    drawn: dict[int, set[str]] = {}
    for x, y in zip(members.x, members.y, strict=True):
        if x is not None:
            drawn.setdefault(x, set()).add(y)
    assert drawn == {place: set(codes) for place, codes in enumerate(bars["languages"])}
    assert dict(zip(named(figure, "sizes").y, named(figure, "sizes").x, strict=True)) == dict(
        zip(found.languages, sizes, strict=True)
    )
    whole = [set(codes) for codes in bars["languages"]].index(set(found.languages))
    assert named(figure, "intersections").customdata[whole] == "all 3 languages"


def test_upset_of_many_languages_shows_those_that_take_part() -> None:
    many = list(REGISTER)[:40]
    bars = pd.DataFrame({"languages": [(many[3].code, many[7].code)], "neurons": [5]})
    figure = upset(bars, [1] * 40, many)
    assert set(named(figure, "sizes").y) == {many[3].code, many[7].code}
    with pytest.raises(InputError, match="size"):
        upset(bars, [1], many)


def test_neuron_bars_puts_the_highest_first() -> None:
    values = np.random.default_rng(1).random(len(STUDY))
    bars = neuron_bars(STUDY, values).data[0]
    assert list(bars.x) == sorted(values, reverse=True)
    assert bars.y[0] == STUDY_LANGUAGES[int(values.argmax())]
    with pytest.raises(InputError):
        neuron_bars(STUDY, values[:3])


def test_pitfalls_leave_out_what_has_no_similarity_or_no_words() -> None:
    frame = pd.DataFrame(
        {
            "source": ["deu_Latn", "fra_Latn", "zul_Latn"],
            "target": ["swh_Latn"] * 3,
            "items": [10] * 3,
            "right_in_english": [4, 0, 4],
            "lost": [1, 0, 2],
            "share_lost": [0.25, np.nan, 0.5],
        }
    )
    figure = pitfall_points(
        frame,
        {"deu_Latn": 0.8, "fra_Latn": 0.7},
        {one.code: one for one in REGISTER},
        metric="Jaccard overlap",
    )
    (points,) = figure.data
    assert list(points.x) == [0.8]
    assert list(points.y) == [0.25]
    assert points.name == "into Swahili"


# ---- Matrices ----------------------------------------------------------------------------------


def test_language_matrix_leaves_the_diagonal_blank() -> None:
    counts = np.arange(9).reshape(3, 3)
    figure = language_matrix(counts, [ENG, SWH, HEB], title="Shared neurons", whole=True)
    cells = figure.data[0]
    assert np.isnan(np.diag(np.array(cells.z, dtype=float))).all()
    assert cells.z[0][1] == 1
    inks = [named(figure, name).text[0][1].strip("\u200b") for name in INKS]
    assert "".join(inks) == "1"
    assert all(not named(figure, name).text[1][1].strip("\u200b") for name in INKS)
    assert "<b>English – Swahili</b><br>Shared neurons: 1" in cells.hovertext[0][1]
    with pytest.raises(InputError):
        language_matrix(counts, [ENG], title="x")


def test_a_matrix_of_equal_or_no_values_is_drawn() -> None:
    assert language_matrix(np.ones((2, 2)), [ENG, SWH], title="x").data
    assert language_matrix(np.full((2, 2), np.nan), [ENG, SWH], title="x").data


def test_foreign_names_are_escaped() -> None:
    evil = Language(**{**vars(ENG), "name": EVIL, "autonym": EVIL})
    for figure in (
        language_matrix(np.eye(2), [evil, SWH], title="x"),
        neuron_bars([evil, SWH], [0.1, 0.2]),
        upset(pd.DataFrame({"languages": [("eng_Latn",)], "neurons": [1]}), [1, 1], [evil, SWH]),
    ):
        text = figure.to_json().replace("\\u003c", "<").replace("\\u0026", "&")
        assert "<img" not in text
        assert "&lt;img" in text


def test_perplexity_shows_factors_on_one_scale() -> None:
    change = PerplexityChange(
        sets=("eng_Latn", "swh_Latn"),
        languages=("eng_Latn", "swh_Latn"),
        plain=np.array([10.0, 20.0]),
        changed=np.array([[40.0, 20.0], [10.0, 160.0]]),
        control=np.array([[10.0, 20.0], [10.0, 40.0]]),
        sizes=np.array([5, 6]),
        tokens=np.array([300, 300]),
    )
    languages = {one.code: one for one in (ENG, SWH)}
    own = perplexity_matrix(change, languages).data[0]
    random = perplexity_matrix(change, languages, control=True).data[0]
    np.testing.assert_allclose(own.z, [[2, 0], [0, 3]])
    np.testing.assert_allclose(random.z, [[0, 0], [0, 1]])
    assert (own.zmin, own.zmax) == (random.zmin, random.zmax) == (-3, 3)
    written = {
        trace.text[1][1].strip("\u200b") for trace in perplexity_matrix(change, languages).data
    }
    assert written == {"×8.00", ""}
    assert "20.0 → 40.0" in random.hovertext[1][1]


def test_alignment_by_layer_and_its_curve() -> None:
    rng = np.random.default_rng(2)
    states = {
        code: SentenceStates(np.packbits(rng.random((6, 4, 16)) < 0.5, axis=2), None, np.full(6, 9))
        for code in ("eng_Latn", "swh_Latn", "heb_Hebr")
    }
    matrix = alignment_matrix(states)
    frame = alignment_by_layer(matrix, ("swh_Latn", "eng_Latn"))
    for layer in range(4):
        pairs = [matrix.values[layer, i, j] for i, j in ((0, 1), (0, 2), (1, 2))]
        assert frame["mean"][layer] == pytest.approx(sum(pairs) / 3)
        assert frame["upper"][layer] == pytest.approx(np.percentile(pairs, 75))
        assert frame["pair"][layer] == pairs[0]
    assert (frame["chance"] == 1 / 6).all()
    figure = alignment_curve(frame, "Swahili – English")
    np.testing.assert_array_equal(named(figure, "Swahili – English").y, frame["pair"])
    assert len(alignment_curve(alignment_by_layer(matrix)).data) == 3
    with pytest.raises(InputError):
        alignment_by_layer(matrix, ("swh_Latn", "deu_Latn"))


def test_alignment_without_common_blocks_is_refused() -> None:
    empty = SentenceStates(np.zeros((2, 4, 2), dtype=np.uint8), None, np.array([3, 0]))
    matrix = alignment_matrix({"eng_Latn": empty, "swh_Latn": empty})
    with pytest.raises(InputError, match="two blocks"):
        alignment_by_layer(matrix)


# ---- The language of thought -------------------------------------------------------------------


def lens(levels: int = 3, positions: int = 20) -> Lens:
    scripts = list(SCRIPTS)
    mass = np.zeros((levels, positions, len(scripts)), dtype=np.float32)
    top = np.full((levels, positions, 2), "mot", dtype=object)
    of = np.full((levels, positions, 2), "Latn", dtype=object)
    mass[..., scripts.index("Latn")] = 1
    mass[-1] = 0
    mass[-1, :, scripts.index("Hebr")] = 1
    top[-1], of[-1] = "<b>שלום", "Hebr"
    probabilities = np.full((levels, positions, 2), 0.25, dtype=np.float32)
    tokens = ("<s>", *(f"t{place}" for place in range(1, positions)))
    return Lens("a prompt", tokens, top, probabilities, of, mass, 1)


def test_the_grid_shows_the_last_tokens_in_the_colour_of_their_script() -> None:
    found = lens()
    colours = script_colours([found])
    assert luminance(colours["Latn"]) != luminance(colours["Hebr"])
    figure = lens_grid(found, colours, [ENG, HEB, SWH], most=5)
    grid = named(figure, "says")
    assert len(grid.z) == 3
    assert len(grid.z[0]) == 5
    steps = {trace.name: trace.marker.color for trace in figure.data if trace.type == "scatter"}
    assert steps == {"Latin script": colours["Latn"], "Hebrew script (Hebrew)": colours["Hebr"]}
    order = list(steps.values())
    assert {order[int(value)] for value in grid.z[0]} == {colours["Latn"]}
    assert {order[int(value)] for value in grid.z[2]} == {colours["Hebr"]}
    assert "t19" in figure.layout.xaxis.ticktext[-1]
    written = "".join(trace.text[2][0] for trace in figure.data if trace.type == "heatmap")
    assert written.strip("\u200b").startswith("&lt;b&gt;של")
    assert "25.0 %" in grid.hovertext[2][0]
    assert grid.hovertext[0][0].startswith("<b>Embedding")


def test_the_grid_leaves_out_the_beginning_of_the_sequence() -> None:
    figure = lens_grid(lens(positions=4), script_colours([lens(positions=4)]), [ENG])
    assert len(figure.layout.xaxis.ticktext) == 3


def test_shares_add_up_at_every_layer() -> None:
    found = lens()
    shares = share_by_layer(found, ["eng_Latn", "heb_Hebr"])
    figure = lens_shares(shares, script_colours([found]), [ENG, HEB])
    np.testing.assert_allclose(sum(np.array(line.y) for line in figure.data), 1)
    assert [line.name for line in figure.data][-1] == "other scripts"
    assert named(figure, "Hebrew script (Hebrew)").y[-1] == 1
    assert script_label("Latn", [ENG, SWH]) == "Latin script"


def test_text_is_shaded_by_activation_and_escaped() -> None:
    html = shaded_sentence(DrivingSentence(0, (EVIL, " שלום", "x"), (4.0, 2.0, -1.0)), 4.0)
    assert html.startswith('<p dir="auto"')
    assert "<img" not in html
    assert "&lt;img src=x onerror=alert(1)&gt;&amp;" in html
    shades = [float(part.split(")")[0]) for part in html.split("rgba(213,94,0,")[1:]]
    assert shades == [0.55, 0.275, 0.0]
    assert shaded_sentence(DrivingSentence(0, ("a",), (0.0,)), 0.0).count("<span") == 1
