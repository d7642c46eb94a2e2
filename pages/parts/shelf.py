"""The Library's stored results and jobs."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from bridgex_core import jobs
from bridgex_core.jobs import Job
from bridgex_core.progress import time_left
from bridgex_core.user_files import own_results
from pages.parts import results, words
from pages.parts.messages import attempt, told
from pages.parts.results import Scene


def stored(scene: Scene) -> None:
    """What the store holds, the bundled results apart, and a way to delete it."""
    usage = scene.store.usage()
    size = sum(taken for _, taken in usage.values())
    st.markdown(
        f"The store is `{scene.store.root}`. Your own results take {_megabytes(size)}; the results "
        "that ship with the product are not listed and cannot be deleted."
    )
    found = sorted(own_results(scene.store), key=lambda one: (one[0], one[2].get("language", "")))
    if not found:
        st.caption("Nothing of your own is stored yet.")
        return
    frame = pd.DataFrame(
        [
            {
                "Kind": kind,
                "Language": manifest.get("language", ""),
                "Model": manifest.get("model_name", ""),
                "Corpus": manifest.get("corpus", ""),
                "Number format": manifest.get("settings", {}).get("dtype", ""),
                "Size": manifest["bytes"] / 1000,
                "Computed": manifest["created"],
            }
            for kind, _, manifest in found
        ]
    )
    event = st.dataframe(
        frame,
        hide_index=True,
        height=320,
        on_select="rerun",
        selection_mode="multi-row",
        key="stored_results",
        column_config={
            "Size": st.column_config.NumberColumn(format="%.0f kB"),
            "Computed": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm"),
        },
        alt="Stored results.",
    )
    rows = event["selection"]["rows"]
    chosen = [found[row][:2] for row in rows if row < len(found)]
    st.button(
        f"Delete {words.counted(len(chosen), 'result')}" if chosen else "Delete",
        icon=":material/delete:",
        disabled=not chosen,
        help="Choose rows of the table first. What is deleted can be computed again.",
        on_click=attempt,
        args=(_delete, scene, chosen),
        key="delete_results",
    )


def _delete(scene: Scene, chosen: Sequence[tuple[str, str]]) -> None:
    for kind, key in chosen:
        scene.store.delete(kind, key)
    results.forget()


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


def job_list(scene: Scene) -> None:
    """Every job, with what can be done about it."""
    active = any(job.active for job in jobs.jobs(scene.store))
    st.fragment(told(_jobs), run_every=1.0 if active else None)(scene, active)


def _jobs(scene: Scene, active: bool) -> None:
    known = jobs.jobs(scene.store)
    if active and not any(job.active for job in known):
        results.forget()
        st.rerun()
    if not known:
        st.caption("No job has been started: choose languages on the Spectrum page.")
    for job in known:
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            st.markdown(_about(job), width="stretch")
            _buttons(scene, job)


def _about(job: Job) -> str:
    facts = [job.state, f"{job.fraction:.0%}"]
    if job.active:
        facts += [job.message, time_left(job.eta_seconds)]
    told = " · ".join(words.plain(fact) for fact in facts if fact)
    error = f"  \n{words.plain(job.error)}" if job.error else ""
    started = words.plain(job.started[:16].replace("T", " "))
    return f"**{words.plain(job.title)}**  \n{told} · started {started} UTC{error}"


def _buttons(scene: Scene, job: Job) -> None:
    def button(label: str, action: object, icon: str) -> None:
        st.button(
            label,
            icon=f":material/{icon}:",
            on_click=attempt,
            args=(action, scene.store, job.id),
            key=f"{label}_{job.id}",
        )

    if job.active:
        button("Cancel", jobs.cancel, "stop")
        return
    if job.state != "done":
        button("Go on", jobs.resume, "resume")
    button("Forget", jobs.forget, "close")
