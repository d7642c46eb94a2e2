"""Which neurons are changed, and how: what every part of the interventions starts from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from bridgex_core.atlas import SHARED, NamedSets
from bridgex_core.interventions import ACTIONS, STRENGTHS, Intervention
from pages.parts import atlas_jobs, atlas_results, atlas_shown, results, state, words
from pages.parts.results import Scene, Statistics

_RANGES = {"scale": (-5.0, 10.0), "replace": (0.0, 1.5)}


@dataclass(frozen=True)
class Change:
    """What is changed.

    Attributes
    ----------
    intervention : the neurons, and what is done to them.
    name : of the set, as `NamedSets` knows it; ``title`` for people.
    alive : bool (L, I), what random sets are drawn from.
    like : the language whose means replace the activations; empty for other actions.
    """

    intervention: Intervention
    name: str
    title: str
    alive: Any
    like: str

    @property
    def imported(self) -> str:
        """The import that the set is from; empty for one of this page's own."""
        return self.name.split(":", 2)[2] if self.name.startswith("import:") else ""

    def name_of(self, code: str) -> str:
        """The name of a language's set of the same kind: of the import, or by LAPE."""
        return f"import:{code}:{self.imported}" if self.imported else f"lape:{code}"

    def argv(self, scene: Scene, stats: Statistics) -> list[str]:
        """How a command says what is done, and to which kind of sets."""
        action = self.intervention.action
        argv = [*atlas_jobs.of_statistics(scene, stats), "--top-rate", str(state.get("share"))]
        argv += [f"--sets={self.imported}"] if self.imported else []
        argv += ["--action", action]
        argv += [] if action == "zero" else [f"--strength={self.intervention.strength}"]
        return [*argv, *(["--mean", self.like] if self.like else [])]

    @property
    def is_one(self) -> bool:
        """Whether it is one set of all languages together, not one of each."""
        return self.name == SHARED

    def changes(self, sets: NamedSets, codes: Sequence[str]) -> dict[str, Intervention]:
        """The same done to the set of every language, or to the one that all share."""
        if self.is_one:
            return {SHARED: self.intervention}
        return {
            code: replace(self.intervention, neurons=sets.mask(self.name_of(code)))
            for code in codes
        }

    @property
    def set_argv(self) -> list[str]:
        """How a command says which set, beside :meth:`argv`."""
        return ["--shared"] if self.is_one else ["--of", self.name.split(":")[1]]


def choose(scene: Scene, stats: Statistics) -> Change:
    """The controls, and what is chosen."""
    options = _options(scene, stats)
    target = state.get("target")
    default = f"lape:{target if target in stats.languages else stats.languages[0]}"
    if state.get("neurons") not in (None, *options):
        st.warning("The set of neurons that the link names is not there any more.")
        state.put(neurons=None)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.selectbox(
            "Neurons",
            list(options),
            format_func=options.__getitem__,
            filter_mode="contains",
            width=280,
            **state.widget("neurons", shown=lambda name: name or default),
        )
        share = atlas_shown.share()
        st.selectbox(
            "Action",
            ACTIONS,
            format_func=words.ACTIONS.__getitem__,
            width=220,
            **{**state.widget("action"), "on_change": _act, "args": ()},
        )
        _strength()
        like = _like(scene, stats)
    name = state.get("neurons") or default
    sets = atlas_results.named_sets(scene, stats, share)
    mask, strength = sets.mask(name), float(state.get("strength"))
    if like:
        means = atlas_results.totals(scene, stats, like)
        intervention = Intervention.by_mean(mask, means, like, strength=strength)
    else:
        intervention = Intervention(mask, state.get("action"), strength)
    return Change(intervention, name, options[name], sets.alive, like)


def _act() -> None:
    action = st.session_state["action_widget"]
    state.put(action=action, strength=STRENGTHS[action])


def _strength() -> None:
    action = state.get("action")
    if action not in _RANGES:
        return
    low, high = _RANGES[action]
    state.put(strength=min(max(float(state.get("strength")), low), high))
    st.slider(
        "Times" if action == "scale" else "How far",
        low,
        high,
        step=0.25,
        help="What the activation is multiplied by; 1 changes nothing."
        if action == "scale"
        else "0 leaves the activation as it is, 1 replaces it by the mean.",
        width=200,
        **state.widget("strength"),
    )


def _like(scene: Scene, stats: Statistics) -> str:
    """The language whose means replace the activations."""
    if state.get("action") != "replace":
        return ""
    options = scene.named(stats.languages)
    return atlas_shown.language("Mean in", "like", options, stats.languages[0], width=220)


def _options(scene: Scene, stats: Statistics) -> dict[str, str]:
    """Names of the sets and what they are called."""
    named = {
        f"lape:{one.code}": f"Specific to {one.name} (LAPE)" for one in scene.named(stats.languages)
    }
    named[SHARED] = "Shared by all these languages"
    table = results.table(stats)
    for name, manifest in results.imports().items():
        shape = (manifest["layers"], manifest["width"])
        if manifest["content"] == "sets" and shape == (table.layers, table.width):
            named |= {f"import:{code}:{name}": f"{name}: {code}" for code in manifest["languages"]}
    return named
