"""What the Bridges page asks of the core, kept between reruns.

As in `results`, caches go by the keys of the store: equal keys, equal results.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import pandas as pd
import streamlit as st

from bridgex_core import evidence
from bridgex_core.bridge_hsic import Ranked
from bridgex_core.bridge_sets import BridgeSettings
from bridgex_core.bridges import (
    ENGLISH,
    ON_PROBE,
    RANKERS,
    Evidence,
    can_rank,
    rank,
    require_route,
)
from bridgex_core.collection import STATISTICS
from bridgex_core.concepts import (
    SIMILARITY,
    ConceptProbe,
    ConceptSimilarity,
    stored_similarity,
)
from bridgex_core.errors import InputError
from bridgex_core.evidence import SCORES, Candidates, Recommendation
from bridgex_core.language_graph import language_graph, positions, suggested_threshold
from bridgex_core.lexicons import concept_languages
from bridgex_core.probing import PROBES, Probe, ProbeTask, probe_key, stored_probe
from bridgex_core.rankers import COMBINED, kendall
from bridgex_core.study import EVALUATIONS
from pages.parts import results, state, words
from pages.parts.results import Drawing, Keys, Scene

PAPER = "hsic"
_POOLED = {"auto": None, "yes": True, "no": False}
_BANDED = (*ON_PROBE, "alignment")  # what the settings change


@dataclass(frozen=True)
class Asked:
    """A pair of languages, its candidates, and how they are ranked.

    Attributes
    ----------
    scene : model, corpus, store.
    keys : (code, key of its statistics) of source, target and every candidate with a text.
    computed : those of them whose statistics are stored.
    without_text : candidates that the corpus has no text in.
    settings : how HSIC is taken.
    known : the rule for known pairs.
    """

    scene: Scene
    keys: Keys
    computed: tuple[str, ...]
    without_text: tuple[str, ...]
    settings: BridgeSettings
    known: str

    @property
    def source(self) -> str:
        """Code of the source."""
        return self.keys[0][0]

    @property
    def target(self) -> str:
        """Code of the target."""
        return self.keys[1][0]

    @property
    def uncomputed(self) -> tuple[str, ...]:
        """Languages without stored statistics."""
        return tuple(code for code, _ in self.keys if code not in self.computed)

    @property
    def ready(self) -> Keys:
        """Source, target and the candidates that can be ranked; empty if nothing can."""
        kept = tuple(pair for pair in self.keys if pair[0] in self.computed)
        ends = {self.source, self.target} <= set(self.computed)
        return kept if ends and len(kept) > 2 else ()

    @cached_property
    def candidates(self) -> Candidates:
        """All that was asked for."""
        return _candidates(self.keys, self.known, self.scene)

    @cached_property
    def probe_key(self) -> str:
        """Where the pair's probe is kept; an ``InputError`` where there are no words for one."""
        return probe_key(self.candidates.task, self.candidates.identity)


def asked(scene: Scene) -> Asked:
    """What the controls say.

    Raises
    ------
    InputError
        Source and target are one, there is no candidate, or no text in source or target.
    """
    source, target = state.get("source"), state.get("target")
    corpus = scene.collection.corpus
    there = set(corpus.languages())
    require_route(source, target, bridges())
    if lacking := [code for code in (source, target) if code not in there]:
        names = words.listed([language.name for language in scene.named(lacking)])
        raise InputError(
            f"{corpus.title} has no text in {names}, so its neurons are unknown: choose another "
            "language, or a corpus that has it."
        )
    chosen = tuple(code for code in bridges() if code in there)
    require_route(source, target, chosen)
    keys = tuple(
        (code, scene.collection.key(STATISTICS, corpus.text(code)))
        for code in (source, target, *chosen)
    )
    settings = BridgeSettings(
        state.get("band"),
        pooled=_POOLED[state.get("pooled")],
        regress_length=state.get("length") == "yes",
    )
    return Asked(
        scene,
        keys,
        tuple(code for code, key in keys if scene.store.has(STATISTICS, key)),
        tuple(code for code in bridges() if code not in there),
        settings,
        state.get("known"),
    )


def bridges() -> tuple[str, ...]:
    """The candidates chosen, source and target left out."""
    ends = state.get("source"), state.get("target")
    return tuple(code for code in state.get("bridges") if code not in ends)


@st.cache_resource(show_spinner=False, max_entries=16)
def _candidates(keys: Keys, known: str, _scene: Scene) -> Candidates:
    source, target, *chosen = (code for code, _ in keys)
    task = ProbeTask(source, target, known=known, register=_scene.register)
    return Candidates(
        _scene.store, _scene.collection, task, tuple(chosen), register=_scene.register
    )


# ---- Evidence ----------------------------------------------------------------------------------


def stored_probe_key(asked: Asked) -> str | None:
    """Where the pair's probe is; None if it is not stored.

    Raises
    ------
    InputError
        There are no words to probe with.
    """
    key = asked.probe_key
    return key if asked.scene.store.has(PROBES, key) else None


def probe(asked: Asked) -> Probe | None:
    """The pair's probe, if it is stored."""
    key = stored_probe_key(asked)
    return None if key is None else _probe(key, asked.candidates)


def probe_if_any(asked: Asked) -> Probe | None:
    """The pair's probe; None where it is not stored or there are no words for one."""
    try:
        return probe(asked)
    except InputError:
        return None


@st.cache_resource(show_spinner="Reading the probe …", max_entries=3)
def _probe(key: str, _candidates: Candidates) -> Probe | None:
    return stored_probe(_candidates.store, _candidates.task, _candidates.identity)


@st.cache_resource(show_spinner="Reading the stored statistics …", max_entries=6)
def _totals(keys: Keys, _candidates: Candidates) -> Evidence:
    return _candidates.gather(("overlap",))


@dataclass(frozen=True)
class Lack:
    """What a pair still needs.

    Attributes
    ----------
    needs : of ``statistics``, ``probe`` and ``competence``.
    problem : why something cannot be had at all, one sentence; empty if all can.
    """

    needs: tuple[str, ...]
    problem: str = ""


def lack(asked: Asked) -> Lack:
    """What has to be computed before every ranker can judge."""
    needs = ["statistics"] if asked.uncomputed else []
    try:
        if stored_probe_key(asked) is None:
            needs.append("probe")
        needs += _competence_lacking(asked.keys, results.stamp(EVALUATIONS), asked.candidates)
    except InputError as error:
        return Lack(tuple(needs), str(error))
    return Lack(tuple(needs))


def awaited(asked: Asked, lack: Lack) -> list[tuple[str, str]]:
    """Kind and key of what is missing and comes before the last of it."""
    places = [(STATISTICS, key) for code, key in asked.keys if code in asked.uncomputed]
    if "probe" in lack.needs:
        places.append((PROBES, asked.probe_key))
    return places


@st.cache_data(show_spinner=False, max_entries=32)
def _competence_lacking(keys: Keys, stamp: str, _candidates: Candidates) -> tuple[str, ...]:
    return _candidates.missing(("competence",))


# ---- Rankings ----------------------------------------------------------------------------------


def ranked(asked: Asked, ranker: str) -> Ranked | None:
    """The candidates by a ranker; None where its evidence is missing.

    Raises
    ------
    InputError
        It cannot be taken: no words, no shared neuron in the layers.
    """
    if not asked.ready:
        return None
    candidates = _candidates(asked.ready, asked.known, asked.scene)
    if ranker == COMBINED:
        single, _ = rankings(asked)
        stamp = " ".join(single) + results.stamp(SCORES) + results.stamp(EVALUATIONS)
        return _combined(asked.ready, asked.settings, stamp, candidates, single)
    stamp = results.stamp(EVALUATIONS) if ranker == "competence" else ""
    found = None
    if ranker in ON_PROBE:
        key = stored_probe_key(asked)
        if key is None:
            return None
        stamp, found = key, probe(asked)
    settings = asked.settings if ranker in _BANDED else None
    return _ranked(asked.ready, ranker, settings, stamp, candidates, found)


@st.cache_resource(show_spinner=False, max_entries=128)
def _ranked(
    keys: Keys,
    ranker: str,
    settings: BridgeSettings | None,
    stamp: str,
    _candidates: Candidates,
    _found: Probe | None,
) -> Ranked | None:
    known = _totals(keys, _candidates)
    if settings is not None:
        known = replace(known, settings=settings)
    if _found is not None:
        known = replace(known, probe=_found.used)
    if ranker == "alignment":
        known = replace(known, states=_candidates.gather((ranker,)).states)
    if ranker == "competence":
        known = replace(known, competence=_candidates.competence())
    return rank(known, ranker) if can_rank(known, ranker) else None


def rankings(asked: Asked) -> tuple[dict[str, Ranked], dict[str, str]]:
    """The candidates by every single ranker that can tell, and why others cannot."""
    found, reasons = {}, {}
    for ranker in RANKERS:
        try:
            one = ranked(asked, ranker)
        except InputError as error:
            reasons[ranker] = str(error)
            continue
        if one is not None:
            found[ranker] = one
    return found, reasons


@st.cache_resource(show_spinner=False, max_entries=32)
def _combined(
    keys: Keys,
    settings: BridgeSettings,
    stamp: str,
    _candidates: Candidates,
    _single: dict[str, Ranked],
) -> Ranked | None:
    return evidence.combine(_candidates, _single)


# ---- Rankers against what was measured ---------------------------------------------------------


def recommendation(asked: Asked) -> Recommendation | None:
    """The ranker to go by for this model; None where nothing was measured."""
    stamp = results.stamp(SCORES) + results.stamp(EVALUATIONS)
    able = tuple(one for one in RANKERS if one != "english" or ENGLISH in dict(asked.keys))
    return _recommendation(asked.scene.collection.source.fingerprint, able, stamp, asked.candidates)


@st.cache_data(show_spinner=False, max_entries=16)
def _recommendation(
    model: str, rankers: tuple[str, ...], stamp: str, _candidates: Candidates
) -> Recommendation | None:
    return evidence.recommend(_candidates, rankers)


def agreement(asked: Asked, scores: pd.DataFrame, rankers: Sequence[str]) -> pd.DataFrame:
    """Kendall's tau between rankers over the kept pairs, this one among them, by its scores here.

    The number of pairs stands in ``attrs["pairs"]``.
    """
    kept = _kept(asked.scene.collection.source.fingerprint, results.stamp(SCORES), asked.candidates)
    own = (kept["source"] == asked.source) & (kept["target"] == asked.target)
    whole = pd.concat([kept[~own], scores], ignore_index=True)
    tau = kendall(whole.reindex(columns=[*evidence.PLACE, *rankers]), rankers)
    tau.attrs["pairs"] = len(whole[evidence.PLACE[:2]].drop_duplicates())
    return tau


@st.cache_data(show_spinner=False, max_entries=16)
def _kept(model: str, stamp: str, _candidates: Candidates) -> pd.DataFrame:
    return evidence.kept_scores(_candidates)


# ---- The graph of languages --------------------------------------------------------------------


@dataclass(frozen=True)
class SimilarityGraph:
    """HSIC similarities of the pair's languages, as a graph."""

    similarity: ConceptSimilarity
    drawing: Drawing
    threshold: float

    def between(self, one: str, other: str) -> float:
        """The similarity of two languages; NaN where it is unknown."""
        return float(self.similarity.to_frame().loc[one, other])


def similarity_graph(asked: Asked) -> SimilarityGraph | None:
    """The graph of source, target and candidates; None where no similarity is stored."""
    band, codes = asked.settings.band, nameable(asked)
    return _similarity_graph(asked.keys, codes, band, results.stamp(SIMILARITY), asked)


def nameable(asked: Asked) -> tuple[str, ...]:
    """Those of the languages asked for that have words for concepts."""
    return tuple(code for code, _ in asked.keys if code in concept_languages())


@st.cache_resource(show_spinner=False, max_entries=16)
def _similarity_graph(
    keys: Keys, codes: tuple[str, ...], band: tuple[float, float], stamp: str, _asked: Asked
) -> SimilarityGraph | None:
    collection = _asked.scene.collection
    whose = ConceptProbe(collection.source, collection.dtype, register=_asked.scene.register)
    found = stored_similarity(_asked.scene.store, whose, codes, band, corpus=collection.corpus.name)
    if found is None:
        return None
    threshold = suggested_threshold(found.values)
    graph = language_graph(found.values, codes, threshold=threshold)
    return SimilarityGraph(found, Drawing(graph, positions(graph)), threshold)
