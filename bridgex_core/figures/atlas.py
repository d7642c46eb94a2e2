"""The Atlas's figures: classes by layer, sets and their intersections, a neuron, pitfalls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from ..depth_parts import DepthParts
from ..errors import InputError
from ..languages import Language
from .theme import (
    ACCENT,
    LINE,
    MUTED,
    PLAIN,
    QUALITATIVE,
    axis,
    both_names,
    new_figure,
    no_axis,
    plain,
    short,
)

_ORANGE, _SKY, _GREEN = QUALITATIVE[:3]
_GREY = "rgba(128,128,128,0.45)"
_CLASS_FILLS = ((_ORANGE, "/"), (_SKY, "."), (_GREEN, ""), (_GREY, ""))
_LEGEND: dict[str, Any] = {"orientation": "h", "x": 0, "xanchor": "left", "yanchor": "bottom"}
_MOST_ROWS = 24


def class_layers(by_layer: pd.DataFrame, parts: DepthParts | None = None) -> go.Figure:
    """How many neurons of each class every layer has, with the four parts of the depth.

    Language neurons (the first two classes) and shared ones stand above each other with an axis
    each, since there are often fifty times as many of the one as of the other. The last class, of
    inactive neurons, is what is left of every layer, and shown when its legend entry is clicked.

    Parameters
    ----------
    by_layer : as :meth:`bridgex_core.neuron_classes.Classes.by_layer` gives it.
    parts : the parts of the depth to mark.
    """
    if by_layer.shape[1] != len(_CLASS_FILLS):
        raise InputError("The figure of the classes needs a column for each of the four classes.")
    figure = new_figure(
        height=430,
        margin={"l": 62, "r": 8, "t": 68, "b": 44, "pad": 0},
        barmode="stack",
        bargap=0.15,
        legend={**_LEGEND, "y": 1.1, "traceorder": "normal"},
        hovermode="x unified",
        xaxis=axis(
            "Layer",
            dtick=max(1, round(len(by_layer) / 12)),
            range=[-0.6, len(by_layer) - 0.4],
            showgrid=False,
            anchor="y2",
            unifiedhovertitle={"text": "Layer %{x}"},
        ),
        yaxis=axis("Language neurons", domain=[0.54, 1], rangemode="tozero"),
        yaxis2=axis("Shared neurons", domain=[0, 0.46], rangemode="tozero"),
    )
    for number, (name, (colour, pattern)) in enumerate(
        zip(by_layer.columns, _CLASS_FILLS, strict=True)
    ):
        figure.add_bar(
            x=list(by_layer.index),
            y=by_layer[name],
            name=name,
            yaxis="y" if number < 2 else "y2",
            visible="legendonly" if number == 3 else True,
            marker={"color": colour, "line": {"width": 0}, "pattern": _pattern(colour, pattern)},
            hovertemplate=f"{name}: %{{y:,}}<extra></extra>",
        )
    if parts is not None:
        _add_parts(figure, parts)
    return figure


def _pattern(colour: str, shape: str) -> dict[str, Any]:
    return {"shape": shape, "bgcolor": colour, "fgcolor": "rgba(255,255,255,0.4)", "size": 6}


def _add_parts(figure: go.Figure, parts: DepthParts) -> None:
    """Dotted lines between the parts, and their names above the plot, on two lines by turns."""
    for number, (name, layers) in enumerate(parts.parts.items()):
        if number:
            figure.add_vline(layers.start - 0.5, line={"color": ACCENT, "dash": "dot", "width": 1})
        figure.add_annotation(
            text=name,
            name="part",
            x=(layers.start + layers.stop - 1) / 2,
            xref="x",
            yref="paper",
            y=1,
            yanchor="bottom",
            yshift=14 * (number % 2),
            showarrow=False,
            font={"size": 11},
        )


def upset(bars: pd.DataFrame, sizes: Sequence[int], languages: Sequence[Language]) -> go.Figure:
    """An UpSet plot: neurons that lie in exactly these sets (columns), and the size of every set.

    Parameters
    ----------
    bars : as :func:`bridgex_core.neuron_classes.intersections` gives them, the columns to show.
    sizes : neurons in each language's set.
    languages : of the sets. Beyond 24, only those that some column names are shown.
    """
    if len(sizes) != len(languages):
        raise InputError("Every language of the UpSet plot needs the size of its set.")
    named = {code for codes in bars["languages"] for code in codes}
    rows = [
        (language, int(size))
        for language, size in zip(languages, sizes, strict=True)
        if len(languages) <= _MOST_ROWS or language.code in named
    ]
    codes = [language.code for language, _ in rows]
    height = 18 * len(rows)
    figure = new_figure(
        height=round(190 + height + 56),
        margin={"l": 8, "r": 8, "t": 16, "b": 40, "pad": 0},
        showlegend=False,
        bargap=0.25,
        xaxis=no_axis(
            domain=[0.34, 1], anchor="y2", fixedrange=True, range=[-0.6, len(bars) - 0.4]
        ),
        yaxis=axis("Neurons", domain=[height / (190 + height), 1], rangemode="tozero"),
        xaxis2=axis(
            "Set size", domain=[0, 0.14], anchor="y2", autorange="reversed", nticks=3, side="bottom"
        ),
        yaxis2={
            **axis(domain=[0, height / (190 + height) - 0.01], anchor="x"),
            "type": "category",
            "categoryorder": "array",
            "categoryarray": codes[::-1],
            "range": [-0.6, len(rows) - 0.4],
            "labelalias": {one.code: short(one.name, 18) for one, _ in rows},
            "dtick": 1,
            "ticks": "",
            "showgrid": False,
        },
    )
    _add_intersections(figure, bars, [language for language, _ in rows])
    figure.add_bar(
        orientation="h",
        x=[size for _, size in rows],
        y=codes,
        xaxis="x2",
        yaxis="y2",
        marker={"color": _GREY},
        customdata=[both_names(language) for language, _ in rows],
        hovertemplate="<b>%{customdata}</b><br>%{x:,} neurons<extra></extra>",
        name="sizes",
    )
    return figure


def _add_intersections(
    figure: go.Figure, bars: pd.DataFrame, languages: Sequence[Language]
) -> None:
    """A bar a column above, and below it a dot in the row of each of its languages."""
    names = {language.code: plain(language.name) for language in languages}
    order = {code: place for place, code in enumerate(names)}
    columns = [sorted(codes, key=order.__getitem__) for codes in bars["languages"]]
    told = [_told([names[code] for code in codes], len(languages)) for codes in columns]
    places = list(range(len(columns)))
    figure.add_bar(
        x=places,
        y=bars["neurons"],
        marker={"color": [_ORANGE if len(codes) == 1 else PLAIN for codes in columns]},
        customdata=told,
        hovertemplate="<b>%{customdata}</b><br>%{y:,} neurons in these sets only<extra></extra>",
        name="intersections",
    )
    every = [(place, code) for place in places for code in names]
    figure.add_scatter(
        x=[place for place, _ in every],
        y=[code for _, code in every],
        yaxis="y2",
        mode="markers",
        marker={"size": 6, "color": MUTED},
        hoverinfo="skip",
        name="empty",
    )
    xs: list[int | None] = []
    ys: list[str | None] = []
    for place, codes in zip(places, columns, strict=True):
        xs += [*[place] * len(codes), None]
        ys += [*codes, None]
    figure.add_scatter(
        x=xs,
        y=ys,
        yaxis="y2",
        mode="markers+lines",
        line={"color": PLAIN, "width": 1.5},
        marker={"size": 8, "color": PLAIN},
        hoverinfo="skip",
        name="members",
    )


def _told(names: Sequence[str], total: int) -> str:
    if len(names) == total:
        return f"all {total} languages"
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def neuron_bars(languages: Sequence[Language], probability: ArrayLike) -> go.Figure:
    """One neuron's activation probability in every language, the highest first."""
    values = np.asarray(probability, dtype=np.float64)
    if values.shape != (len(languages),):
        raise InputError("Every language of the neuron's chart needs one activation probability.")
    order = np.argsort(-values, kind="stable")
    figure = new_figure(
        height=round(64 + 20 * len(order)),
        margin={"l": 100, "r": 44, "t": 8, "b": 44, "pad": 0},
        bargap=0.25,
        showlegend=False,
        xaxis=axis("Activation probability", tickformat=".0%", rangemode="tozero", nticks=6),
        yaxis=axis(
            type="category",
            categoryorder="array",
            categoryarray=[languages[i].code for i in order[::-1]],
            labelalias={language.code: short(language.name) for language in languages},
            dtick=1,
            ticks="",
            ticklabelstandoff=4,
            showgrid=False,
            automargin=True,
        ),
    )
    figure.add_bar(
        orientation="h",
        x=values[order],
        y=[languages[i].code for i in order],
        marker={"color": PLAIN},
        text=[f"{100 * values[i]:.1f} %" for i in order],
        textposition="outside",
        cliponaxis=False,
        customdata=[both_names(languages[i]) for i in order],
        hovertemplate="<b>%{customdata}</b><br>active on %{x:.2%} of the tokens<extra></extra>",
        name="probability",
    )
    return figure


def pitfall_points(
    frame: pd.DataFrame,
    similarity: Mapping[str, float],
    languages: Mapping[str, Language],
    *,
    metric: str,
) -> go.Figure:
    """The share of words lost from a language, against its similarity to English in the model.

    Parameters
    ----------
    frame : as :func:`bridgex_core.atlas.pitfalls` gives it.
    similarity : to English, by source; sources without one are left out.
    languages : by code.
    metric : what the similarity is called.
    """
    shown = frame[frame["source"].isin(similarity) & frame["share_lost"].notna()]
    figure = new_figure(
        height=380,
        margin={"l": 56, "r": 12, "t": 40, "b": 48, "pad": 0},
        legend={**_LEGEND, "y": 1.02},
        xaxis=axis(f"{metric} with English", nticks=7),
        yaxis=axis("Lost of what is right from English", tickformat=".0%", range=[-0.04, 1.12]),
    )
    for number, (target, rows) in enumerate(shown.groupby("target")):
        name = short(languages[str(target)].name)
        figure.add_scatter(
            x=[similarity[code] for code in rows["source"]],
            y=rows["share_lost"],
            mode="markers+text",
            marker={
                "size": 10,
                "color": QUALITATIVE[number % len(QUALITATIVE)],
                "line": {"color": LINE, "width": 1},
                "symbol": number % 6,
            },
            text=[short(languages[code].name, 14) for code in rows["source"]],
            textposition="top center",
            textfont={"size": 11},
            cliponaxis=False,
            customdata=rows[["lost", "right_in_english", "items"]].to_numpy(),
            hovertemplate=(
                f"<b>%{{text}} → {name}</b><br>%{{customdata[0]}} of %{{customdata[1]}} words "
                "lost, %{customdata[2]} asked<extra></extra>"
            ),
            name=f"into {name}",
        )
    return figure
