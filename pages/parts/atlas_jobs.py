"""Parts of the Atlas that a job computes: what is missing, and a button that starts the job."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from bridgex_core import jobs
from pages.parts import compute
from pages.parts.results import Scene, Statistics


def offer(
    scene: Scene, argv: Sequence[str], title: str, lacking: str, takes: str, label: str, key: str
) -> None:
    """What is not computed, with a button that starts its job, or one that goes on with it.

    Parameters
    ----------
    argv : the job's command.
    title : of the job, after the model's name.
    lacking : what is missing, as the beginning of a sentence.
    takes : what computing it takes, a sentence.
    label, key : of the button.
    """
    own = [job for job in jobs.jobs(scene.store) if job.argv == tuple(argv)]
    offered = f"{key}_offered"
    if any(job.active for job in own):
        if st.session_state.pop(offered, False):
            st.rerun()  # how far jobs are stands above this part, which its button draws alone
        st.caption(f"{lacking}: being computed, see above.")
        return
    st.session_state[offered] = True
    with st.container(border=True):
        if stopped := [job for job in own if job.state in compute.STOPPED]:
            compute.offer_to_go_on(scene, stopped[0], f"{lacking[0].lower()}{lacking[1:]}")
            return
        st.markdown(f"**{lacking}.**")
        compute.offer_to_start(scene, label, title, argv, key, takes)


def of_statistics(scene: Scene, stats: Statistics) -> list[str]:
    """How a command names the model, the corpus and the languages whose statistics are compared."""
    return [*compute.of_collection(scene), "--languages", ",".join(stats.languages)]
