"""Rankers of bridges against each other: their places, and how they agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ..languages import Language
from .bridges import two_lines
from .theme import (
    DARK_INK,
    DIVERGING,
    LIGHT_INK,
    MUTED,
    SEQUENTIAL,
    both_names,
    light_inked,
    new_figure,
    plain,
    short_number,
    two_inks,
    written,
)


def bridge_places(
    places: pd.DataFrame,
    scores: pd.DataFrame,
    languages: Mapping[str, Language],
    titles: Mapping[str, str],
    chosen: str | None = None,
) -> go.Figure:
    """Each candidate's place by each ranker, with the score on hover.

    Parameters
    ----------
    places : bridges (codes) × rankers, 1 for the first; NaN where a ranker cannot tell.
    scores : the same of scores.
    languages, titles : the language of each code, and what each ranker is called.
    chosen : the ranker to mark.
    """
    codes, rankers = list(places.index), list(places.columns)
    last = max(float(np.nanmax(places.to_numpy(dtype=np.float64), initial=2.0)), 2.0)
    columns = [
        f"<b>▸ {plain(titles[name])}</b>" if name == chosen else plain(titles[name])
        for name in rankers
    ]
    figure = _grid(len(codes), [two_lines(languages[code]) for code in codes], columns)
    values = places.to_numpy(dtype=np.float64)
    text = [["" if np.isnan(v) else f"{v:g}" for v in row] for row in values]
    about = [
        [
            f"<b>{both_names(languages[code])}</b><br>{plain(titles[name])}<br>"
            + (
                "no score"
                if np.isnan(values[i, j])
                else f"place {values[i, j]:g}, score {scores.loc[code, name]:.4g}"
            )
            for j, name in enumerate(rankers)
        ]
        for i, code in enumerate(codes)
    ]
    _add_cells(figure, values, text, about, (1.0, last), f"{SEQUENTIAL}_r")
    return figure


def ranker_agreement(tau: pd.DataFrame, titles: Mapping[str, str]) -> go.Figure:
    """Kendall's tau between rankers, as `rankers.kendall` gives it."""
    rankers = list(tau.columns)
    names = [plain(titles[name]) for name in rankers]
    values = tau.to_numpy(dtype=np.float64)
    figure = _grid(len(rankers), names, names, row=30)
    text = [["" if np.isnan(v) else short_number(v) for v in row] for row in values]
    about = [
        [
            f"{one}<br>{other}<br>"
            + ("nothing to compare" if np.isnan(v) else f"Kendall's τ = {v:.2f}")
            for other, v in zip(names, row, strict=True)
        ]
        for one, row in zip(names, values, strict=True)
    ]
    _add_cells(figure, values, text, about, (-1.0, 1.0), DIVERGING)
    return figure


def _grid(count: int, rows: Sequence[str], columns: Sequence[str], row: int = 42) -> go.Figure:
    """An empty grid of cells with names beside and above them."""
    figure = new_figure(
        height=round(140 + row * count),
        margin={"l": 96, "r": 46, "t": 126, "b": 10, "pad": 0},
        showlegend=False,
        hoverdistance=-1,
    )
    both = {"ticks": "", "showgrid": False, "zeroline": False, "fixedrange": True}
    figure.update_xaxes(
        **both,
        side="top",
        tickangle=-60,
        ticklabeloverflow="allow",
        tickvals=list(range(len(columns))),
        ticktext=list(columns),
        range=[-0.5, len(columns) - 0.5],
    )
    figure.update_yaxes(
        **both,
        tickvals=list(range(count)),
        ticktext=list(rows),
        range=[count - 0.5, -0.5],
        ticklabelstandoff=4,
        automargin=True,
    )
    return figure


def _add_cells(
    figure: go.Figure,
    values: np.ndarray,
    text: Sequence[Sequence[str]],
    about: Sequence[Sequence[str]],
    ends: tuple[float, float],
    scale: str,
) -> None:
    """Coloured cells, each written in the ink that reads better on it; those of NaN stay grey."""
    light = light_inked(values, *ends, scale)
    unknown = np.isnan(values)
    dark_text, light_text = two_inks(np.where(unknown, "", text).tolist(), light)
    common: dict[str, Any] = {"showscale": False, "xgap": 1, "ygap": 1}
    figure.add_heatmap(
        z=np.where(unknown, 0.0, np.nan),
        colorscale=[[0, MUTED], [1, MUTED]],
        customdata=about,
        hovertemplate="%{customdata}<extra></extra>",
        name="unknown",
        **common,
    )
    for name, words, ink, shown in (
        ("values", dark_text, DARK_INK, ~light),
        ("values, light ink", light_text, LIGHT_INK, light),
    ):
        figure.add_heatmap(
            z=np.where(shown & ~unknown, values, np.nan),
            zmin=ends[0],
            zmax=ends[1],
            colorscale=scale,
            **written(words, ink),
            customdata=about,
            hovertemplate="%{customdata}<extra></extra>",
            hoverongaps=False,
            name=name,
            **common,
        )
