import itertools
import math
import warnings

import networkx as nx
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import pdist, squareform

from bridgex_core import language_graph as lg
from bridgex_core.errors import InputError

NAN = math.nan
CODES = ["deu_Latn", "eng_Latn", "nld_Latn", "jpn_Jpan", "zho_Hans", "heb_Hebr", "arb_Arab"]


def matrix_of(pairs):
    matrix = squareform(np.asarray(pairs, dtype=float))
    np.fill_diagonal(matrix, 1.0)
    return matrix


def random_matrix(languages, seed):
    return matrix_of(np.random.default_rng(seed).random(languages * (languages - 1) // 2))


def grouped(within=0.8, across=0.2):
    """Seven languages in groups of 3, 2 and 2."""
    group = np.array([0, 0, 0, 1, 1, 2, 2])
    matrix = np.where(group[:, None] == group, within, across)
    np.fill_diagonal(matrix, 1.0)
    return matrix


@st.composite
def matrices(draw, most=7):
    languages = draw(st.integers(2, most))
    cell = st.one_of(st.floats(-0.5, 1, width=32), st.just(NAN))
    pairs = draw(arrays(float, languages * (languages - 1) // 2, elements=cell))
    assume(np.isfinite(pairs).any())
    return matrix_of(pairs)


# ---- graph ---------------------------------------------------------------------------------------


def test_edges_reach_the_threshold_and_carry_the_similarity():
    similarity = matrix_of([0.5, 0.4, NAN, 0.3, 0.6, 0.5])
    graph = lg.language_graph(similarity, CODES[:4], threshold=0.5)
    assert list(graph) == CODES[:4]
    assert {(u, v): w for u, v, w in graph.edges(data="weight")} == {
        ("deu_Latn", "eng_Latn"): 0.5,
        ("eng_Latn", "jpn_Jpan"): 0.6,
        ("nld_Latn", "jpn_Jpan"): 0.5,
    }


def test_communities_are_numbered_by_size_then_code():
    graph = lg.language_graph(grouped(), CODES, threshold=0.1)
    assert dict(graph.nodes(data="community")) == {
        "deu_Latn": 0,
        "eng_Latn": 0,
        "nld_Latn": 0,
        "arb_Arab": 1,
        "heb_Hebr": 1,
        "jpn_Jpan": 2,
        "zho_Hans": 2,
    }


def test_languages_without_edges_are_communities_of_their_own():
    graph = lg.language_graph(grouped(), CODES, threshold=0.9)
    assert graph.number_of_edges() == 0
    ranked = sorted(CODES)
    assert dict(graph.nodes(data="community")) == {code: ranked.index(code) for code in CODES}


def test_edges_that_are_not_positive_hold_no_community():
    graph = lg.language_graph(grouped(across=-0.5), CODES, threshold=-1.0)
    assert graph.number_of_edges() == 21
    assert set(nx.get_node_attributes(graph, "community").values()) == {0, 1, 2}
    flat = lg.language_graph(grouped(within=-0.1, across=0.0), CODES, threshold=-1.0)
    assert len(set(nx.get_node_attributes(flat, "community").values())) == 7


@settings(max_examples=60, deadline=None)
@given(matrices(), st.floats(-1, 1))
def test_graph_has_the_edges_above_the_threshold_and_no_others(similarity, threshold):
    codes = CODES[: len(similarity)]
    graph = lg.language_graph(similarity, codes, threshold=threshold)
    expected = {
        frozenset((codes[i], codes[j]))
        for i, j in itertools.combinations(range(len(codes)), 2)
        if similarity[i, j] >= threshold
    }
    assert {frozenset(edge) for edge in graph.edges} == expected
    communities = nx.get_node_attributes(graph, "community")
    assert sorted(set(communities.values())) == list(range(len(set(communities.values()))))
    sizes = [list(communities.values()).count(n) for n in sorted(set(communities.values()))]
    assert sizes == sorted(sizes, reverse=True)


def test_graph_repeats():
    similarity = random_matrix(20, 1)
    codes = [f"l{n:02d}" for n in range(20)]
    first, second = (lg.language_graph(similarity, codes, threshold=0.4) for _ in range(2))
    assert dict(first.nodes(data=True)) == dict(second.nodes(data=True))


@pytest.mark.parametrize("codes", [CODES[:6], [*CODES[:6], CODES[0]]])
def test_codes_that_do_not_fit_are_told(codes):
    with pytest.raises(InputError, match="7 different codes"):
        lg.language_graph(grouped(), codes, threshold=0.5)


@pytest.mark.parametrize("threshold", [NAN, math.inf])
def test_a_threshold_that_is_no_number_is_told(threshold):
    with pytest.raises(InputError, match="threshold"):
        lg.language_graph(grouped(), CODES, threshold=threshold)


# ---- threshold -----------------------------------------------------------------------------------


def test_suggested_threshold_by_hand():
    # The tree is 0-1 (.9), 2-3 (.8) and the best bridge between the two, 1-2 (.5).
    assert lg.suggested_threshold(matrix_of([0.9, 0.1, 0.3, 0.5, 0.4, 0.8])) == 0.5


@settings(max_examples=60, deadline=None)
@given(matrices())
def test_suggested_threshold_is_the_last_that_connects_what_can_be(similarity):
    codes = CODES[: len(similarity)]
    threshold = lg.suggested_threshold(similarity)

    def parts(at):
        return nx.number_connected_components(lg.language_graph(similarity, codes, threshold=at))

    levels = np.unique(similarity[np.triu_indices(len(codes), 1)])
    fewest = parts(-1.0)
    assert threshold in levels
    assert parts(threshold) == fewest
    assert all(parts(level) > fewest for level in levels if level > threshold)


@pytest.mark.parametrize("matrix", [[[1.0]], [[1, NAN], [NAN, 1]]])
def test_no_pair_to_join_is_told(matrix):
    with pytest.raises(InputError, match="two languages"):
        lg.suggested_threshold(matrix)


# ---- drawing and file ----------------------------------------------------------------------------


@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.9])
def test_positions_are_apart_within_the_frame_and_repeat(threshold):
    graph = lg.language_graph(grouped(), CODES, threshold=threshold)
    places = lg.positions(graph)
    assert list(places) == CODES
    points = np.array(list(places.values()))
    assert np.isfinite(points).all()
    assert (np.abs(points) <= 1 + 1e-9).all()
    assert pdist(points).min() > 0.1
    assert places == lg.positions(graph)
    assert places != lg.positions(graph, seed=1)


def test_stronger_edges_are_drawn_shorter_and_loose_parts_farther():
    graph = nx.Graph()
    graph.add_weighted_edges_from([("a", "b", 0.9), ("b", "c", 0.5)])
    graph.add_node("d")
    places = lg.positions(graph)
    near, far = math.dist(places["a"], places["b"]), math.dist(places["b"], places["c"])
    assert near < far
    assert min(math.dist(places["d"], places[other]) for other in "abc") > far


def test_a_graph_of_one_language_or_none_has_positions():
    assert lg.positions(lg.language_graph([[1.0]], ["swh_Latn"], threshold=0.5)) == {
        "swh_Latn": (0.0, 0.0)
    }
    assert lg.positions(nx.Graph()) == {}


def test_graphml_comes_back_as_it_went():
    graph = lg.language_graph(random_matrix(7, 2), CODES, threshold=0.6)
    written = lg.graphml(graph)
    assert written.startswith(b"<?xml")
    read = nx.parse_graphml(written.decode("utf-8"))
    assert dict(read.nodes(data=True)) == dict(graph.nodes(data=True))
    assert nx.utils.edges_equal(read.edges(data=True), graph.edges(data=True))


# ---- map -----------------------------------------------------------------------------------------


def planar(languages, seed):
    points = np.random.default_rng(seed).normal(size=(languages, 2)) * [2, 1]
    return points, 5 - squareform(pdist(points)) / 2


@settings(max_examples=15, deadline=None)
@given(st.integers(3, 15), st.integers(0, 1000))
def test_map_reproduces_distances_of_a_plane(languages, seed):
    points, similarity = planar(languages, seed)
    found = lg.language_map(similarity)
    assert found.coordinates.shape == (languages, 2)
    assert found.stress < 1e-3
    assert pdist(found.coordinates) == pytest.approx(pdist(points) / 2, abs=1e-2)


def test_stress_is_stress_1():
    similarity = random_matrix(9, 3)
    found = lg.language_map(similarity)
    drawn, wanted = pdist(found.coordinates), 1 - similarity[np.triu_indices(9, 1)]
    expected = math.sqrt(((drawn - wanted) ** 2).sum() / (drawn**2).sum())
    assert found.stress == pytest.approx(expected)
    assert 0.05 < found.stress < 0.5


def test_map_stands_on_its_main_axes():
    coordinates = lg.language_map(random_matrix(12, 4)).coordinates
    assert coordinates.mean(axis=0) == pytest.approx([0, 0], abs=1e-12)
    spread = coordinates.T @ coordinates
    assert spread[0, 1] == pytest.approx(0, abs=1e-9)
    assert spread[0, 0] > spread[1, 1]
    assert (coordinates.max(axis=0) >= -coordinates.min(axis=0)).all()


def test_map_repeats_and_does_not_depend_on_the_order_of_languages():
    _, similarity = planar(10, 5)
    similarity = similarity + 0.1 * random_matrix(10, 6)
    found = lg.language_map(similarity).coordinates
    assert (found == lg.language_map(similarity).coordinates).all()
    order = np.random.default_rng(0).permutation(10)
    moved = lg.language_map(similarity[np.ix_(order, order)]).coordinates
    assert moved == pytest.approx(found[order], abs=1e-4)


def test_a_clearly_better_random_start_is_taken():
    for seed in range(40):
        similarity = random_matrix(8, seed)
        wanted = 1 - similarity
        _, classical = lg._scale(wanted, lg._classical_start(wanted), 0)
        _, tried = lg._scale(wanted, None, 0)
        assert lg.language_map(similarity).stress <= min(classical, tried) * 1.002 + 1e-6
        if tried < 0.99 * classical:
            return
    pytest.fail("no matrix of the forty gave the random starts a chance")


def test_two_languages_and_equal_languages_have_a_map():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pair = lg.language_map([[1, 0.4], [0.4, 1]])
        same = lg.language_map(np.ones((4, 4)))
        twins = lg.language_map(matrix_of([1.0, 0.5, 0.5]))
        line = lg.language_map(1 - squareform([1, 2, 3, 1, 2, 1]) / 3)
    assert sorted(pair.coordinates[:, 0]) == pytest.approx([-0.3, 0.3])
    assert pair.coordinates[:, 1] == pytest.approx([0, 0])
    assert (same.coordinates == 0).all()
    assert same.stress == 0
    assert pdist(twins.coordinates) == pytest.approx([0, 0.5, 0.5], abs=1e-3)
    assert np.diff(line.coordinates[:, 0]) == pytest.approx([1 / 3] * 3) or np.diff(
        line.coordinates[:, 0]
    ) == pytest.approx([-1 / 3] * 3)


def test_three_languages_always_have_a_map():
    # Rounding puts the second eigenvalue of about one in twelve of these below zero.
    for seed in range(60):
        similarity = random_matrix(3, seed).round(2)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = lg.language_map(similarity)
        assert np.isfinite(found.coordinates).all()


def test_unknown_pairs_still_give_a_map():
    similarity = grouped()
    similarity[0, 3] = similarity[3, 0] = NAN
    assert np.isfinite(lg.language_map(similarity).coordinates).all()
    with pytest.raises(InputError, match="known"):
        lg.language_map([[1, NAN], [NAN, 1]])
