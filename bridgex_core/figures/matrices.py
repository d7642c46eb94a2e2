"""Matrices of languages, what changing neurons does to their perplexity, and alignment by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from ..errors import InputError
from ..languages import Language
from ..perplexity import PerplexityChange
from .layers import add_line, add_range, layer_figure
from .theme import (
    ACCENT,
    DARK_INK,
    DIVERGING,
    LIGHT_INK,
    LINE,
    PLAIN,
    SEQUENTIAL,
    axis,
    colour_bar,
    light_inked,
    new_figure,
    plain,
    short,
    short_number,
    two_inks,
    written,
)

_MOST_WITH_NUMBERS = 16
_MOST_IN_FULL = 8


def language_matrix(
    values: ArrayLike,
    languages: Sequence[Language],
    *,
    title: str,
    whole: bool = False,
    span: tuple[float, float] | None = None,
) -> go.Figure:
    """A symmetric matrix (K, K) of languages; the diagonal has no colour.

    Parameters
    ----------
    title : what a value is.
    whole : values are counts, not ratios.
    span : values between which the colours run; by default those off the diagonal.
    """
    matrix = np.array(values, dtype=np.float64)
    if matrix.shape != (len(languages),) * 2:
        raise InputError("A matrix of languages needs a row and a column for each of them.")
    names = [short(language.name) for language in languages]
    full = [plain(language.name) for language in languages]
    told = f"{{:{',.0f' if whole else '.3f'}}}".format
    hover = [
        [f"<b>{a} – {b}</b><br>{title}: {told(v)}" for b, v in zip(full, row, strict=True)]
        for a, row in zip(full, matrix, strict=True)
    ]
    np.fill_diagonal(matrix, np.nan)
    seen = matrix[np.isfinite(matrix)]
    low, high = span or ((float(seen.min()), float(seen.max())) if len(seen) else (0.0, 1.0))
    text = [
        ["" if np.isnan(v) else f"{v:.0f}" if whole else short_number(v) for v in row]
        for row in matrix
    ]
    return _matrix(matrix, names, names, text, hover, title, (low, high), SEQUENTIAL)


def perplexity_matrix(
    change: PerplexityChange,
    languages: Mapping[str, Language],
    *,
    control: bool = False,
    names: Mapping[str, str] | None = None,
) -> go.Figure:
    """By what factor the perplexity of each text (column) goes up with each set (row) changed.

    The colours of the matrix and of its random control are on one scale. In the small cells of many
    languages factors within 5 % of 1 are not written.

    Parameters
    ----------
    languages : by code, those of the texts.
    control : the random sets' instead.
    names : of the sets where they are not languages' own.
    """
    factors = np.stack([change.changed, change.control]) / change.plain
    logs = np.log2(factors)
    reach = max(float(np.nanmax(np.abs(logs), initial=0.0)), 0.1)
    own = int(control)
    rows = [short((names or {}).get(code) or languages[code].name) for code in change.sets]
    columns = [short(languages[code].name) for code in change.languages]
    hover = [
        [
            f"<b>{row} changed ({change.sizes[i]:,} neurons)</b><br>Text: {column}<br>Perplexity "
            f"{change.plain[j]:,.1f} → {(change.control if control else change.changed)[i, j]:,.1f}"
            for j, column in enumerate(columns)
        ]
        for i, row in enumerate(rows)
    ]
    brief = len(columns) > _MOST_IN_FULL
    text = [[_factor(value, brief) for value in row] for row in factors[own]]
    title = "Factor of perplexity (log₂)"
    return _matrix(logs[own], rows, columns, text, hover, title, (-reach, reach), DIVERGING)


def _factor(value: float, brief: bool) -> str:
    """A factor as its cell shows it.

    >>> _factor(1.204, False), _factor(1.204, True), _factor(33.6, True), _factor(1.03, True)
    ('×1.20', '1.2', '34', '')
    """
    if not brief:
        return f"×{value:,.{0 if value >= 100 else 2}f}"
    if abs(value - 1) < 0.05:
        return ""
    return f"{value:,.{0 if value >= 9.95 else 1}f}"


def _matrix(
    values: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    text: Sequence[Sequence[str]],
    hover: Sequence[Sequence[str]],
    title: str,
    span: tuple[float, float],
    scale: str,
) -> go.Figure:
    """A heatmap with its numbers, where they fit, in ink that reads on each cell."""
    low, high = span if span[1] > span[0] else (span[0] - 0.5, span[0] + 0.5)
    size = float(np.clip(420 / max(len(rows), 1), 12, 34))
    font = {"size": float(np.clip(0.75 * size, 8, 12))}
    labels: dict[str, Any] = {
        "showgrid": False,
        "zeroline": False,
        "ticks": "",
        "tickfont": font,
        "automargin": True,
        "fixedrange": True,
    }
    below = 14 + 6.5 * max(map(len, columns), default=0)
    figure = new_figure(
        height=round(52 + size * len(rows) + below),
        margin={"l": 60, "r": 8, "t": 52, "b": below, "pad": 0},
        xaxis={
            **labels,
            "tickvals": list(range(len(columns))),
            "ticktext": list(columns),
            "tickangle": -90,
        },
        yaxis={
            **labels,
            "tickvals": list(range(len(rows))),
            "ticktext": list(rows),
            "range": [len(rows) - 0.5, -0.5],
        },
    )
    numbers = len(columns) <= _MOST_WITH_NUMBERS
    light = light_inked(values, low, high, scale) & ~np.isnan(values)
    common: dict[str, Any] = {
        "zmin": low,
        "zmax": high,
        "colorscale": scale,
        "xgap": 1 if len(columns) <= 40 else 0,
        "ygap": 1 if len(columns) <= 40 else 0,
    }
    dark_text, light_text = two_inks(text, light)
    figure.add_heatmap(
        z=values,
        **(written(dark_text, DARK_INK) if numbers else {}),
        hovertext=hover,
        hovertemplate="%{hovertext}<extra></extra>",
        hoverongaps=False,
        colorbar=colour_bar(title),
        name="values",
        **common,
    )
    if numbers and light.any():
        figure.add_heatmap(
            z=np.where(light, values, np.nan),
            **written(light_text, LIGHT_INK),
            hoverinfo="skip",
            showscale=False,
            name="values, light ink",
            **common,
        )
    return figure


def alignment_curve(by_layer: pd.DataFrame, pair: str = "") -> go.Figure:
    """Alignment by layer: the mean over all pairs, the middle half of them, chance, and one pair.

    Parameters
    ----------
    by_layer : as :func:`bridgex_core.atlas.alignment_by_layer` gives it.
    pair : what its column ``pair`` is called, if it has one; not escaped.
    """
    yaxis = axis("Share of blocks aligned", range=[-0.02, 1.03])
    figure = layer_figure(len(by_layer), yaxis, top=40)
    layers, lower, upper = (list(by_layer[name]) for name in ("layer", "lower", "upper"))
    add_range(figure, layers, lower, upper, "middle half of the pairs")
    add_line(figure, by_layer, "mean", "mean of all pairs", PLAIN)
    if "pair" in by_layer:
        add_line(figure, by_layer, "pair", short(pair, 40), ACCENT, symbol="square")
    add_line(figure, by_layer, "chance", "chance", LINE, dash="dot")
    return figure
