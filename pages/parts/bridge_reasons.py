"""Why a bridge is ranked where it is: layers, the graph of languages, neurons, words."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import pandas as pd
import streamlit as st

from bridgex_core import figures
from bridgex_core.bridge_hsic import BridgeScores
from bridgex_core.bridge_null import Calibrated
from bridgex_core.errors import InputError
from bridgex_core.languages import Language
from bridgex_core.neurons import layer_band
from bridgex_core.probing import Probe
from pages.parts import bridge_compute, bridge_results, bridge_words, downloads, words
from pages.parts.bridge_ranking import Shown
from pages.parts.bridge_results import PAPER, Asked

_CALIBRATED = "hsic-calibrated"
_NO_PROBE = "The probe of this pair is not computed yet."
_SHOWN = "bridge_in_focus"

Part = Callable[[Asked, Shown, str], None]


def draw(asked: Asked, shown: Shown) -> None:
    """The tabs; only the open one is worked out."""
    st.subheader("Why?", anchor="why")
    focus = _focus(asked, shown)
    tabs = st.tabs(list(_TABS), on_change="rerun", key="why")
    for tab, part in zip(tabs, _TABS.values(), strict=True):
        if tab.open:
            with tab:
                _tell(part, asked, shown, focus)


def _tell(part: Part, asked: Asked, shown: Shown, focus: str) -> None:
    """A tab; what it cannot have is no error, the ranking stands on something else then."""
    try:
        part(asked, shown, focus)
    except InputError as error:
        st.info(words.plain(error), icon=":material/info:")


def _focus(asked: Asked, shown: Shown) -> str:
    """The candidate to look at closer, the first at the beginning."""
    ranking = shown.ranked.ranking
    if st.session_state.get(_SHOWN) not in ranking:
        st.session_state[_SHOWN] = ranking[0]
    return st.selectbox(
        "Look closer at",
        ranking,
        format_func=lambda code: words.language_label(asked.scene.register[code]),
        width=280,
        key=_SHOWN,
    )


# ---- Layers ------------------------------------------------------------------------------------


def _layers(asked: Asked, shown: Shown, focus: str) -> None:
    against = st.toggle(
        "Against random neurons",
        value=shown.ranker == _CALIBRATED,
        help="The same number of neurons, as often active, drawn at random 200 times in every "
        "layer. Prompt length is then taken out of all lines. Takes some seconds at first.",
        key=f"null_{shown.ranker == _CALIBRATED}",
    )
    with st.spinner("Comparing with random neurons …" if against else "Taking HSIC …"):
        ranked = bridge_results.ranked(asked, _CALIBRATED if against else PAPER)
    scores = ranked.plain if isinstance(ranked, Calibrated) else ranked
    if not isinstance(scores, BridgeScores):
        st.info(_NO_PROBE, icon=":material/info:")
        return
    null = None
    if isinstance(ranked, Calibrated):
        of, at = ranked.layer_null, scores.bridges.index(focus)
        null = of.low[at], of.mean[at], of.high[at]
    depth = scores.layer_scores.shape[1]
    figure = figures.bridge_layers(
        dict(zip(scores.bridges, scores.layer_scores, strict=True)),
        {code: asked.scene.register[code] for code in scores.bridges},
        band=layer_band(depth, asked.settings.band),
        focus=focus,
        null=null,
    )
    name = words.plain(asked.scene.register[focus].name)
    alt = f"HSIC layer by layer of every candidate, {name} standing out."
    downloads.chart(figure, "bridge_layers", alt)
    st.caption(
        "HSIC between the neurons that source and target share and those of each candidate alone, "
        "in each layer by itself. Shaded: the layers that count; move them with the slider at the "
        "top. A gap: no neuron of one of the two sets in the layer."
        + (f" Grey: what random neurons in place of {name}'s get." if null else "")
    )
    frame = _by_layer(asked, scores, ranked)
    with st.container(horizontal=True):
        downloads.table_csv(frame, "bridge_layers", "Layers (CSV)")
        downloads.figure_html(figure, "HSIC layer by layer", "bridge_layers")


def _by_layer(asked: Asked, scores: BridgeScores, ranked: object) -> pd.DataFrame:
    """One row a candidate and layer."""
    rows = []
    for b, code in enumerate(scores.bridges):
        for layer, value in enumerate(scores.layer_scores[b]):
            row = {
                "bridge": code,
                "layer": layer,
                "hsic": value,
                "neurons": scores.counts[b, layer],
                "overlap_neurons": scores.overlap_counts[layer],
            }
            if isinstance(ranked, Calibrated):
                null = ranked.layer_null
                row |= {"null_low": null.low[b, layer], "null_mean": null.mean[b, layer]}
                row["null_high"] = null.high[b, layer]
            rows.append(row)
    return pd.DataFrame(rows)


# ---- The graph ---------------------------------------------------------------------------------


def _graph(asked: Asked, shown: Shown, focus: str) -> None:
    found = bridge_results.similarity_graph(asked)
    if found is None:
        st.markdown(
            "The graph joins languages whose words for the same concepts move the same neurons "
            "alike (normalised HSIC, 0 to 1)."
        )
        bridge_compute.similarity(asked)
        return
    path = asked.source, focus, asked.target
    there = set(path) <= set(found.similarity.languages)
    languages = {one.code: one for one in asked.scene.named(found.similarity.languages)}
    figure = figures.bridge_graph(
        found.drawing.graph, found.drawing.positions, languages, path if there else ()
    )
    way = bridge_words.route(asked.scene.named(path))
    downloads.chart(figure, "bridge_graph", f"Graph of languages by HSIC, with the path {way}.")
    sentences = [
        "Languages are joined where their HSIC similarity, on the same concepts in the layers that "
        f"count, is at least {found.threshold:.2f}: the highest that leaves none alone."
    ]
    if there:
        steps = [_similarity(found.between(a, b)) for a, b in (path[:2], path[1:])]
        direct = _similarity(found.between(asked.source, asked.target))
        sentences.insert(0, f"**{way}:** {steps[0]} and {steps[1]}, directly {direct}.")
    st.markdown(sentences[0] if there else "")
    st.caption(sentences[-1])
    with st.container(horizontal=True):
        downloads.table_csv(
            found.similarity.to_frame().rename_axis("language").reset_index(),
            "hsic_similarity",
            "Matrix (CSV)",
        )
        downloads.figure_html(figure, f"HSIC similarity of languages, {way}", "bridge_graph")


def _similarity(value: float) -> str:
    return "unknown" if math.isnan(value) else f"{value:.2f}"


# ---- Neurons -----------------------------------------------------------------------------------


def _neurons(asked: Asked, shown: Shown, focus: str) -> None:
    scores = bridge_results.ranked(asked, PAPER)
    if not isinstance(scores, BridgeScores):
        st.info(_NO_PROBE, icon=":material/info:")
        return
    source, target, bridge = asked.scene.named((asked.source, asked.target, focus))
    names = [words.plain(one.name) for one in (source, target, bridge)]
    at, band = scores.bridges.index(focus), list(scores.layers)
    overlap, own = scores.overlap_counts[band].sum(), scores.counts[at, band].sum()
    pairs = scores.best_pairs[focus]
    st.markdown(
        f"{names[0]} and {names[1]} share **{overlap:,}** neurons in these layers; {names[2]} has "
        f"**{own:,}** besides them."
    )
    if pairs.empty:
        st.info(words.plain(scores.reasons.get(focus, "There is nothing to pair.")))
        return
    number = st.column_config.NumberColumn
    st.dataframe(
        pairs,
        hide_index=True,
        column_config={
            "layer": number("Layer", help="Of the neuron that source and target share"),
            "neuron": number("Shared neuron", format="%d"),
            "bridge_layer": number(f"Layer ({bridge.name})"),
            "bridge_neuron": number(f"Neuron of {bridge.name}", format="%d"),
            "hsic": number("HSIC", format="%.4f"),
        },
        alt=f"The neurons of the overlap and of {bridge.name} that match best.",
    )
    st.caption(
        f"The pairs with the highest HSIC, best first: over the probe's words, the one of "
        f"{names[2]} moves with the shared one."
    )
    downloads.table_csv(pairs, f"neurons_{focus}", "Neurons (CSV)")


# ---- Words -------------------------------------------------------------------------------------


_WHICH: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "All": lambda frame: frame,
    "Known": lambda frame: frame[frame["known"]],
    "Not known": lambda frame: frame[~frame["known"]],
}


def _words(asked: Asked, shown: Shown, focus: str) -> None:
    probe = bridge_results.probe(asked)
    if probe is None:
        st.info(_NO_PROBE, icon=":material/info:")
        return
    st.markdown(words.plain(probe.sentence()))
    which = st.segmented_control(
        "Words", list(_WHICH), default="All", required=True, key="probe_words"
    )
    source, target = probe.task.languages
    frame = _answers(probe)
    text = st.column_config.TextColumn
    ends = {"word": source.is_rtl, "gold": target.is_rtl, "answer": target.is_rtl}
    told = _WHICH[which](frame)
    isolated = {
        name: [words.isolated(each, rtl) for each in told[name]] for name, rtl in ends.items()
    }
    greedy = probe.task.known == "greedy"
    st.dataframe(
        told.assign(**isolated),
        hide_index=True,
        height=380,
        column_config={
            "word": text(source.name, alignment=_side(source)),
            "gold": text(f"Accepted in {target.name}", alignment=_side(target)),
            "answer": text("The model's answer", alignment=_side(target))
            if greedy
            else st.column_config.NumberColumn("Rank of the translation"),
            "known": st.column_config.CheckboxColumn("Known"),
        },
        alt="The words of the probe, what is accepted, what the model answered.",
    )
    downloads.table_csv(frame, "probe_words", "Words (CSV)")


def _side(language: Language) -> Literal["left", "right"]:
    return "right" if language.is_rtl else "left"


def _answers(probe: Probe) -> pd.DataFrame:
    """One row a word."""
    rows = zip(probe.task.pairs, probe.answers, probe.known.tolist(), strict=True)
    return pd.DataFrame(
        [
            (pair.word, ", ".join((*pair.answers, *pair.keyword_answers)), answer, known)
            for pair, answer, known in rows
        ],
        columns=["word", "gold", "answer", "known"],
    )


_TABS: dict[str, Part] = {
    "Layers": _layers,
    "Graph": _graph,
    "Neurons": _neurons,
    "Words": _words,
}
