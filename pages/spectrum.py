"""Spectrum: which languages the model processes with the same neurons."""

from __future__ import annotations

import streamlit as st

from bridgex_core import figures
from bridgex_core.language_graph import graphml
from bridgex_core.spectrum import OverlapMatrix, SpectrumSettings, order_languages
from pages.parts import (
    comparisons,
    compute,
    controls,
    downloads,
    frame,
    imported,
    pair,
    results,
    state,
    trust,
    words,
)
from pages.parts.comparisons import Drawn
from pages.parts.messages import told
from pages.parts.results import Scene, Statistics


def main(scene: Scene) -> None:
    """The whole page."""
    if name := imported.chosen():
        st.fragment(told(_spectrum))(scene, results.imported(scene, name))
        _next_step()
        return
    with st.spinner("Reading the stored statistics …"):
        stats = results.statistics(scene)  # first: what is damaged is set aside, then missing
    offer = compute.draw(scene)
    if len(stats.languages) < 2:
        _question()
        imported.choose(scene)
        st.info(_too_few(scene), icon=":material/info:")
    else:
        st.fragment(told(_spectrum))(scene, stats)
    _next_step()
    if offer is not None:
        told(compute.tell_plan)(scene, offer)


def _question() -> None:
    """What the page answers."""
    st.subheader("Which languages share neurons inside the model?", anchor=False, width="content")


def _too_few(scene: Scene) -> str:
    if len(scene.languages) < 2:
        return "A spectrum compares languages: choose at least two in the sidebar."
    return (
        f"No two of these languages are computed for {words.plain(scene.collection.source.title)} "
        f"in {scene.collection.dtype} yet: press Compute, or choose another model."
    )


def _spectrum(scene: Scene, stats: Statistics) -> None:
    """Controls and everything that follows from them; reruns alone when one is changed."""
    pair.settle(stats.languages)
    state.publish()
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        _question()
        st.segmented_control(
            "View",
            state.VIEWS,
            format_func=words.VIEWS.__getitem__,
            required=True,
            label_visibility="collapsed",
            **state.widget("view"),
        )
    imported.choose(scene)
    if imported.chosen() != stats.imported:
        st.rerun()  # what this part was given is of the other
    settings = controls.draw(results.shape(stats)[0], sets_alone=stats.sets is not None)
    matrix = results.matrix(stats, settings)
    drawn = _VIEWS[state.get("view")](scene, stats, settings, downloads.picture_format())
    st.caption(_measured(scene, stats, matrix))
    _downloads(stats.imported or scene.collection.source.title, matrix, drawn)
    pair.draw(scene, stats, settings)
    trust.draw(scene, stats, settings)


def _heatmap(scene: Scene, stats: Statistics, settings: SpectrumSettings, fmt: str) -> Drawn:
    matrix = results.matrix(stats, settings)
    ordering = order_languages(matrix, scene.named(matrix.languages), state.get("order"))
    ordered = matrix.reorder(ordering.order)
    figure = figures.spectrum_heatmap(
        ordered,
        scene.named(ordered.languages),
        tree=ordering.tree,
        marked=() if stats.imported else results.hardly_known(scene, stats.languages),
        selected=state.get("pair"),
    )
    st.plotly_chart(
        figure,
        key=pair.CHART,
        on_select=pair.clicked,
        selection_mode="points",
        config=figures.download_config("spectrum", fmt),
        alt=f"Heatmap of {words.counted(len(ordered.languages), 'language')}: "
        f"{words.metric(settings.metric)} of every two.",
    )
    return Drawn(figure)


_VIEWS = {
    "heatmap": _heatmap,
    "graph": comparisons.graph,
    "map": comparisons.plane,
    "typology": comparisons.typology,
}


def _measured(scene: Scene, stats: Statistics, matrix: OverlapMatrix) -> str:
    """What the numbers are of."""
    layers = words.layers_phrase(matrix.layers, results.shape(stats)[0])
    if stats.sets is not None:
        sizes = words.span(matrix.sizes.tolist())
        metric = figures.METRIC_TITLES[matrix.settings.metric]
        return f"{metric} of sets of {sizes} neurons, in {layers} of {imported.about(stats)}"
    table, collection = results.table(stats), scene.collection
    settings, tokens = matrix.settings, table.tokens
    what = (
        f"{words.measured(settings)} ({words.percent(settings.top_rate)} of "
        f"{table.layers * table.width:,}), in {layers} of "
    )
    read = f"{tokens.min():,} to {tokens.max():,} tokens a language."
    if stats.imported:
        return f"{what}{imported.about(stats)} {read}"
    blocks = len(collection.corpus.text(stats.languages[0]).blocks)
    unit = collection.corpus.unit
    length = f"{blocks} {unit}" if unit == "articles" else f"{blocks} blocks of {unit}"
    return (
        f"{what}{words.plain(collection.source.title)} in {collection.dtype}. Text: "
        f"{words.plain(collection.corpus.title)}, {length}, {read}"
    )


def _downloads(origin: str, matrix: OverlapMatrix, drawn: Drawn) -> None:
    title = f"{figures.METRIC_TITLES[matrix.settings.metric]}, {origin}"
    name = f"{state.get('view')}-{matrix.settings.metric}"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.download_button(
            "Matrix (CSV)",
            lambda: matrix.to_frame().to_csv(),
            f"spectrum-{matrix.settings.metric}.csv",
            "text/csv",
            on_click="ignore",
            icon=":material/download:",
            key="matrix_csv",
        )
        st.download_button(
            "Figure (HTML)",
            lambda: figures.to_html(drawn.figure, title),
            f"{name}.html",
            "text/html",
            on_click="ignore",
            icon=":material/download:",
            key="figure_html",
        )
        if (graph := drawn.graph) is not None:
            st.download_button(
                "Graph (GraphML)",
                lambda: graphml(graph),
                "languages.graphml",
                "application/graphml+xml",
                on_click="ignore",
                icon=":material/download:",
                key="graph_graphml",
            )
        downloads.picture_and_link()


def _next_step() -> None:
    st.divider()
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(
            "**Next:** add languages in the sidebar and compute them, or bring your own.",
            width="content",
        )
        st.page_link("pages/library.py", label="Open the Library", icon=":material/arrow_forward:")


frame.run(main)
