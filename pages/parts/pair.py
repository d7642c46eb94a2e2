"""Two languages: what they share, layer by layer and neuron by neuron."""

from __future__ import annotations

import math
from typing import Any

import streamlit as st

from bridgex_core import figures
from bridgex_core.languages import Language
from bridgex_core.pairs import Pair
from bridgex_core.spectrum import SpectrumSettings
from pages.parts import results, state, words
from pages.parts.messages import told
from pages.parts.results import Scene, Statistics

CHART = "heatmap"
ANCHOR = "pair"
_SHOWN_NEURONS = 200


def clicked() -> None:
    """Take over the cell of the heatmap that was clicked."""
    points = st.session_state[CHART]["selection"]["points"]
    if not points:
        return
    a, b = points[0]["customdata"][:2]
    state.put(pair=None if a == b else (a, b))
    if a != b:
        known = results.register()
        names = [words.plain(known[code].name) for code in (a, b)]
        st.toast(f"[{names[0]} and {names[1]}: see below](#{ANCHOR})", icon=":material/south:")


def settle(codes: tuple[str, ...]) -> None:
    """Forget a pair whose languages are not all in the picture."""
    if state.get("pair") is not None and not set(state.get("pair")) <= set(codes):
        state.put(pair=None)


def draw(scene: Scene, stats: Statistics, settings: SpectrumSettings) -> None:
    """The choice of two languages, and what they share."""
    st.subheader("Two languages", anchor=ANCHOR)
    _choose(scene, stats)
    if state.get("pair") is None:
        st.caption("Click a cell of the heatmap, or choose two languages here.")
        return
    told(_show)(scene, stats, settings, *state.get("pair"))


def _choose(scene: Scene, stats: Statistics) -> None:
    languages = {one.code: one for one in scene.named(stats.languages)}
    chosen = state.get("pair")
    with st.container(horizontal=True):
        for place, label in enumerate(("One language", "The other")):
            key = f"pair_{place}"
            if st.session_state.get(key) not in languages:
                st.session_state[key] = None
            if chosen is not None and st.session_state[key] != chosen[place]:
                st.session_state[key] = chosen[place]
            st.selectbox(
                label,
                list(languages),
                format_func=lambda code: words.language_label(languages[code]),
                index=None,
                placeholder="Choose a language",
                width=260,
                key=key,
                on_change=_chosen,
            )


def _chosen() -> None:
    a, b = st.session_state["pair_0"], st.session_state["pair_1"]
    state.put(pair=(a, b) if a and b and a != b else None)


def _show(scene: Scene, stats: Statistics, settings: SpectrumSettings, a: str, b: str) -> None:
    found = results.pair(stats, settings, a, b)
    first, second = scene.named((a, b))
    interval = _numbers(found, settings, first, second)
    st.plotly_chart(
        figures.pair_layers(found, (first, second)),
        key="pair_layers",
        config={"displayModeBar": False},
        alt=f"Neurons by layer: shared by {first.name} and {second.name}, and of one only.",
    )
    _table(found, first, second)
    if stats.are_many:
        interval.caption(f"Its interval is worked out for up to {results.MANY} languages.")
        return
    if stats.imported:
        interval.caption("An import has no parts of a text to tell an interval from.")
        return
    # Last, since it takes many spectra: everything else is on the screen by now.
    low, high = results.pair_interval(scene, stats, settings, a, b)
    if math.isfinite(low):
        interval.caption(f"95 % interval {_value(low, settings)} to {_value(high, settings)}")


def _numbers(found: Pair, settings: SpectrumSettings, first: Language, second: Language) -> Any:
    shared, only_a, only_b = (int(n.sum()) for n in (found.shared, found.only_a, found.only_b))
    with st.container(horizontal=True):
        with st.container(width=220):
            st.metric(figures.METRIC_TITLES[settings.metric], _value(found.value, settings))
            interval = st.empty()
        st.metric("Shared neurons", f"{shared:,}", width=160)
        st.metric(f"Only {words.plain(first.name)}", f"{only_a:,}", width=180)
        st.metric(f"Only {words.plain(second.name)}", f"{only_b:,}", width=180)
    return interval


def _value(value: float, settings: SpectrumSettings) -> str:
    return f"{value:,.0f}" if settings.metric == "count" else f"{value:.3f}".replace("-", "−")


def _table(found: Pair, first: Language, second: Language) -> None:
    if not len(found.strongest):
        st.caption("They share no neuron here: widen the layers or raise the top rate.")
        return
    st.markdown(
        "**The strongest shared neurons**"
        if "mean_a" in found.strongest
        else "**The shared neurons**"
    )
    columns = {
        "layer": "Layer",
        "neuron": "Neuron",
        "probability_a": f"Active in {first.name}",
        "probability_b": f"Active in {second.name}",
        "mean_a": f"Mean in {first.name}",
        "mean_b": f"Mean in {second.name}",
    }
    frame = found.strongest.head(_SHOWN_NEURONS)
    st.dataframe(
        frame,
        hide_index=True,
        height=320,
        column_config={
            name: st.column_config.NumberColumn(
                label, format="percent" if "probability" in name else None
            )
            if name not in ("mean_a", "mean_b")
            else st.column_config.NumberColumn(label, format="%.3f")
            for name, label in columns.items()
            if name in frame
        },
        alt=f"The neurons that {first.name} and {second.name} share, strongest first.",
    )
    more = len(found.strongest) - len(frame)
    told_columns = (
        "Active: share of the tokens on which the neuron's activation is above zero. Mean: its "
        "mean activation."
        if "mean_a" in frame
        else "By position: neuron sets do not tell how active a neuron is."
    )
    st.caption(told_columns + (f" {more:,} more are in the file." if more else ""))
    st.download_button(
        "Shared neurons (CSV)",
        lambda: found.strongest.to_csv(index=False),
        f"shared-{found.a}-{found.b}.csv",
        "text/csv",
        on_click="ignore",
        icon=":material/download:",
        key="pair_csv",
    )
