"""What writes in the Lab: the model of the sidebar on this machine, or a server."""

from __future__ import annotations

import streamlit as st

from bridgex_core.decoding import Backend
from bridgex_core.endpoints import Endpoint, connect
from bridgex_core.errors import InputError
from bridgex_core.machine import gibibytes
from bridgex_core.model_sources import ModelSource
from pages.parts import lab_state, loaded, state, words
from pages.parts.messages import told
from pages.parts.results import Scene

_ENDPOINT = "lab_endpoint"
_PLACES = {lab_state.HERE: "This machine", lab_state.SERVER: "A server"}


def chosen(scene: Scene) -> Backend:
    """What is to write; loads the model of this machine, once for all who use this server.

    Raises
    ------
    InputError
        The model is not installed or does not fit into memory, or no server is connected.
    """
    if lab_state.get("where") == lab_state.SERVER:
        endpoint = st.session_state.get(_ENDPOINT)
        if endpoint is None:
            raise InputError("No server is connected: give its address under Written by.")
        return endpoint
    source = scene.collection.source
    with st.spinner(f"Loading {words.plain(source.title)}, once for everyone on this server …"):
        return loaded.backend(source)


def title(scene: Scene) -> str:
    """The name of what is to write."""
    endpoint: Endpoint | None = st.session_state.get(_ENDPOINT)
    if lab_state.get("where") == lab_state.SERVER:
        return endpoint.title if endpoint is not None else "a server, not connected yet"
    return f"{scene.collection.source.title} on this machine"


def draw(scene: Scene) -> None:
    """The choice of what writes."""
    with st.expander(
        f"Written by {words.plain(title(scene))}", icon=":material/memory:", key="lab_written_by"
    ):
        st.segmented_control(
            "Written by",
            list(_PLACES),
            format_func=_PLACES.__getitem__,
            required=True,
            label_visibility="collapsed",
            **state.widget("lab_where"),
        )
        if lab_state.get("where") == lab_state.HERE:
            st.caption(_cost(scene.collection.source))
        else:
            told(_server)()


def _cost(source: ModelSource) -> str:
    name = words.plain(source.title)
    if not source.installed:
        return f"{name} is not installed. {source.how_to_get}"
    full, half = (gibibytes(source.weight_bytes(dtype)) for dtype in ("float32", "bfloat16"))
    return (
        f"{name}, chosen in the sidebar. It is loaded at the first run and stays in memory for "
        f"everyone who uses this server: {full} in float32, {half} in bfloat16; the one that this "
        "machine is faster in is taken."
    )


def _server() -> None:
    st.caption(
        "Any server that speaks OpenAI's protocol: vLLM, llama.cpp, Ollama … What it does not "
        "return, such as ranks, is left out with the reason. The key is sent to that server alone; "
        "it is not kept in the link, in files or in the history."
    )
    with st.form("lab_server", border=False):
        left, middle, right = st.columns((3, 2, 2))
        url = left.text_input("Address", placeholder="http://localhost:8000", key="lab_url")
        model = middle.text_input(
            "Model", placeholder="the only one", help="Its name on the server.", key="lab_model"
        )
        key = right.text_input("Key", type="password", placeholder="none", key="lab_key")
        if st.form_submit_button("Connect", icon=":material/link:"):
            st.session_state.pop(_ENDPOINT, None)
            with st.spinner("Asking the server what it returns …"):
                st.session_state[_ENDPOINT] = connect(
                    url.strip(), model.strip() or None, api_key=key.strip() or None
                )
            st.rerun()
    endpoint: Endpoint | None = st.session_state.get(_ENDPOINT)
    if endpoint is not None:
        hidden = filter(None, (endpoint.no_probabilities, endpoint.no_scores))
        st.markdown(f":material/check: Connected to **{words.plain(endpoint.title)}**.")
        for reason in hidden:
            st.caption(words.plain(reason))
