"""Imports in the place of what is computed here."""

from __future__ import annotations

import streamlit as st

from pages.parts import results, state, words
from pages.parts.results import Scene, Statistics


def chosen() -> str:
    """The import that the Spectrum is drawn from; empty where it is what is computed here."""
    name = state.get("drawn_from")
    if name is not None and name not in results.imports():
        st.warning("The import that the link names is not there: what is computed here is shown.")
        state.put(drawn_from=None)
    return state.get("drawn_from") or ""


def choose(scene: Scene) -> None:
    """The choice between what is computed here and the imports; none where there are none."""
    names = list(results.imports())
    if names:
        own = f"{scene.collection.source.title}, computed here"
        st.selectbox(
            "Drawn from",
            ["", *names],
            format_func=lambda name: f"{name}, imported" if name else own,
            help="Neuron sets and statistics that were imported on the Atlas page.",
            width=360,
            **state.widget(
                "drawn_from", shown=lambda name: name or "", meant=lambda name: name or None
            ),
        )


def about(stats: Statistics) -> str:
    """What an import is of."""
    layers, width = results.shape(stats)
    files = words.listed([words.plain(name) for name in stats.origin], most=3)
    return (
        f"{words.plain(stats.imported)}, imported from {files}; {layers} layers × {width:,} "
        "neurons."
    )
