"""Whether the neurons of highest impact are the most active ones, by language and by layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import streamlit as st

from bridgex_core import figures
from bridgex_core.detection import (
    BINS,
    IMPACTS,
    Detection,
    Impacts,
    detect,
    rank_counts,
    stored_impacts,
    without_impacts,
)
from bridgex_core.spectrum import spectrum_of_sets
from pages.parts import atlas_jobs, atlas_shown, downloads, results, state, words
from pages.parts.results import Keys, Scene, Statistics


def draw(scene: Scene, stats: Statistics) -> None:
    """The whole analysis."""
    st.markdown(
        "Do the neurons that change what the model writes most agree with those that are active "
        "most often?"
    )
    lacking = without_impacts(scene.store, scene.collection, stats.languages)
    if lacking:
        _offer(scene, stats, lacking)
    recorded = [code for code in stats.languages if code not in lacking]
    if len(recorded) < 2:
        return
    stats = results.statistics(replace(scene, languages=tuple(recorded)))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        target = state.get("target")
        fallback = target if target in recorded else recorded[0]
        code = atlas_shown.language("Language", "of", scene.named(recorded), fallback, width=300)
        atlas_shown.share()
    found = _detection(_keys(scene, stats), float(state.get("share")), scene, stats)
    left, right = st.columns(2, gap="large")
    with left:
        _ranks(scene, stats, code)
    with right:
        _layers(scene, found, code)
    _table(scene, stats, found)
    _overlaps(scene, found)
    downloads.picture_and_link()


# ---- What is stored ----------------------------------------------------------------------------


def _keys(scene: Scene, stats: Statistics) -> Keys:
    """What caches go by: impacts and statistics have the same model, text and settings."""
    text = scene.collection.corpus.text
    return tuple((code, scene.collection.key(IMPACTS, text(code))) for code in stats.languages)


@st.cache_resource(show_spinner=False, max_entries=8)
def _impacts(keys: Keys, _scene: Scene) -> Impacts:
    return stored_impacts(_scene.store, _scene.collection, [code for code, _ in keys])


@st.cache_resource(show_spinner="Comparing impact and activation …", max_entries=8)
def _detection(keys: Keys, share: float, _scene: Scene, _stats: Statistics) -> Detection:
    return detect(_impacts(keys, _scene), results.table(_stats), share)


@st.cache_resource(show_spinner=False, max_entries=64)
def _counts(keys: Keys, code: str, _scene: Scene, _stats: Statistics) -> Any:
    place = _stats.languages.index(code)
    probability = results.table(_stats).probability[place]
    return rank_counts(_impacts(keys, _scene).values[place], probability)


# ---- What is not -------------------------------------------------------------------------------


def _offer(scene: Scene, stats: Statistics, lacking: Sequence[str]) -> None:
    """Languages without impacts, and the job that records them."""
    names = words.listed([words.plain(one.name) for one in scene.named(lacking)])
    number = words.counted(len(lacking), "language")
    atlas_jobs.offer(
        scene,
        ["atlas", "detection", *atlas_jobs.of_statistics(scene, stats)],
        f"impacts of {number}",
        f"No impacts are recorded of {number}: {names}",
        "One pass over each text.",
        "Record them",
        "atlas_impacts",
    )


# ---- What is shown -----------------------------------------------------------------------------


def _ranks(scene: Scene, stats: Statistics, code: str) -> None:
    counts = _counts(_keys(scene, stats), code, scene, stats)
    name = scene.register[code].name
    st.markdown(f"**{words.plain(name)}: every neuron by both ranks**")
    neurons = int(counts.sum())
    atlas_shown.picture(
        figures.impact_ranks(counts),
        "impact_ranks",
        f"Neurons by impact and activation probability, {name}, {scene.collection.source.title}",
        f"Heatmap of {neurons:,} neurons by rank of activation probability and of impact, {name}.",
        pd.DataFrame(counts).rename_axis("impact").reset_index(),
    )
    st.caption(
        f"All {neurons:,} neurons, layers together, 100 % being the highest; a cell holds those of "
        f"{words.percent(1 / BINS)} of the ranks each way. Impact (arXiv 2402.18815): how far the "
        "output of a layer's feed-forward block moves without the neuron, averaged over the tokens."
    )


def _layers(scene: Scene, found: Detection, code: str) -> None:
    name = scene.register[code].name
    curve = found.curve(code)
    st.markdown("**Agreement within each layer**")
    atlas_shown.picture(
        figures.impact_curve(curve, name),
        "impact_curve",
        f"Impact against activation probability by layer, {scene.collection.source.title}",
        f"Spearman's correlation by layer: mean and range of "
        f"{words.counted(len(found.languages), 'language')}, and {name}.",
        curve,
    )
    layer, share = found.fullest_layer
    st.caption(
        "Spearman's correlation of impact and activation probability over a layer's neurons: 1 "
        "where both order them alike, 0 where neither says anything of the other. Layers can write "
        f"with unlike strength: {words.percent(round(share, 2))} of the neurons of highest impact "
        f"are in layer {layer}."
    )


def _table(scene: Scene, stats: Statistics, found: Detection) -> None:
    frame = found.to_frame()
    frame.insert(1, "name", [one.name for one in scene.named(found.languages)])
    st.markdown("**The neurons of highest impact, language by language**")
    number = st.column_config.NumberColumn
    atlas_shown.table(
        frame,
        "Sets of neurons of highest impact, and their agreement with the most active ones.",
        {
            "name": "Language",
            "neurons": number("Neurons", format="localized"),
            "specific": number("Specific", format="localized", help="In no other language's set"),
            "shared": number("Shared by all", format="localized", help="In every language's set"),
            "jaccard": number("Jaccard", format="%.3f", help="With its most active neurons"),
            "chance": number("By chance", format="%.3f", help="Random sets of these sizes"),
            "spearman": number("Spearman", format="%.3f", help="Mean over the layers"),
        },
    )
    downloads.table_csv(frame, "detection", "Table (CSV)")
    st.caption(
        f"The {words.percent(float(state.get('share')))} of the neurons with the highest impact on "
        "a language's text, over all layers; Jaccard: of this set and that of the most active "
        f"neurons, equally many. {atlas_shown.origin(scene, stats)}"
    )


def _overlaps(scene: Scene, found: Detection) -> None:
    st.markdown("**Which languages share them**")
    languages = scene.named(found.languages)
    told = (
        ("By impact", "impact_overlap", found.impact),
        ("By activation probability", "active_overlap", found.active),
    )
    for column, (how, name, sets) in zip(st.columns(2, gap="large"), told, strict=True):
        frame = spectrum_of_sets(sets).to_frame()
        with column:
            st.markdown(how)
            atlas_shown.picture(
                figures.language_matrix(
                    frame.to_numpy(), languages, title="Jaccard overlap", span=(0.0, 1.0)
                ),
                name,
                f"Overlap of the top neurons, {how.lower()}, {scene.collection.source.title}",
                f"Heatmap of {words.counted(len(languages), 'language')}: Jaccard overlap of the "
                f"top neurons of every two, {how.lower()}.",
                frame.rename_axis("language").reset_index(),
            )
