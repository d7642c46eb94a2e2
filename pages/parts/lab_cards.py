"""Chains on the page: every step with what is known of it.

What a model wrote is foreign text: it is shown escaped, in the direction of its own letters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from bridgex_core.decoding import Generated
from bridgex_core.evaluation import RANKINGS
from bridgex_core.languages import Language, Register
from bridgex_core.text_language import NO_LETTERS, SCRIPTS, TextLanguage, scripts_of
from bridgex_core.trials import AnyTrial, Finding, Outcome, Standing
from bridgex_core.xicl import Chain, Route, Step
from pages.parts import words

COLUMNS = 3
_RANKINGS = {
    "summed": "by probability",
    "per token": "by probability a token",
    "calibrated": "by what the word adds",
}
_RANK_HELP = (
    "Where the right word stands among candidate words that could follow. By probability: summed "
    "over a word's tokens. A token: that divided by their number, so that long words are not held "
    "back. By what the word adds: less what the candidate gets without any word to translate, so "
    "that frequent words do not come first by themselves."
)
_ANSWER = "font-size:1.3rem;line-height:1.35;overflow-wrap:anywhere;white-space:pre-wrap;"
_LINE = 100  # letters: a longer line is wrapped, others are scrolled to
_NOTE = "font-size:.8rem;opacity:.75;"


def grid(routes: Sequence[Route]) -> list[DeltaGenerator]:
    """A bordered place for each route, side by side; on a phone one below the other."""
    places: list[DeltaGenerator] = []
    for start in range(0, len(routes), COLUMNS):
        columns = st.columns(COLUMNS)
        for column, route in zip(columns, routes[start : start + COLUMNS], strict=False):
            place = column.container(border=True)
            place.markdown(f"**{_title(route)}**")
            places.append(place.empty())
    return places


def _title(route: Route) -> str:
    if not route.bridges:
        return "Direct"
    names = " → ".join(words.plain(words.language_label(bridge)) for bridge in route.bridges)
    return f"Through {names}"


def waiting(place: DeltaGenerator) -> None:
    """A route whose turn has not come."""
    place.caption("…")


def growing(place: DeltaGenerator, chain: Chain) -> None:
    """A chain while it is written."""
    place.html("".join(_step(step, cursor=step is chain.steps[-1]) for step in chain.steps))


def _step(step: Step, *, cursor: bool = False) -> str:
    """The answer of a step, with its language."""
    text = escape(step.answer) + (" ▍" if cursor else "")
    if not text:
        text = f'<span style="{_NOTE}">(nothing)</span>'
    name = escape(words.language_label(step.language))
    return (
        f'<div style="{_NOTE}">{name}</div>'
        f'<div dir="auto" style="{_ANSWER}unicode-bidi:plaintext;text-align:start">{text}</div>'
    )


def card(place: DeltaGenerator, outcome: Outcome, finding: Finding) -> None:
    """A chain with what is known of it."""
    register = outcome.trial.register
    with place.container():
        for number, step in enumerate(finding.chain.steps):
            st.html(_step(step))
            _facts(finding, number, register)
        if finding.finished:
            _verdict(finding, outcome.trial)
        else:
            st.caption(":material/stop_circle: It was stopped here.")
        if finding.alternatives:
            st.html(_alternatives(finding.alternatives))
        if finding.standing is not None:
            st.html(_standing(finding.standing))
        with st.expander("What went in", icon=":material/notes:"):
            for step in finding.chain.steps:
                longest = max(map(len, step.prompt.split("\n")))
                st.code(step.prompt, language=None, wrap_lines=longest > _LINE)


def _facts(finding: Finding, number: int, register: Register) -> None:
    step, right = finding.chain.steps[number], finding.right[number]
    facts = []
    if right is not None:
        facts.append(":green[:material/check: right]" if right else ":red[:material/close: wrong]")
    if (value := step.output.log_probability) is not None:
        facts.append(f"probability {probability(value)}")
    written = finding.languages[number]
    facts.append(written_in(written, step.language, register))
    last = number == len(finding.chain.steps) - 1
    if step.output.finish == "length" and (finding.finished or not last):
        facts.append("cut off at the longest length")
    help_text = written.reason or None
    st.caption(" · ".join(facts), help=words.plain(help_text) if help_text else None)


def probability(log_probability: float) -> str:
    """A probability as people read it.

    >>> probability(-0.5), probability(-20)
    ('61 %', '2.1e-09')
    """
    value = math.exp(log_probability)
    return words.percent(float(f"{value:.2g}")) if value >= 1e-4 else f"{value:.2g}"


def written_in(found: TextLanguage, wanted: Language, register: Register) -> str:
    """In which language an answer really is, beside the one that was asked for."""
    if found.code is None:
        if found.script not in (NO_LETTERS, *scripts_of(wanted.code)):
            script = SCRIPTS[found.script]
            return f":material/warning: in {script} script, not {words.plain(wanted.name)}"
        return "language unclear"
    name = words.plain(register[found.code].name)
    how = "by its script" if found.decided_by == "script" else f"{found.confidence:.0%}"
    if found.code == wanted.code:
        return f"in {name} ({how})"
    return f":material/warning: in {name} ({how}), not {words.plain(wanted.name)}"


def _verdict(finding: Finding, trial: AnyTrial) -> None:
    """Where the chain broke, and what would have been right."""
    if finding.score is not None:
        st.caption(f"chrF {100 * finding.score:.1f} against the reference.")
    broken, steps = finding.broken_at, finding.chain.steps
    gold = trial.accepted(trial.target)
    if broken is not None and len(steps) > 1:
        if broken < len(steps) - 1:
            after = (
                ", and yet it ended well" if finding.right[-1] else ", and it went on from there"
            )
            what = f"step {broken + 1}, into {words.plain(steps[broken].language.name)}"
            st.caption(f":material/link_off: The chain broke at {what}{after}.")
        elif finding.right[-1] is False:
            st.caption(":material/link_off: It broke at the last step; the bridge held.")
    if gold and finding.right[-1] is False:
        st.html(
            f'<div style="{_NOTE}">accepted: <bdi>{"</bdi>, <bdi>".join(map(escape, gold[:4]))}'
            "</bdi></div>"
        )


def _alternatives(found: Sequence[Generated]) -> str:
    rows = [
        (escape(each.text.strip()) or "(nothing)", probability(each.log_probability or 0.0))
        for each in found
    ]
    return _table(("Most probable answers", "probability"), rows)


def _standing(found: Standing) -> str:
    rows = [
        (
            escape(_RANKINGS[name]),
            str(found.ranks[name]),
            ", ".join(f"<bdi>{escape(word)}</bdi>" for word in found.first[name]),
        )
        for name in RANKINGS
    ]
    head = f'<span title="{_RANK_HELP}">Rank of the right word of {found.candidates}</span>'
    return _table((head, "", "first"), rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A small table; what is foreign in it is escaped already."""
    cell = "padding:.1rem .5rem .1rem 0;vertical-align:top;text-align:start;word-break:normal"
    header = "".join(f'<th style="{cell};font-weight:600">{text}</th>' for text in head)
    body = "".join(
        "<tr>" + "".join(f'<td dir="auto" style="{cell}">{text}</td>' for text in row) + "</tr>"
        for row in rows
    )
    return f'<table style="font-size:.8rem;width:100%"><tr>{header}</tr>{body}</table>'


def summary(outcome: Outcome) -> str:
    """Which routes are right, in one sentence of Markdown; empty where nothing tells."""
    told: dict[bool, list[str]] = {True: [], False: []}
    for finding in outcome.findings:
        if finding.finished and finding.right and finding.right[-1] is not None:
            bridges = finding.chain.route.bridges
            names = " and ".join(words.plain(bridge.name) for bridge in bridges)
            told[finding.right[-1]].append(f"through {names}" if names else "direct")
    if not told[True] and not told[False]:
        return ""
    if not told[True]:
        return f"**Wrong on every route** ({words.counted(len(told[False]), 'route')})."
    if not told[False]:
        return f"**Right on every route** ({words.counted(len(told[True]), 'route')})."
    right, wrong = (words.listed(told[value], most=8) for value in (True, False))
    return f"**Right:** {right}. **Wrong:** {wrong}."


def missing(outcome: Outcome) -> str:
    """Why ranks or verdicts are missing, as a sentence; empty if none are."""
    trial = outcome.trial
    if outcome.no_scores:
        return outcome.no_scores
    kinds = {finding.right[-1] for finding in outcome.findings if finding.finished}
    if kinds == {None} and trial.settings()["task"] == "bli":
        return (
            "The lexicon does not have this text with a translation, so nothing says right or "
            "wrong, and there is no rank."
        )
    return ""
