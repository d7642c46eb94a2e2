"""Bridges: through which language the model gets best from one language to another."""

from __future__ import annotations

import streamlit as st

from pages.parts import (
    bridge_compute,
    bridge_controls,
    bridge_rankers,
    bridge_ranking,
    bridge_reasons,
    bridge_results,
    bridge_words,
    frame,
    state,
    words,
)
from pages.parts.bridge_ranking import Shown
from pages.parts.messages import told
from pages.parts.results import Scene

_LAB = "pages/lab.py"
_CARRIED = 3


def main(scene: Scene) -> None:
    """The whole page."""
    st.subheader(
        "Through which third language does the model get best from one language to another?",
        anchor=False,
        width="content",
    )
    bridge_controls.draw(scene)
    told(_answer)(scene)


def _answer(scene: Scene) -> None:
    asked = bridge_results.asked(scene)
    place = st.container()  # asking what is missing takes longer than showing what is there
    if asked.without_text:
        names = words.listed([words.plain(one.name) for one in scene.named(asked.without_text)])
        st.caption(f"Left out, since the corpus has no text in them: {names}.")
    shown = bridge_ranking.choose(asked) if asked.ready else None
    if shown is None:
        st.info("Nothing can be ranked yet: press Compute.", icon=":material/info:")
    else:
        if waiting := [code for code in asked.uncomputed if code not in shown.ranked.bridges]:
            names = words.listed([words.plain(one.name) for one in scene.named(waiting)])
            st.caption(f"Not ranked yet, since their neurons are not computed: {names}.")
        told(bridge_ranking.draw)(asked, shown)
    with place:
        told(bridge_compute.draw)(asked)
    if shown is not None:
        told(bridge_reasons.draw)(asked, shown)
        told(bridge_rankers.draw)(asked, shown)
        told(_next_step)(asked, shown)


def _next_step(asked: bridge_results.Asked, shown: Shown) -> None:
    best = shown.ranked.as_good_as_first[:_CARRIED]
    st.divider()
    with st.container(horizontal=True, vertical_alignment="center"):
        ways = [
            bridge_words.route(asked.scene.named((asked.source, code, asked.target)))
            for code in best
        ]
        st.markdown(
            f"**Next:** see whether it helps. Try {words.listed(ways)} on words of your own.",
            width="content",
        )
        if st.button("Try it in the Lab", icon=":material/arrow_forward:", key="to_lab"):
            state.put(bridges=best)
            st.switch_page(_LAB)


frame.run(main)
