"""Errors as sentences on the page."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec

import streamlit as st

from bridgex_core.errors import InputError
from pages.parts import words

_P = ParamSpec("_P")


def told(draw: Callable[_P, None]) -> Callable[_P, None]:
    """Show an InputError of a part of the page as its sentence; the rest of the page lives on."""

    @functools.wraps(draw)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> None:
        try:
            draw(*args, **kwargs)
        except InputError as error:
            st.error(words.plain(error))

    return wrapped
