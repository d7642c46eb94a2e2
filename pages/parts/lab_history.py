"""What was tried in this session: to bring back, and to take along."""

from __future__ import annotations

from functools import partial

import streamlit as st

from bridgex_core import chain_files
from bridgex_core.trials import Outcome
from pages.parts import lab_state, words
from pages.parts.results import Scene

_SHOWN = 12
_FILES = (
    ("JSON", "json", "application/json", chain_files.to_json),
    ("CSV", "csv", "text/csv", chain_files.to_csv),
    ("Markdown", "md", "text/markdown", chain_files.to_markdown),
)


def draw(scene: Scene) -> None:
    """The history, the latest first, and its files."""
    history = lab_state.history()
    if not history.outcomes:
        return
    st.markdown("**Tried in this session**")
    latest = list(enumerate(history.outcomes))[::-1]
    for index, outcome in latest[:_SHOWN]:
        with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
            st.button(
                "Shown" if index == history.shown else "Bring back",
                icon=":material/history:",
                disabled=index == history.shown,
                on_click=lab_state.bring_back,
                args=(index,),
                key=f"lab_back_{index}",
            )
            st.markdown(_about(scene, outcome), width="stretch")
    if len(latest) > _SHOWN:
        st.caption(f"{len(latest) - _SHOWN} earlier ones are in the files.")
    with st.container(horizontal=True):
        for label, ending, mime, write in _FILES:
            st.download_button(
                f"All of it ({label})",
                partial(write, history.outcomes),
                f"chains.{ending}",
                mime,
                on_click="ignore",
                icon=":material/download:",
                key=f"lab_{ending}",
            )


def _about(scene: Scene, outcome: Outcome) -> str:
    trial = outcome.trial
    source, target = (words.plain(one.name) for one in scene.named((trial.source, trial.target)))
    text = words.shortened(trial.text, 40)
    text = words.plain(words.isolated(text, scene.register[trial.source].is_rtl))
    ends = [finding.right[-1] for finding in outcome.findings if finding.right]
    judged = [end for end in ends if end is not None]
    facts = [f"**{text}**", f"{source} → {target}", words.counted(len(outcome.findings), "route")]
    if judged:
        facts.append(f"{sum(judged)} of {len(judged)} right")
    if outcome.note:
        facts.append("not finished")
    return " · ".join([*facts, words.plain(outcome.backend)])
