"""What chains achieve: routes beside each other, and the gains of a study."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ..errors import InputError
from ..findings import ALPHA, MEASURES, bridged
from ..languages import Register
from .theme import (
    ACCENT,
    DARK_INK,
    DIVERGING,
    LIGHT_INK,
    LINE,
    MUTED,
    PLAIN,
    axis,
    both_names,
    colour_bar,
    light_inked,
    new_figure,
    short,
)

_LEAST_REACH = 2.0  # points that the colours reach to either side of no gain
SIGNIFICANT = "*"
"""Follows a gain that is significant after Holm's correction."""


def route_chart(table: pd.DataFrame, measure: str, register: Register) -> go.Figure:
    """Every route's value with its interval, the direct one as a line, the best bridge first.

    Parameters
    ----------
    table : of :meth:`bridgex_core.evaluation.Evaluation.table`.
    measure : a key of :data:`bridgex_core.findings.MEASURES`; shown in points of 100.
    register : names the bridges.

    Raises
    ------
    InputError
        The table does not have the measure.
    """
    prefix = "mrr_" if measure == "mrr" else ""
    columns = [measure, f"{prefix}low", f"{prefix}high"]
    if not set(columns) <= set(table):
        raise InputError(f"These results have no {MEASURES[measure]}: choose another measure.")
    rows = table.assign(direct=table["bridge"] == "").sort_values(
        ["direct", measure], ascending=[False, False], kind="stable"
    )
    numbers = 100 * rows[columns].to_numpy(dtype=np.float64)
    codes = rows["bridge"].tolist()
    labels = [_via(code, register) for code in codes]
    figure = new_figure(
        height=96 + 26 * len(rows),
        margin={"l": 10, "r": 16, "t": 12, "b": 46, "pad": 0},
        showlegend=False,
        xaxis=axis(_title(measure), rangemode="tozero"),
        yaxis=axis(
            type="category",
            categoryorder="array",
            categoryarray=codes[::-1],
            labelalias=dict(zip(codes, labels, strict=True)),
            tickvals=codes,
            ticktext=labels,
            range=[-0.6, len(rows) - 0.4],
            showgrid=False,
            automargin=True,
            ticklabelstandoff=4,
        ),
    )
    for code, (at, _, _) in zip(codes, numbers, strict=True):
        if not code:
            figure.add_shape(
                type="line", x0=at, x1=at, yref="paper", y0=0, y1=1,
                line={"color": ACCENT, "dash": "dot", "width": 1.5}, name="direct",
            )  # fmt: skip
    figure.add_scatter(
        x=numbers[:, 0],
        y=codes,
        mode="markers",
        cliponaxis=False,
        marker={
            "size": 10,
            "color": [PLAIN if code else ACCENT for code in codes],
            "symbol": ["circle" if code else "diamond" for code in codes],
        },
        error_x={
            "type": "data",
            "symmetric": False,
            "array": numbers[:, 2] - numbers[:, 0],
            "arrayminus": numbers[:, 0] - numbers[:, 1],
            "color": LINE,
            "thickness": 1.5,
            "width": 4,
        },
        customdata=[
            [label, f"{at:.1f}", f"{a:.1f} to {b:.1f}"]
            for label, (at, a, b) in zip(labels, numbers, strict=True)
        ],
        hovertemplate=(
            "<b>%{customdata[0]}</b><br>%{customdata[1]}<br>95 % interval %{customdata[2]}"
            "<extra></extra>"
        ),
        name="routes",
    )
    return figure


def _via(code: str, register: Register) -> str:
    return f"via {_name(code, register)}" if code else "direct"


def _name(code: str, register: Register) -> str:
    return short(register[code].name if code in register else code, 20)


def _title(measure: str) -> str:
    name = MEASURES[measure]
    unit = {"accuracy": " (%)", "mrr": " (× 100)"}.get(measure, "")
    return f"{name[0].upper()}{name[1:]}{unit}"


def gains_heatmap(
    table: pd.DataFrame,
    measure: str,
    pairs: Sequence[tuple[str, str]],
    bridges: Sequence[str],
    register: Register,
) -> go.Figure:
    """What every bridge gains for every pair, in points; "*" marks what is significant.

    Parameters
    ----------
    table : of :func:`bridgex_core.study.study_table`.
    measure : a key of :data:`bridgex_core.findings.MEASURES`.
    pairs, bridges : rows and columns; what the table lacks stays grey.
    register : names the languages.
    """
    values = np.full((len(pairs), len(bridges)), np.nan)
    text = np.full(values.shape, "", dtype=object)
    hover = []
    for row in bridged(table, measure).itertuples():
        if (row.source, row.target) not in pairs or row.bridge not in bridges:
            continue
        at = list(pairs).index((row.source, row.target)), list(bridges).index(row.bridge)
        values[at] = row.gain
        text[at] = _signed(row.gain) + SIGNIFICANT * (row.p_holm <= ALPHA)
        hover.append([row.bridge, _key(pairs[at[0]]), _about(row, measure, register)])
    reach = max(float(np.nanmax(np.abs(values), initial=0.0)), _LEAST_REACH)
    figure = new_figure(
        height=round(112 + 30 * len(pairs)),
        margin={"l": 10, "r": 8, "t": 34, "b": 52, "pad": 0},
        coloraxis=_colours(measure, reach),
        xaxis=_categories(bridges, [_name(code, register) for code in bridges], side="top"),
        yaxis=_categories(
            [_key(pair) for pair in pairs],
            [" → ".join(_name(code, register) for code in pair) for pair in pairs],
            autorange="reversed",
        ),
    )
    common: dict[str, Any] = {
        "x": list(bridges),
        "y": [_key(pair) for pair in pairs],
        "hoverinfo": "skip",
        "xgap": 1,
        "ygap": 1,
    }
    figure.add_heatmap(
        z=np.where(np.isnan(values), 0.0, np.nan),
        colorscale=[[0, MUTED], [1, MUTED]],
        showscale=False,
        name="not measured",
        **common,
    )
    light = light_inked(values, -reach, reach, DIVERGING)
    for name, ink, shown in (("gains", DARK_INK, ~light), ("gains, light ink", LIGHT_INK, light)):
        figure.add_heatmap(
            z=np.where(shown, values, np.nan),
            text=np.where(shown, text, ""),
            texttemplate="%{text}",
            textfont={"color": ink, "size": 12},
            coloraxis="coloraxis",
            name=name,
            **common,
        )
    figure.add_scatter(
        x=[bridge for bridge, _, _ in hover],
        y=[pair for _, pair, _ in hover],
        customdata=[[about] for _, _, about in hover],
        mode="markers",
        marker={"symbol": "square", "size": 14, "opacity": 0},
        hovertemplate="%{customdata[0]}<extra></extra>",
        showlegend=False,
        name="cells",
    )
    return figure


def _key(pair: Sequence[str]) -> str:
    return " ".join(pair)


def _signed(points: float) -> str:
    """A gain as a cell shows it.

    >>> _signed(1.23), _signed(-2.04), _signed(-0.01)
    ('+1.2', '−2.0', '0')
    """
    size = f"{abs(points):.1f}"
    return "0" if not float(size) else f"{'−' if points < 0 else '+'}{size}"


def _about(row: Any, measure: str, register: Register) -> str:
    ends = (row.source, row.target)
    names = [both_names(register[code]) if code in register else short(code) for code in ends]
    return (
        f"<b>{' → '.join(names)}</b><br>via {_name(row.bridge, register)}: "
        f"{row.value:.1f}, direct {row.direct:.1f} ({MEASURES[measure]})<br>"
        f"gain <b>{_signed(row.gain)}</b> points, 95 % interval {_signed(row.low)} to "
        f"{_signed(row.high)}<br>p = {row.p_value:.3g}, after Holm's correction {row.p_holm:.3g}"
    )


def _colours(measure: str, reach: float) -> dict[str, Any]:
    return {
        "colorscale": DIVERGING,
        "cmin": -reach,
        "cmax": reach,
        "colorbar": colour_bar(
            f"Gain in {MEASURES[measure]} (points)", len=260, y=0, yanchor="top", xpad=10
        ),
    }


def _categories(keys: Sequence[str], labels: Sequence[str], **more: Any) -> dict[str, Any]:
    return axis(
        type="category",
        categoryorder="array",
        categoryarray=list(keys),
        tickvals=list(keys),
        ticktext=list(labels),
        showgrid=False,
        ticks="",
        automargin=True,
        ticklabelstandoff=4,
        **more,
    )
