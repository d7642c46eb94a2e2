"""Atlas: what single neurons do, by every method of the family."""

from __future__ import annotations

import streamlit as st

from pages.parts import (
    atlas_alignment,
    atlas_classes,
    atlas_detection,
    atlas_files,
    atlas_interventions,
    atlas_neuron,
    atlas_pitfalls,
    atlas_robustness,
    atlas_thought,
    compute,
    frame,
    results,
    state,
    words,
)
from pages.parts.messages import told
from pages.parts.results import Scene, Statistics

_DRAW = {
    "classes": atlas_classes.draw,
    "neuron": atlas_neuron.draw,
    "thought": atlas_thought.draw,
    "alignment": atlas_alignment.draw,
    "interventions": atlas_interventions.draw,
    "detection": atlas_detection.draw,
    "pitfalls": atlas_pitfalls.draw,
    "robustness": atlas_robustness.draw,
    "files": atlas_files.draw,
}
_WITHOUT_STATISTICS = ("thought", "robustness", "files")


def main(scene: Scene) -> None:
    """The whole page."""
    with st.spinner("Reading the stored statistics …"):
        stats = results.statistics(scene)  # first: what is damaged is set aside, then missing
    st.subheader("Which neurons serve one language, and which serve all?", anchor=False)
    st.segmented_control(
        "Analysis",
        state.ANALYSES,
        format_func=words.ANALYSES.__getitem__,
        required=True,
        label_visibility="collapsed",
        **state.widget("analysis"),
    )
    analysis = state.get("analysis")
    offer = None if analysis in _WITHOUT_STATISTICS else compute.draw(scene)
    if analysis not in _WITHOUT_STATISTICS and len(stats.languages) < 2:
        st.info(_too_few(scene), icon=":material/info:")
    else:
        st.fragment(told(_shown))(scene, stats)
    _next_step()
    if offer is not None:
        told(compute.tell_plan)(scene, offer)


def _shown(scene: Scene, stats: Statistics) -> None:
    """The analysis chosen; reruns alone when one of its controls is changed."""
    state.publish()
    _DRAW[state.get("analysis")](scene, stats)
    state.publish()  # what was out of range is back at its default


def _too_few(scene: Scene) -> str:
    if len(scene.languages) < 2:
        return "The Atlas compares languages: choose at least two in the sidebar."
    return (
        f"No two of these languages are computed for {words.plain(scene.collection.source.title)} "
        f"in {scene.collection.dtype} yet: press Compute, or choose another model."
    )


def _next_step() -> None:
    st.divider()
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown("**Next:** see which languages share these neurons.", width="content")
        st.page_link(
            "pages/spectrum.py", label="Open the Spectrum", icon=":material/arrow_forward:"
        )


frame.run(main)
