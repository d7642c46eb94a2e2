"""Rankers side by side: where each puts the candidates, how they agree, and which to trust."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from bridgex_core import figures
from bridgex_core.bridge_hsic import Ranked
from bridgex_core.errors import InputError
from bridgex_core.evidence import Recommendation
from bridgex_core.rankers import COMBINED
from pages.parts import bridge_results, bridge_words, downloads, words
from pages.parts.bridge_ranking import Shown
from pages.parts.bridge_results import Asked


def draw(asked: Asked, shown: Shown) -> None:
    """The section."""
    st.subheader("Compare rankers", anchor="rankers")
    st.markdown(bridge_words.recommended(shown.recommendation, asked.scene.collection.source))
    with st.spinner("Ranking by every ranker …"):
        found, reasons = bridge_results.rankings(asked)
        combined = _combined(asked)
    if combined is not None:
        found[COMBINED] = combined
    left, right = st.columns((2, 3), gap="large")
    scores = pd.DataFrame(
        {name: one.scores for name, one in found.items()}, index=shown.ranked.bridges
    )
    with left:
        _places(asked, shown, scores)
    with right:
        _agreement(asked, scores)
    _unable(found, reasons)
    if shown.recommendation is not None:
        _quality(shown.recommendation)


def _combined(asked: Asked) -> Ranked | None:
    try:
        return bridge_results.ranked(asked, COMBINED)
    except InputError:
        return None


def _places(asked: Asked, shown: Shown, scores: pd.DataFrame) -> None:
    st.markdown("**Where each ranker puts the candidates**")
    scores = scores.loc[list(shown.ranked.ranking)]
    places = scores.rank(ascending=False, method="min")
    languages = {code: asked.scene.register[code] for code in scores.index}
    figure = figures.bridge_places(
        places, scores, languages, bridge_words.RANKERS, chosen=shown.ranker
    )
    downloads.chart(figure, "bridge_places", "The place of every candidate by every ranker.")
    st.caption(
        "1 is the best; the score shows on hover. Candidates with one score share a place. ▸ marks "
        "the ranking above."
    )
    table = places.add_suffix("_place").join(scores.add_suffix("_score"))
    with st.container(horizontal=True):
        downloads.table_csv(table.rename_axis("bridge").reset_index(), "bridge_places")
        downloads.figure_html(figure, "Candidates by every ranker", "bridge_places")


def _agreement(asked: Asked, scores: pd.DataFrame) -> None:
    st.markdown("**How the rankers agree**")
    own = scores.rename_axis("bridge").reset_index()
    own = own.assign(source=asked.source, target=asked.target)
    tau = bridge_results.agreement(asked, own, tuple(scores))
    figure = figures.ranker_agreement(tau, bridge_words.RANKERS)
    downloads.chart(figure, "ranker_agreement", "Kendall's tau between every two rankers.")
    pairs = words.counted(tau.attrs["pairs"], "pair")
    st.caption(
        f"Kendall's τ, the mean over {pairs} of languages ranked with this model: 1 is the same "
        "order, 0 is chance, −1 the reverse. Grey: a ranker that gives all the same score."
    )
    with st.container(horizontal=True):
        downloads.table_csv(tau.rename_axis("ranker").reset_index(), "ranker_agreement")
        downloads.figure_html(figure, "Kendall's tau between rankers", "ranker_agreement")


def _unable(found: dict[str, Ranked], reasons: dict[str, str]) -> None:
    """Which rankers are not shown, and why."""
    lacking = [one for one in bridge_words.RANKERS if one not in found and one not in reasons]
    by_reason: dict[str, list[str]] = {}
    for ranker, reason in reasons.items():
        by_reason.setdefault(reason, []).append(bridge_words.RANKERS[ranker])
    for reason, rankers in by_reason.items():
        st.caption(f"Not shown: {words.listed(rankers)}. {words.plain(reason)}")
    if lacking:
        names = words.listed([bridge_words.RANKERS[one] for one in lacking], most=len(lacking))
        st.caption(f"Not shown, since what they need is not computed or not there: {names}.")


def _quality(found: Recommendation) -> None:
    st.markdown("**How good the first choices were, where bridging was measured**")
    frame = found.quality
    number = st.column_config.NumberColumn
    st.dataframe(
        frame.assign(ranker=[bridge_words.RANKERS[one] for one in frame["ranker"]]),
        hide_index=True,
        column_config={
            "ranker": "Ranker",
            "pairs": number("Pairs", format="%d"),
            "hits": number(
                "First choice is the best", format="percent", help="Share of pairs; ties split."
            ),
            "regret": number(
                "Regret",
                format="%.4f",
                help="What the first choice loses against the best bridge, in mean reciprocal "
                "rank: 0 is perfect.",
            ),
            "low": number("95 % from", format="%.4f"),
            "high": number("to", format="%.4f"),
        },
        alt="Hits and regret of every ranker, lowest regret first.",
    )
    st.caption(
        "Lowest regret first. The intervals are over pairs; pairs share languages, so the truth is "
        "less sure than that. The combination is judged on targets that it was not fitted on."
    )
    downloads.table_csv(frame, "ranker_quality", "Rankers (CSV)")
