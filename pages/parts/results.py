"""Results of the core, kept between reruns.

Everything is cached under the keys of the store, which stand for the model, the text and the
settings that a result depends on: equal keys, equal results, whoever asks.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import networkx as nx
import pandas as pd
import streamlit as st

from bridgex_core import pairs
from bridgex_core import spectrum as core
from bridgex_core.activations import ActivationStats
from bridgex_core.collection import (
    FLUENCY,
    STATISTICS,
    Collection,
    Plan,
    stored_fluency,
    stored_statistics,
)
from bridgex_core.collection import plan as core_plan
from bridgex_core.corpora import open_corpus
from bridgex_core.fluency import Fluency
from bridgex_core.fluency import hardly_known as is_hardly_known
from bridgex_core.language_graph import LanguageMap, language_graph, language_map, positions
from bridgex_core.languages import Language, Register
from bridgex_core.neuron_files import IMPORTED, Import, load_import
from bridgex_core.neurons import ActivationTable, NeuronSets
from bridgex_core.similarity import MatrixCorrelation, correlate
from bridgex_core.spectrum import OverlapMatrix, SpectrumSettings
from bridgex_core.store import Store, default_store
from bridgex_core.typology import typology_similarity
from bridgex_core.user_files import user_register

HALVES = 2  # blocks kept of each language: totals and odd-even halves need no more
MANY = 32  # languages
GROUPS = 8  # blocks for the interval of a pair

Keys = tuple[tuple[str, str], ...]


@st.cache_resource(show_spinner=False)
def store() -> Store:
    """The store of this server."""
    return default_store()


def register() -> Register:
    """The bundled languages and the user's own."""
    return user_register(store())


def languages_of(corpus: str) -> tuple[str, ...]:
    """Codes of a corpus's languages that the register knows, in the register's order."""
    known = register()
    there = set(open_corpus(corpus, register=known).languages())
    return tuple(code for code in known.codes if code in there)


@st.cache_data(show_spinner=False, ttl=30)
def manifests(kind: str) -> list[tuple[str, dict[str, Any]]]:
    """Key and manifest of every stored result of a kind, as of half a minute ago at most."""
    return list(store().entries(kind))


@st.cache_data(show_spinner=False, ttl=30)
def stamp(kind: str) -> str:
    """What changes when a result of a kind is added or replaced, half a minute late at most."""
    entries = store().entries(kind)
    return "\n".join(f"{key} {one.get('kept', one['created'])}" for key, one in entries)


def forget() -> None:
    """Look into the store again: something in it has changed."""
    manifests.clear()
    stamp.clear()
    for kept in (_folded, _fluency):
        kept.clear()


@dataclass(frozen=True)
class Scene:
    """What a page is about.

    Attributes
    ----------
    store, register : where results and languages are found.
    collection : model, corpus and number format.
    languages : codes of the languages chosen.
    """

    store: Store
    register: Register
    collection: Collection
    languages: tuple[str, ...]

    def named(self, codes: Sequence[str]) -> tuple[Language, ...]:
        """The languages with these codes."""
        return tuple(self.register[code] for code in codes)


@dataclass(frozen=True)
class Statistics:
    """Statistics of some languages, folded to two blocks each.

    Attributes
    ----------
    keys : (code, key of the store) of each language; what caches go by.
    by_code : the statistics; empty where an import has neuron sets alone.
    imported : the name of the import they come from; empty for those computed here.
    origin : the names of its files.
    sets : an import's neuron sets.
    """

    keys: Keys
    by_code: Mapping[str, ActivationStats]
    imported: str = ""
    origin: tuple[str, ...] = ()
    sets: NeuronSets | None = None

    @property
    def languages(self) -> tuple[str, ...]:
        """Their codes."""
        return tuple(code for code, _ in self.keys)

    @property
    def are_many(self) -> bool:
        """Whether what takes many spectra should wait until it is asked for."""
        return len(self.keys) > MANY


class _NotStoredError(Exception):
    """Raised through a cache, which would keep a None."""


@st.cache_resource(show_spinner=False, max_entries=256)
def _folded(key: str, code: str, blocks: int, _scene: Scene) -> ActivationStats:
    found = stored_statistics(_scene.store, _scene.collection, [code])
    if code not in found:
        raise _NotStoredError(code)
    return found[code].fold(blocks)


def statistics(scene: Scene, blocks: int = HALVES) -> Statistics:
    """Statistics of the chosen languages, of those that are stored."""
    keys, by_code = [], {}
    for code in scene.languages:
        key = scene.collection.key(STATISTICS, scene.collection.corpus.text(code))
        try:
            by_code[code] = _folded(key, code, blocks, scene)
        except _NotStoredError:
            continue
        keys.append((code, key))
    return Statistics(tuple(keys), by_code)


def imports() -> dict[str, dict[str, Any]]:
    """The manifest of every import by name."""
    found = {told["name"]: told for _, told in manifests(IMPORTED)}
    return dict(sorted(found.items()))


def load(scene: Scene, name: str) -> Import[NeuronSets | ActivationTable]:
    """An import by its name; ``InputError`` for one of a language that is not known any more."""
    found = load_import(scene.store, name)
    found.require_known_languages(scene.register)
    return found


def imported(scene: Scene, name: str) -> Statistics:
    """An import in the place of statistics computed here.

    Raises
    ------
    InputError
        There is none of that name, or it is of a language that is not known any more.
    """
    found = load(scene, name)
    result = found.result
    sets = result if isinstance(result, NeuronSets) else None
    shape = (result.counts if isinstance(result, ActivationTable) else result.masks).shape
    keys = tuple((code, f"{IMPORTED} {found.digest} {shape}") for code in result.languages)
    by_code = result.statistics() if isinstance(result, ActivationTable) else {}
    return Statistics(keys, by_code, name, found.origin, sets)


def shape(stats: Statistics) -> tuple[int, int]:
    """The model's number of layers, and of neurons in each."""
    if stats.sets is not None:
        return stats.sets.masks.shape[1], stats.sets.masks.shape[2]
    found = table(stats)
    return found.layers, found.width


def table(stats: Statistics) -> ActivationTable:
    """Totals of every neuron."""
    return _table(stats.keys, stats)


@st.cache_resource(show_spinner=False, max_entries=16)
def _table(keys: Keys, _stats: Statistics) -> ActivationTable:
    return ActivationTable.of(_stats.by_code)


def matrix(stats: Statistics, settings: SpectrumSettings) -> OverlapMatrix:
    """The spectrum."""
    return _matrix(stats.keys, settings, stats)


@st.cache_resource(show_spinner=False, max_entries=128)
def _matrix(keys: Keys, settings: SpectrumSettings, _stats: Statistics) -> OverlapMatrix:
    if _stats.sets is not None:
        return core.spectrum_of_sets(_stats.sets, settings)
    return core.spectrum(table(_stats), settings)


def saturation(stats: Statistics, settings: SpectrumSettings) -> pd.DataFrame:
    """Which sets the tie-break decides."""
    return _saturation(stats.keys, settings, stats)


@st.cache_resource(show_spinner=False, max_entries=128)
def _saturation(keys: Keys, settings: SpectrumSettings, _stats: Statistics) -> pd.DataFrame:
    return core.saturation(table(_stats), settings)


def reliability(stats: Statistics, settings: SpectrumSettings) -> core.Reliability:
    """Agreement of the spectra of odd and even blocks."""
    return _reliability(stats.keys, settings, stats)


@st.cache_resource(show_spinner=False, max_entries=128)
def _reliability(keys: Keys, settings: SpectrumSettings, _stats: Statistics) -> core.Reliability:
    return core.split_half(_stats.by_code, settings)


def rate_agreement(stats: Statistics, settings: SpectrumSettings) -> pd.DataFrame:
    """Agreement with the spectra at other top rates."""
    return _rate_agreement(stats.keys, settings, stats)


@st.cache_resource(show_spinner=False, max_entries=128)
def _rate_agreement(keys: Keys, settings: SpectrumSettings, _stats: Statistics) -> pd.DataFrame:
    return core.rate_agreement(table(_stats), settings)


def fluency(scene: Scene, codes: Sequence[str]) -> dict[str, Fluency]:
    """Bits a byte of those languages that have it stored."""
    found = {}
    for code in codes:
        with contextlib.suppress(_NotStoredError):
            found[code] = _fluency(_fluency_key(scene, code), code, scene)
    return found


@st.cache_resource(show_spinner=False, max_entries=256)
def _fluency(key: str, code: str, _scene: Scene) -> Fluency:
    found = stored_fluency(_scene.store, _scene.collection, [code])
    if code not in found:
        raise _NotStoredError(code)
    return found[code]


def hardly_known(scene: Scene, codes: Sequence[str]) -> tuple[str, ...]:
    """Languages whose text the model writes no better than a compressor."""
    return tuple(
        code
        for code in fluency(scene, codes)
        if _hardly_known(_fluency_key(scene, code), code, scene)
    )


@st.cache_resource(show_spinner=False, max_entries=256)
def _hardly_known(key: str, code: str, _scene: Scene) -> bool:
    blocks = _scene.collection.corpus.text(code).blocks
    return is_hardly_known(_fluency(key, code, _scene), blocks)


def _fluency_key(scene: Scene, code: str) -> str:
    return scene.collection.key(FLUENCY, scene.collection.corpus.text(code))


def pair(stats: Statistics, settings: SpectrumSettings, a: str, b: str) -> pairs.Pair:
    """What two languages share, without the interval."""
    return _pair(stats.keys, settings, a, b, stats)


def pair_interval(
    scene: Scene, stats: Statistics, settings: SpectrumSettings, a: str, b: str
) -> tuple[float, float]:
    """The 95 % interval of a cell, from leaving out an eighth of the text at a time."""
    finer = statistics(replace(scene, languages=stats.languages), GROUPS)
    found = _pair(finer.keys, settings, a, b, finer, GROUPS)
    return found.low, found.high


@st.cache_resource(show_spinner=False, max_entries=64)
def _pair(
    keys: Keys,
    settings: SpectrumSettings,
    a: str,
    b: str,
    _stats: Statistics,
    blocks: int = HALVES,
) -> pairs.Pair:
    if _stats.sets is not None:
        return pairs.pair_of_sets(_stats.sets, settings, a, b)
    return pairs.pair(_stats.by_code, settings, a, b)


def placed(stats: Statistics, settings: SpectrumSettings) -> LanguageMap:
    """The languages as points of a plane."""
    return _placed(stats.keys, settings, stats)


@st.cache_resource(show_spinner=False, max_entries=64)
def _placed(keys: Keys, settings: SpectrumSettings, _stats: Statistics) -> LanguageMap:
    return language_map(matrix(_stats, settings).values)


@dataclass(frozen=True)
class Drawing:
    """A language graph with where to draw it."""

    graph: nx.Graph
    positions: Mapping[str, tuple[float, float]]

    def communities(self, codes: Sequence[str]) -> list[int]:
        """The community of each language."""
        return [int(self.graph.nodes[code]["community"]) for code in codes]


def graph(stats: Statistics, settings: SpectrumSettings, threshold: float) -> Drawing:
    """The languages as a graph; not to be changed, since it is kept."""
    return _graph(stats.keys, settings, threshold, stats)


@st.cache_resource(show_spinner=False, max_entries=64)
def _graph(keys: Keys, settings: SpectrumSettings, threshold: float, _stats: Statistics) -> Drawing:
    spectrum = matrix(_stats, settings)
    found = language_graph(spectrum.values, spectrum.languages, threshold=threshold)
    return Drawing(found, positions(found))


def typology(stats: Statistics, settings: SpectrumSettings, kind: str) -> MatrixCorrelation:
    """How the spectrum agrees with what linguists know of the languages."""
    return _typology(stats.keys, settings, kind, stats)


@st.cache_resource(show_spinner=False, max_entries=128)
def _typology(
    keys: Keys, settings: SpectrumSettings, kind: str, _stats: Statistics
) -> MatrixCorrelation:
    spectrum = matrix(_stats, settings)
    return correlate(spectrum.values, typology_similarity(kind, spectrum.languages))


@st.cache_data(show_spinner="Measuring what this machine has …", ttl=60)
def plan(keys: Keys, _scene: Scene) -> Plan:
    """What computing these languages will take; loads torch, so only when asked."""
    return core_plan(_scene.store, _scene.collection, [code for code, _ in keys])
