"""Impact of neurons against their activation probability: ranks, and agreement by layer."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from ..errors import InputError
from .layers import add_line, add_range, layer_figure
from .theme import ACCENT, LINE, PLAIN, SEQUENTIAL, axis, colour_bar, new_figure, short


def impact_ranks(counts: ArrayLike) -> go.Figure:
    """Neurons by rank of impact (upwards) and of activation probability (to the right).

    Parameters
    ----------
    counts : (N, N), as :func:`bridgex_core.detection.rank_counts` gives them.
    """
    neurons = np.asarray(counts)
    if neurons.ndim != 2 or neurons.shape[0] != neurons.shape[1]:
        raise InputError("The figure of ranks needs a square of counts.")
    step = 100 / len(neurons)
    places = step * (np.arange(len(neurons)) + 0.5)
    spans = [f"{low:g} to {low + step:g} %" for low in places - step / 2]
    ranks = {"range": [0, 100], "ticksuffix": " %", "dtick": 25, "showgrid": False}
    figure = new_figure(
        height=440,
        margin={"l": 64, "r": 12, "t": 56, "b": 52, "pad": 0},
        xaxis=axis("Rank by activation probability", **ranks),
        yaxis=axis("Rank by impact", **ranks),
    )
    figure.add_heatmap(
        z=neurons,
        x=places,
        y=places,
        zmin=0,
        colorscale=SEQUENTIAL,
        customdata=[[[row, column] for column in spans] for row in spans],
        hovertemplate=(
            "<b>%{z:,} neurons</b><br>impact: rank %{customdata[0]}<br>activation probability: "
            "rank %{customdata[1]}<extra></extra>"
        ),
        colorbar=colour_bar(f"Neurons (by chance {neurons.sum() / neurons.size:.0f})"),
        name="neurons",
    )
    return figure


def impact_curve(curve: pd.DataFrame, language: str) -> go.Figure:
    """Spearman's correlation of impact and activation probability by layer.

    Parameters
    ----------
    curve : as :meth:`bridgex_core.detection.Detection.curve` gives it.
    language : what the one language is called; not escaped.
    """
    values = curve[["lowest", "highest"]].to_numpy(dtype=np.float64)
    low, high = np.nanmin(values, initial=0.0), np.nanmax(values, initial=0.5)
    yaxis = axis("Spearman's ρ", range=[low - 0.05, high + 0.05], nticks=7)
    figure = layer_figure(len(curve), yaxis, top=56)
    layers, lowest, highest = (list(curve[name]) for name in ("layer", "lowest", "highest"))
    add_range(figure, layers, lowest, highest, "from the lowest to the highest language")
    add_line(figure, curve, "mean", "mean of the languages", PLAIN)
    add_line(figure, curve, "language", short(language, 24), ACCENT, symbol="square")
    figure.add_hline(0, line={"color": LINE, "dash": "dot", "width": 1})
    return figure
