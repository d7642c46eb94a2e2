"""Bridges: their ranking, their layers, the path through the graph of languages."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from ..errors import InputError
from ..languages import Language
from .graphs import graph_figure
from .theme import (
    ACCENT,
    LINE,
    MUTED,
    PLAIN,
    QUALITATIVE,
    SYMBOLS,
    axis,
    both_names,
    new_figure,
    own_name,
    plain,
    short,
)

_LEGEND: dict[str, Any] = {
    "orientation": "h",
    "x": 0,
    "xanchor": "left",
    "y": 1.01,
    "yanchor": "bottom",
}
_NULL = "rgba(128,128,128,0.22)"
_MOST_COLOURS = 6  # candidates beside the one in focus: with more, only that one stands out
_YELLOW = "#F0E442"  # too faint for a line on a light page
_COLOURS = tuple(colour for colour in QUALITATIVE if colour not in (ACCENT, _YELLOW))


# ---- The ranking -------------------------------------------------------------------------------


def bridge_ranking(
    frame: pd.DataFrame,
    languages: Mapping[str, Language],
    *,
    level: Collection[str],
    score: str,
    chance: float | None = None,
) -> go.Figure:
    """Bridges as dots with intervals, the best on top, with the share of first places beside them.

    Parameters
    ----------
    frame : as `Ranked.frame` gives it: ``bridge``, ``score``, ``low``, ``high``, ``first_share``
        and ``reason``, best first. A bridge without a score has a row and no dot.
    languages : the language of each code.
    level : codes that are as good as the first.
    score : what the score is, the title of its axis.
    chance : the score that chance alone gives, drawn as a line; None for no line.
    """
    codes = list(frame["bridge"])
    if not codes:
        raise InputError("There is no bridge to draw: choose at least one candidate.")
    shares = frame["first_share"].to_numpy(dtype=np.float64)
    with_shares = bool(np.isfinite(shares).any())
    figure = new_figure(
        height=round(100 + 42 * len(codes)),
        margin={"l": 96, "r": 66 if with_shares else 16, "t": 44, "b": 46, "pad": 0},
        legend=_LEGEND,
        xaxis=axis(score, nticks=6),
        yaxis=axis(
            type="category",
            range=[len(codes) - 0.5, -0.5],
            categoryorder="array",
            categoryarray=codes,
            labelalias={code: two_lines(languages[code]) for code in codes},
            dtick=1,
            ticks="",
            ticklabelstandoff=4,
            automargin=True,
        ),
    )
    if chance is not None:
        figure.add_vline(x=chance, line={"color": LINE, "dash": "dot", "width": 1})
    known = np.isfinite(frame["score"].to_numpy(dtype=np.float64))
    first = frame["bridge"].isin(level).to_numpy()
    for label, colour, symbol, shown in (
        ("as good as the first", ACCENT, "circle", known & first),
        ("behind", PLAIN, "diamond", known & ~first),
    ):
        _add_scores(figure, frame[shown], languages, label, colour, symbol)
    _add_reasons(figure, frame[~known])
    if with_shares:
        _add_shares(figure, codes, shares)
    return figure


def two_lines(language: Language) -> str:
    """English name above the autonym, as a label that takes little width; escaped."""
    name = short(language.name, 18)
    if language.name.casefold() == language.autonym.casefold():
        return name
    return f"{name}<br><span style='font-size:85%;opacity:0.75'>{own_name(language)}</span>"


def _add_scores(
    figure: go.Figure,
    rows: pd.DataFrame,
    languages: Mapping[str, Language],
    label: str,
    colour: str,
    symbol: str,
) -> None:
    if rows.empty:
        return
    scores, low, high = (rows[name].to_numpy(dtype=float) for name in ("score", "low", "high"))
    figure.add_scatter(
        x=scores,
        y=rows["bridge"],
        mode="markers",
        marker={"size": 12, "color": colour, "symbol": symbol},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": np.nan_to_num(high - scores),
            "arrayminus": np.nan_to_num(scores - low),
            "color": colour,
            "thickness": 2,
            "width": 5,
        },
        customdata=[
            [
                both_names(languages[row.bridge]),
                f"{row.score:.4g}",
                "" if np.isnan(row.low) else f"<br>95 % interval {row.low:.4g} to {row.high:.4g}",
                "" if np.isnan(row.first_share) else f"<br>first in {row.first_share:.0%}",
            ]
            for row in rows.itertuples()
        ],
        hovertemplate=(
            "<b>%{customdata[0]}</b><br>%{customdata[1]}%{customdata[2]}%{customdata[3]}"
            "<extra></extra>"
        ),
        name=label,
    )


def _add_reasons(figure: go.Figure, rows: pd.DataFrame) -> None:
    for row in rows.itertuples():
        figure.add_annotation(
            text="no score",
            hovertext=plain(str(row.reason)),
            x=0.02,
            xref="paper",
            y=row.bridge,
            xanchor="left",
            showarrow=False,
            font={"size": 11},
        )


def _add_shares(figure: go.Figure, codes: Sequence[str], shares: np.ndarray) -> None:
    right = {"x": 1, "xref": "paper", "xanchor": "left", "xshift": 10, "showarrow": False}
    figure.add_annotation(
        text="first in", y=1, yref="paper", yanchor="bottom", font={"size": 11}, **right
    )
    for code, share in zip(codes, shares, strict=True):
        if np.isfinite(share):
            figure.add_annotation(text=f"{share:.0%}", y=code, **right)


# ---- Layers ------------------------------------------------------------------------------------


def bridge_layers(
    scores: Mapping[str, ArrayLike],
    languages: Mapping[str, Language],
    *,
    band: range,
    focus: str,
    null: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
) -> go.Figure:
    """HSIC of every candidate layer by layer, the layer band shaded.

    Parameters
    ----------
    scores : (L,) by code; NaN where a layer has no neurons.
    languages : the language of each code.
    band : the layers that count.
    focus : the code that stands out.
    null : low, mean and high (L,) of random neuron sets in place of those in focus; drawn behind.
    """
    if focus not in scores:
        raise InputError("The bridge in focus has to be one of those drawn.")
    depth = len(np.asarray(scores[focus]))
    figure = new_figure(
        height=420,
        margin={"l": 62, "r": 10, "t": 60, "b": 46, "pad": 0},
        legend=_LEGEND,
        xaxis=axis("Layer", dtick=max(1, round(depth / 12)), range=[-0.5, depth - 0.5]),
        yaxis=axis("HSIC", rangemode="tozero", nticks=6),
    )
    figure.add_vrect(
        x0=band.start - 0.5, x1=band.stop - 0.5, fillcolor=MUTED, line_width=0, layer="below"
    )
    layers = np.arange(depth)
    if null is not None:
        _add_null(figure, layers, null, languages[focus])
    others = [code for code in scores if code != focus]
    few = len(others) <= _MOST_COLOURS
    for place, code in enumerate(others):
        line = {"color": _COLOURS[place] if few else LINE, "width": 1.8 if few else 1}
        symbol = SYMBOLS[1 + place % (len(SYMBOLS) - 1)] if few else "circle"
        _add_line(figure, layers, scores[code], languages[code], line, symbol, 6 if few else 3)
    wide = {"color": ACCENT, "width": 3}
    _add_line(figure, layers, scores[focus], languages[focus], wide, "circle", 9)
    figure.update_traces(showlegend=False, selector=lambda t: not few and t.line.color == LINE)
    return figure


def _add_line(
    figure: go.Figure,
    layers: np.ndarray,
    values: ArrayLike,
    language: Language,
    line: dict[str, Any],
    symbol: str,
    size: int,
) -> None:
    figure.add_scatter(
        x=layers,
        y=np.asarray(values, dtype=np.float64),
        mode="lines+markers",
        line=line,
        marker={"symbol": symbol, "size": size, "color": line["color"]},
        name=short(language.name),
        hovertemplate=f"<b>{both_names(language)}</b><br>layer %{{x}}: %{{y:.4f}}<extra></extra>",
    )


def _add_null(
    figure: go.Figure,
    layers: np.ndarray,
    null: tuple[np.ndarray, np.ndarray, np.ndarray],
    language: Language,
) -> None:
    """Low and high as a band for each run of layers that has one, and the mean."""
    low, mean, high = null
    known = np.flatnonzero(np.isfinite(low) & np.isfinite(high))
    runs = np.split(known, np.flatnonzero(np.diff(known) > 1) + 1) if len(known) else []
    name = f"random neurons for {short(language.name)}, 95 %"
    for number, run in enumerate(runs):
        figure.add_scatter(
            x=np.concatenate([layers[run], layers[run][::-1]]),
            y=np.concatenate([high[run], low[run][::-1]]),
            fill="toself",
            fillcolor=_NULL,
            line={"color": LINE, "width": 1 if len(run) == 1 else 0},
            mode="lines",
            hoverinfo="skip",
            name=name,
            legendgroup="null",
            showlegend=number == 0,
        )
    figure.add_scatter(
        x=layers,
        y=mean,
        mode="lines",
        line={"color": LINE, "width": 1.5, "dash": "dot"},
        name="random neurons, mean",
        hovertemplate="random neurons, layer %{x}: %{y:.4f}<extra></extra>",
        legendgroup="null",
        showlegend=False,
    )


# ---- The graph ---------------------------------------------------------------------------------


def bridge_graph(
    graph: nx.Graph,
    positions: Mapping[str, tuple[float, float]],
    languages: Mapping[str, Language],
    path: Sequence[str] = (),
) -> go.Figure:
    """The language graph with a path through it, such as source → bridge → target.

    Parameters
    ----------
    graph, positions, languages : as for `graph_figure`.
    path : codes in order, each a node; neighbours need no edge between them. Empty for none.
    """
    missing = [code for code in path if code not in graph]
    if missing:
        raise InputError(f"The path has {missing[0]}, which the graph does not show.")
    figure = graph_figure(graph, positions, languages)
    for here, there in pairwise(path):
        (x0, y0), (x1, y1) = positions[here], positions[there]
        figure.add_annotation(
            x=x1,
            y=y1,
            ax=x0,
            ay=y0,
            axref="x",
            ayref="y",
            text="",
            showarrow=True,
            arrowhead=2,
            arrowwidth=3,
            arrowcolor=ACCENT,
            standoff=10,
            startstandoff=10,
        )
    if path:
        points = next(trace for trace in figure.data if trace.name == "languages")
        points.text = [  # with room for the ring
            f"<b>\u00a0{text}\u00a0</b>" if code in path else text
            for code, text in zip(graph, points.text, strict=True)
        ]
        figure.add_scatter(
            x=[positions[code][0] for code in path],
            y=[positions[code][1] for code in path],
            mode="markers",
            marker={
                "size": 18,
                "symbol": "circle-open",
                "color": ACCENT,
                "line": {"width": 3, "color": ACCENT},
            },
            hoverinfo="skip",
            name="path",
        )
    return figure
