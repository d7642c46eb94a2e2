"""The language of thought as a grid and as shares by layer; text shaded by activation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ..drivers import DrivingSentence
from ..errors import InputError
from ..languages import Language
from ..lens import Lens
from ..text_language import NO_LETTERS, OTHER_SCRIPT, SCRIPTS, scripts_of
from .theme import (
    DARK_INK,
    LIGHT_INK,
    QUALITATIVE,
    axis,
    ink_on,
    new_figure,
    plain,
    two_inks,
    written,
)

_FIRST_STRONG, _END = "\u2068", "\u2069"
_NOTHING, _REST = "#B0B0B0", "#808080"
_LEGEND: dict[str, Any] = {
    "orientation": "h",
    "x": 0,
    "xanchor": "left",
    "y": 1.01,
    "yanchor": "bottom",
}
_LETTERS = 6
_MINOR = 0.03
_ACCENT_RGB = "213,94,0"


def script_colours(lenses: Sequence[Lens]) -> dict[str, str]:
    """A colour for every script in which some level of these lenses would say something.

    The commonest first; what has no letters is light grey, further scripts dark grey.
    """
    counts: dict[str, float] = {}
    for lens in lenses:
        for script, mass in zip(SCRIPTS, lens.script_mass[:, lens.skipped :].sum((0, 1)),
                                strict=True):  # fmt: skip
            counts[script] = counts.get(script, 0.0) + float(mass)
        for script in np.unique(lens.scripts[..., 0].astype(str)):
            counts[str(script)] = max(counts[str(script)], 1e-9)
    named = [s for s in sorted(counts, key=lambda s: -counts[s]) if counts[s] > 0]
    named = [script for script in named if script not in (NO_LETTERS, OTHER_SCRIPT)]
    colours = dict(zip(named, QUALITATIVE, strict=False))
    rest = [script for script in SCRIPTS if script not in colours]
    return {**colours, **dict.fromkeys(rest, _REST), NO_LETTERS: _NOTHING}


def script_label(script: str, languages: Sequence[Language]) -> str:
    """A script's name, with the language where only one of them writes it.

    >>> from bridgex_core.languages import register
    >>> script_label("Hebr", [register()["heb_Hebr"], register()["eng_Latn"]])
    'Hebrew script (Hebrew)'
    """
    if script in (NO_LETTERS, OTHER_SCRIPT):
        return SCRIPTS[script]
    writers = [one.name for one in languages if script in scripts_of(one.code)]
    name = f"{SCRIPTS[script]} script"
    return plain(f"{name} ({writers[0]})" if len(writers) == 1 else name)


def lens_grid(
    lens: Lens,
    colours: Mapping[str, str],
    languages: Sequence[Language],
    *,
    most: int = 14,
) -> go.Figure:
    """Layer × token: what each layer would say next, coloured by its script; the input is below.

    Parameters
    ----------
    lens : from :func:`bridgex_core.lens.logit_lens`.
    colours : from :func:`script_colours`.
    languages : those that take part, for the names in the legend.
    most : positions shown, the last ones of the prompt.
    """
    kept = range(max(lens.skipped, len(lens.tokens) - most), len(lens.tokens))
    if not len(kept):
        raise InputError("The grid needs at least one position to show.")
    scripts = lens.scripts[:, kept.start :, 0]
    there = [script for script in colours if (scripts == script).any()]
    place = {script: index for index, script in enumerate(there)}
    steps = [[(i + end) / len(there), colours[script]]
             for i, script in enumerate(there) for end in (0, 1)]  # fmt: skip
    figure = new_figure(
        height=round(118 + 21 * lens.levels),
        margin={"l": 44, "r": 8, "t": 44, "b": 74, "pad": 0},
        legend=_LEGEND,
        xaxis={
            **axis("Token read", showgrid=False),
            "tickvals": list(range(len(kept))),
            "ticktext": [_cell(lens.tokens[p], 10) for p in kept],
            "tickangle": -60,
            "ticks": "",
            "range": [-0.5, len(kept) - 0.5],
        },
        yaxis={
            **axis("Layer", showgrid=False),
            "tickvals": list(range(0, lens.levels, 1 if lens.levels < 24 else 4)),
            "ticks": "",
            "range": [-0.5, lens.levels - 0.5],
        },
    )
    common: dict[str, Any] = {
        "zmin": -0.5,
        "zmax": len(there) - 0.5,
        "colorscale": steps,
        "showscale": False,
        "xgap": 1,
        "ygap": 1,
    }
    numbers = np.array([[place[script] for script in row] for row in scripts], dtype=np.float64)
    light = np.array([[ink_on(colours[s]) == LIGHT_INK for s in row] for row in scripts])
    words = [
        [_cell(token, _LETTERS) for token in row] for row in lens.top_tokens[:, kept.start :, 0]
    ]
    dark_text, light_text = two_inks(words, light)
    figure.add_heatmap(
        z=numbers,
        **written(dark_text, DARK_INK),
        hovertext=[[_hover(lens, level, p) for p in kept] for level in range(lens.levels)],
        hovertemplate="%{hovertext}<extra></extra>",
        name="says",
        **common,
    )
    if light.any():
        figure.add_heatmap(
            z=np.where(light, numbers, np.nan),
            **written(light_text, LIGHT_INK),
            hoverinfo="skip",
            name="says, light ink",
            **common,
        )
    for script in there:  # a heatmap has no legend of its own
        figure.add_scatter(
            x=[None],
            y=[None],
            mode="markers",
            marker={"symbol": "square", "size": 12, "color": colours[script]},
            name=script_label(script, languages),
        )
    return figure


def _cell(token: str, most: int) -> str:
    """A token in few letters; spaces and line ends made visible."""
    shown = token.replace("\n", "⏎").replace("\t", "⇥").strip() or "␣"
    shown = shown if len(shown) <= most else shown[: most - 1] + "…"
    return plain(shown)


def _isolated(token: str) -> str:
    """The same within a line, whose direction it leaves alone."""
    return f"{_FIRST_STRONG}{_cell(token, 24)}{_END}"


def _hover(lens: Lens, level: int, position: int) -> str:
    where = "Embedding" if level == 0 else f"Layer {level}"
    lines = [f"<b>{where}, after {_isolated(lens.tokens[position])}</b>"]
    lines += [
        f"{_isolated(token)} {100 * float(p):.1f} %"
        for token, p in zip(
            lens.top_tokens[level, position], lens.probabilities[level, position], strict=True
        )
    ]
    return "<br>".join(lines)


def lens_shares(
    shares: pd.DataFrame, colours: Mapping[str, str], languages: Sequence[Language]
) -> go.Figure:
    """How much of what each layer would say is in which script, stacked to 100 %.

    Scripts that reach 3 % at no layer are drawn as one.

    Parameters
    ----------
    shares : as :func:`bridgex_core.lens.share_by_layer` gives them.
    colours : from :func:`script_colours`.
    languages : those that take part.
    """
    figure = new_figure(
        height=300,
        margin={"l": 52, "r": 8, "t": 40, "b": 44, "pad": 0},
        hovermode="x unified",
        legend={**_LEGEND, "traceorder": "normal", "font": {"size": 11}},
        xaxis=axis("Layer", showgrid=False, unifiedhovertitle={"text": "Layer %{x}"}),
        yaxis=axis("Share of probability", tickformat=".0%", range=[0, 1]),
    )
    table = shares.pivot_table(index="level", columns="script", values="share", aggfunc="sum")
    major = [s for s in colours if s in table and table[s].max() >= _MINOR and s != OTHER_SCRIPT]
    drawn = {s: (table[s], colours[s], script_label(s, languages)) for s in major}
    drawn[OTHER_SCRIPT] = (table.drop(columns=major).sum(axis=1), _REST, "other scripts")
    for values, colour, label in drawn.values():
        figure.add_scatter(
            x=table.index,
            y=values,
            stackgroup="scripts",
            mode="lines",
            line={"color": colour, "width": 1},
            fillcolor=colour,
            hovertemplate=f"{label}: %{{y:.1%}}<extra></extra>",
            name=label,
        )
    return figure


def shaded_sentence(sentence: DrivingSentence, highest: float) -> str:
    """HTML of a sentence, each piece shaded by the neuron's activation on it.

    Everything of the text is escaped; the paragraph takes its direction from the text. Negative
    activations are not shaded.

    Parameters
    ----------
    sentence : from :func:`bridgex_core.drivers.drivers`.
    highest : the activation that gets the full shade, > 0.
    """
    pieces = "".join(
        _shaded(piece, activation, highest)
        for piece, activation in zip(sentence.pieces, sentence.activations, strict=True)
    )
    return f'<p dir="auto" style="margin:0 0 .6rem;line-height:1.9">{pieces}</p>'


def _shaded(piece: str, activation: float, highest: float) -> str:
    strength = min(max(activation, 0.0) / highest, 1.0) if highest > 0 else 0.0
    # No more than this: the page's dark or light ink has to stay readable on it.
    shade = f"rgba({_ACCENT_RGB},{0.55 * strength:.3f})"
    return (
        f'<span style="background:{shade};border-radius:.2rem" '
        f'title="{activation:.3f}">{escape(piece)}</span>'
    )
