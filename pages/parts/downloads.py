"""What a reader takes along: pictures, tables, the link."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from bridgex_core import figures
from pages.parts import state

_FORMATS = {"png": "PNG", "svg": "SVG"}
_FORMAT = "figure_format"


def chart(figure: go.Figure, name: str, alt: str) -> None:
    """A figure, whose camera saves it in the format chosen."""
    config = figures.download_config(name, picture_format())
    st.plotly_chart(figure, key=name, config=config, alt=alt)


def picture_format() -> str:
    """What the camera saves: png or svg."""
    return st.session_state.get(_FORMAT, "png")


def figure_html(figure: go.Figure, title: str, name: str, label: str = "Figure (HTML)") -> None:
    """A button for the figure as a page of its own."""
    st.download_button(
        label,
        lambda: figures.to_html(figure, title),
        f"{name}.html",
        "text/html",
        on_click="ignore",
        icon=":material/download:",
        key=f"{name}_html",
    )


def table_csv(frame: pd.DataFrame, name: str, label: str = "Table (CSV)") -> None:
    """A button for a table, its index left out."""
    st.download_button(
        label,
        lambda: frame.to_csv(index=False),
        f"{name}.csv",
        "text/csv",
        on_click="ignore",
        icon=":material/download:",
        key=f"{name}_csv",
    )


def picture_and_link() -> None:
    """The format of pictures, and the link that brings the view back."""
    with st.popover("Picture and link", icon=":material/photo_camera:"):
        st.segmented_control(
            "Picture format",
            list(_FORMATS),
            default="png",
            format_func=_FORMATS.__getitem__,
            required=True,
            key=_FORMAT,
        )
        st.caption("The camera at the top right of a figure saves it in this format.")
        base = (st.context.url or "").partition("?")[0]
        st.code(state.link(base), language=None, wrap_lines=True)
        st.caption("This link, like the one in the address bar, brings this view back.")
