"""Lab: bridged prompts tried live beside direct ones, and what bridging gains, measured."""

from __future__ import annotations

import streamlit as st

from pages.parts import (
    frame,
    lab_ask,
    lab_backend,
    lab_history,
    lab_measure,
    lab_run,
    lab_settings,
    lab_state,
    state,
    words,
)
from pages.parts.messages import told
from pages.parts.results import Scene

# Foreign text in the direction of its own letters, also where it is typed.
_DIRECTION = (
    "<style>.stMain input[type=text], .stMain textarea, .stMain pre, .stMain code "
    "{unicode-bidi: plaintext; text-align: start}</style><i></i>"
)


_VIEWS = {lab_state.TRY: "Try one", lab_state.MEASURE: "Measure many"}


def main(scene: Scene) -> None:
    """The whole page."""
    lab_state.settle()
    lab_run.settle()
    st.html(_DIRECTION)
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        st.subheader("Does a bridge language help the model?", anchor=False, width="content")
        st.segmented_control(
            "View",
            list(_VIEWS),
            format_func=_VIEWS.__getitem__,
            required=True,
            label_visibility="collapsed",
            **state.widget("lab_view"),
        )
    st.segmented_control(
        "What to do",
        state.TASKS,
        format_func=lab_ask.TASKS.__getitem__,
        required=True,
        label_visibility="collapsed",
        **state.widget("task"),
    )
    st.caption(lab_ask.ABOUT[state.get("task")])
    told(lab_ask.pair)(scene)
    if lab_state.get("view") == lab_state.MEASURE:
        told(lab_measure.draw)(scene)
        _next_step()
    else:
        _try(scene)


def _try(scene: Scene) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        told(lab_ask.text)(scene)
        lab_run.button(scene)
    told(lab_ask.more)(scene)
    how, who = st.columns(2)
    with how:
        lab_settings.draw(scene)
    with who:
        lab_backend.draw(scene)
    results, history = st.container(), st.container()
    _next_step()
    with history:
        lab_history.draw(scene)
    with results:  # last, since it may write for long
        told(_results)(scene)


def _results(scene: Scene) -> None:
    trial, history = lab_run.wished(), lab_state.history()
    if trial is not None:
        lab_run.run(scene, trial)
    elif history.shown is not None:
        lab_run.show(history.outcomes[history.shown])
    else:
        name = words.plain(lab_backend.title(scene))
        st.caption(f"Type a text or take one, then press Run: {name} writes.")


def _next_step() -> None:
    st.divider()
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown("**Next:** see what bridging gains over 15 pairs.", width="content")
        st.page_link("pages/study.py", label="Open the Study", icon=":material/arrow_forward:")


frame.run(main)
