"""What curves over the layers have in common: the frame, a range, a line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from .theme import axis, new_figure


def layer_figure(layers: int, yaxis: dict[str, Any], *, top: int) -> go.Figure:
    """An empty figure over this many layers; ``top`` is the room for the legend in pixels."""
    return new_figure(
        height=320,
        margin={"l": 56, "r": 12, "t": top, "b": 44, "pad": 0},
        hovermode="x unified",
        legend={
            "orientation": "h",
            "x": 0,
            "xanchor": "left",
            "y": 1.02,
            "yanchor": "bottom",
        },
        xaxis=axis(
            "Layer",
            showgrid=False,
            range=[-0.4, layers - 0.6],
            unifiedhovertitle={"text": "Layer %{x}"},
        ),
        yaxis=yaxis,
    )


def add_range(
    figure: go.Figure,
    layers: Sequence[int],
    lower: Sequence[float],
    upper: Sequence[float],
    name: str,
) -> None:
    """The area between two curves."""
    figure.add_scatter(
        x=[*layers, *layers[::-1]],
        y=[*upper, *lower[::-1]],
        fill="toself",
        fillcolor="rgba(58,135,200,0.22)",
        line={"width": 0},
        hoverinfo="skip",
        name=name,
    )


def add_line(
    figure: go.Figure,
    frame: pd.DataFrame,
    column: str,
    name: str,
    colour: str,
    *,
    dash: str = "solid",
    symbol: str = "circle",
) -> None:
    """A column of a frame by its column ``layer``."""
    figure.add_scatter(
        x=frame["layer"],
        y=frame[column],
        mode="lines" if dash == "dot" else "lines+markers",
        line={"color": colour, "width": 2, "dash": dash},
        marker={"symbol": symbol, "size": 7},
        hovertemplate=f"{name}: %{{y:.3f}}<extra></extra>",
        name=name,
    )
