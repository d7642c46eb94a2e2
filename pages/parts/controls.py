"""How the spectrum is read: one row of controls above the picture."""

from __future__ import annotations

import streamlit as st

from bridgex_core import figures
from bridgex_core.errors import InputError
from bridgex_core.neurons import layer_band
from bridgex_core.spectrum import DEFAULT, METRICS, ORDERINGS, PAPER, SpectrumSettings
from pages.parts import state, words

_PRESET = "preset_widget"


def draw(depth: int) -> None:
    """The row of controls; ``depth`` is the model's number of layers."""
    with st.container(horizontal=True, gap="xsmall"):
        st.selectbox(
            "Metric",
            METRICS,
            format_func=figures.METRIC_TITLES.__getitem__,
            help=words.METRIC_HELP,
            width=230,
            **state.widget("metric"),
        )
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
        _presets()


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
    except InputError:  # the band of a link or of another model holds no layer of this one
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
