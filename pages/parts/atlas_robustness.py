"""The Lab's evaluations on perturbed items: what routes lose, and whether a bridge protects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from bridgex_core import figures
from bridgex_core.findings import MEASURES
from bridgex_core.perturbations import PERTURBATIONS
from bridgex_core.robustness import Perturbed, drops, in_words
from bridgex_core.study import Evaluations
from bridgex_core.tasks import TASKS, AnyTask
from bridgex_core.xicl import Route
from pages.parts import (
    atlas_shown,
    bridge_controls,
    lab_ask,
    lab_results,
    lab_state,
    measuring,
    state,
    words,
)
from pages.parts.lab_results import Keys, Measured
from pages.parts.messages import told
from pages.parts.results import Scene, Statistics

_SAMPLES = 3
_HELP = (
    "**Typos**: in one word of five two letters are swapped, or one is doubled or left out.  \n"
    "**Case**: capitals.  \n"
    "**Diacritics**: accents, points and vowel marks are taken off, not the vowel signs of the "
    "Indic scripts.  \n"
    "**Transliteration**: Latin letters, by uroman.  \n"
    "**Distractors**: two other words in brackets behind one word of ten."
)


@dataclass(frozen=True)
class _Found:
    """What is stored: of the items as they are, and by perturbation."""

    clean: Measured
    perturbed: dict[str, Measured]

    @property
    def missing(self) -> dict[str, int]:
        """How many routes are not measured, by perturbation; the clean ones under ''."""
        every = {"": self.clean, **self.perturbed}
        return {kind: len(one.missing) for kind, one in every.items() if one.missing}


def draw(scene: Scene, _: Statistics) -> None:
    """The whole analysis."""
    lab_state.settle()
    st.markdown(
        "How much does each route lose when what is asked is written carelessly, and does a bridge "
        "protect from it?"
    )
    name = _controls(scene)
    if measuring.lacks_data(name):
        return
    if not state.get("perturb"):
        st.info("Choose at least one perturbation.", icon=":material/info:")
        return
    tasks, routes = measuring.tasks(scene, name), measuring.routes(scene)
    forms = _forms(scene, tasks, routes[0])
    if idle := forms.idle_in_words(scene.register):
        st.caption(words.plain(idle))
    if forms.tasks:
        kept = _kept(scene, forms, routes)
        found = _stored(kept, forms, routes)
        _work(scene, name, kept, forms, routes, found)
        told(_show)(scene, kept, forms, found)
        _samples(scene, forms)


def _controls(scene: Scene) -> str:
    """The choices, and the task among them."""
    labels = bridge_controls.language_labels(scene)
    name = state.get("task") if state.get("task") in TASKS else TASKS[0]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.selectbox(
            "Task",
            TASKS,
            format_func=lab_ask.TASKS.__getitem__,
            width=190,
            **state.widget("task", shown=lambda _: name),
        )
        bridge_controls.language("From", "source", labels, "The language that the items are in.")
        bridge_controls.language("To", "target", labels, "The language to get to.")
    bridge_controls.candidates(scene, labels, "Bridges")
    measuring.controls(name)
    st.multiselect(
        "Perturbations",
        PERTURBATIONS,
        format_func=str.capitalize,
        help=_HELP,
        **state.widget(
            "perturb",
            shown=list,
            meant=lambda chosen: tuple(kind for kind in PERTURBATIONS if kind in chosen),
        ),
    )
    return str(name)


def _forms(scene: Scene, tasks: Sequence[AnyTask], route: Route) -> Perturbed:
    kept = lab_results.evaluations(scene)
    return _perturbed(tuple(kept.key(task, route) for task in tasks), state.get("perturb"), tasks)


@st.cache_resource(show_spinner="Perturbing the items …", max_entries=32)
def _perturbed(keys: Keys, kinds: tuple[str, ...], _tasks: Sequence[AnyTask]) -> Perturbed:
    return Perturbed.of(_tasks, kinds)


def _kept(scene: Scene, forms: Perturbed, routes: Sequence[Route]) -> Evaluations:
    """What is stored in one number format: the one that has most of it, else the sidebar's."""
    clean = [(task, route) for task in forms.clean for route in routes]
    return lab_results.evaluations(scene).uniform([*clean, *forms.work(routes)])


def _stored(kept: Evaluations, forms: Perturbed, routes: Sequence[Route]) -> _Found:
    return _Found(
        lab_results.measured(kept, forms.clean, routes),
        {kind: lab_results.measured(kept, tasks, routes) for kind, tasks in forms.tasks.items()},
    )


def _work(
    scene: Scene,
    name: str,
    kept: Evaluations,
    forms: Perturbed,
    routes: Sequence[Route],
    found: _Found,
) -> None:
    missing = found.missing
    how = ["--perturb", ",".join(state.get("perturb")), "--dtype", kept.identities[0]["dtype"]]
    work = measuring.Work(
        [*measuring.command(scene, name), *how],
        f"robustness, {lab_ask.TASKS[name].lower()}, {measuring.pair(scene)}",
        [
            f"{kind or 'unperturbed'} ({words.counted(count, 'route')})"
            for kind, count in missing.items()
        ],
        sum(missing.values()),
        len(forms.clean),
    )
    measuring.offer(
        scene, work, lambda: _stored(kept, forms, routes).missing != missing, "robustness_measure"
    )


# ---- What is stored ----------------------------------------------------------------------------


def _show(scene: Scene, kept: Evaluations, forms: Perturbed, found: _Found) -> None:
    """Words, picture, table."""
    clean = found.clean.evaluation
    if clean is None or not any(one.evaluation for one in found.perturbed.values()):
        return
    measure, ranking = lab_results.choose_measure(clean, "robustness_measured_by")
    keys = (*found.clean.keys, *(key for one in found.perturbed.values() for key in one.keys))
    table = _table(keys, ranking, forms, found)
    if table.empty:
        st.info("No route is measured both as it is and perturbed yet.", icon=":material/info:")
        return
    st.markdown(words.plain(in_words(table, measure, scene.register)))
    pair = measuring.pair(scene)
    atlas_shown.picture(
        figures.drop_chart(table, measure, scene.register),
        f"robustness-{state.get('source')}-{state.get('target')}",
        f"Drop in {MEASURES[measure]} on perturbed items, {pair}",
        f"Drop in {MEASURES[measure]} of every route under every perturbation: {_alt(table)}.",
        table,
    )
    _circumstances(scene, kept, forms, table)
    _rows(scene, table, measure)


@st.cache_data(show_spinner="Drawing the intervals …", max_entries=64)
def _table(keys: Keys, ranking: str | None, _forms: Perturbed, _found: _Found) -> pd.DataFrame:
    if _found.clean.evaluation is None:
        raise ValueError("nothing is measured unperturbed")
    perturbed = {
        kind: one.evaluation for kind, one in _found.perturbed.items() if one.evaluation is not None
    }
    return drops(_found.clean.evaluation, perturbed, _forms.changed, ranking=ranking)


def _alt(table: pd.DataFrame) -> str:
    return ", ".join(
        f"{row.perturbation} {row.bridge or 'direct'} {100 * row.drop:.1f}"
        for row in table.itertuples()
    )


def _circumstances(scene: Scene, kept: Evaluations, forms: Perturbed, table: pd.DataFrame) -> None:
    shots, runs = forms.clean[0].shots, len(forms.clean)
    changed = table.groupby("perturbation", sort=False)["items"].first()
    counts = ", ".join(f"{kind} {count}" for kind, count in changed.items())
    st.caption(
        f"{words.plain(scene.collection.source.title)} in {kept.identities[0]['dtype']}. "
        f"Of {words.counted(forms.count, forms.noun)} only those count that a perturbation "
        f"changes: {counts}. "
        f"{words.counted(shots, 'demonstration')}, never perturbed; {words.counted(runs, 'run')}. "
        "Filled points can be told from chance after Holm's correction over all of them "
        f"({' and '.join(sorted(set(table['test'])))}); whiskers are 95 % intervals (paired "
        "bootstrap over the items)."
    )


def _rows(scene: Scene, table: pd.DataFrame, measure: str) -> None:
    shown = table.assign(
        perturbation=[kind.capitalize() for kind in table["perturbation"]],
        route=[measuring.route_name(scene, code) for code in table["bridge"]],
    )
    points = ["clean", "perturbed", "drop", "low", "high"]
    points += ["against_direct", "against_low", "against_high"]
    shown[points] = 100 * shown[points]
    number = st.column_config.NumberColumn
    atlas_shown.table(
        shown,
        f"Drop in {MEASURES[measure]} of every route, with interval and test.",
        {
            "perturbation": "Perturbation",
            "route": "Route",
            "items": number("Items", format="%d"),
            "clean": number("As it is", format="%.1f"),
            "perturbed": number("Perturbed", format="%.1f"),
            "drop": number("Drop", format="%.1f"),
            "low": number("from", format="%.1f"),
            "high": number("to", format="%.1f"),
            "p_holm": number("p (Holm)", format="%.3f"),
            "against_direct": number(
                "Against direct",
                format="%.1f",
                help="The drop less the direct route's; below 0 the bridge protects.",
            ),
            "against_low": number("from ", format="%.1f"),
            "against_high": number("to ", format="%.1f"),
        },
    )


def _samples(scene: Scene, forms: Perturbed) -> None:
    """What was done to the first items."""
    frame = forms.samples(_SAMPLES)
    if frame.empty:
        return
    st.markdown("**What the perturbations do**")
    source = scene.register[state.get("source")]
    latin = frame["perturbation"] == "transliteration"
    frame["item"] = [words.isolated(text, source.is_rtl) for text in frame["item"]]
    frame["read"] = [
        words.isolated(text, source.is_rtl and not written)
        for text, written in zip(frame["read"], latin, strict=True)
    ]
    frame["perturbation"] = frame["perturbation"].str.capitalize()
    atlas_shown.table(
        frame,
        "The first items that each perturbation changes, before and after.",
        {"perturbation": "Perturbation", "item": "As it is", "read": "As the model reads it"},
    )
