"""Measuring over many items: how many, along which routes, and the job that does it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import streamlit as st

from bridgex_core import jobs
from bridgex_core.tasks import KINDS, AnyTask
from bridgex_core.xicl import Route
from pages.parts import bridge_results, compute, lab_ask, lab_state, state, words
from pages.parts.results import Scene


def controls(name: str) -> None:
    """How much of a task is measured, and how it is demonstrated."""
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
            disabled=not shots(name),
            **state.widget("lab_runs"),
        )
    if name != "bli":
        lab_ask.data_field()


def lacks_data(name: str) -> bool:
    """Whether a task has to wait for the user's files; says so."""
    lacks = name in lab_ask.NEEDS_DATA and not lab_state.get("data")
    if lacks:
        st.info("No data for this task ships with the product: give the path of your files.")
    return lacks


def shots(name: str) -> int:
    """Demonstrations of a task."""
    return int(state.get("shots") if name == "bli" else lab_state.get("task_shots"))


def _seeds(name: str) -> range:
    runs = lab_state.get("runs") if shots(name) else 1
    return range(state.get("seed"), state.get("seed") + runs)


def tasks(scene: Scene, name: str) -> list[AnyTask]:
    """One a seed, with the prompts that the task comes with."""
    return [
        lab_ask.opened(scene, name, state.get("items"), shots(name), seed, edited=False)
        for seed in _seeds(name)
    ]


def routes(scene: Scene) -> list[Route]:
    """The direct route, then one a bridge."""
    source, target = scene.named((state.get("source"), state.get("target")))
    through = scene.named(bridge_results.bridges())
    return [Route.of(source, target), *(Route.of(source, target, bridge) for bridge in through)]


def route_name(scene: Scene, code: str) -> str:
    """The route through a bridge, or the direct one, in a table."""
    return f"via {scene.register[code].name}" if code else "direct"


def command(scene: Scene, name: str) -> list[str]:
    """The command that measures it all."""
    argv = [
        *("evaluate", "--model", scene.collection.source.name, "--task", name),
        *("--source", state.get("source"), "--target", state.get("target")),
        *("--bridges", ",".join(bridge_results.bridges()) or "none"),
        *("--items", str(state.get("items")), "--shots", str(shots(name))),
        *("--seed", ",".join(map(str, _seeds(name)))),
    ]
    if name != "bli" and lab_state.get("data"):
        argv += ["--data", lab_state.get("data")]
    return argv


@dataclass(frozen=True)
class Work:
    """Something to measure.

    Attributes
    ----------
    argv : the command.
    title : of its job.
    missing : what is not measured yet, in Markdown.
    count : how many routes that are; a perturbed one is one more.
    runs : of each route.
    """

    argv: Sequence[str]
    title: str
    missing: Sequence[str]
    count: int
    runs: int


def offer(scene: Scene, work: Work, changed: Callable[[], bool], key: str) -> None:
    """Jobs that run, and what is missing with the button that computes it.

    Parameters
    ----------
    work : what the page is about.
    changed : whether something that was missing is there by now.
    key : of the button.
    """
    known = jobs.jobs(scene.store)
    if running := [job for job in known if job.active]:
        compute.watch(scene, running, changed)
    own = [job for job in known if job.argv == tuple(work.argv)]
    if not work.missing or any(job.active for job in own):
        return
    with st.container(border=True):
        names = words.listed(work.missing, most=8)
        if stopped := [job for job in own if job.state in compute.STOPPED]:
            compute.offer_to_go_on(scene, stopped[0], f"not measured yet: {names}")
            return
        st.markdown(f"**Not measured yet:** {names}.")
        takes = (
            f"{words.counted(work.runs, 'run')} of up to {state.get('items')} items a route, by "
            f"{words.plain(scene.collection.source.title)} on this machine."
        )
        label = f"Measure {words.counted(work.count, 'route')}"
        compute.offer_to_start(scene, label, work.title, work.argv, key, takes)


def pair(scene: Scene) -> str:
    """Source and target, as a title has them."""
    ends = (state.get("source"), state.get("target"))
    return " → ".join(one.name for one in scene.named(ends))
