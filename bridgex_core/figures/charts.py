"""Small charts: agreement over top rates, fluency, layers of a pair, comparison with typology."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from ..errors import InputError
from ..languages import Language
from ..pairs import Pair
from ..similarity import MatrixCorrelation
from .theme import (
    ACCENT,
    DARK_INK,
    LINE,
    MARK,
    PLAIN,
    QUALITATIVE,
    axis,
    both_names,
    marked_name,
    new_figure,
    plain,
    short,
)

_ORANGE, _SKY, _GREEN = QUALITATIVE[:3]
_LEGEND: dict[str, Any] = {
    "orientation": "h",
    "x": 0,
    "xanchor": "left",
    "y": 1.02,
    "yanchor": "bottom",
}
_HATCH = "rgba(255,255,255,0.4)"
_PERCENT_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)


def agreement_curve(frame: pd.DataFrame, current: float) -> go.Figure:
    """How the spectrum at the current top rate agrees with the spectra at other rates.

    Parameters
    ----------
    frame : columns `top_rate` (a share) and `rho`, as `spectrum.rate_agreement` gives them.
    current : the current top rate, a share; marked.
    """
    rates = frame.sort_values("top_rate")
    percent = rates["top_rate"].to_numpy(dtype=np.float64) * 100
    rho = rates["rho"].to_numpy(dtype=np.float64)
    lowest = float(np.nanmin(rho, initial=0.0))
    figure = new_figure(
        height=240,
        margin={"l": 52, "r": 12, "t": 28, "b": 44, "pad": 0},
        showlegend=False,
        xaxis=axis(
            "Top rate (%)",
            type="log",
            tickvals=_PERCENT_TICKS,
            ticktext=[f"{tick:g}" for tick in _PERCENT_TICKS],
        ),
        yaxis=axis("Spearman's ρ", range=[lowest - 0.05, 1.06], nticks=6),
    )
    figure.add_scatter(
        x=percent,
        y=rho,
        mode="lines+markers",
        line={"color": PLAIN, "width": 2},
        marker={"size": 7},
        hovertemplate="Top rate %{x:.3g} %<br>ρ = %{y:.3f}<extra></extra>",
        name="agreement",
    )
    at = 100 * current
    figure.add_shape(
        type="line", x0=at, x1=at, yref="paper", y0=0, y1=1, line={"color": ACCENT, "dash": "dot"}
    )
    figure.add_annotation(
        text=f"shown: {at:g} %",
        x=float(np.log10(at)),
        xref="x",
        yref="paper",
        y=1,
        yanchor="bottom",
        showarrow=False,
    )
    return figure


def fluency_bars(
    languages: Sequence[Language],
    bits_per_byte: Sequence[float],
    intervals: Sequence[tuple[float, float]],
    marked: Collection[str],
) -> go.Figure:
    """How many bits a UTF-8 byte the model needs for each language, the fewest first.

    Parameters
    ----------
    languages, bits_per_byte, intervals : K languages, their values, and 95 % intervals (low, high),
        which may be NaN.
    marked : codes of languages that the model hardly knows.
    """
    values = np.asarray(bits_per_byte, dtype=np.float64)
    ends = np.asarray(intervals, dtype=np.float64).reshape(-1, 2)
    if not len(languages) == len(values) == len(ends):
        raise InputError("Every language of the fluency chart needs one value and one interval.")
    order = np.argsort(values, kind="stable")
    names = [marked_name(languages[i], languages[i].code in marked) for i in order]
    figure = new_figure(
        height=round(96 + 21 * len(order)),
        margin={"l": 110, "r": 16, "t": 34, "b": 46, "pad": 0},
        bargap=0.25,
        legend=_LEGEND,
        xaxis=axis("Bits per byte, fewer is better", rangemode="tozero"),
        yaxis=axis(
            type="category",
            categoryorder="array",
            categoryarray=[languages[i].code for i in order[::-1]],
            labelalias={languages[i].code: name for i, name in zip(order, names, strict=True)},
            dtick=1,
            ticks="",
            ticklabelstandoff=4,
            showgrid=False,
            automargin=True,
        ),
    )
    for label, colour, pattern, wanted in (
        ("known to the model", _SKY, "", False),
        (f"{MARK} hardly known to the model", ACCENT, "/", True),
    ):
        shown = [i for i in order if (languages[i].code in marked) == wanted]
        figure.add_bar(
            orientation="h",
            x=values[shown],
            y=[languages[i].code for i in shown],
            error_x={
                "type": "data",
                "symmetric": False,
                "array": np.nan_to_num(ends[shown, 1] - values[shown]),
                "arrayminus": np.nan_to_num(values[shown] - ends[shown, 0]),
                "color": LINE,
                "thickness": 1.5,
                "width": 3,
            },
            marker=_filled(colour, pattern),
            text=[f"{values[i]:.2f}" for i in shown],
            textposition="inside",
            insidetextanchor="start",
            insidetextfont={"color": DARK_INK, "size": 11},
            constraintext="none",
            textangle=0,
            customdata=[[both_names(languages[i]), _interval(*ends[i])] for i in shown],
            hovertemplate=(
                "<b>%{customdata[0]}</b><br>%{x:.3f} bits a byte%{customdata[1]}<extra></extra>"
            ),
            name=label,
            showlegend=bool(marked),
        )
    figure.update_layout(barmode="overlay")
    return figure


def _filled(colour: str, pattern: str) -> dict[str, Any]:
    """A bar's filling: "" is plain, "/" and "." are plotly's patterns."""
    hatch = {"shape": pattern, "bgcolor": colour, "fgcolor": _HATCH, "size": 6, "solidity": 0.2}
    return {"color": colour, "line": {"width": 0}, "pattern": hatch}


def _interval(low: float, high: float) -> str:
    return "" if np.isnan(low) or np.isnan(high) else f"<br>95 % interval {low:.3f} to {high:.3f}"


def pair_layers(pair: Pair, languages: tuple[Language, Language]) -> go.Figure:
    """The neurons of two languages' sets by layer: in both, only in the first, only in the second.

    `languages` are those of `pair.a` and `pair.b`, in that order.
    """
    if tuple(language.code for language in languages) != (pair.a, pair.b):
        raise InputError("The languages of a pair's figure have to be the pair's, in its order.")
    first, second = (short(language.name, 18) for language in languages)
    figure = new_figure(
        height=300,
        margin={"l": 52, "r": 8, "t": 34, "b": 44, "pad": 0},
        barmode="stack",
        bargap=0.15,
        legend={**_LEGEND, "traceorder": "normal"},
        hovermode="x unified",
        xaxis=axis(
            "Layer",
            dtick=max(1, round(len(pair.layers) / 12)),
            showgrid=False,
            unifiedhovertitle={"text": "Layer %{x}"},
        ),
        yaxis=axis("Neurons", rangemode="tozero"),
    )
    for counts, label, colour, pattern in (
        (pair.shared, "shared", _GREEN, ""),
        (pair.only_a, f"only {first}", _ORANGE, "/"),
        (pair.only_b, f"only {second}", _SKY, "."),
    ):
        figure.add_bar(
            x=list(pair.layers),
            y=counts,
            name=label,
            marker=_filled(colour, pattern),
            hovertemplate=f"{label}: %{{y}}<extra></extra>",
        )
    return figure


def typology_scatter(
    values: ArrayLike,
    similarity: ArrayLike,
    pair_names: Sequence[str],
    *,
    kind: str,
    correlation: MatrixCorrelation,
) -> go.Figure:
    """The model's similarity of every pair of languages against URIEL+'s.

    Parameters
    ----------
    values, similarity : (P,) the spectrum's value and URIEL+'s similarity of each pair; a pair
        that is NaN in either is left out.
    pair_names : P names for the hover, not escaped.
    kind : genetic, syntactic, geographic or featural.
    correlation : their agreement, told in the title.
    """
    model, known = (np.asarray(array, dtype=np.float64) for array in (values, similarity))
    if not model.shape == known.shape == (len(pair_names),):
        raise InputError("Every pair of the typology chart needs one value, similarity and name.")
    kept = np.flatnonzero(~(np.isnan(model) | np.isnan(known))).tolist()
    figure = new_figure(
        height=400,
        margin={"l": 56, "r": 12, "t": 84, "b": 48, "pad": 0},
        showlegend=False,
        title={
            "text": _rho(correlation),
            "subtitle": {"text": _circumstances(correlation), "font": {"size": 12}},
            "font": {"size": 15},
            "x": 0,
            "xanchor": "left",
            "y": 0.97,
            "yanchor": "top",
        },
        xaxis=axis(f"URIEL+ {kind} similarity", nticks=7),
        yaxis=axis("Similarity in the model", nticks=7),
    )
    figure.add_scatter(
        x=known[kept],
        y=model[kept],
        customdata=[[plain(pair_names[i])] for i in kept],
        mode="markers",
        marker={
            "size": 8 if len(kept) < 400 else 5,
            "color": PLAIN,
            "opacity": 0.7 if len(kept) < 400 else 0.35,
            "line": {"width": 0},
        },
        hovertemplate=(
            "<b>%{customdata[0]}</b><br>Model: %{y:.3f}<br>URIEL+: %{x:.3f}<extra></extra>"
        ),
        name="pairs",
    )
    return figure


def _rho(correlation: MatrixCorrelation) -> str:
    if np.isnan(correlation.rho):
        return "Spearman's ρ is not defined: all pairs are alike"
    text = f"Spearman's ρ = {correlation.rho:.2f}"
    if not np.isnan(correlation.low):
        text += f" [{correlation.low:.2f}, {correlation.high:.2f}]"
    return text.replace("-", "−")


def _circumstances(correlation: MatrixCorrelation) -> str:
    counted = f"{correlation.languages} languages, {correlation.pairs} pairs"
    if np.isnan(correlation.rho):
        return counted
    p = correlation.p_value
    tested = "Mantel test p < 0.001" if p < 0.001 else f"Mantel test p = {p:.3f}"
    interval = f"[{100 * correlation.confidence:g} % interval: languages resampled]"
    return f"{interval}<br>{tested} · {counted}"
