"""What routes lose when what is asked is perturbed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ..errors import InputError
from ..findings import ALPHA, MEASURES
from ..languages import Register
from ..perturbations import PERTURBATIONS
from .theme import LINE, QUALITATIVE, SYMBOLS, axis, new_figure, short

# Okabe and Ito's, without the yellow and the blue that are hard to see on light or on dark.
_COLOURS = dict(zip(PERTURBATIONS, (QUALITATIVE[i] for i in (0, 1, 2, 5, 6)), strict=True))
_SYMBOLS = dict(zip(PERTURBATIONS, SYMBOLS, strict=False))
_ROW = 17  # pixels of a point
_GAP = 1.0  # between routes, in points


def drop_chart(table: pd.DataFrame, measure: str, register: Register) -> go.Figure:
    """Every route's drop under every perturbation with its interval, the direct route first.

    Filled points can be told from chance after Holm's correction, the others not.

    Parameters
    ----------
    table : of :func:`bridgex_core.robustness.drops`; shown in points of 100.
    measure : a key of :data:`bridgex_core.findings.MEASURES`.
    register : names the bridges.

    Raises
    ------
    InputError
        The table is empty.
    """
    if table.empty:
        raise InputError("There is no drop to draw: measure a perturbation first.")
    bridges = sorted(table["bridge"].unique(), key=bool)  # direct first, the others as they come
    kinds = list(table["perturbation"].unique())
    step = len(kinds) + _GAP
    middles = [-(step * row + (len(kinds) - 1) / 2) for row in range(len(bridges))]
    lowest = -step * len(bridges) + _GAP / 2
    figure = new_figure(
        height=round(120 + _ROW * step * len(bridges)),
        margin={"l": 10, "r": 16, "t": 12, "b": 96, "pad": 0},
        # Below, since one line a few names wide does not hold five on a phone.
        legend={"orientation": "h", "x": 0, "xanchor": "left", "yref": "container", "y": 0,
                "yanchor": "bottom", "itemsizing": "constant"},
        xaxis=axis(f"Drop in {MEASURES[measure]} (points)", zeroline=True, zerolinecolor=LINE),
        yaxis=axis(
            tickvals=middles,
            ticktext=[_route(code, register) for code in bridges],
            range=[lowest, _GAP],
            showgrid=False,
            automargin=True,
            ticklabelstandoff=4,
        ),
    )  # fmt: skip
    for number, kind in enumerate(kinds):
        rows = table[table["perturbation"] == kind]
        places = [-(step * bridges.index(code) + number) for code in rows["bridge"]]
        figure.add_scatter(**_points(rows, kind, places, register))
    return figure


def _points(
    rows: pd.DataFrame, kind: str, places: list[float], register: Register
) -> dict[str, Any]:
    numbers = 100 * rows[["drop", "low", "high"]].to_numpy(dtype=np.float64)
    sure = (rows["p_holm"] <= ALPHA).to_numpy()
    colour, symbol = _COLOURS[kind], _SYMBOLS[kind]
    return {
        "x": numbers[:, 0],
        "y": places,
        "mode": "markers",
        "cliponaxis": False,
        "marker": {
            "size": 9,
            "color": colour,
            "symbol": [symbol if each else f"{symbol}-open" for each in sure],
            "line": {"width": 2, "color": colour},
        },
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": np.nan_to_num(numbers[:, 2] - numbers[:, 0]),
            "arrayminus": np.nan_to_num(numbers[:, 0] - numbers[:, 1]),
            "color": LINE,
            "thickness": 1.5,
            "width": 3,
        },
        "customdata": [_told(row, register) for row in rows.to_dict("records")],
        "hovertemplate": "%{customdata[0]}<extra></extra>",
        "name": kind.capitalize(),
    }


def _told(row: dict[str, Any], register: Register) -> list[str]:
    drop, low, high, clean, after = (
        f"{100 * row[name]:.1f}".replace("-", "−")
        for name in ("drop", "low", "high", "clean", "perturbed")
    )
    interval = "" if np.isnan(row["low"]) else f", 95 % interval {low} to {high}"
    return [
        f"<b>{row['perturbation'].capitalize()}, {_route(row['bridge'], register)}</b><br>"
        f"from {clean} to {after}, items: {row['items']}<br>drop {drop}{interval}<br>"
        f"p = {row['p_value']:.3g}, after Holm's correction {row['p_holm']:.3g}"
    ]


def _route(code: str, register: Register) -> str:
    return (
        f"via {short(register[code].name if code in register else code, 20)}" if code else "direct"
    )
