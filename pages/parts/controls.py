"""How the spectrum is read: one row of controls above the picture."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from bridgex_core import figures
from bridgex_core.errors import InputError
from bridgex_core.neurons import layer_band
from bridgex_core.spectrum import (
    DEFAULT,
    METRICS,
    ORDERINGS,
    PAPER,
    SET_METRICS,
    SpectrumSettings,
)
from pages.parts import state, words

_PRESET = "preset_widget"


def draw(depth: int, *, sets_alone: bool = False) -> SpectrumSettings:
    """The row of controls, and what they ask for.

    Parameters
    ----------
    depth : the model's number of layers.
    sets_alone : neuron sets are given, so that there is none to select.
    """
    with st.container(horizontal=True, gap="xsmall"):
        metric = _metric(SET_METRICS if sets_alone else METRICS)
        if not sets_alone:
            _selection()
        layers(
            depth, "layers", "Only neurons of these layers are compared; 0 is next to the input."
        )
        if state.get("view") == "heatmap":
            st.selectbox(
                "Order",
                ORDERINGS,
                format_func=words.ORDERINGS.__getitem__,
                width=125,
                **state.widget("order"),
            )
        if not sets_alone:
            _presets()
    return replace(state.settings(), metric=metric)


def _metric(offered: tuple[str, ...]) -> str:
    """The metric of the field, or the first one offered where it is not among them."""
    chosen = state.get("metric") if state.get("metric") in offered else offered[0]
    st.selectbox(
        "Metric",
        offered,
        format_func=figures.METRIC_TITLES.__getitem__,
        help=words.METRIC_HELP,
        width=230,
        **state.widget("metric", shown=lambda _: chosen),
    )
    return str(chosen)


def _selection() -> None:
    """Which neurons stand for a language."""
    st.selectbox(
        "Neurons",
        list(words.SELECTIONS),
        format_func=words.SELECTIONS.__getitem__,
        help=words.SELECTION_HELP,
        width=140,
        **state.widget("selection"),
    )
    st.select_slider(
        "Top rate",
        sorted({*state.RATES, state.get("rate")}),
        format_func=words.percent,
        help="The share of all the model's neurons that stands for each language.",
        width=100,
        **state.widget("rate"),
    )


def _presets() -> None:
    """One click to either of the two settings that have a name; none is lit for any others."""
    named = {"Default": DEFAULT, "Paper": PAPER}
    now = next((name for name, wanted in named.items() if wanted == state.settings()), None)
    if st.session_state.get(_PRESET, _PRESET) != now:
        st.session_state[_PRESET] = now
    st.segmented_control(
        "Settings",
        list(named),
        key=_PRESET,
        on_change=lambda: _use(named.get(st.session_state[_PRESET])),
        help="**Default**: what agrees best with itself and with typology on this model.  \n"
        "**Paper**: the paper's settings, Jaccard overlap of the 1 % most active neurons.",
    )


def _use(wanted: SpectrumSettings | None) -> None:
    if wanted is not None:
        state.put_settings(wanted)


def layers(depth: int, field: str, about: str, width: int = 110) -> None:
    """A slider of the layers of a field that holds a band; none for a model of one layer."""
    if depth < 2:
        return
    try:
        layer_band(depth, state.get(field))
    except InputError as error:  # the band of a link or of another model
        st.toast(f"{words.plain(error)} The default is shown instead.", icon=":material/info:")
        state.put(**{field: state.FIELDS[field].default})
    st.slider(
        "Layers",
        0,
        depth - 1,
        help=about,
        width=width,
        **state.widget(
            field,
            shown=lambda band: _ends(layer_band(depth, band)),
            meant=lambda ends: (ends[0] / depth, (ends[1] + 1) / depth),
        ),
    )


def _ends(layers: range) -> tuple[int, int]:
    return layers[0], layers[-1]
