"""The linguistic spectrum as a heatmap, with what is known of its languages along its sides."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from ..errors import InputError
from ..languages import Language
from ..similarity import ClusterTree, tree_segments
from ..spectrum import OverlapMatrix
from .sides import add_strips, families_of, key_of
from .theme import (
    ACCENT,
    DARK_INK,
    DIVERGING,
    LIGHT_INK,
    LINE,
    MUTED,
    SEQUENTIAL,
    both_names,
    colour_bar,
    light_inked,
    marked_name,
    new_figure,
    no_axis,
    plain,
    short_number,
    two_inks,
    written,
)

METRIC_TITLES: dict[str, str] = {
    "jaccard": "Jaccard overlap",
    "overlap": "Overlap coefficient",
    "count": "Shared neurons",
    "activation": "Activation similarity",
    "centred": "Centred activation similarity",
}
"""What the metrics are called on screen."""

MOST_WITH_NUMBERS = 16
"""Up to so many languages every cell shows its value."""

MOST_WITHOUT_ZOOM = 40
"""Up to so many languages the axes are fixed, so that a finger can scroll past the heatmap."""

LEAST_SPAN = 0.02
"""The colours of a ratio span at least this much: less is noise and should look the same."""

_TOP, _COLOUR_BAR, _LINE = 28, 56, 15  # pixels


def spectrum_heatmap(
    matrix: OverlapMatrix,
    languages: Sequence[Language],
    *,
    tree: ClusterTree | None = None,
    marked: Collection[str] = (),
    selected: tuple[str, str] | None = None,
) -> go.Figure:
    """The spectrum of K languages as a K × K heatmap.

    A click on a cell selects a point of the trace named "cells", whose `customdata` begins with
    the codes of the row and the column; the point also exists on the diagonal, where both are the
    same. The diagonal is 1 by definition and has no colour, so that the scale shows the rest.

    Parameters
    ----------
    matrix, languages : in the order to show.
    tree : the clustering that the order comes from: drawn above the columns.
    marked : codes of languages that the model hardly knows, which get a "†".
    selected : codes of a pair to outline.
    """
    if tuple(language.code for language in languages) != matrix.languages:
        raise InputError("The languages of a heatmap have to be those of its matrix, in its order.")
    size = _Layout(languages, marked, tree is not None)
    figure = new_figure(clickmode="event+select", dragmode="pan", hoverdistance=-1)
    _add_values(figure, matrix, size)
    _add_cells(figure, matrix, languages)
    add_strips(figure, languages, size.families, size.gap)
    if tree is not None:
        _add_tree(figure, tree)
    if selected is not None:
        _add_outline(figure, matrix.languages, selected)
    _add_key(figure, matrix.settings.metric, size)
    figure.update_layout(**size.layout())
    return figure


class _Layout:
    """Sizes in pixels, and the axes: one place that knows how many languages fit.

    Subplots: x, y the values; x2 the strips beside the rows; y2 the tree; y3 the strip below the
    columns. The width is the page's; on a narrow one plotly leaves out column labels that would
    overlap. Everything below the plot is placed in pixels from the plot or from the bottom, which
    holds at any width and, on a full screen, at any height.
    """

    def __init__(
        self, languages: Sequence[Language], marked: Collection[str], with_tree: bool
    ) -> None:
        count = len(languages)
        self.count = count
        self.row = float(np.clip(420 / count, 11.5, 64))
        self.font = float(np.clip(0.8 * self.row, 8, 12))
        self.gap = 1 if count <= MOST_WITHOUT_ZOOM else 0
        self.codes = [language.code for language in languages]
        self.columns = [marked_name(language, language.code in marked) for language in languages]
        self.rows = [
            f"{name} <span style='font-size:75%;opacity:0.75'>{plain(language.script)}</span>"
            for name, language in zip(self.columns, languages, strict=True)
        ]
        self.families = families_of(languages)
        self.key = key_of(self.families, any(code in marked for code in self.codes))
        longest = min(max(len(language.name) for language in languages), 26)
        self.left = 14 + 0.56 * self.font * (longest + 5)
        self.labels = 14 + 0.5 * self.font * max(longest, 14)
        self.tree = 56 if with_tree else 0
        self.strip = 9
        self.plot = count * self.row + self.strip + 4 + self.tree
        self.bottom = self.labels + _LINE * (self.key.count("<br>") + 1) + _COLOUR_BAR + 4
        self.height = round(_TOP + self.plot + self.bottom)

    def layout(self) -> dict[str, Any]:
        """Margins, height and axes."""
        above = 1 - self.tree / self.plot
        zoom = {
            "fixedrange": self.count <= MOST_WITHOUT_ZOOM,
            "minallowed": -0.5,
            "maxallowed": self.count - 0.5,
        }
        font = {"size": self.font}
        labels = {"type": "category", "showgrid": False, "zeroline": False, "ticks": ""}
        hidden = {"fixedrange": True, "showgrid": False, "zeroline": False, "ticks": ""}
        return {
            "height": self.height,
            "margin": {"l": self.left, "r": 8, "t": _TOP, "b": self.bottom, "pad": 0},
            "xaxis": {
                **labels,
                **zoom,
                "domain": [0.08, 1],
                "anchor": "y3",
                "range": [-0.5, self.count - 0.5],
                "labelalias": dict(zip(self.codes, self.columns, strict=True)),
                "tickangle": -90,
                "tickfont": font,
                "automargin": False,
            },
            "yaxis": {
                **labels,
                **zoom,
                "domain": [(self.strip + 4) / self.plot, above],
                "anchor": "x2",
                "range": [self.count - 0.5, -0.5],
                "labelalias": dict(zip(self.codes, self.rows, strict=True)),
                "tickfont": font,
                "ticklabelstandoff": 3,
                "automargin": True,
            },
            "xaxis2": {
                **hidden,
                "domain": [0, 0.07],
                "anchor": "y3",
                "range": [-0.5, 1.5],
                "tickvals": [0.5],
                "ticktext": ["Family · class"],
                "tickangle": -90,
                "tickfont": font,
                "automargin": False,
            },
            "yaxis2": no_axis(fixedrange=True, domain=[above, 1], anchor="x", range=[0, 1.02]),
            "yaxis3": no_axis(
                fixedrange=True, domain=[0, self.strip / self.plot], anchor="x", range=[-0.5, 0.5]
            ),
        }


def _add_key(figure: go.Figure, metric: str, size: _Layout) -> None:
    """What stands between the columns' labels and the colour bar: the key, and the bar's title."""
    for name, text, at in (
        ("key", size.key, size.labels),
        ("metric", METRIC_TITLES[metric], size.bottom - _COLOUR_BAR),
    ):
        figure.add_annotation(
            text=text,
            name=name,
            showarrow=False,
            xref="paper",
            yref="paper",
            x=1,
            y=0,
            xanchor="right",
            yanchor="top",
            yshift=-at,
            align="right",
            borderpad=0,
            font={"size": 12 if name == "metric" else 11},
        )


# ---- The values --------------------------------------------------------------------------------


def colour_range(values: np.ndarray, metric: str) -> tuple[float, float]:
    """The values (K, K) between which the colours run: those of the pairs, not of the diagonal."""
    pairs = values[~np.eye(len(values), dtype=bool)]
    low, high = float(np.nanmin(pairs)), float(np.nanmax(pairs))
    least = 1.0 if metric == "count" else LEAST_SPAN
    if metric == "centred":
        reach = max(abs(low), abs(high), least / 2)
        return -reach, reach
    if high - low < least:
        middle = (low + high) / 2
        return middle - least / 2, middle + least / 2
    return low, high


def _add_values(figure: go.Figure, matrix: OverlapMatrix, size: _Layout) -> None:
    metric = matrix.settings.metric
    scale = DIVERGING if metric == "centred" else SEQUENTIAL
    low, high = colour_range(matrix.values, metric)
    values = matrix.values.astype(np.float64)
    np.fill_diagonal(values, np.nan)
    figure.update_layout(
        coloraxis={
            "colorscale": scale,
            "cmin": low,
            "cmax": high,
            "colorbar": colour_bar(yref="container", y=0, ypad=4),
        }
    )
    common: dict[str, Any] = {
        "x": matrix.languages,
        "y": matrix.languages,
        "coloraxis": "coloraxis",
        "hoverinfo": "skip",
        "xgap": size.gap,
        "ygap": size.gap,
    }
    if len(values) > MOST_WITH_NUMBERS:
        figure.add_heatmap(z=values, name="values", **common)
    else:
        light = light_inked(values, low, high, scale)
        _add_with_numbers(figure, values, light, metric, common)
    figure.add_heatmap(
        z=np.where(np.eye(len(values), dtype=bool), 0.0, np.nan),
        name="diagonal",
        colorscale=[[0, MUTED], [1, MUTED]],
        showscale=False,
        **{key: value for key, value in common.items() if key != "coloraxis"},
    )


def _add_with_numbers(
    figure: go.Figure, values: np.ndarray, light: np.ndarray, metric: str, common: dict[str, Any]
) -> None:
    """The values with their numbers; cells that need light ink are drawn once more with it.

    A heatmap has one colour of text, and plotly's own choice of it is too faint on middle tones.
    """
    numbers = [["" if np.isnan(v) else _number(v, metric) for v in row] for row in values]
    dark_text, light_text = two_inks(numbers, light)
    figure.add_heatmap(z=values, name="values", **written(dark_text, DARK_INK), **common)
    figure.add_heatmap(
        z=np.where(light, values, np.nan),
        name="values, light ink",
        **written(light_text, LIGHT_INK),
        **common,
    )


def _number(value: float, metric: str) -> str:
    return f"{value:.0f}" if metric == "count" else short_number(value)


def _add_cells(figure: go.Figure, matrix: OverlapMatrix, languages: Sequence[Language]) -> None:
    """Invisible points that show the hover text and send the clicks; a heatmap sends none."""
    metric = matrix.settings.metric
    codes, names = matrix.languages, [both_names(language) for language in languages]
    rows = []
    for i, first in enumerate(codes):
        for j, second in enumerate(codes):
            value = matrix.values[i, j]
            number = f"{value:.0f}" if metric == "count" else f"{value:.3f}".replace("-", "−")
            counts = [int(matrix.shared[i, j]), int(matrix.sizes[i]), int(matrix.sizes[j])]
            rows.append([first, second, names[i], names[j], number, *counts])
    about = np.array(rows, dtype=object)  # plotly checks a list item by item
    hidden = {"marker": {"opacity": 0}}
    figure.add_scatter(
        x=about[:, 1],
        y=about[:, 0],
        customdata=about,
        mode="markers",
        marker={"symbol": "square", "size": 12, "opacity": 0},
        selected=hidden,
        unselected=hidden,
        hovertemplate=(
            "<b>%{customdata[2]}</b><br><b>%{customdata[3]}</b><br>"
            f"{METRIC_TITLES[metric]}: <b>%{{customdata[4]}}</b><br>"
            "%{customdata[5]} neurons shared, of %{customdata[6]} and %{customdata[7]}"
            "<extra></extra>"
        ),
        showlegend=False,
        name="cells",
    )


def _add_outline(figure: go.Figure, codes: Sequence[str], selected: tuple[str, str]) -> None:
    """The cell of a pair and its mirror image."""
    missing = [code for code in selected if code not in codes]
    if missing:
        raise InputError(f"The selected pair has {missing[0]}, which the heatmap does not show.")
    row, column = (codes.index(code) for code in selected)
    for i, j in dict.fromkeys(((row, column), (column, row))):
        for colour, width in ((LIGHT_INK, 5), (ACCENT, 3)):
            figure.add_shape(
                type="rect",
                x0=j - 0.5,
                x1=j + 0.5,
                y0=i - 0.5,
                y1=i + 0.5,
                line={"color": colour, "width": width},
            )


def _add_tree(figure: go.Figure, tree: ClusterTree) -> None:
    """The dendrogram as one path: shapes, unlike traces, may stand between two categories."""
    xs, ys = tree_segments(tree)
    ys = ys / (ys.max() or 1)
    path = "".join(
        "M" + "L".join(f"{x:.3f},{y:.4f}" for x, y in zip(*bracket, strict=True))
        for bracket in zip(xs, ys, strict=True)
    )
    figure.add_shape(
        type="path", path=path, xref="x", yref="y2", line={"color": LINE, "width": 1}, name="tree"
    )
