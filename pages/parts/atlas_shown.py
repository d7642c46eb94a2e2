"""What all analyses of the Atlas show alike: figures, tables, choices, where the numbers are of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from bridgex_core.languages import Language
from pages.parts import downloads, results, state, words
from pages.parts.results import Scene, Statistics


def picture(
    figure: go.Figure, name: str, title: str, alt: str, data: pd.DataFrame | None = None
) -> None:
    """A figure with what can be taken along of it."""
    downloads.chart(figure, name, alt)
    with st.container(horizontal=True, gap="xsmall"):
        downloads.figure_html(figure, title, name)
        if data is not None:
            downloads.table_csv(data, name)


def table(frame: pd.DataFrame, alt: str, columns: Mapping[str, Any]) -> None:
    """A table of the columns named, in their order."""
    st.dataframe(
        frame,
        hide_index=True,
        column_order=list(columns),
        column_config=dict(columns),
        alt=alt,
    )


def language(label: str, name: str, options: Sequence[Language], fallback: str, **more: Any) -> str:
    """A box for the language of a field; ``fallback`` where none of the options is chosen."""
    codes = {one.code: one for one in options}
    known = [code for code in (state.get(name), fallback, *codes) if code in codes]
    st.selectbox(
        label,
        list(codes),
        format_func=lambda code: words.language_label(codes[code]),
        filter_mode="contains",
        **more,
        **state.widget(name, shown=lambda _: known[0]),
    )
    return known[0]


def share() -> float:
    """The share of the neurons that LAPE selects, and that makes a language's top set."""
    st.select_slider(
        "Share of the neurons",
        sorted({*state.RATES, state.get("share")}),
        format_func=words.percent,
        help="LAPE selects this share of all neurons; top-rate membership and impact give each "
        "language this share. The papers take 1 %.",
        width=160,
        **state.widget("share"),
    )
    return float(state.get("share"))


def origin(scene: Scene, stats: Statistics) -> str:
    """Which model and which text the numbers are of."""
    collection, tokens = scene.collection, results.table(stats).tokens
    blocks = len(collection.corpus.text(stats.languages[0]).blocks)
    return (
        f"{words.plain(collection.source.title)} in {collection.dtype}, "
        f"{words.counted(len(stats.languages), 'language')}. Text: "
        f"{words.plain(collection.corpus.title)}, {blocks} {collection.corpus.unit}, "
        f"{tokens.min():,} to {tokens.max():,} tokens a language."
    )
