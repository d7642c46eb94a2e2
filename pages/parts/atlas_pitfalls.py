"""Words that the model translates rightly from English and wrongly from another language."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from bridgex_core import figures
from bridgex_core.atlas import REFERENCE
from pages.parts import atlas_results, atlas_shown, results, state, words
from pages.parts.results import Scene, Statistics


def draw(scene: Scene, stats: Statistics) -> None:
    """The whole analysis."""
    frame = atlas_results.pitfalls(scene)
    if not len(frame):
        st.info(
            "This needs evaluations of word translation into one language, from English and from "
            "at least one other language, which are not stored for this model yet: run them in "
            "the Lab or the Study.",
            icon=":material/info:",
        )
        return
    known = frame[frame["right_in_english"] > 0]
    st.markdown(
        f"Compared with English, {words.plain(scene.collection.source.title)} loses "
        f"**{words.counted(int(known['lost'].sum()), 'word')} of "
        f"{int(known['right_in_english'].sum()):,}** that it translates rightly from English, all "
        "other sources and targets taken together."
    )
    _picture(scene, stats, frame)
    codes = {one.code: one.name for one in scene.register}
    shown = frame.assign(
        source=[codes[code] for code in frame["source"]],
        target=[codes[code] for code in frame["target"]],
    )
    number = st.column_config.NumberColumn
    atlas_shown.table(
        shown,
        "Words lost from each source, by target.",
        {
            "source": "From",
            "target": "Into",
            "items": number("Words", format="%d"),
            "right_in_english": number("Right from English", format="%d"),
            "right": number("Right from here", format="%d"),
            "lost": number("Lost", format="%d"),
            "share_lost": number("Share lost", format="percent"),
        },
    )


def _picture(scene: Scene, stats: Statistics, frame: pd.DataFrame) -> None:
    if REFERENCE not in stats.languages:
        st.caption("Choose English in the sidebar to see this against similarity.")
        return
    settings = state.settings()
    matrix = results.matrix(stats, settings).to_frame()
    similarity = {
        code: float(matrix.loc[code, REFERENCE]) for code in stats.languages if code != REFERENCE
    }
    metric = figures.METRIC_TITLES[settings.metric]
    languages = {one.code: one for one in scene.register}
    atlas_shown.picture(
        figures.pitfall_points(frame, similarity, languages, metric=metric),
        "pitfalls",
        f"Words lost against similarity, {scene.collection.source.title}",
        f"Share of words lost from each language against its {metric} with English.",
        frame,
    )
    st.caption(
        f"Up: the share of the words right from English that are wrong from the language. Right: "
        f"its {words.metric(settings.metric)} with English, as on the Spectrum page. Few points: "
        "read no correlation into them. What careless writing costs stands under Robustness."
    )
