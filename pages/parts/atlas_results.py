"""What the Atlas page asks of the core, kept between reruns.

As in `results`, caches go by the keys of the store: equal keys, equal results.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from bridgex_core import alignment as alignment_core
from bridgex_core import atlas
from bridgex_core.alignment import AlignmentMatrix
from bridgex_core.atlas import NamedSets
from bridgex_core.candidates import LocalBackend
from bridgex_core.collection import stored_statistics, stored_table
from bridgex_core.neuron_classes import (
    Classes,
    LanguageNeurons,
    classes_by_lape,
    classes_by_sets,
    classes_by_sharing,
)
from bridgex_core.neuron_classes import lape as lape_core
from bridgex_core.neurons import ActivationTable, NeuronSets, top_neurons
from bridgex_core.study import EVALUATIONS
from pages.parts import loaded, results
from pages.parts.results import Keys, Scene, Statistics

_OPENED = "opened_models"


# ---- From statistics ---------------------------------------------------------------------------


def lape(stats: Statistics, share: float) -> LanguageNeurons:
    """The language neurons."""
    return _lape(stats.keys, share, stats)


@st.cache_resource(show_spinner=False, max_entries=8)
def _lape(keys: Keys, share: float, _stats: Statistics) -> LanguageNeurons:
    return lape_core(results.table(_stats), top_share=share)


def sets(stats: Statistics, share: float) -> NeuronSets:
    """Each language's most active neurons."""
    return _sets(stats.keys, share, stats)


@st.cache_resource(show_spinner=False, max_entries=8)
def _sets(keys: Keys, share: float, _stats: Statistics) -> NeuronSets:
    return top_neurons(results.table(_stats), top_rate=share)


def classes(scene: Scene, stats: Statistics, method: str, share: float) -> Classes:
    """The class of every neuron; ``share`` is of the neurons, and sharing has none."""
    return _classes(stats.keys, method, 0.0 if method == "sharing" else share, scene, stats)


@st.cache_resource(show_spinner=False, max_entries=12)
def _classes(keys: Keys, method: str, share: float, _scene: Scene, _stats: Statistics) -> Classes:
    if method == "lape":
        return classes_by_lape(lape(_stats, share))
    if method == "membership":
        return classes_by_sets(sets(_stats, share))
    # Article by article: too large to be kept with the rest.
    return classes_by_sharing(stored_statistics(_scene.store, _scene.collection, _stats.languages))


def agreement(scene: Scene, stats: Statistics, methods: tuple[str, ...], share: float) -> Any:
    """How far the methods agree, class by class."""
    return atlas.method_agreement([classes(scene, stats, each, share) for each in methods])


def named_sets(scene: Scene, stats: Statistics, share: float) -> NamedSets:
    """The sets that can be changed, by name."""
    return _named_sets(stats.keys, share, scene, stats)


@st.cache_resource(show_spinner=False, max_entries=8)
def _named_sets(keys: Keys, share: float, _scene: Scene, _stats: Statistics) -> NamedSets:
    return NamedSets(_scene.store, results.table(_stats), share)


def totals(scene: Scene, stats: Statistics, code: str) -> ActivationTable:
    """Totals of one language, to the last digit as jobs have them."""
    return _totals(dict(stats.keys)[code], code, scene)


@st.cache_resource(show_spinner=False, max_entries=32)
def _totals(key: str, code: str, _scene: Scene) -> ActivationTable:
    return stored_table(_scene.store, _scene.collection, [code])


def most_specific(stats: Statistics, share: float, code: str) -> pd.DataFrame:
    """A language's neurons by LAPE, the most specific first."""
    return _most_specific(stats.keys, share, code, stats)


@st.cache_resource(show_spinner=False, max_entries=64)
def _most_specific(keys: Keys, share: float, code: str, _stats: Statistics) -> pd.DataFrame:
    return atlas.most_specific(lape(_stats, share), results.table(_stats), code)


def alignment(scene: Scene, keys: Keys, measure: str) -> AlignmentMatrix:
    """Alignment of every two of the languages, whose states of that measure are stored."""
    return _alignment(keys, measure, scene)


@st.cache_resource(show_spinner="Comparing every two languages, block by block …", max_entries=16)
def _alignment(keys: Keys, measure: str, _scene: Scene) -> AlignmentMatrix:
    codes = [code for code, _ in keys]
    find = {"states": alignment_core.neuron_states, "hidden": alignment_core.stored_states}
    states = find[measure](_scene.store, _scene.collection, codes)
    return alignment_core.alignment_matrix(states, measure)


def hidden_keys(scene: Scene) -> Keys:
    """The languages chosen whose hidden states are stored, with their keys."""
    found = []
    for code in scene.languages:
        key = scene.collection.key(alignment_core.STATES, scene.collection.corpus.text(code))
        if scene.store.has(alignment_core.STATES, key):
            found.append((code, key))
    return tuple(found)


def pitfalls(scene: Scene) -> pd.DataFrame:
    """Words lost from other languages than English, from the stored evaluations."""
    stamp = tuple(key for key, _ in results.manifests(EVALUATIONS))
    return _pitfalls(scene.collection.source.fingerprint, stamp, scene)


@st.cache_data(show_spinner=False, max_entries=4)
def _pitfalls(model: str, stamp: tuple[str, ...], _scene: Scene) -> pd.DataFrame:
    return atlas.pitfalls(_scene.store, _scene.collection.source, _scene.register)


# ---- With the model ----------------------------------------------------------------------------


def backend(scene: Scene) -> LocalBackend:
    """The model, loaded once for all who visit this server."""
    source = scene.collection.source
    found = loaded.backend(source, scene.collection.dtype)
    st.session_state.setdefault(_OPENED, set()).add(_place(scene))
    return found


def is_opened(scene: Scene) -> bool:
    """Whether this reader has asked for the model before."""
    return _place(scene) in st.session_state.get(_OPENED, ())


def _place(scene: Scene) -> tuple[str, str]:
    return scene.collection.source.fingerprint, scene.collection.dtype


def identity(scene: Scene) -> tuple[str, str]:
    """What results of the model depend on, beside what is asked of it."""
    return _place(scene)
