"""A trial of the Lab: streamed into its cards, then judged, then kept in the history."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field, replace

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from bridgex_core.decoding import Backend
from bridgex_core.errors import InputError
from bridgex_core.trials import (
    ALTERNATIVES,
    AnyTrial,
    Finding,
    Outcome,
    Trial,
    judge,
    stand,
)
from bridgex_core.xicl import Chain, Examples, Route
from pages.parts import lab_ask, lab_backend, lab_cards, lab_state, words
from pages.parts.messages import attempt
from pages.parts.results import Scene

_WISH, _RUNNING = "lab_wish", "lab_running"
_STOPPED = "It was stopped before its end."


def button(scene: Scene) -> None:
    """The button that runs what is asked."""
    st.button(
        "Run",
        type="primary",
        icon=":material/play_arrow:",
        on_click=attempt,
        args=(_wish, scene),
        key="lab_run",
    )


def _wish(scene: Scene) -> None:
    trial = lab_ask.trial(scene)
    trial.routes  # noqa: B018 - refuses a bridge that is an end
    st.session_state[_WISH] = trial


def wished() -> AnyTrial | None:
    """What was asked with the button and is not run yet; asked once."""
    trial: AnyTrial | None = st.session_state.pop(_WISH, None)
    return trial


@dataclass
class _Running:
    """A trial while it runs.

    Attributes
    ----------
    findings, examples : of the routes that were written.
    partial : the chain that is being written.
    note : why it ended before its end, until it has.
    """

    trial: AnyTrial
    backend: Backend
    places: list[DeltaGenerator] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    examples: list[Examples] = field(default_factory=list)
    partial: Chain | None = None
    note: str = _STOPPED

    def outcome(self) -> Outcome:
        """What there is by now."""
        found, chain = tuple(self.findings), self.partial
        if chain is not None:
            found = (*found, judge(self.trial, chain, finished=False))
        return Outcome(
            self.trial, self.backend.title, found, self.note, self.backend.no_scores or ""
        )


def settle() -> None:
    """Keep what a run had written that was stopped.

    Streamlit ends the script of such a run and starts the next one at once, in another thread, so
    it is the next one that has to do this.
    """
    running: _Running | None = st.session_state.pop(_RUNNING, None)
    if running is None:
        return
    outcome = running.outcome()
    if outcome.findings or outcome.note not in ("", _STOPPED):
        lab_state.history().add(outcome)


def run(scene: Scene, trial: AnyTrial) -> None:
    """Run a trial and keep what comes of it, also when it is stopped or fails on the way."""
    running = _Running(trial, lab_backend.chosen(scene))
    st.session_state[_RUNNING] = running
    st.button("Stop", icon=":material/stop:", key="lab_stop")  # any click ends the run
    running.places = lab_cards.grid(trial.routes)
    for place in running.places:
        lab_cards.waiting(place)
    try:
        for route, place in zip(trial.routes, running.places, strict=True):
            _write(running, route, place)
        with st.spinner("Looking at other answers and candidate words …"):
            _look_closer(running)
        running.note = ""
    except InputError as error:
        running.note = str(error)
    st.rerun()


def _write(running: _Running, route: Route, place: DeltaGenerator) -> None:
    trial, backend = running.trial, running.backend
    examples = trial.examples(route, backend)
    chains = trial.chains(route, examples, backend)
    with closing(chains):  # type: ignore[type-var]
        for running.partial in chains:
            lab_cards.growing(place, running.partial)
    if running.partial is not None:
        running.findings.append(judge(trial, running.partial))
        running.examples.append(examples)
        running.partial = None
        lab_cards.card(place, running.outcome(), running.findings[-1])


def _look_closer(running: _Running) -> None:
    """Alternatives and ranks, card by card."""
    trial, backend = running.trial, running.backend
    for number, (finding, examples, place) in enumerate(
        zip(running.findings, running.examples, running.places, strict=True)
    ):
        decoding = trial.decoding if isinstance(trial, Trial) else None
        if decoding is None:
            continue
        others = backend.alternatives(finding.chain.steps[-1].prompt, decoding, ALTERNATIVES)
        standing = stand(trial, finding.chain, examples, backend)
        running.findings[number] = replace(finding, alternatives=tuple(others), standing=standing)
        lab_cards.card(place, running.outcome(), running.findings[number])


def show(outcome: Outcome) -> None:
    """An outcome that was kept."""
    if sentence := lab_cards.summary(outcome):
        st.markdown(sentence)
    if outcome.note:
        st.warning(words.plain(outcome.note))
    if sentence := lab_cards.missing(outcome):
        st.caption(words.plain(sentence))
    routes = [finding.chain.route for finding in outcome.findings]
    for place, finding in zip(lab_cards.grid(routes), outcome.findings, strict=True):
        lab_cards.card(place, outcome, finding)
