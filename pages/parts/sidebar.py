"""The choices that all pages share: model, number format, corpus, languages."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from bridgex_core.collection import STATISTICS, Collection, available
from bridgex_core.corpora import UDHR, open_corpus
from bridgex_core.embedded import EMBEDDED
from bridgex_core.errors import InputError
from bridgex_core.languages import STUDY_LANGUAGES
from bridgex_core.model_sources import ModelSource, find_model
from pages.parts import results, state, words
from pages.parts.results import Scene

_OWN_MODELS, _OWN_CORPORA = "own_models", "own_corpora"


def remember_model(name: str) -> None:
    """Offer a model in the sidebar, and choose it."""
    _remember(_OWN_MODELS, name)
    state.put(model=name)


def remember_corpus(name: str) -> None:
    """Offer a corpus in the sidebar, and choose it."""
    _remember(_OWN_CORPORA, name)
    state.put(corpus=name)


def _remember(what: str, name: str) -> None:
    known = st.session_state.setdefault(what, [])
    if name not in known:
        known.append(name)


def choose() -> Scene:
    """Draw the sidebar and return what is chosen in it."""
    store, register = results.store(), results.register()
    with st.sidebar:
        source = _choose_model()
        corpus = open_corpus(_choose_corpus(), register=register)
        collection = Collection(source, corpus, state.get("dtype"))
        codes = results.languages_of(corpus.name)
        study = tuple(code for code in STUDY_LANGUAGES if code in codes) or codes[:15]
        chosen = state.get("languages")
        if chosen is None:
            chosen = study
        scene = Scene(store, register, collection, tuple(c for c in chosen if c in codes))
        _choose_languages(scene, codes, study)
    return scene


def _choose_model() -> ModelSource:
    root = results.store().root
    known = _offered(list(EMBEDDED), _OWN_MODELS, "model_name", state.get("model"))
    sources = {name: source for name in known if (source := _find(name)) is not None}
    state.settle("model", sources)
    st.selectbox(
        "Model",
        list(sources),
        format_func=lambda name: sources[name].title,
        **state.widget("model"),
    )
    source = find_model(state.get("model"), root)
    about = [words.plain(words.model_size(source))]
    if source.licence_url:
        about.append(f"[{source.licence}]({source.licence_url})")
    st.caption("  \n".join(filter(None, about)))
    if not source.installed:
        st.caption(f":material/info: Not installed here. {source.how_to_get}")
    st.segmented_control(
        "Number format",
        state.DTYPES,
        required=True,
        help="What the model computes in. Results in the two formats are kept apart.",
        **state.widget("dtype"),
    )
    return source


def _find(name: str) -> ModelSource | None:
    """The model, unless it is gone."""
    try:
        return find_model(name, results.store().root)
    except InputError:
        return None


def _choose_corpus() -> str:
    titles = {}
    for name in _offered([UDHR], _OWN_CORPORA, "corpus", state.get("corpus")):
        try:
            titles[name] = open_corpus(name).title
        except InputError:
            continue  # its folder is gone
    state.settle("corpus", titles)
    st.selectbox("Corpus", list(titles), format_func=titles.__getitem__, **state.widget("corpus"))
    return str(state.get("corpus"))


def _offered(bundled: Sequence[str], own: str, manifest: str, current: str) -> list[str]:
    """Names to choose from: bundled, added in this session, with stored results, and chosen."""
    stored = {m[manifest] for _, m in results.manifests(STATISTICS) if m.get(manifest)}
    added = st.session_state.get(own, [])
    return list(dict.fromkeys([*bundled, *added, *sorted(stored), current]))


def _choose_languages(scene: Scene, codes: Sequence[str], study: tuple[str, ...]) -> None:
    labels = {
        language.code: f"{words.language_label(language)} ({language.code})"
        for language in scene.named(codes)
    }
    st.multiselect(
        "Languages",
        codes,
        format_func=labels.__getitem__,
        placeholder="Name, autonym or code",
        filter_mode="contains",
        help="Search by English name, by the language's own name, or by its code.",
        **state.widget(
            "languages",
            shown=lambda _: list(scene.languages),
            meant=lambda chosen: None if set(chosen) == set(study) else tuple(chosen),
        ),
    )
    with st.container(horizontal=True, gap="xsmall"):
        st.button(
            f"{len(study)} study languages" if study[0] in STUDY_LANGUAGES else "Default",
            on_click=state.put,
            kwargs={"languages": None},
            disabled=state.get("languages") is None,
        )
        st.button(
            "All computed",
            on_click=_choose_computed,
            args=(scene, study),
            help="Every language of this corpus whose statistics are stored for this model.",
        )


def _choose_computed(scene: Scene, study: tuple[str, ...]) -> None:
    known = set(scene.register.codes)
    computed = tuple(c for c in available(scene.store, scene.collection) if c in known)
    state.put(languages=None if set(computed) == set(study) or not computed else computed)
