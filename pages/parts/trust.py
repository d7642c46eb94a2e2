"""How far the picture can be trusted, in numbers and words."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from bridgex_core import figures
from bridgex_core.languages import Language
from bridgex_core.neurons import TIES
from bridgex_core.spectrum import Reliability, SpectrumSettings
from pages.parts import results, state, words
from pages.parts.messages import told
from pages.parts.results import Scene, Statistics


def draw(scene: Scene, stats: Statistics, settings: SpectrumSettings) -> None:
    """The panel beneath the picture."""
    st.subheader("How far to trust this picture")
    if stats.imported:
        _imported(stats, settings)
        return
    left, right = st.columns(2, gap="large")
    with left:
        told(_halves)(scene, stats, settings)
        told(_ties)(stats, settings)
        told(_rates)(stats, settings)
    with right:
        told(_fluency)(scene, stats)


def _imported(stats: Statistics, settings: SpectrumSettings) -> None:
    """An import tells of its text and its model nothing but totals, at most."""
    if stats.sets is not None:
        st.caption(
            "These are neuron sets as they were imported: how they were chosen, on how much text, "
            "and how sure they are, is with those who made them."
        )
        return
    st.caption(
        "These are totals as they were imported, so the picture cannot be made from two halves of "
        "the text."
    )
    told(_ties)(stats, settings)
    told(_rates)(stats, settings)


def _halves(scene: Scene, stats: Statistics, settings: SpectrumSettings) -> None:
    found = results.reliability(stats, settings)
    st.metric(
        "Split-half reliability",
        f"{found.corrected:.3f}",
        help="Spearman's rho between the spectra of the two halves of the text, corrected for "
        "the halved length (Spearman and Brown). 1 is perfect, 0 is chance.",
    )
    st.caption(reliability_words(found, scene.collection.corpus.unit))


def reliability_words(found: Reliability, unit: str) -> str:
    """What the halves say."""
    if not found.rho > -1:  # NaN too
        return f"Odd and even {unit} give no two pictures that could be compared."
    return (
        f"The same picture from the odd {unit} alone and from the even {unit} alone agrees with "
        f"rho = {found.rho:.2f}; for the whole text that means {found.corrected:.2f}."
    )


def _ties(stats: Statistics, settings: SpectrumSettings) -> None:
    st.caption(tie_words(results.saturation(stats, settings), settings))
    st.toggle(
        "Let all tied neurons in",
        help="As the code released with the paper does: the sets then hold more neurons than the "
        "top rate says.",
        **state.widget("ties", lambda ties: ties == "include", lambda on: TIES[on]),
    )


def tie_words(frame: pd.DataFrame, settings: SpectrumSettings) -> str:
    """How many neurons are saturated, and how many the tie-break chose."""
    saturated = (
        f"**Saturation.** {words.span(frame['saturated'])} neurons of a language are active on "
        f"every token (probability 1); a set holds {words.span(frame['set_size'])}."
    )
    chosen = frame["chosen_by_tie_break"]
    if settings.ties == "include":
        return f"{saturated} Tied neurons are all let in, so sets are larger than the top rate."
    if not chosen.any():
        return f"{saturated} No neuron of any set was chosen by the tie-break."
    return (
        f"{saturated} The tie-break (mean activation, then position) chose {words.span(chosen)} "
        f"neurons a language; take their share of the picture with care."
    )


def _rates(stats: Statistics, settings: SpectrumSettings) -> None:
    st.markdown("**Agreement with the picture at other top rates**")
    if stats.are_many and not st.toggle("Work it out: many languages take a few seconds"):
        return
    frame = results.rate_agreement(stats, settings)
    st.plotly_chart(
        figures.agreement_curve(frame, settings.top_rate),
        key="agreement",
        config={"displayModeBar": False},
        alt="Agreement of this matrix with those at other top rates: "
        + ", ".join(
            f"{words.percent(rate)}: rho {rho:.2f}"
            for rate, rho in zip(frame["top_rate"], frame["rho"], strict=True)
        ),
    )


def _fluency(scene: Scene, stats: Statistics) -> None:
    st.markdown("**How well the model knows each language**")
    found = results.fluency(scene, stats.languages)
    marked = results.hardly_known(scene, stats.languages)
    if not found:
        st.caption("Not computed yet: press Compute above.")
        return
    codes = sorted(found, key=lambda code: found[code].bits_per_byte)
    st.plotly_chart(
        figures.fluency_bars(
            scene.named(codes),
            [found[code].bits_per_byte for code in codes],
            [found[code].interval for code in codes],
            marked,
        ),
        key="fluency",
        config={"displayModeBar": False},
        alt="Bits per UTF-8 byte by language: "
        + ", ".join(f"{code} {found[code].bits_per_byte:.2f}" for code in codes),
    )
    st.caption(fluency_words(scene.named(marked)))


def fluency_words(marked: Sequence[Language]) -> str:
    """What the bars show, and what the mark means."""
    told = (
        "Bits that the model needs to write a UTF-8 byte of the same text, with 95 % intervals: "
        "the fewer, the better it knows the language. Scripts differ in bytes a letter, so compare "
        "within a script."
    )
    if not marked:
        return told + " It writes all of them better than a plain compressor (bz2)."
    names = words.listed([words.plain(language.name) for language in marked])
    return (
        f"{told} {figures.MARK} It hardly knows {names}: it writes them no better than a plain "
        "compressor (bz2), so read their cells with care."
    )
