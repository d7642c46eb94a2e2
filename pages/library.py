"""Library: which models, texts and languages there are, and what is computed."""

from __future__ import annotations

import streamlit as st

from pages.parts import frame, languages, shelf, sources
from pages.parts.messages import told
from pages.parts.results import Scene

_TABS = {
    "Models": sources.models,
    "Corpora": sources.corpora,
    "Languages": languages.register,
    "Add a language": languages.add,
    "Stored results": shelf.stored,
    "Jobs": shelf.job_list,
}


def main(scene: Scene) -> None:
    """The whole page."""
    st.header("What can be compared, and what is computed?")
    st.markdown("Choose or bring a model, a corpus, a language; they appear in the sidebar.")
    for tab, draw in zip(st.tabs(list(_TABS)), _TABS.values(), strict=True):
        with tab:
            told(draw)(scene)
    st.divider()
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown("**Next:** see which languages share neurons.", width="content")
        st.page_link(
            "pages/spectrum.py", label="Open the Spectrum", icon=":material/arrow_forward:"
        )


frame.run(main)
