"""Which class each neuron is of: by layer, as sets, and whether the methods agree."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from bridgex_core import figures
from bridgex_core.depth_parts import DepthParts, depth_parts
from bridgex_core.errors import InputError
from bridgex_core.neuron_classes import CLASSES, Classes, intersections
from pages.parts import atlas_results, atlas_shown, downloads, state, words
from pages.parts.results import Scene, Statistics

_LITTLE = 0.05
_COLUMNS = 20

_MEANINGS = {
    "lape": "Specific: LAPE's neurons of one language; related: of several; agnostic: of all, and "
    "what passes its filter without being selected; inactive: what the filter drops.",
    "sharing": "On each part of the text a neuron is active in one, several, all or none of the "
    "languages (on more than half of its tokens); its class is the one it has most often.",
    "membership": "Specific: among the most active neurons of one language only; related: of "
    "several; agnostic: of all; inactive: of none.",
}


def draw(scene: Scene, stats: Statistics) -> None:
    """The whole analysis."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.segmented_control(
            "Method",
            state.METHODS,
            format_func=words.METHODS.__getitem__,
            required=True,
            help=words.METHOD_HELP,
            **state.widget("method"),
        )
        if state.get("method") != "sharing":
            atlas_shown.share()
    method, share = state.get("method"), float(state.get("share"))
    found = atlas_results.classes(scene, stats, method, share)
    _layers(scene, stats, found)
    show_sets(scene, found, f"{scene.collection.source.title}, {words.METHODS[method]}")
    with st.container(horizontal=True):
        st.download_button(
            "Class of every neuron (CSV)",
            lambda: found.to_frame().to_csv(index=False),
            "classes.csv",
            "text/csv",
            on_click="ignore",
            icon=":material/download:",
            key="classes_csv",
        )
        downloads.picture_and_link()
    _agreement(scene, stats, share)


def _layers(scene: Scene, stats: Statistics, found: Classes) -> None:
    parts, problem = _parts(found)
    by_layer = found.by_layer()
    name = words.METHODS[found.method]
    atlas_shown.picture(
        figures.class_layers(by_layer, parts),
        "class_layers",
        f"Classes of neurons by layer, {name}, {scene.collection.source.title}",
        f"Neurons by layer and class, {name}: "
        + ", ".join(f"{label} {int(by_layer[label].sum()):,}" for label in by_layer.columns),
        by_layer.reset_index(),
    )
    st.caption(f"{_MEANINGS[found.method]} {atlas_shown.origin(scene, stats)}")
    st.markdown(parts_words(parts) if parts is not None else words.plain(problem))


def _parts(found: Classes) -> tuple[DepthParts | None, str]:
    try:
        return depth_parts(found), ""
    except InputError as error:
        return None, str(error)


def parts_words(parts: DepthParts) -> str:
    """Where the curves turn, and whether four parts are more than three."""
    named = ", ".join(
        f"**{name}** {layers[0]} to {layers[-1]}" if len(layers) > 1 else f"**{name}** {layers[0]}"
        for name, layers in parts.parts.items()
    )
    three, four = (float(share) for share in parts.explained[2:])
    added = (
        f"The fourth part adds {words.percent(four - three)} to the {words.percent(three)} of the "
        "curves' variance that three explain"
    )
    if four - three < _LITTLE:
        return f"Layers: {named}. {added}: so little that three parts say as much here."
    return f"Layers: {named}. {added}."


def show_sets(scene: Scene, found: Classes, title: str, key: str = "class_sets") -> None:
    """The languages' sets as an UpSet plot; also of an import."""
    bars = intersections(found.masks, found.languages, at_most=_COLUMNS)
    if not len(bars):
        st.caption("No neuron belongs to any of these languages.")
        return
    sizes = [int(mask.sum()) for mask in found.masks]
    told = bars.assign(languages=[" ".join(codes) for codes in bars["languages"]])
    atlas_shown.picture(
        figures.upset(bars, sizes, scene.named(found.languages)),
        key,
        f"Neurons by the languages they belong to, {title}",
        "UpSet plot; most neurons lie in "
        + "; ".join(
            f"{words.listed(codes, most=3)}: {count}"
            for codes, count in zip(bars["languages"][:3], bars["neurons"][:3], strict=True)
        ),
        told,
    )
    st.caption(
        "Each column is a combination of languages: the bar counts the neurons that belong to "
        "exactly these, the dots say which they are. The bars at the left are the sizes of the "
        f"sets. The {len(bars)} largest combinations are shown."
    )


def _agreement(scene: Scene, stats: Statistics, share: float) -> None:
    st.markdown("**How far the methods agree**")
    if stats.are_many and not st.toggle("Work it out: many languages take a few seconds"):
        return
    with st.spinner("Comparing the three methods …"):
        frame = atlas_results.agreement(scene, stats, state.METHODS, share)
    frame = frame.assign(
        methods=[
            f"{words.METHODS[a]} and {words.METHODS[b]}"
            for a, b in zip(frame["first"], frame["second"], strict=True)
        ]
    )
    number = st.column_config.NumberColumn
    atlas_shown.table(
        frame,
        "Jaccard index of the classes of every two methods.",
        {
            "methods": "Methods",
            "class": "Class",
            "jaccard": number("Jaccard", format="%.3f"),
            "chance": number("By chance", format="%.3f"),
            "both": number("In both", format="localized"),
            "a": number("In the first", format="localized"),
            "b": number("In the second", format="localized"),
        },
    )
    st.caption(_agreement_words(frame))
    downloads.table_csv(frame, "method_agreement", "Agreement (CSV)")


def _agreement_words(frame: pd.DataFrame) -> str:
    specific = frame[frame["class"] == CLASSES[0]]
    best = specific["jaccard"].max()
    return (
        "Jaccard: neurons in the class by both methods over those by either. By chance: what two "
        "unrelated classes of these sizes would reach. On language-specific neurons no two methods "
        f"agree by more than {best:.2f}: they do not measure the same thing."
        if best < 0.5
        else "Jaccard: neurons in the class by both methods over those by either. By chance: what "
        "two unrelated classes of these sizes would reach."
    )
