"""A page within the frame that app.py draws around it."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path

import streamlit as st

from pages.parts.results import Scene

_APP = Path(__file__).resolve().parents[2] / "app.py"
_SCENE = "scene"


def hand_over(scene: Scene) -> None:
    """Leave what the sidebar chose to the page that runs next."""
    st.session_state[_SCENE] = scene


def run(main: Callable[[Scene], None]) -> None:
    """Run a page with what the sidebar chose.

    Streamlit runs the scripts of a folder called pages by themselves until a session has called
    st.navigation, as the first visitor of a new server finds; then the whole app is run instead.
    """
    scene = st.session_state.pop(_SCENE, None)
    if scene is None:
        runpy.run_path(str(_APP))
    else:
        main(scene)
