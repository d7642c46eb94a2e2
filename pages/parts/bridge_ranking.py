"""The ranking of the candidates, the paper's own beside it, and what they say."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from bridgex_core import figures
from bridgex_core.bridge_hsic import Ranked
from bridgex_core.bridge_null import Calibrated
from bridgex_core.bridges import verdict
from bridgex_core.errors import InputError
from bridgex_core.evidence import Recommendation
from pages.parts import bridge_results, bridge_words, downloads, state, words
from pages.parts.bridge_results import PAPER, Asked

_INSTEAD = (PAPER, "competence", "alignment", "overlap")
_SPINNER = {"hsic-calibrated": "Comparing with random neurons …"}


@dataclass(frozen=True)
class Shown:
    """The ranking that the page goes by.

    Attributes
    ----------
    ranker : its name.
    ranked : the candidates by it.
    recommendation : what was recommended, chosen or not; None if nothing was measured.
    """

    ranker: str
    ranked: Ranked
    recommendation: Recommendation | None


def choose(asked: Asked) -> Shown | None:
    """The ranking chosen, else the recommended one, else the paper's, as far as it can be had.

    Says so where another one has to stand in; None where none can be had.
    """
    found = bridge_results.recommendation(asked)
    wanted = state.get("ranker") or (found.ranker if found is not None else PAPER)
    why = "What it needs is not computed yet."
    for ranker in dict.fromkeys((wanted, *_INSTEAD)):
        try:
            with st.spinner(_SPINNER.get(ranker, "Ranking …")):
                ranked = bridge_results.ranked(asked, ranker)
        except InputError as error:
            ranked, problem = None, str(error)
            why = problem if ranker == wanted else why
        if ranked is not None:
            if ranker != wanted:
                st.info(
                    f"**{bridge_words.RANKERS[wanted]}** cannot rank this pair: "
                    f"{words.plain(why)} Shown instead: **{bridge_words.RANKERS[ranker]}**.",
                    icon=":material/info:",
                )
            return Shown(ranker, ranked, found)
    return None


def draw(asked: Asked, shown: Shown) -> None:
    """What the ranking says, then the picture and the table."""
    scene, ranked = asked.scene, shown.ranked
    probe = bridge_results.probe_if_any(asked)
    if probe is not None and not probe.enough:
        st.warning(words.plain(probe.sentence()), icon=":material/warning:")
    st.markdown(f"#### {words.plain(verdict(ranked, scene.register))}")
    if shown.recommendation is not None and shown.ranker == shown.recommendation.ranker:
        st.markdown(
            f"By **{bridge_words.RANKERS[shown.ranker]}**, the ranker whose first choices lost "
            "least where bridging was measured ([why](#rankers)); others are under Advanced."
        )
    if isinstance(ranked, Calibrated):
        st.markdown(bridge_words.against_chance(ranked, scene.named(ranked.bridges)))
    collection = scene.collection
    told = bridge_words.measured(shown.ranker, ranked, probe, collection.source, collection.dtype)
    st.caption(words.plain(f"{told} {bridge_words.intervals(shown.ranker, ranked)}"))
    if shown.ranker == PAPER:
        left, right = st.columns((3, 2), gap="large")
        with left:
            figure = _chart(asked, shown.ranker, ranked, "bridges")
        with right:
            frame = _table(asked, shown)
    else:
        left, right = st.columns(2, gap="large")
        with left:
            st.markdown(f"**{bridge_words.RANKERS[shown.ranker]}**")
            figure = _chart(asked, shown.ranker, ranked, "bridges")
        with right:
            st.markdown(f"**{bridge_words.RANKERS[PAPER]}**")
            _paper(asked)
        frame = _table(asked, shown)
    with st.container(horizontal=True, vertical_alignment="center"):
        downloads.table_csv(frame, "bridges", "Ranking (CSV)")
        downloads.figure_html(figure, _title(asked, shown.ranker), "bridges")
        downloads.picture_and_link()


def _title(asked: Asked, ranker: str) -> str:
    source, target = asked.scene.named((asked.source, asked.target))
    return f"Bridges from {source.name} to {target.name}, {bridge_words.RANKERS[ranker]}"


def _chart(asked: Asked, ranker: str, ranked: Ranked, name: str) -> go.Figure:
    frame = ranked.frame()
    figure = figures.bridge_ranking(
        frame,
        {code: asked.scene.register[code] for code in ranked.bridges},
        level=ranked.as_good_as_first,
        score=bridge_words.SCORES[ranker],
        chance=0.0 if ranker == "hsic-calibrated" else None,
    )
    order = ", ".join(asked.scene.register[code].name for code in ranked.ranking)
    downloads.chart(figure, name, f"Candidates by {bridge_words.RANKERS[ranker]}: {order}.")
    return figure


def _paper(asked: Asked) -> None:
    try:
        ranked = bridge_results.ranked(asked, PAPER)
    except InputError as error:
        st.info(words.plain(error), icon=":material/info:")
        return
    if ranked is None:
        st.info("The probe of this pair is not computed yet.", icon=":material/info:")
        return
    _chart(asked, PAPER, ranked, "bridges_paper")
    st.caption(words.plain(verdict(ranked, asked.scene.register)))


def _table(asked: Asked, shown: Shown) -> pd.DataFrame:
    frame = shown.ranked.frame()
    if isinstance(shown.ranked, Calibrated):
        chances = dict(zip(shown.ranked.bridges, shown.ranked.p_values, strict=True))
        frame["p_value"] = frame["bridge"].map(chances)
    frame.insert(1, "language", [one.name for one in asked.scene.named(tuple(frame["bridge"]))])
    own = [words.isolated(one.autonym, one.is_rtl) for one in asked.scene.named(frame["bridge"])]
    table = frame.assign(own=own, place=range(1, len(frame) + 1))
    spread = bool(len(shown.ranked.subsamples))
    columns = ["place", "language", "own", "score"]
    columns += ["low", "high", "first_share"] if spread else []
    columns += ["p_value"] if "p_value" in frame else []
    columns += ["reason"] if shown.ranked.reasons else []
    number = st.column_config.NumberColumn
    st.dataframe(
        table,
        hide_index=True,
        column_order=columns,
        column_config={
            "place": number("", width=40),
            "language": "Bridge",
            "own": "Own name",
            "score": number("Score", format="%.4g"),
            "low": number("95 % from", format="%.4g"),
            "high": number("to", format="%.4g"),
            "first_share": number("First in", format="percent"),
            "p_value": number("p", format="%.3f", help="Share of random sets that reach it"),
            "reason": "Why not",
        },
        alt="The ranking as a table, best first.",
    )
    return frame
