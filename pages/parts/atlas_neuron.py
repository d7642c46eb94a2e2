"""One neuron: in which languages it is active, which neurons are like it, what drives it."""

from __future__ import annotations

import math
from functools import partial

import pandas as pd
import streamlit as st

from bridgex_core import figures
from bridgex_core.drivers import Drivers, drivers, nearest_neurons
from bridgex_core.languages import Language
from pages.parts import atlas_model, atlas_results, atlas_shown, downloads, results, state, words
from pages.parts.messages import told
from pages.parts.results import Scene, Statistics


def draw(scene: Scene, stats: Statistics) -> None:
    """The whole analysis."""
    table = results.table(stats)
    share = float(state.get("share"))
    target = state.get("target")
    fallback = target if target in stats.languages else stats.languages[0]
    code = state.get("of") if state.get("of") in stats.languages else fallback
    specific = atlas_results.most_specific(stats, share, code)
    layer, neuron = _chosen(specific, table.layers, table.width)
    left, right = st.columns((2, 3), gap="large")
    with left:
        code = atlas_shown.language(
            "Most specific neurons of", "of", scene.named(stats.languages), fallback, width=300
        )
        _specific(specific, scene.register[code])
        _numbers(layer, neuron, table.layers, table.width)
    with right:
        _profile(scene, stats, layer, neuron)
    told(_nearest)(stats, layer, neuron)
    told(_drivers)(scene, stats, layer, neuron, scene.register[code])


def _chosen(specific: pd.DataFrame, layers: int, width: int) -> tuple[int, int]:
    """The neuron of the link, else the most specific one of the language."""
    chosen = state.get("neuron")
    if chosen is not None and (chosen[0] >= layers or chosen[1] >= width):
        st.warning(f"This model has no neuron {chosen[1]} in layer {chosen[0]}.")
        state.put(neuron=None)
        chosen = None
    if chosen is not None:
        return chosen
    if len(specific):
        return int(specific["layer"][0]), int(specific["neuron"][0])
    return 0, 0


def _specific(frame: pd.DataFrame, language: Language) -> None:
    if not len(frame):
        st.caption(
            f"LAPE finds no neuron of {words.plain(language.name)} among the "
            f"{words.percent(state.get('share'))} that it selects: raise the share under Classes."
        )
        return
    number = st.column_config.NumberColumn
    key = f"specific_{language.code}"
    st.dataframe(
        frame,
        hide_index=True,
        height=250,
        column_order=["layer", "neuron", "probability", "highest_elsewhere", "languages"],
        column_config={
            "layer": "Layer",
            "neuron": "Neuron",
            "probability": number("Active", format="percent"),
            "highest_elsewhere": number("Elsewhere at most", format="percent"),
            "languages": number("Languages", help="How many languages LAPE gives it to"),
        },
        on_select=partial(_take, key, frame),
        selection_mode="single-row",
        key=key,
        alt=f"The neurons of {language.name} by LAPE, most specific first.",
    )
    st.caption("Lowest entropy first. Choose a row to look at its neuron.")


def _take(key: str, frame: pd.DataFrame) -> None:
    rows = st.session_state[key]["selection"]["rows"]
    if rows:
        state.put(neuron=(int(frame["layer"][rows[0]]), int(frame["neuron"][rows[0]])))


def _numbers(layer: int, neuron: int, layers: int, width: int) -> None:
    with st.container(horizontal=True):
        for place, (label, now, most) in enumerate(
            (("Layer", layer, layers - 1), ("Neuron", neuron, width - 1))
        ):
            key = f"neuron_{place}"
            if st.session_state.get(key) != now:
                st.session_state[key] = now
            st.number_input(label, 0, most, width=140, key=key, on_change=_typed)


def _typed() -> None:
    state.put(neuron=(st.session_state["neuron_0"], st.session_state["neuron_1"]))


def _profile(scene: Scene, stats: Statistics, layer: int, neuron: int) -> None:
    table = results.table(stats)
    languages = scene.named(stats.languages)
    probability = table.probability[:, layer, neuron]
    frame = pd.DataFrame(
        {
            "language": stats.languages,
            "probability": probability,
            "mean": table.means[:, layer, neuron],
        }
    )
    best = languages[int(probability.argmax())]
    atlas_shown.picture(
        figures.neuron_bars(languages, probability),
        "neuron_bars",
        f"Neuron {neuron} of layer {layer}, {scene.collection.source.title}",
        f"Activation probability of neuron {neuron} of layer {layer} by language, highest in "
        f"{best.name}: {probability.max():.1%}.",
        frame,
    )
    found = atlas_results.lape(stats, float(state.get("share")))
    owners = [
        words.plain(one.name)
        for one, mask in zip(languages, found.masks, strict=True)
        if mask[layer, neuron]
    ]
    entropy = float(found.entropy[layer, neuron])
    if owners:
        verdict = f"By LAPE it belongs to {words.listed(owners)}"
    elif math.isfinite(entropy):
        verdict = "By LAPE it belongs to no language: its activity tells them apart too little"
    else:
        verdict = "By LAPE it belongs to no language: it is too rarely active in each"
    told_entropy = (
        f" (entropy {entropy:.2f} of at most {math.log(len(languages)):.2f} nats)"
        if math.isfinite(entropy)
        else ""
    )
    st.caption(f"{verdict}{told_entropy}. {atlas_shown.origin(scene, stats)}")


def _nearest(stats: Statistics, layer: int, neuron: int) -> None:
    st.markdown("**Neurons that rise and fall with it over the languages**")
    frame = nearest_neurons(results.table(stats), layer, neuron)
    number = st.column_config.NumberColumn
    key = f"nearest_{layer}_{neuron}"
    st.dataframe(
        frame,
        hide_index=True,
        column_config={
            "layer": "Layer",
            "neuron": "Neuron",
            "correlation": number("Correlation", format="%.3f"),
            "difference": number("Largest difference", format="percent"),
        },
        on_select=partial(_take, key, frame),
        selection_mode="single-row",
        key=key,
        alt=f"The neurons nearest to neuron {neuron} of layer {layer}.",
    )
    st.caption(
        "Pearson's correlation of the activation probabilities over the languages chosen; with few "
        "languages, high ones are easily had by chance. Choose a row to look at its neuron."
    )
    downloads.table_csv(frame, "nearest_neurons", "Nearest neurons (CSV)")


def _drivers(scene: Scene, stats: Statistics, layer: int, neuron: int, language: Language) -> None:
    name = words.plain(language.name)
    st.markdown(f"**What drives it in {name}**")
    text = scene.collection.corpus.text(language.code)

    def work() -> Drivers:
        model = atlas_results.backend(scene).model
        total = sum(len(model.encode(block)) for block in text.blocks)
        progress = atlas_model.watched(total, f"Reading {language.name}")
        return drivers(model, text.blocks, layer, neuron, progress=progress)

    asked = (text.digest, layer, neuron)
    found = atlas_model.found(scene, f"Read the text in {name}", "drivers", asked, work)
    if found is None:
        return
    st.caption(
        f"Active on {found.positive_share:.1%} of the tokens of "
        f"{words.plain(scene.collection.corpus.title)} in {name}; its highest activation there is "
        f"{found.highest:.3f}, which has the full shade."
    )
    left, right = st.columns((3, 2), gap="large")
    with left:
        for sentence in found.sentences:
            st.html(figures.shaded_sentence(sentence, found.highest))
    with right:
        _tokens(found)


def _tokens(found: Drivers) -> None:
    frame = pd.DataFrame(
        [(one.text, one.highest, one.mean, one.count) for one in found.tokens],
        columns=["token", "highest", "mean", "places"],
    )
    number = st.column_config.NumberColumn
    atlas_shown.table(
        frame,
        "The tokens on which the neuron is most active.",
        {
            "token": "Token",
            "highest": number("Highest", format="%.3f"),
            "mean": number("Mean", format="%.3f"),
            "places": number("Places", format="%d"),
        },
    )
    downloads.table_csv(frame, "driving_tokens", "Tokens (CSV)")
