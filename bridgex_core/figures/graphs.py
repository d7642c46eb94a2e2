"""Languages as a graph and as a map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import networkx as nx
import numpy as np
import plotly.graph_objects as go

from ..errors import InputError
from ..languages import Language
from .theme import (
    GRID,
    LINE,
    QUALITATIVE,
    SYMBOLS,
    both_names,
    new_figure,
    no_axis,
    plain,
    short,
)

_HEIGHT = 560
_NARROW = 344  # pixels: labels are placed for a narrow page, since a wide one only has more room
_ROOM = (0.32, 0.14)  # beyond the points, for their labels: a share of their span, in all
_EDGE_STEPS = 5


def graph_figure(
    graph: nx.Graph,
    positions: Mapping[str, tuple[float, float]],
    languages: Mapping[str, Language],
) -> go.Figure:
    """A language graph: nodes by community, edges wider and darker the heavier they are.

    Parameters
    ----------
    graph : as `language_graph.language_graph` makes it: `community` of nodes, `weight` of edges.
    positions : x and y of each node.
    languages : the language of each code.
    """
    figure = new_figure(
        height=_HEIGHT,
        margin={"l": 8, "r": 8, "t": 8, "b": 8, "pad": 0},
        dragmode="pan",
        showlegend=False,
        **_plane(np.array([positions[code] for code in graph])),
    )
    _add_edges(figure, graph, positions, languages)
    codes = list(graph)
    groups = [int(graph.nodes[code]["community"]) for code in codes]
    about = [
        f"Community {group + 1}<br>{_neighbours(graph, code, languages)}"
        for code, group in zip(codes, groups, strict=True)
    ]
    places = np.array([positions[code] for code in codes])
    number = {code: place for place, code in enumerate(codes)}
    sides = label_positions(
        places,
        [len(languages[code].name) for code in codes],
        lines=[(number[a], number[b]) for a, b in graph.edges],
    )
    _add_points(figure, places, [languages[code] for code in codes], groups, about, sides)
    return figure


def _neighbours(graph: nx.Graph, code: str, languages: Mapping[str, Language]) -> str:
    edges = sorted((-edge["weight"], other) for other, edge in graph[code].items())
    names = ", ".join(plain(languages[other].name) for _, other in edges[:5])
    return f"Nearest: {names}" if names else "No edge"


def map_figure(
    coordinates: np.ndarray,
    languages: Sequence[Language],
    groups: Sequence[int] | None,
    stress: float,
) -> go.Figure:
    """Languages as points of a plane: near where the model makes them alike.

    Parameters
    ----------
    coordinates : (K, 2); both axes have the same scale.
    languages : K languages.
    groups : a number each, from 0, shown by colour and shape; None for no groups.
    stress : Kruskal's stress-1 of the map, told below it.
    """
    places = np.asarray(coordinates, dtype=np.float64)
    if places.shape != (len(languages), 2) or len(groups or languages) != len(languages):
        raise InputError("Every language of the map needs one point and, if any, one group.")
    figure = new_figure(
        height=_HEIGHT,
        margin={"l": 8, "r": 8, "t": 8, "b": 30, "pad": 0},
        dragmode="pan",
        showlegend=False,
        **_plane(places),
    )
    figure.update_yaxes(scaleanchor="x", scaleratio=1)
    figure.update_layout(
        {f"{axis}axis": {"showline": True, "linecolor": GRID, "mirror": True} for axis in "xy"}
    )
    about = [f"Group {group + 1}" for group in groups] if groups else [""] * len(languages)
    sides = label_positions(places, [len(language.name) for language in languages], equal=True)
    _add_points(figure, places, languages, groups or [0] * len(languages), about, sides)
    figure.add_annotation(
        text=f"Stress {stress:.2f}: 0 is exact, 0.1 fair, 0.2 poor",
        xref="paper",
        yref="paper",
        x=0,
        y=0,
        xanchor="left",
        yanchor="top",
        yshift=-6,
        showarrow=False,
        font={"size": 11},
    )
    return figure


def _plane(places: np.ndarray) -> dict[str, Any]:
    """Two axes without ticks, with room around the points for their labels."""
    low, high = places.min(axis=0), places.max(axis=0)
    span = high - low
    span = np.maximum(span, 0.1 * span.max() or 1.0)
    room = span * _ROOM / 2 + (span - (high - low)) / 2
    return {
        name: no_axis(range=[float(low[i] - room[i]), float(high[i] + room[i])])
        for i, name in enumerate(("xaxis", "yaxis"))
    }


def _add_edges(
    figure: go.Figure,
    graph: nx.Graph,
    positions: Mapping[str, tuple[float, float]],
    languages: Mapping[str, Language],
) -> None:
    edges = sorted(graph.edges(data="weight"), key=lambda edge: edge[2])
    if not edges:
        return
    weights = np.array([weight for _, _, weight in edges])
    spread = np.ptp(weights) or 1.0
    step = np.minimum((weights - weights[0]) / spread * _EDGE_STEPS, _EDGE_STEPS - 1).astype(int)
    for level in np.unique(step):
        xs: list[float | None] = []
        ys: list[float | None] = []
        for (a, b, _), at in zip(edges, step, strict=True):
            if at == level:
                xs += [positions[a][0], positions[b][0], None]
                ys += [positions[a][1], positions[b][1], None]
        strength = (level + 1) / _EDGE_STEPS
        figure.add_scatter(
            x=xs,
            y=ys,
            mode="lines",
            line={"color": LINE, "width": 0.6 + 3.4 * strength},
            opacity=0.2 + 0.6 * strength,
            hoverinfo="skip",
            name="edges",
        )
    middle = np.array([np.add(positions[a], positions[b]) / 2 for a, b, _ in edges])
    figure.add_scatter(
        x=middle[:, 0],
        y=middle[:, 1],
        mode="markers",
        marker={"size": 8, "opacity": 0},
        customdata=[
            [plain(f"{languages[a].name} – {languages[b].name}"), f"{weight:.3f}"]
            for a, b, weight in edges
        ],
        hovertemplate="%{customdata[0]}: <b>%{customdata[1]}</b><extra></extra>",
        name="edge values",
    )


def _add_points(
    figure: go.Figure,
    places: np.ndarray,
    languages: Sequence[Language],
    groups: Sequence[int],
    about: Sequence[str],
    sides: Sequence[str],
) -> None:
    names = [short(language.name) for language in languages]
    size = 13 if len(names) <= 30 else 9
    figure.add_scatter(
        x=places[:, 0],
        y=places[:, 1],
        mode="markers+text",
        text=names,
        textposition=sides,
        textfont={"size": 12 if len(names) <= 30 else 9},
        marker={
            "size": size,
            "color": [QUALITATIVE[group % len(QUALITATIVE)] for group in groups],
            "symbol": [SYMBOLS[group % len(SYMBOLS)] for group in groups],
            "line": {"color": LINE, "width": 1},
        },
        customdata=[
            [language.code, both_names(language), text]
            for language, text in zip(languages, about, strict=True)
        ],
        hovertemplate="<b>%{customdata[1]}</b><br>%{customdata[2]}<extra></extra>",
        cliponaxis=False,
        name="languages",
    )


# ---- Labels ------------------------------------------------------------------------------------

_SIDES: dict[str, tuple[float, float]] = {
    "middle right": (1, 0),
    "middle left": (-1, 0),
    "top center": (0, 1),
    "bottom center": (0, -1),
    "top right": (1, 1),
    "bottom right": (1, -1),
    "top left": (-1, 1),
    "bottom left": (-1, -1),
}


def label_positions(
    places: np.ndarray,
    letters: Sequence[int],
    *,
    lines: Sequence[tuple[int, int]] = (),
    equal: bool = False,
) -> list[str]:
    """A plotly text position for each point (K, 2), so that labels cover little.

    Greedy, in the order of the points: each takes the side with the least of points, standing
    labels, lines and margin under its label; equals are taken in the order of `_SIDES`.

    Parameters
    ----------
    letters : length of each label.
    lines : pairs of points that a line joins.
    equal : both axes have the same scale.
    """
    font, point = (12, 7) if len(letters) <= 30 else (9, 5)
    room = np.array([_NARROW, _HEIGHT]) / (1 + np.array(_ROOM))
    span = np.maximum(np.ptp(places, axis=0), 1e-9)
    scale = np.full(2, (room / span).min()) if equal else room / span
    at = (places - places.mean(axis=0)) * scale
    frame = np.array([*(at.min(axis=0) - room * _ROOM / 2), *(at.max(axis=0) + room * _ROOM / 2)])
    standing = [np.array([*(xy - point), *(xy + point)]) for xy in at]
    standing += [
        np.array([*(xy - 2), *(xy + 2)])
        for a, b in lines
        for xy in at[a] + np.linspace(0.05, 0.95, 24)[:, np.newaxis] * (at[b] - at[a])
    ]
    chosen = []
    for xy, count in zip(at, letters, strict=True):
        half = np.array([0.28 * font * count, 0.6 * font])
        boxes = []
        for across, up in _SIDES.values():
            away = np.array([half[0] + (point if up == 0 else 2), half[1] + point])
            centre = xy + np.array([across, up]) * away
            boxes.append(np.array([*(centre - half), *(centre + half)]))
        others = np.array(standing)
        covered = [_overlap(box, others) + 3 * _outside(box, frame) for box in boxes]
        best = int(np.argmin(covered))
        standing.append(boxes[best])
        chosen.append(list(_SIDES)[best])
    return chosen


def _overlap(box: np.ndarray, others: np.ndarray) -> float:
    """The area of a box (left, bottom, right, top) that other boxes (N, 4) cover, summed."""
    shared = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    return float(np.prod(np.maximum(shared, 0), axis=1).sum())


def _outside(box: np.ndarray, frame: np.ndarray) -> float:
    """The area of a box outside a frame."""
    return float(np.prod(box[2:] - box[:2])) - _overlap(box, frame[np.newaxis])
