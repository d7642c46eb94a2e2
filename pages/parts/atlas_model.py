"""Parts of the Atlas that need the model: a button that says so, and what it has found."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import streamlit as st

from bridgex_core.machine import gibibytes
from bridgex_core.progress import Progress, Snapshot, time_left
from pages.parts import atlas_results, words
from pages.parts.results import Scene

_FOUND = "atlas_found"
_KEPT = 8


def asks(scene: Scene, label: str, key: str, *, each_time: bool) -> bool:
    """Whether the model may be used now: the button was pressed.

    Unless ``each_time``, once is enough: then the part follows what is chosen by itself.
    """
    source = scene.collection.source
    if not each_time and atlas_results.is_opened(scene):
        return True
    place = st.empty()
    with place.container(horizontal=True, vertical_alignment="center"):
        pressed = st.button(
            label,
            icon=":material/play_arrow:",
            disabled=not source.installed,
            key=key,
        )
        if not source.installed:
            st.caption(f"{words.plain(source.title)} is not installed. {source.how_to_get}")
        elif not atlas_results.is_opened(scene):
            size = gibibytes(source.weight_bytes(scene.collection.dtype))
            st.caption(f"This needs the model: it is loaded once ({size} of memory) and kept.")
    if pressed:
        place.empty()
    return pressed


def found(
    scene: Scene,
    label: str,
    name: str,
    asked: Hashable,
    work: Callable[[], Any],
) -> Any:
    """What the model found, computed when the button is pressed and kept while it is asked for.

    Parameters
    ----------
    label : of the button.
    name : of the part.
    asked : everything that the result depends on, the model aside.
    work : computes it.

    Returns None while there is nothing yet.
    """
    kept: dict[Any, Any] = st.session_state.setdefault(_FOUND, {})
    place = (name, *atlas_results.identity(scene), asked)
    if place not in kept:
        space = st.empty()  # for the progress, which goes in the end
        with space.container():
            if asks(scene, label, f"atlas_{name}", each_time=True):
                result = work()
                while len(kept) >= _KEPT:
                    kept.pop(next(iter(kept)))
                kept[place] = result
        if place in kept:
            space.empty()
    return kept.get(place)


def watched(total: float, what: str) -> Progress:
    """A progress that shows itself on the page."""
    return Progress(total, _shows(what))


def _shows(what: str) -> Callable[[Snapshot], None]:
    """A bar on the page, and what moves it."""
    bar = st.progress(0.0, what)

    def report(now: Snapshot) -> None:
        parts = (now.message or what, f"{now.fraction:.0%}", time_left(now.eta_seconds))
        bar.progress(now.fraction, words.plain(" · ".join(filter(None, parts))))

    return report
