"""Errors as sentences on the page."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec

import streamlit as st

from bridgex_core.errors import InputError
from pages.parts import words

_P = ParamSpec("_P")


_FAILED = "failed_action"


def attempt(action: Callable[..., object], *args: Any, **kwargs: Any) -> None:
    """What a button does; an InputError of it is shown by the next part of the page drawn."""
    try:
        action(*args, **kwargs)
    except InputError as error:
        st.session_state[_FAILED] = str(error)


def tell_failure() -> None:
    """Show once what went wrong with the last button."""
    if sentence := st.session_state.pop(_FAILED, ""):
        st.error(words.plain(sentence))


def told(draw: Callable[_P, None]) -> Callable[_P, None]:
    """Show an InputError of a part of the page as its sentence; the rest of the page lives on."""

    @functools.wraps(draw)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> None:
        tell_failure()
        try:
            draw(*args, **kwargs)
        except InputError as error:
            st.error(words.plain(error))

    return wrapped
