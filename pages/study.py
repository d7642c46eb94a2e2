"""Study: what bridging gains over several pairs of languages, ready for a paper."""

from __future__ import annotations

import streamlit as st

from bridgex_core import figures, jobs
from bridgex_core.findings import ALPHA, MEASURES, bridged, in_words
from bridgex_core.study import BRIDGES, to_latex
from pages.parts import compute, downloads, frame, lab_results, words
from pages.parts.lab_results import Studied
from pages.parts.messages import attempt, told
from pages.parts.results import Scene

_COMMAND = "python -m bridgex_core study"


def main(scene: Scene) -> None:
    """The whole page."""
    st.subheader("Over many pairs of languages, does bridging help?", anchor=False, width="content")
    plan = lab_results.STUDY
    st.markdown(
        f"Word translation for {len(plan.pairs)} pairs, {plan.items} words each with {plan.shots} "
        "demonstrations, directly and through each of the paper's six bridges."
    )
    told(_study)(scene)
    _next_step()


def _study(scene: Scene) -> None:
    whole = lab_results.studied(scene)
    if not whole.found.results:
        name = words.plain(scene.collection.source.title)
        st.info(f"Nothing of the study is computed for {name} yet.", icon=":material/info:")
    else:
        told(_show)(scene, whole)
    _work(scene, whole)
    _again()


def _work(scene: Scene, whole: Studied) -> None:
    """What is missing, and the job that computes it."""
    argv = ["study", "--model", scene.collection.source.name]
    known = jobs.jobs(scene.store)
    if running := [job for job in known if job.active]:
        compute.watch(scene, running, lambda: lab_results.studied(scene).stamp != whole.stamp)
    own = [job for job in known if job.argv == tuple(argv)]
    rest = whole.found.routes - whole.found.stored
    if not rest or any(job.active for job in own):
        return
    source = scene.collection.source
    with st.container(border=True):
        there = f"{whole.found.stored} of {whole.found.routes} routes are computed"
        if stopped := [job for job in own if job.state in compute.STOPPED]:
            compute.offer_to_go_on(scene, stopped[0], there)
            return
        with st.container(horizontal=True, vertical_alignment="center"):
            st.button(
                f"Compute {words.counted(rest, 'route')}",
                icon=":material/play_arrow:",
                disabled=not source.installed,
                on_click=attempt,
                args=(jobs.start, scene.store, f"{source.title}: the study", argv),
                key="study_compute",
            )
            how = "The rest takes a long job, which can be stopped and goes on later."
            if not source.installed:
                how = f"{words.plain(source.title)} is not installed. {source.how_to_get}"
            st.caption(f"{there}. {how}")


def _show(scene: Scene, whole: Studied) -> None:
    first = next(iter(whole.found.results.values()))
    measure, ranking = lab_results.choose_measure(first, "study_measured_by")
    table = lab_results.study(whole, ranking)
    gains = bridged(table, measure)
    st.markdown(in_words(gains, measure, scene.register))
    figure = figures.gains_heatmap(table, measure, lab_results.STUDY.pairs, BRIDGES, scene.register)
    downloads.chart(
        figure,
        "study_gains",
        f"Gain in {MEASURES[measure]} of {words.counted(len(gains), 'bridged route')}, pairs by "
        "bridges.",
    )
    st.caption(
        f"Points gained over the direct route. {figures.SIGNIFICANT} marks what is significant at "
        f"{ALPHA:g} after Holm's correction over all {len(gains)} tests "
        f"({'paired bootstrap' if measure == 'mrr' else 'McNemar, exact'}); grey is not measured, "
        f"or the bridge is the source itself. Model: {words.plain(scene.collection.source.title)}."
    )
    title = f"Gain in {MEASURES[measure]}, {scene.collection.source.title}"
    with st.container(horizontal=True):
        downloads.figure_html(figure, title, f"study-{measure}")
        downloads.table_csv(table, f"study-{ranking or measure}".replace(" ", "-"))
        st.download_button(
            "Table (LaTeX)",
            lambda: to_latex(table, measure),
            f"study-{measure}.tex",
            "text/x-tex",
            on_click="ignore",
            icon=":material/download:",
            key="study_latex",
        )
        downloads.picture_and_link()


def _again() -> None:
    st.markdown("**Run it again** on this model or another: the same words, the same numbers.")
    st.code(_COMMAND, language="bash")
    st.caption(
        f"`{_COMMAND} --help` tells how to choose pairs, bridges, the number of words, another "
        "model or a server. What is stored is not computed again."
    )


def _next_step() -> None:
    st.divider()
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown("**Next:** look at one pair, word by word.", width="content")
        st.page_link("pages/lab.py", label="Open the Lab", icon=":material/arrow_forward:")


frame.run(main)
