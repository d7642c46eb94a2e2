"""What all figures share: colours, text that is safe to show, the base of a figure, its download.

Figures are drawn on the page in a light and in a dark theme, so that nothing here names a font or
the colour of one: plotly takes both from the page. Lines are grey and half transparent, which
shows on either background; ink on a coloured cell is chosen by the cell's luminance.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.colors import sample_colorscale, unlabel_rgb

from ..errors import InputError
from ..languages import Language

ACCENT = "#D55E00"
"""What is chosen, current, or to be noticed."""

PLAIN = "#3A87C8"
"""Data of one kind: at least 3:1 against the light and the dark page."""

QUALITATIVE: tuple[str, ...] = (
    "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#CC79A7", "#D55E00",
    "#4C70EE", "#70DC82", "#94DCB8", "#70DCEE", "#EE284C",
)  # fmt: skip
"""Kinds without an order: Okabe and Ito (2008) without black, then five more.

The five were searched for: of all twelve no two come closer, in CIELAB, than the closest of the
first seven do, for usual sight and for readers without red or green cones (Machado et al. 2009).
"""

SYMBOLS: tuple[str, ...] = (
    "circle", "square", "diamond", "triangle-up", "triangle-down", "pentagon", "star",
)  # fmt: skip
"""Goes with QUALITATIVE on points, so that colour never says something alone."""

CLASS_COLOURS: tuple[str, ...] = (
    "#F4F4F4", "#DEDEDE", "#C8C8C8", "#B0B0B0", "#989898", "#808080",
)  # fmt: skip
"""Resource classes 0 to 5; black digits read well on every one."""

SEQUENTIAL = "Viridis"
"""Small to large; even in lightness, and safe for colour-blind readers."""

DIVERGING = "PuOr_r"
"""Below and above zero, safe for colour-blind readers: purple below, orange above."""

MUTED = "rgba(128,128,128,0.18)"
GRID = "rgba(128,128,128,0.28)"
LINE = "rgba(128,128,128,0.95)"
TRANSPARENT = "rgba(0,0,0,0)"
DARK_INK, LIGHT_INK = "#000000", "#FFFFFF"  # black: with white, one has 4.5:1 on any colour

MARK = "†"
"""Follows the name of a language that the model hardly knows."""

_RIGHT_TO_LEFT, _FIRST_STRONG, _END = "\u2067", "\u2068", "\u2069"  # Unicode's isolates


# ---- Text --------------------------------------------------------------------------------------


def plain(text: str) -> str:
    """The text with what plotly would read as markup escaped: names may be a user's own.

    >>> plain("Ma<b>t & Co")
    'Ma&lt;b&gt;t &amp; Co'
    """
    return escape(text, quote=False)


def short(text: str, most: int = 26) -> str:
    """The text, cut to `most` letters where it is longer, and escaped."""
    return plain(text if len(text) <= most else text[: most - 1].rstrip() + "…")


def own_name(language: Language) -> str:
    """The autonym, escaped and isolated, so that its direction leaves the rest of a line alone."""
    start = _RIGHT_TO_LEFT if language.is_rtl else _FIRST_STRONG
    return f"{start}{plain(language.autonym)}{_END}"


def both_names(language: Language) -> str:
    """English name and autonym, or the one name where they are the same; escaped."""
    if language.name.casefold() == language.autonym.casefold():
        return plain(language.name)
    return f"{plain(language.name)} · {own_name(language)}"


def marked_name(language: Language, marked: bool) -> str:
    """English name as a label, with the mark of a language that the model hardly knows."""
    return f"{short(language.name)} {MARK}" if marked else short(language.name)


def short_number(value: float) -> str:
    """Two decimals without a leading zero.

    >>> [short_number(v) for v in (0.843, -0.12, 1.0, -0.001)]
    ['.84', '−.12', '1', '.00']
    """
    text = f"{value:.2f}".replace("-0.00", "0.00")
    text = text.removesuffix(".00") if abs(value) >= 0.995 else text
    return re.sub(r"^(-?)0\.", r"\1.", text).replace("-", "−")


# ---- Colours -----------------------------------------------------------------------------------


def luminance(colour: str) -> float:
    """Relative luminance, 0 to 1, of "#rrggbb" or "rgb(r, g, b)" (WCAG 2).

    >>> luminance("#000000"), luminance("rgb(255, 255, 255)")
    (0.0, 1.0)
    """
    if colour.startswith("#"):
        channels: Sequence[float] = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    else:
        channels = unlabel_rgb(colour)
    value = np.asarray(channels, dtype=np.float64) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return float(np.round(linear @ (0.2126, 0.7152, 0.0722), 12))


def ink_on(colour: str) -> str:
    """The ink, dark or light, that has the higher contrast with a colour (WCAG 2).

    >>> ink_on("#F0E442"), ink_on("#0072B2")
    ('#000000', '#FFFFFF')
    """
    below = luminance(colour) + 0.05
    on_light = below / (luminance(DARK_INK) + 0.05)
    on_dark = (luminance(LIGHT_INK) + 0.05) / below
    return DARK_INK if on_light >= on_dark else LIGHT_INK


_NO_WIDTH = "\u200b"


def light_inked(values: np.ndarray, low: float, high: float, scale: str) -> np.ndarray:
    """Where light ink reads better on the colours that a scale from low to high gives values."""
    places = np.clip((np.nan_to_num(values, nan=low) - low) / (high - low), 0, 1)
    colours = sample_colorscale(scale, places.ravel().tolist())
    return np.reshape([ink_on(colour) == LIGHT_INK for colour in colours], values.shape)


def two_inks(
    text: Sequence[Sequence[str]], light: np.ndarray
) -> tuple[list[list[str]], list[list[str]]]:
    """The texts of a heatmap's cells for a trace in dark and for one in light ink.

    A heatmap has one colour of text, and counts the letters of markup when it chooses the size; so
    there are two, whose longest texts are equally long.
    """
    longest = max((len(word) for row in text for word in row), default=0)
    blank = _NO_WIDTH * longest
    padded = [[word.ljust(longest, _NO_WIDTH) for word in row] for row in text]
    dark_text, light_text = (
        [
            [word if pale == wanted else blank for word, pale in zip(row, inks, strict=True)]
            for row, inks in zip(padded, light, strict=True)
        ]
        for wanted in (False, True)
    )
    return dark_text, light_text


def written(text: Sequence[Sequence[str]], ink: str) -> dict[str, Any]:
    """What makes a heatmap write the texts into its cells."""
    return {"text": text, "texttemplate": "%{text}", "textfont": {"color": ink}}


def kind_colours(kinds: Sequence[str]) -> dict[str, str]:
    """A colour a kind, most frequent first, then by name; after the last colour, from the first."""
    order = sorted(set(kinds), key=lambda kind: (-kinds.count(kind), kind))
    return {kind: QUALITATIVE[i % len(QUALITATIVE)] for i, kind in enumerate(order)}


# ---- Figures -----------------------------------------------------------------------------------


def new_figure(**layout: Any) -> go.Figure:
    """An empty figure that takes fonts and their colour from the page that shows it."""
    # An own template: plotly's default depends on what else the process has imported.
    base = {
        "template": go.layout.Template(),
        "paper_bgcolor": TRANSPARENT,
        "plot_bgcolor": TRANSPARENT,
        "hovermode": "closest",
        "hoverlabel": {"align": "left"},
        "modebar": {"bgcolor": TRANSPARENT, "color": LINE, "activecolor": ACCENT},
    }
    return go.Figure(layout={**base, **layout})


def axis(title: str | None = None, **more: Any) -> dict[str, Any]:
    """A plain axis with a grid that shows on light and dark."""
    base: dict[str, Any] = {"gridcolor": GRID, "zeroline": False, "fixedrange": True}
    if title is not None:
        base["title"] = {"text": title, "standoff": 8}
    return {**base, **more}


def colour_bar(title: str | None = None, **more: Any) -> dict[str, Any]:
    """A flat colour bar at the right, above the plot."""
    bar = {
        "orientation": "h",
        "thickness": 9,
        "lenmode": "pixels",
        "len": 230,
        "x": 1,
        "xanchor": "right",
        "y": 1,
        "yanchor": "bottom",
        "xpad": 0,
        "ypad": 6,
        "outlinewidth": 0,
        "nticks": 6,
        "tickfont": {"size": 11},
    }
    if title is not None:
        bar["title"] = {"text": title, "side": "top", "font": {"size": 12}}
    return bar | more


def no_axis(**more: Any) -> dict[str, Any]:
    """An axis of which nothing is drawn."""
    return {"showgrid": False, "zeroline": False, "showticklabels": False, "ticks": "", **more}


# ---- Download ----------------------------------------------------------------------------------


def download_config(name: str, fmt: str = "svg") -> dict[str, Any]:
    """plotly's configuration of a chart: its mode bar, and what the camera in it saves.

    Parameters
    ----------
    name : name of the file, without its ending; whatever no file name should hold becomes "-".
    fmt : "svg" or "png" (with twice the pixels of the screen).
    """
    if fmt not in ("svg", "png"):
        raise InputError(f"A figure is saved as svg or png, not as {fmt!r}.")
    return {
        "displaylogo": False,
        "showSendToCloud": False,
        "scrollZoom": False,
        "doubleClick": "reset",
        "modeBarButtonsToRemove": ["select2d", "lasso2d", "zoom2d", "autoScale2d"],
        "toImageButtonOptions": {
            "format": fmt,
            "filename": re.sub(r"[^\w.-]+", "-", name).strip("-.") or "figure",
            "scale": 2,
        },
    }


DOWNLOAD_CONFIG: Mapping[str, Any] = download_config("bridgex-explorer")

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font-family: system-ui, "Noto Sans", sans-serif; color: #222; background: #fff;
  max-width: 75rem; margin: 1rem auto; padding: 0 .5rem; }}
h1 {{ font-size: 1.2rem; }}
</style>
</head>
<body>
<h1>{title}</h1>
{figure}
</body>
</html>
"""


def to_html(figure: go.Figure, title: str) -> str:
    """A page of its own with the figure, on white, which opens without a network."""
    font = {"family": 'system-ui, "Noto Sans", sans-serif', "color": "#222222"}
    drawn = go.Figure(figure).update_layout(
        font=font,
        paper_bgcolor="#FFFFFF",
        hoverlabel={"bgcolor": "#FFFFFF", "bordercolor": "#888888", "font": font},
    )
    content = drawn.to_html(
        config=download_config(title),
        include_plotlyjs=True,
        full_html=False,
        div_id="figure",
    )
    return _PAGE.format(title=escape(title), figure=content)
