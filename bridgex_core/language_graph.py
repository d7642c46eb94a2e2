"""Languages as a graph and as a map, drawn from a language × language similarity matrix.

A similarity matrix is (K, K) and symmetric, larger for languages that are more alike, NaN for an
unknown pair (see `similarity`).
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import networkx as nx
import numpy as np
from numpy.typing import ArrayLike

from .errors import InputError
from .similarity import check_similarity, distances

_RANDOM_STARTS = 4


def language_graph(
    similarity: ArrayLike, codes: Sequence[str], *, threshold: float, seed: int = 0
) -> nx.Graph:
    """The graph of the languages whose similarity reaches a threshold.

    Nodes are the K codes, each with a `community` (int); edges join different languages with
    similarity >= threshold and carry it as `weight`. Unknown pairs have no edge.

    Communities are those of Louvain (Blondel et al. 2008) by weight, seeded, and numbered from 0
    by size, larger first, then by their alphabetically first code. A language without edges is a
    community of its own. Modularity has no meaning for weights that are not positive, so such
    edges are drawn but hold no community together.
    """
    values = check_similarity(similarity)
    names = [str(code) for code in codes]
    if len(names) != len(values) or len(set(names)) != len(names):
        raise InputError(
            f"A graph of {len(values)} languages needs {len(values)} different codes, but "
            f"{len(names)} codes came, {len(set(names))} of them different."
        )
    if not math.isfinite(threshold):
        raise InputError(f"The threshold of a graph has to be a number, but it is {threshold}.")
    graph = nx.Graph()
    graph.add_nodes_from(names)
    rows, columns = np.nonzero(np.triu(values >= threshold, 1))
    graph.add_weighted_edges_from(
        (names[i], names[j], float(values[i, j])) for i, j in zip(rows, columns, strict=True)
    )
    for number, community in enumerate(_communities(graph, seed)):
        for code in community:
            graph.nodes[code]["community"] = number
    return graph


def _communities(graph: nx.Graph, seed: int) -> list[list[str]]:
    """Louvain communities of the positive edges, larger first, then by first code."""
    # Numbered nodes, since the order of a set of strings changes from one process to the next.
    numbered = nx.convert_node_labels_to_integers(graph, label_attribute="code")
    positive = nx.Graph()
    positive.add_nodes_from(numbered)
    positive.add_weighted_edges_from(edge for edge in numbered.edges(data="weight") if edge[2] > 0)
    found = nx.community.louvain_communities(positive, weight="weight", seed=seed)
    named = [sorted(numbered.nodes[node]["code"] for node in nodes) for nodes in found]
    return sorted(named, key=lambda community: (-len(community), community[0]))


def suggested_threshold(similarity: ArrayLike) -> float:
    """The highest threshold at which the graph of the languages is still connected.

    That is the smallest edge of the maximum spanning tree: there every language can be reached, and
    any higher threshold cuts some off. Where unknown pairs leave no way to connect all
    languages, it is the highest threshold that connects those that can be. No known pair is an
    InputError.
    """
    values = check_similarity(similarity)
    rows, columns = np.nonzero(np.triu(~np.isnan(values), 1))
    if not len(rows):
        raise InputError(
            "A graph needs at least two languages whose similarity is known: add languages."
        )
    graph = nx.Graph()
    graph.add_weighted_edges_from(zip(rows, columns, values[rows, columns], strict=True))
    tree = nx.maximum_spanning_edges(graph, data=True)
    return float(min(data["weight"] for _, _, data in tree))


def positions(graph: nx.Graph, seed: int = 0) -> dict[str, tuple[float, float]]:
    """Where to draw each node of a `language_graph`: x and y, within -1 to 1 in both.

    Kamada-Kawai (1989) over path lengths, from a random start that `seed` fixes. An edge is 1 long
    for the strongest weight and 2 for the weakest; nodes in different components stand as far
    apart as the farthest that are connected, which keeps loose languages near the rest.
    """
    numbered = nx.convert_node_labels_to_integers(graph)
    weights = [weight for _, _, weight in graph.edges(data="weight")]
    strongest = max(weights, default=1.0)
    spread = (strongest - min(weights, default=1.0)) or 1.0
    paths = dict(
        nx.all_pairs_dijkstra_path_length(
            numbered, weight=lambda _u, _v, edge: 1 + (strongest - edge["weight"]) / spread
        )
    )
    far = max((length for row in paths.values() for length in row.values()), default=0.0) or 1.0
    lengths = {u: {v: paths[u].get(v, far) for v in numbered} for u in numbered}
    start = nx.random_layout(numbered, seed=seed)
    placed = nx.kamada_kawai_layout(numbered, dist=lengths, pos=start)
    return {
        code: (float(x), float(y))
        for code, (x, y) in zip(graph, (placed[node] for node in numbered), strict=True)
    }


def graphml(graph: nx.Graph) -> bytes:
    """The graph as a GraphML file (UTF-8 XML) with its weights and communities."""
    buffer = io.BytesIO()
    # By name, so that the file does not depend on whether lxml is installed.
    nx.write_graphml_xml(graph, buffer)
    return buffer.getvalue()


@dataclass(frozen=True, eq=False)
class LanguageMap:
    """K languages as points of a plane.

    Attributes
    ----------
    coordinates : (K, 2), in the unit of the distances, centred on the origin.
    stress : normalised stress-1, sqrt(Σ (d - δ)² / Σ d²) over pairs, with d the distances on the
        map and δ those asked for (Kruskal 1964): 0 is perfect, 0.05 good, 0.1 fair, 0.2 poor.
    """

    coordinates: np.ndarray
    stress: float


def language_map(similarity: ArrayLike, seed: int = 0) -> LanguageMap:
    """Two-dimensional metric multidimensional scaling of `similarity.distances`.

    SMACOF starts from the classical solution, which does not depend on the order of the languages,
    and from four random ones that `seed` fixes; a random one is only taken if its stress is
    clearly lower. The map is turned so that it is widest along x, and mirrored so that the point
    farthest out along either axis is on its positive side.
    """
    wanted = distances(similarity)
    if not wanted.any():
        return LanguageMap(np.zeros((len(wanted), 2)), 0.0)
    placed, stress = _scale(wanted, _classical_start(wanted), seed)
    other, other_stress = _scale(wanted, None, seed)
    if other_stress < 0.999 * stress - 1e-6:
        placed, stress = other, other_stress
    return LanguageMap(_turn(placed), stress)


def _scale(wanted: np.ndarray, start: np.ndarray | None, seed: int) -> tuple[np.ndarray, float]:
    """SMACOF from a start (K, 2), or from random ones if it is None: coordinates and stress-1."""
    from sklearn.manifold import MDS  # over half a second, which a heatmap should not wait for

    scaling = MDS(
        metric="precomputed",
        init="random",
        n_init=1 if start is not None else _RANDOM_STARTS,
        max_iter=1000,
        eps=1e-9,
        random_state=seed,
        normalized_stress=True,
    )
    placed = scaling.fit_transform(wanted, init=start)
    return placed, float(scaling.stress_)


def _classical_start(wanted: np.ndarray) -> np.ndarray:
    """Torgerson's classical scaling (K, 2)."""
    from sklearn.manifold import ClassicalMDS

    # Points on one line have a second eigenvalue of zero, which rounding may put below it.
    with np.errstate(invalid="ignore"):
        return np.nan_to_num(ClassicalMDS(metric="precomputed").fit_transform(wanted))


def _turn(coordinates: np.ndarray) -> np.ndarray:
    """Centred, on the principal axes, each axis signed by its farthest point."""
    centred = coordinates - coordinates.mean(axis=0)
    axes = np.linalg.svd(centred, full_matrices=False)[2]
    turned = centred @ axes.T
    farthest = turned[np.abs(turned).argmax(axis=0), [0, 1]]
    return turned * np.where(farthest < 0, -1.0, 1.0)
