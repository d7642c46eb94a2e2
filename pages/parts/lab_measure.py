"""What bridging gains over many items: a job, and the evaluation that it stores."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from bridgex_core import figures
from bridgex_core.evaluation import Evaluation
from bridgex_core.findings import MEASURES, all_items, bridged, changed_items, in_words
from bridgex_core.xicl import Route
from pages.parts import downloads, lab_ask, lab_results, measuring, state, words
from pages.parts.lab_results import Measured
from pages.parts.messages import told
from pages.parts.results import Scene


def draw(scene: Scene) -> None:
    """Controls, the job, and what is stored."""
    name = state.get("task")
    if name == "chain":
        st.info("A chain of your own has no right answers to measure by.", icon=":material/info:")
        return
    measuring.controls(name)
    if measuring.lacks_data(name):
        return
    tasks, routes = measuring.tasks(scene, name), measuring.routes(scene)
    found = lab_results.measured(lab_results.evaluations(scene), tasks, routes)
    _work(scene, name, found, len(tasks))
    if found.evaluation is not None:
        told(_show)(scene, found, found.evaluation)


def _work(scene: Scene, name: str, found: Measured, runs: int) -> None:
    """The job that computes what is missing."""
    work = measuring.Work(
        measuring.command(scene, name),
        f"{lab_ask.TASKS[name].lower()}, {measuring.pair(scene)}",
        [_short(route) for route in found.missing],
        len(found.missing),
        runs,
    )
    measuring.offer(scene, work, lambda: _fewer(scene, name, found.missing), "lab_measure")


def _fewer(scene: Scene, name: str, missing: Sequence[Route]) -> bool:
    """Whether a route that was missing is there by now."""
    kept, tasks = lab_results.evaluations(scene), measuring.tasks(scene, name)
    return any(not kept.missing(tasks, [route]) for route in missing)


def _short(route: Route) -> str:
    return f"via {words.plain(route.bridges[0].name)}" if route.bridges else "direct"


def _show(scene: Scene, found: Measured, evaluation: Evaluation) -> None:
    """Picture, words, table, items."""
    measure, ranking = lab_results.choose_measure(evaluation, "lab_measured_by")
    pair = (state.get("source"), state.get("target"))
    table = lab_results.table(found.keys, evaluation, ranking, pair)
    st.markdown(in_words(bridged(table, measure), measure, scene.register))
    figure = figures.route_chart(table, measure, scene.register)
    rows = (
        f"{row.bridge or 'direct'} {100 * getattr(row, measure):.1f}" for row in table.itertuples()
    )
    downloads.chart(figure, "lab_routes", f"{MEASURES[measure]} of every route: {', '.join(rows)}.")
    shots, runs = measuring.shots(state.get("task")), len(evaluation.runs[0])
    st.caption(
        f"{words.counted(len(evaluation.items), 'item')}, {shots} demonstrations, "
        f"{words.counted(runs, 'run')}. Whiskers are 95 % intervals (bootstrap over the items); "
        "the dotted line is the direct route. Each bridge is tested against it: "
        f"{_test(table, measure)}, corrected for the number of bridges (Holm)."
    )
    _table(scene, table, measure)
    with st.container(horizontal=True):
        name = f"{state.get('task')}-{'-'.join(pair)}"
        downloads.table_csv(table, f"{name}-routes", "Routes (CSV)")
        downloads.table_csv(all_items(evaluation), f"{name}-items", "All answers (CSV)")
        title = f"{MEASURES[measure]}, {measuring.pair(scene)}"
        downloads.figure_html(figure, title, f"{name}-figure")
        downloads.picture_and_link()
    _items(scene, evaluation)


def _test(table: pd.DataFrame, measure: str) -> str:
    exact = measure != "mrr" and "test" in table and "McNemar" in set(table["test"])
    return "McNemar's exact test for right and wrong" if exact else "paired bootstrap"


def _table(scene: Scene, table: pd.DataFrame, measure: str) -> None:
    prefix = "mrr_" if measure == "mrr" else ""
    columns = {
        "Route": [measuring.route_name(scene, code) for code in table["bridge"]],
        "Value": 100 * table[measure],
        "from": 100 * table[f"{prefix}low"],
        "to": 100 * table[f"{prefix}high"],
    }
    if measure == "mrr":
        columns["Right word first"] = 100 * table["first"]
    if f"{prefix}difference" in table:
        columns["Gain"] = 100 * table[f"{prefix}difference"]
        columns["p (Holm)"] = table[f"{prefix}p_holm"]
        if measure != "mrr":
            columns |= {"Fixed": table["fixed"], "Broken": table["broken"]}
    formats = {name: "{:.1f}" for name in columns if name != "Route"}
    formats |= {"p (Holm)": "{:.3f}", "Fixed": "{:.0f}", "Broken": "{:.0f}"}
    frame = pd.DataFrame(columns)
    shown = {name: fmt for name, fmt in formats.items() if name in frame}
    st.dataframe(
        frame.style.format(shown, na_rep=""),
        hide_index=True,
        alt=f"{MEASURES[measure]} of every route, with interval and test against direct.",
    )


def _items(scene: Scene, evaluation: Evaluation) -> None:
    """What a bridge fixed and broke."""
    routes = [number for number, codes in enumerate(evaluation.routes) if len(codes) > 2]
    if not routes or not any(len(codes) == 2 for codes in evaluation.routes):
        return
    st.markdown("**Items that a bridge fixes and breaks**")
    chosen = st.selectbox(
        "Bridge",
        routes,
        format_func=lambda number: measuring.route_name(scene, evaluation.routes[number][1]),
        width=260,
        key="lab_changed_route",
    )
    frame = changed_items(evaluation, chosen)
    if frame.empty:
        st.caption("None: both routes get the same items right.")
        return
    st.dataframe(
        frame.rename(columns=str.capitalize),
        hide_index=True,
        alt="Items that only one of the two routes gets right, with the answers.",
    )
