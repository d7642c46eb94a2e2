"""Languages that are not computed yet: what they take, a button, and the jobs that compute them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from bridgex_core import jobs
from bridgex_core.collection import STATISTICS, missing
from bridgex_core.jobs import Job
from bridgex_core.progress import time_left
from pages.parts import results, state, words
from pages.parts.messages import attempt, told
from pages.parts.results import Scene

_WATCHED = "watched_jobs"
STOPPED = {"interrupted": "was interrupted", "cancelled": "was cancelled", "failed": "failed"}


@dataclass(frozen=True)
class Offer:
    """Languages that could be computed, and the place on the page for what that takes."""

    languages: tuple[str, ...]
    place: DeltaGenerator


def draw(scene: Scene) -> Offer | None:
    """The panel above the picture, where there is anything to say.

    Returns what :func:`tell_plan` is to tell of, or None where there is nothing to plan.
    """
    codes = scene.languages
    todo = missing(scene.store, scene.collection, codes)
    known = jobs.jobs(scene.store)
    running = [job for job in known if job.active]
    stopped = [job for job in known if _can_go_on(scene, job)]
    if not (todo or running or stopped):
        return None
    with st.container(border=True):
        if running:
            watch(scene, running, lambda: missing(scene.store, scene.collection, codes) != todo)
            return None
        for job in stopped:
            offer_to_go_on(scene, job, _names(scene, job))
        # What a stopped job was about goes on with it.
        waiting = {code for job in stopped for code in _languages(job)}
        rest = tuple(code for code in todo if code not in waiting)
        return _offer(scene, rest) if rest else None


def tell_plan(scene: Scene, offer: Offer) -> None:
    """What the computation takes, told after the picture is drawn: asking the machine is slow."""
    if not scene.collection.source.installed:
        return
    corpus = scene.collection.corpus
    keys = tuple(
        (code, scene.collection.key(STATISTICS, corpus.text(code))) for code in offer.languages
    )
    sentence = results.plan(keys, scene).sentence()
    offer.place.caption(f"{words.plain(sentence)} The time it needs is told once it runs.")


def _offer(scene: Scene, todo: tuple[str, ...]) -> Offer:
    """What is not computed, and buttons."""
    source = scene.collection.source
    shown = set(results.statistics(scene).languages)
    lacking = [code for code in todo if code not in shown]
    what = "not computed yet" if lacking else "lacking only the bits per byte"
    rest = f" The picture shows the other {len(shown)}." if lacking and len(shown) > 1 else ""
    names = words.listed([words.plain(language.name) for language in scene.named(todo)])
    st.markdown(f"**{words.counted(len(todo), 'language')} {what}:** {names}.{rest}")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            f"Compute {words.counted(len(todo), 'language')}",
            type="primary",
            icon=":material/play_arrow:",
            disabled=not source.installed,
            on_click=attempt,
            args=(_start, scene, todo),
            key="compute",
        )
        st.button("Leave out", on_click=_leave_out, args=(scene, todo), key="leave_out")
        place = st.empty()
    if not source.installed:
        place.caption(f"{words.plain(source.title)} is not installed. {source.how_to_get}")
    return Offer(todo, place)


def _start(scene: Scene, todo: Sequence[str]) -> None:
    collection = scene.collection
    title = f"{collection.source.title}: {words.counted(len(todo), 'language')}"
    argv = [
        *("collect", "--model", collection.source.name),
        *("--corpus", collection.corpus.name),
        *("--languages", ",".join(todo)),
        *("--dtype", collection.dtype),
    ]
    jobs.start(scene.store, title, argv)


def _leave_out(scene: Scene, todo: Sequence[str]) -> None:
    state.put(languages=tuple(code for code in scene.languages if code not in todo))


def watch(scene: Scene, running: Sequence[Job], changed: Callable[[], bool]) -> None:
    """Show how far jobs are, and draw the page anew when one ends or ``changed`` says so."""
    st.session_state[_WATCHED] = {job.id for job in running}
    st.fragment(told(_progress), run_every=1.0)(scene, changed)


def _progress(scene: Scene, changed: Callable[[], bool]) -> None:
    known = {job.id: job for job in jobs.jobs(scene.store)}
    for job in known.values():
        if job.active:
            _show(scene, job)
    ended = [known[one] for one in st.session_state[_WATCHED] if one in known]
    ended = [job for job in ended if not job.active]
    if ended or changed():
        for job in ended:
            if job.state == "done":
                st.toast(f"{words.plain(job.title)}: computed.", icon=":material/check:")
        results.forget()
        st.rerun()


def _show(scene: Scene, job: Job) -> None:
    left = time_left(job.eta_seconds)
    parts = [job.title, job.message or "starting", left, f"{job.fraction:.0%}"]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(job.fraction, " · ".join(words.plain(part) for part in parts if part))
        st.button(
            "Cancel",
            icon=":material/stop:",
            help="Stops after the part in hand; what is finished is kept.",
            disabled=job.message == "stopping",
            on_click=attempt,
            args=(jobs.cancel, scene.store, job.id),
            key=f"cancel_{job.id}",
        )


def _can_go_on(scene: Scene, job: Job) -> bool:
    """Whether a job stopped before it had computed what it was to compute for this collection."""
    options, collection = _options(job), scene.collection
    if job.state not in STOPPED or job.argv[0] != "collect":
        return False
    about = (options.get("--model"), options.get("--corpus"), options.get("--dtype"))
    if about != (collection.source.name, collection.corpus.name, collection.dtype):
        return False
    there = set(collection.corpus.languages())
    return bool(missing(scene.store, collection, [c for c in _languages(job) if c in there]))


def _options(job: Job) -> dict[str, str]:
    return dict(zip(job.argv[1::2], job.argv[2::2], strict=False))


def _languages(job: Job) -> list[str]:
    return _options(job).get("--languages", "").split(",")


def _names(scene: Scene, job: Job) -> str:
    known = [code for code in _languages(job) if code in scene.register]
    return words.listed([words.plain(language.name) for language in scene.named(known)])


def of_collection(scene: Scene) -> list[str]:
    """How a command names the model, the corpus and the number format."""
    of = scene.collection
    return ["--model", of.source.name, "--corpus", of.corpus.name, "--dtype", of.dtype]


def offer_to_start(
    scene: Scene, label: str, title: str, argv: Sequence[str], key: str, takes: str = ""
) -> None:
    """A button that starts a job, and beside it what the job takes or what it lacks.

    Parameters
    ----------
    label, key : of the button.
    title : of the job, after the model's name.
    argv : its command.
    takes : a sentence on what it does.
    """
    source = scene.collection.source
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            label,
            type="primary",
            icon=":material/play_arrow:",
            disabled=not source.installed,
            on_click=attempt,
            args=(jobs.start, scene.store, f"{source.title}: {title}", list(argv)),
            key=key,
        )
        if source.installed:
            told_once = (
                "The time it needs is told once it runs; it can be stopped and goes on later."
            )
            st.caption(f"{takes} {told_once}".strip())
        else:
            st.caption(f"{words.plain(source.title)} is not installed. {source.how_to_get}")


def offer_to_go_on(scene: Scene, job: Job, about: str = "") -> None:
    """A stopped job, what it was about, and buttons to go on with it or to forget it."""
    how = f"{STOPPED[job.state]} at {job.fraction:.0%}" + (f": {about}" if about else "")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(
            f"**{words.plain(job.title)}** {how}. {words.plain(job.error)}", width="stretch"
        )
        st.button(
            "Go on",
            type="primary",
            icon=":material/resume:",
            on_click=attempt,
            args=(jobs.resume, scene.store, job.id),
            key=f"resume_{job.id}",
        )
        st.button(
            "Forget",
            help="Take it off this list; what it finished stays.",
            on_click=attempt,
            args=(jobs.forget, scene.store, job.id),
            key=f"forget_{job.id}",
        )
