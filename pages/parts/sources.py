"""The Library's models and corpora."""

from __future__ import annotations

import streamlit as st

from bridgex_core.corpora import UDHR, open_corpus
from bridgex_core.embedded import DEFAULT_MODEL, EMBEDDED
from bridgex_core.model_sources import ModelSource, find_model
from pages.parts import results, sidebar, words
from pages.parts.results import Scene

_MAKE = {DEFAULT_MODEL: "make setup", "smollm2-135m": "make smollm2"}


def models(scene: Scene) -> None:
    """Embedded models, and one of the reader's own."""
    st.markdown("Any gated or plain feed-forward causal language model in transformers' format.")
    root = scene.store.root
    own = scene.collection.source
    sources = [embedded.source(root) for embedded in EMBEDDED.values()]
    if own.name not in EMBEDDED:
        sources.append(own)
    for source in sources:
        _model(source, chosen=source.name == own.name)
    with st.form("own_model", border=True):
        spec = st.text_input(
            "Your own model",
            placeholder="/path/to/model or organisation/model",
            help="A folder with config.json, safetensors and a tokenizer, or the name of a model "
            "that was downloaded from a hub before.",
        )
        if st.form_submit_button("Use this model") and spec.strip():
            source = find_model(spec.strip(), root)
            sidebar.remember_model(source.name)
            st.rerun()


def _model(source: ModelSource, chosen: bool) -> None:
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        facts = [f"**{words.plain(source.title)}**", words.plain(words.model_size(source))]
        if source.licence_url:
            facts.append(f"[{source.licence}]({source.licence_url})")
        facts.append("Installed." if source.installed else source.how_to_get)
        st.markdown("  \n".join(filter(None, facts)), width="stretch")
        if not source.installed and source.name in _MAKE:
            st.code(_MAKE[source.name], language="bash", width=170)
        st.button(
            "Chosen" if chosen else "Choose",
            disabled=chosen,
            on_click=sidebar.remember_model,
            args=(source.name,),
            key=f"choose_{source.name}",
        )


def corpora(scene: Scene) -> None:
    """The bundled corpus, and one of the reader's own."""
    chosen = scene.collection.corpus.name
    for name in dict.fromkeys([UDHR, chosen]):
        _corpus(scene, name, chosen=name == chosen)
    with st.form("own_corpus", border=True):
        spec = st.text_input(
            "Your own corpus",
            placeholder="/path/to/folder",
            help="A folder with one file a language, swh_Latn.txt and the like, one sentence a "
            "line; or FLORES-200's layout, dev/swh_Latn.dev and devtest/swh_Latn.devtest.",
        )
        if st.form_submit_button("Use this corpus") and spec.strip():
            corpus = open_corpus(spec.strip(), register=scene.register)
            sidebar.remember_corpus(corpus.name)
            st.rerun()


def _corpus(scene: Scene, name: str, chosen: bool) -> None:
    corpus = open_corpus(name, register=scene.register)
    there = corpus.languages()
    known = results.languages_of(name)
    unknown = [code for code in there if code not in known]
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        facts = [
            f"**{words.plain(corpus.title)}**",
            f"{words.counted(len(known), 'language')}, "
            + (f"parallel by {corpus.unit}" if corpus.parallel else "not parallel"),
        ]
        if unknown:
            facts.append(
                f"Not in the register, so not offered: {words.listed(unknown)}. Add them under "
                "Add a language."
            )
        st.markdown("  \n".join(map(str, facts)), width="stretch")
        st.button(
            "Chosen" if chosen else "Choose",
            disabled=chosen,
            on_click=sidebar.remember_corpus,
            args=(name,),
            key=f"choose_corpus_{name}",
        )
