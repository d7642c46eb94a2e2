"""Models in memory: each loaded once, for every page and everyone who uses this server."""

from __future__ import annotations

import streamlit as st

from bridgex_core.candidates import LocalBackend
from bridgex_core.model_sources import ModelSource
from bridgex_core.models import resolve_dtype
from bridgex_core.trials import open_backend

_KEPT = 2  # the Lab's may be in another number format than the sidebar's


def backend(source: ModelSource, dtype: str = "auto") -> LocalBackend:
    """A model, in the number format that this machine is faster in by default.

    Raises
    ------
    InputError
        It is not installed or does not fit into memory.
    """
    return _backend(source.fingerprint, resolve_dtype(dtype, source), source)


@st.cache_resource(show_spinner="Loading the model …", max_entries=_KEPT)
def _backend(fingerprint: str, dtype: str, _source: ModelSource) -> LocalBackend:
    return open_backend(_source, dtype)
