"""What is known of the languages of a heatmap: families, scripts and resource classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from ..languages import RESOURCE_CLASS_NAMES, Language
from .theme import (
    CLASS_COLOURS,
    DARK_INK,
    MARK,
    QUALITATIVE,
    both_names,
    kind_colours,
    plain,
    short,
)

_KEY_WIDTH = 50  # letters that a narrow screen has room for
_NO_BREAK = "\u00a0"


def add_strips(
    figure: go.Figure,
    languages: Sequence[Language],
    colours_of: Mapping[str, tuple[str, str]],
    gap: int,
) -> None:
    """Family and resource class beside each row, family below each column, with hover.

    The strips stand on the axes x2, y and x, y3; `colours_of` is that of `families_of`, and `gap`
    the pixels between cells.
    """
    codes = [language.code for language in languages]
    families = list(colours_of)
    numbers = [families.index(_family(language)) for language in languages]
    colours = [colour for colour, _ in colours_of.values()]
    classes = [language.resource_class for language in languages]
    about = [_about(language) for language in languages]
    common: dict[str, Any] = {"hoverinfo": "text", "showscale": False}
    # Both strips in one trace, with the classes' colours after the families': plotly then knows
    # how wide a strip is, and makes the text fit.
    figure.add_heatmap(
        x=[0, 1],
        y=codes,
        z=[
            [number, None if c is None else len(families) + c]
            for number, c in zip(numbers, classes, strict=True)
        ],
        text=[
            [colours_of[families[number]][1], "" if c is None else str(c)]
            for number, c in zip(numbers, classes, strict=True)
        ],
        hovertext=[[text, text] for text in about],
        texttemplate="%{text}",
        textfont={"color": DARK_INK},
        **_steps((*colours, *CLASS_COLOURS)),
        xaxis="x2",
        xgap=2,
        ygap=gap,
        name="family and class",
        **common,
    )
    figure.add_heatmap(
        x=codes,
        y=[0],
        z=[numbers],
        hovertext=[about],
        **_steps(colours),
        yaxis="y3",
        xgap=gap,
        name="family of the column",
        **common,
    )


def _family(language: Language) -> str:
    return language.family or "Family unknown"


def families_of(languages: Sequence[Language]) -> dict[str, tuple[str, str]]:
    """Each family's colour, and two letters where it has to share that with another family."""
    colours = kind_colours([_family(language) for language in languages])
    return {
        family: (colour, plain(family[:2]) if place >= len(QUALITATIVE) else "")
        for place, (family, colour) in enumerate(colours.items())
    }


def _steps(colours: Sequence[str]) -> dict[str, Any]:
    """A heatmap's colour scale that is constant around each of the numbers 0, 1, 2 …"""
    count = len(colours)
    scale = [[(i + end) / count, colour] for i, colour in enumerate(colours) for end in (0, 1)]
    return {"colorscale": scale, "zmin": -0.5, "zmax": count - 0.5}


def key_of(families: dict[str, tuple[str, str]], any_marked: bool) -> str:
    """What the colours of the strips and the mark mean.

    A text with lines of its own, not a plotly legend, since the height of a legend depends on the
    width of the page and would push the heatmap about.
    """
    entries = [
        f"<span style='color:{colour}'>■</span> "
        + f"{letters and f'{letters}: '}{short(family)}".replace(" ", _NO_BREAK)
        for family, (colour, letters) in families.items()
    ]
    lengths = [5 + len(family) + len(letters) for family, (_, letters) in families.items()]
    lines, room = [""], _KEY_WIDTH
    for entry, length in zip(entries, lengths, strict=True):
        if length > room and lines[-1]:
            lines.append("")
            room = _KEY_WIDTH
        lines[-1] += f"{entry}{_NO_BREAK} "
        room -= length
    lines.append("Class: resources, 0 (least) to 5 (Joshi et al. 2020)")
    if any_marked:
        lines.append(f"{MARK} The model hardly knows this language.")
    return "<br>".join(line.rstrip() for line in lines)


def _about(language: Language) -> str:
    if language.resource_class is None:
        resources = "Resource class unknown"
    else:
        name = RESOURCE_CLASS_NAMES[language.resource_class]
        resources = f"Resource class {language.resource_class}: {name}"
    branch = f", {language.branch}" if language.branch else ""
    lines = (
        f"<b>{both_names(language)}</b>",
        plain(f"Family: {language.family or 'unknown'}{branch}"),
        plain(f"Script: {language.script_name} ({language.script})"),
        resources,
    )
    return "<br>".join(lines)
