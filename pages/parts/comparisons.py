"""The same matrix as a graph, as a map, and against what linguists know."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import networkx as nx
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from bridgex_core import figures
from bridgex_core.language_graph import suggested_threshold
from bridgex_core.languages import Language
from bridgex_core.similarity import MatrixCorrelation, off_diagonal
from bridgex_core.spectrum import OverlapMatrix, SpectrumSettings
from bridgex_core.typology import TYPOLOGY_KINDS, typology_similarity
from pages.parts import results, state, words
from pages.parts.results import Scene, Statistics


@dataclass(frozen=True)
class Drawn:
    """What a view drew, for the downloads."""

    figure: go.Figure
    graph: nx.Graph | None = None


_CLOSE = {
    "genetic": "are close in the family tree",
    "syntactic": "have a similar syntax",
    "geographic": "are spoken near each other",
    "featural": "share more typological features",
}


def graph(scene: Scene, stats: Statistics, settings: SpectrumSettings, fmt: str) -> Drawn:
    """Languages joined where they are similar enough."""
    threshold = _threshold(results.matrix(stats, settings))
    drawing = results.graph(stats, settings, threshold)
    languages = {one.code: one for one in scene.named(stats.languages)}
    figure = figures.graph_figure(drawing.graph, drawing.positions, languages)
    edges = words.counted(drawing.graph.number_of_edges(), "edge")
    communities = len(set(drawing.communities(stats.languages)))
    st.plotly_chart(
        figure,
        key="graph",
        config=figures.download_config("language-graph", fmt),
        alt=f"Graph of {words.counted(len(stats.languages), 'language')} with {edges}.",
    )
    st.caption(
        f"Languages are joined where their {words.metric(settings.metric)} is at least "
        f"{threshold:.4g}: {edges}. Colours show the {communities} communities that Louvain's "
        "method finds by these weights; a different threshold gives different ones."
    )
    return Drawn(figure, drawing.graph)


def _threshold(matrix: OverlapMatrix) -> float:
    pairs = off_diagonal(matrix.values)
    low, high = float(pairs.min()), float(pairs.max())
    suggested = suggested_threshold(matrix.values)
    if state.get("threshold") is not None and not low <= state.get("threshold") <= high:
        state.put(threshold=None)  # chosen for another metric
    if low == high:
        return low
    whole = matrix.settings.metric == "count"
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.slider(
            "Join languages from",
            low,
            high,
            step=1.0 if whole else (high - low) / 200,
            format="%.0f" if whole else "%.3f",
            help="The suggested threshold is the highest at which all languages stay connected.",
            width=320,
            **state.widget("threshold", shown=lambda own: suggested if own is None else own),
        )
        st.button(
            "Suggested threshold",
            disabled=state.get("threshold") is None,
            on_click=state.put,
            kwargs={"threshold": None},
            key="suggested",
        )
    own = state.get("threshold")
    return suggested if own is None else float(own)


def plane(scene: Scene, stats: Statistics, settings: SpectrumSettings, fmt: str) -> Drawn:
    """Languages as points, near each other where they are similar."""
    languages = scene.named(stats.languages)
    found = results.placed(stats, settings)
    threshold = suggested_threshold(results.matrix(stats, settings).values)
    groups = results.graph(stats, settings, threshold).communities(stats.languages)
    figure = figures.map_figure(found.coordinates, languages, groups, found.stress)
    st.plotly_chart(
        figure,
        key="map",
        config=figures.download_config("language-map", fmt),
        alt=f"Map of {words.counted(len(languages), 'language')}; similar ones are close.",
    )
    st.caption(
        "Distances on the map come as near as a plane allows to how little two languages share "
        f"(metric MDS, stress-1 = {found.stress:.2f}: {_stress_words(found.stress)}). The axes "
        "have no meaning of their own. Colours and shapes are the graph's communities."
    )
    return Drawn(figure)


def _stress_words(stress: float) -> str:
    for limit, word in ((0.05, "good"), (0.1, "fair"), (0.2, "rough")):
        if stress <= limit:
            return word
    return "poor, so look at the heatmap instead"


def typology(scene: Scene, stats: Statistics, settings: SpectrumSettings, fmt: str) -> Drawn:
    """The spectrum against URIEL+'s similarities."""
    kind = st.segmented_control(
        "Known similarity",
        TYPOLOGY_KINDS,
        format_func=words.KINDS.__getitem__,
        required=True,
        **state.widget("typology"),
    )
    spectrum = results.matrix(stats, settings)
    similarity = typology_similarity(kind, spectrum.languages)
    correlation = results.typology(stats, settings, kind)
    figure = figures.typology_scatter(
        off_diagonal(spectrum.values),
        off_diagonal(similarity),
        _pair_names(scene.named(spectrum.languages)),
        kind=kind,
        correlation=correlation,
    )
    st.plotly_chart(
        figure,
        key="typology",
        config=figures.download_config(f"typology-{kind}", fmt),
        alt=f"Scatter of {correlation.pairs} language pairs: {kind} similarity in URIEL+ against "
        f"{words.metric(settings.metric)}, rho = {correlation.rho:.2f}.",
    )
    st.markdown(typology_words(kind, correlation))
    _all_kinds(stats, settings)
    return Drawn(figure)


def _pair_names(languages: Sequence[Language]) -> list[str]:
    names = [language.name for language in languages]
    return [f"{a} – {b}" for i, a in enumerate(names) for b in names[i + 1 :]]


def typology_words(kind: str, found: MatrixCorrelation) -> str:
    """What a correlation says, and how sure it is."""
    if math.isnan(found.rho):
        return "One of the two similarities is the same for all pairs, so there is no correlation."
    numbers = (
        f"Spearman's rho = {found.rho:.2f} (95 % interval {found.low:.2f} to {found.high:.2f}, "
        f"{found.languages} languages resampled, {found.pairs} pairs); Mantel test "
        f"{words.p_value(found.p_value)} with {found.permutations:,} permutations."
    )
    if found.p_value >= 0.05:
        return (
            f"No sign that languages which {_CLOSE[kind]} share more neurons here: chance alone "
            f"gives as much. {numbers}"
        )
    more = "more" if found.rho > 0 else "fewer"
    return f"Languages which {_CLOSE[kind]} share {more} neurons. {numbers}"


def _all_kinds(stats: Statistics, settings: SpectrumSettings) -> None:
    rows = []
    for kind in TYPOLOGY_KINDS:
        found = results.typology(stats, settings, kind)
        rows.append(
            {
                "Known similarity": words.KINDS[kind],
                "rho": found.rho,
                "low": found.low,
                "high": found.high,
                "p": found.p_value,
                "pairs": found.pairs,
            }
        )
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        column_config={
            "rho": st.column_config.NumberColumn("Spearman's rho", format="%.2f"),
            "low": st.column_config.NumberColumn("95 % from", format="%.2f"),
            "high": st.column_config.NumberColumn("to", format="%.2f"),
            "p": st.column_config.NumberColumn("Mantel p", format="%.4f"),
            "pairs": st.column_config.NumberColumn("Pairs", format="%d"),
        },
        alt="Spearman's rho with interval and Mantel p for the four kinds of similarity.",
    )
