"""What bridging gains over many items: a job, and the evaluation that it stores."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from bridgex_core import figures, jobs
from bridgex_core.evaluation import Evaluation
from bridgex_core.findings import MEASURES, all_items, bridged, changed_items, in_words
from bridgex_core.study import Task
from bridgex_core.tasks import KINDS
from bridgex_core.xicl import Route
from pages.parts import (
    bridge_results,
    compute,
    downloads,
    lab_ask,
    lab_results,
    lab_state,
    state,
    words,
)
from pages.parts.lab_results import Measured
from pages.parts.messages import attempt, told
from pages.parts.results import Scene


def draw(scene: Scene) -> None:
    """Controls, the job, and what is stored."""
    name = state.get("task")
    if name == "chain":
        st.info("A chain of your own has no right answers to measure by.", icon=":material/info:")
        return
    _controls(name)
    if name in lab_ask.NEEDS_DATA and not lab_state.get("data"):
        st.info("No data for this task ships with the product: give the path of your files.")
        return
    tasks, routes = _tasks(scene, name), _routes(scene)
    found = lab_results.measured(scene, tasks, routes)
    _work(scene, name, found, len(tasks))
    if found.evaluation is not None:
        told(_show)(scene, found, found.evaluation)


def _controls(name: str) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.number_input(
            "Items", 1, 10_000, help="At most so many.", width=140, **state.widget("items")
        )
        if name == "bli":
            st.number_input("Demonstrations", 0, 16, width=150, **state.widget("shots"))
        elif KINDS[name].shown:
            st.number_input("Demonstrations", 0, 16, width=150, **state.widget("lab_task_shots"))
        st.number_input("Seed", 0, 10**6, width=130, **state.widget("seed"))
        st.number_input(
            "Runs",
            1,
            10,
            help="Each with the next seed, so with other demonstrations.",
            width=120,
            disabled=not _shots(name),
            **state.widget("lab_runs"),
        )
    if name != "bli":
        lab_ask.data_field()


def _shots(name: str) -> int:
    return int(state.get("shots") if name == "bli" else lab_state.get("task_shots"))


def _seeds(name: str) -> range:
    runs = lab_state.get("runs") if _shots(name) else 1
    return range(state.get("seed"), state.get("seed") + runs)


def _tasks(scene: Scene, name: str) -> list[Task]:
    """One a seed, with the prompts that the task comes with."""
    return [
        lab_ask.opened(scene, name, state.get("items"), _shots(name), seed, edited=False)
        for seed in _seeds(name)
    ]


def _routes(scene: Scene) -> list[Route]:
    source, target = scene.named((state.get("source"), state.get("target")))
    through = scene.named(bridge_results.bridges())
    return [Route.of(source, target), *(Route.of(source, target, bridge) for bridge in through)]


def _command(scene: Scene, name: str) -> list[str]:
    argv = [
        *("evaluate", "--model", scene.collection.source.name, "--task", name),
        *("--source", state.get("source"), "--target", state.get("target")),
        *("--bridges", ",".join(bridge_results.bridges()) or "none"),
        *("--items", str(state.get("items")), "--shots", str(_shots(name))),
        *("--seed", ",".join(map(str, _seeds(name)))),
    ]
    if name != "bli" and lab_state.get("data"):
        argv += ["--data", lab_state.get("data")]
    return argv


def _work(scene: Scene, name: str, found: Measured, runs: int) -> None:
    """The job that computes what is missing."""
    argv, source = _command(scene, name), scene.collection.source
    known = jobs.jobs(scene.store)
    if running := [job for job in known if job.active]:
        missing = found.missing
        compute.watch(scene, running, lambda: _fewer(scene, name, missing))
    own = [job for job in known if job.argv == tuple(argv)]
    if not found.missing or any(job.active for job in own):
        return
    with st.container(border=True):
        names = words.listed([_short(route) for route in found.missing], most=8)
        if stopped := [job for job in own if job.state in compute.STOPPED]:
            compute.offer_to_go_on(scene, stopped[0], f"not measured yet: {names}")
            return
        st.markdown(f"**Not measured yet:** {names}.")
        ends = (state.get("source"), state.get("target"))
        what = " → ".join(one.name for one in scene.named(ends))
        with st.container(horizontal=True, vertical_alignment="center"):
            st.button(
                f"Measure {words.counted(len(found.missing), 'route')}",
                type="primary",
                icon=":material/play_arrow:",
                disabled=not source.installed,
                on_click=attempt,
                args=(
                    jobs.start,
                    scene.store,
                    f"{source.title}: {lab_ask.TASKS[name].lower()}, {what}",
                    argv,
                ),
                key="lab_measure",
            )
            if source.installed:
                st.caption(
                    f"{words.counted(runs, 'run')} of up to {state.get('items')} items a route, "
                    f"by {words.plain(source.title)} on this machine. The time it needs is told "
                    "once it runs; it can be stopped and goes on later."
                )
            else:
                st.caption(f"{words.plain(source.title)} is not installed. {source.how_to_get}")


def _fewer(scene: Scene, name: str, missing: Sequence[Route]) -> bool:
    """Whether a route that was missing is there by now."""
    kept, tasks = lab_results.evaluations(scene), _tasks(scene, name)
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
    shots, runs = _shots(state.get("task")), len(evaluation.runs[0])
    st.caption(
        f"{words.counted(len(evaluation.items), 'item')}, {shots} demonstrations, "
        f"{words.counted(runs, 'run')}. Whiskers are 95 % intervals (bootstrap over the items); "
        "the dotted line is the direct route. Each bridge is tested against it: "
        f"{_test(table)}, corrected for the number of bridges (Holm)."
    )
    _table(scene, table, measure)
    with st.container(horizontal=True):
        name = f"{state.get('task')}-{'-'.join(pair)}"
        downloads.table_csv(table, f"{name}-routes", "Routes (CSV)")
        downloads.table_csv(all_items(evaluation), f"{name}-items", "All answers (CSV)")
        title = f"{MEASURES[measure]}, {' → '.join(one.name for one in scene.named(pair))}"
        downloads.figure_html(figure, title, f"{name}-figure")
        downloads.picture_and_link()
    _items(scene, evaluation)


def _test(table: pd.DataFrame) -> str:
    if "test" not in table:
        return "paired bootstrap"
    return (
        "McNemar's exact test for right and wrong"
        if "McNemar" in set(table["test"])
        else ("paired bootstrap")
    )


def _table(scene: Scene, table: pd.DataFrame, measure: str) -> None:
    prefix = "mrr_" if measure == "mrr" else ""
    columns = {
        "Route": [_named(scene, code) for code in table["bridge"]],
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


def _named(scene: Scene, code: str) -> str:
    return f"via {scene.register[code].name}" if code else "direct"


def _items(scene: Scene, evaluation: Evaluation) -> None:
    """What a bridge fixed and broke."""
    routes = [number for number, codes in enumerate(evaluation.routes) if len(codes) > 2]
    if not routes or not any(len(codes) == 2 for codes in evaluation.routes):
        return
    st.markdown("**Items that a bridge fixes and breaks**")
    chosen = st.selectbox(
        "Bridge",
        routes,
        format_func=lambda number: _named(scene, evaluation.routes[number][1]),
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
