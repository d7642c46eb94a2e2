"""What a pair of languages still needs: what it is, a button, and the jobs that compute it."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from bridgex_core import jobs
from bridgex_core.evidence import COMPETENCE_WORDS
from pages.parts import bridge_results, bridge_words, compute, words
from pages.parts.bridge_results import Asked, Lack


def draw(asked: Asked) -> None:
    """The panel above the ranking, where anything is missing or being computed."""
    lack = bridge_results.lack(asked)
    running = [job for job in jobs.jobs(asked.scene.store) if job.active]
    if running:
        with st.container(border=True):
            compute.watch(asked.scene, running, lambda: _progressed(asked, lack))
    title = f"bridges from {_name(asked, asked.source)} to {_name(asked, asked.target)}"
    _offer(asked, title, _command(asked), _told(asked, lack), "bridges")
    if lack.problem:
        st.info(words.plain(lack.problem), icon=":material/info:")


def similarity(asked: Asked) -> None:
    """The panel for the graph of languages, where no similarity is stored."""
    codes = bridge_results.nameable(asked)
    if len(codes) < 2:
        st.info("The bundled lexicon has words in fewer than two of these languages.")
        return
    title = f"HSIC similarity of {words.counted(len(codes), 'language')}"
    argv = [
        *("similarity", *compute.of_collection(asked.scene)),
        *("--languages", ",".join(codes), "--layers", _band(asked)),
    ]
    names = words.listed([_name(asked, code) for code in codes], most=len(codes))
    _offer(asked, title, argv, [f"the HSIC similarity of {names} in these layers"], "similarity")


def _offer(asked: Asked, title: str, argv: Sequence[str], told: Sequence[str], key: str) -> None:
    """What is missing, with a button that starts or resumes the job that computes it."""
    own = [job for job in jobs.jobs(asked.scene.store) if job.argv == tuple(argv)]
    if not told or any(job.active for job in own):
        return
    with st.container(border=True):
        stopped = [job for job in own if job.state in compute.STOPPED]
        if stopped:
            compute.offer_to_go_on(asked.scene, stopped[0], "; ".join(told))
        else:
            st.markdown(f"**Not computed yet:** {'; '.join(told)}.")
            compute.offer_to_start(asked.scene, "Compute", title, argv, f"compute_{key}")


def _told(asked: Asked, lack: Lack) -> list[str]:
    """What is missing, in words."""
    task, candidates = asked.candidates.task, asked.candidates.bridges
    there = {
        "statistics": "the activations of "
        + words.listed([_name(asked, code) for code in asked.uncomputed]),
        "probe": f"the probe from {_name(asked, task.source)} to {_name(asked, task.target)}",
        "competence": f"how well the model translates each of {2 * len(candidates)} steps, "
        f"{COMPETENCE_WORDS} words a step (for {bridge_words.RANKERS['competence']})",
    }
    return [there[need] for need in lack.needs]


def _name(asked: Asked, code: str) -> str:
    return words.plain(asked.scene.register[code].name)


def _progressed(asked: Asked, lack: Lack) -> bool:
    """Whether something that was missing is there by now."""
    store = asked.scene.store
    return any(store.has(*place) for place in bridge_results.awaited(asked, lack))


def _command(asked: Asked) -> list[str]:
    pair = ["--source", asked.source, "--target", asked.target]
    candidates = ["--candidates", ",".join(code for code, _ in asked.keys[2:])]
    return [
        *("bridges", *compute.of_collection(asked.scene), *pair, *candidates),
        *("--ranker", "all", "--known", asked.known),
    ]


def _band(asked: Asked) -> str:
    low, high = asked.settings.band
    return f"{low:g}:{high:g}"
