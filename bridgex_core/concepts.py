"""HSIC similarity of languages: the same concepts, each named in its own language.

For the graph of languages. Every language names the concepts of one list in its own words; what its
own prompts make of the neurons is compared with what another language's make of the neurons that
both sets hold, concept by concept. So a sample is a concept, whatever the language.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from .corpora import UDHR
from .errors import InputError
from .hsic import cka_matrix, set_similarity
from .keeping import Piece, keep_once
from .languages import Register
from .languages import register as bundled_register
from .lexicons import Lexicon, WordPair, concept_languages, concept_words, split
from .model_sources import ModelSource
from .neurons import NeuronSets, layer_band, require_known
from .probe import ProbeActivations, record
from .progress import Advances, Progress, Snapshot
from .prompts import concept_prompt
from .store import Store, entry_key, software_versions

if TYPE_CHECKING:
    from .models import Model

CONCEPTS = "concepts"
SIMILARITY = "concept-similarity"
MOST_CONCEPTS = 200
FEWEST_CONCEPTS = 20
"""Two languages that share fewer are not compared: HSIC of so few samples is mostly its bias."""

POOLINGS = ("layers", "band")


@cache
def common_concepts(most: int = MOST_CONCEPTS, seed: int = 0) -> tuple[str, ...]:
    """The concepts, by their English names, that most languages call by a single word.

    Of the bundled lexicon's concepts, without those that `lexicons.split` keeps aside for
    evaluation with this seed, at most ``most``: those named by a single word in most languages of
    the lexicon first, ties in the order of a hash. So the list depends on no choice of languages,
    and any two that were recorded share most of it.

    >>> len(common_concepts()), common_concepts()[:2] == common_concepts(2)
    (200, True)
    """
    named: Counter[str] = Counter()
    for code in concept_languages():
        named.update(concept_words([code]).single_words().concepts)

    def place(concept: str) -> tuple[int, str]:
        return -named[concept], hashlib.sha256(f"{seed}\n{concept}".encode()).hexdigest()

    return tuple(sorted(_not_aside(named, seed), key=place)[:most])


def _not_aside(concepts: Iterable[str], seed: int) -> set[str]:
    """Those concepts that a probe may hold."""
    pairs = tuple(WordPair(name, (name,), concepts=(name,)) for name in concepts)
    probe, _ = split(Lexicon("eng_Latn", "eng_Latn", pairs, ""), held_out=0, seed=seed)
    return {pair.word for pair in probe.pairs}


@dataclass(frozen=True)
class ConceptProbe:
    """What concept activations are of: a model, a number format, a list of concepts.

    Attributes
    ----------
    source : the model.
    dtype : ``float32`` or ``bfloat16``, what the model computes in.
    most, seed : see `common_concepts`.
    register : the languages; default the bundled ones.
    """

    source: ModelSource
    dtype: str = "float32"
    most: int = MOST_CONCEPTS
    seed: int = 0
    register: Register = field(default_factory=bundled_register)

    def prompts(self, code: str) -> dict[str, str]:
        """The language's prompt for each concept that it names, in the order of the list.

        Its single words; all its names if fewer than half of them are single words. A word that
        also names a concept kept aside for evaluation is left out.

        Raises
        ------
        InputError
            The language is unknown, or has no words in the bundled lexicon.
        """
        language = self.register.resolve(code)
        table = concept_words([language.code], register=self.register)
        allowed = _not_aside(table.concepts, self.seed)
        words = dict(zip(table.concepts, table.words[0], strict=True))
        aside = {word for concept, word in words.items() if concept not in allowed}
        single = set(table.single_words().concepts)
        named = [
            concept
            for concept in common_concepts(self.most, self.seed)
            if concept in words and words[concept] not in aside
        ]
        short = [concept for concept in named if concept in single]
        kept = short if 2 * len(short) >= len(named) else named
        return {concept: concept_prompt(language, words[concept]) for concept in kept}

    def key(self, code: str) -> str:
        """Where the store keeps a language's concept activations."""
        return entry_key(CONCEPTS, **self._identity(code))

    def manifest(self, code: str, **more: object) -> dict[str, object]:
        """What a stored result says of itself."""
        return {
            **self._identity(code),
            "language": code,
            "model_name": self.source.name,
            "concepts": list(self.prompts(code)),
            "versions": software_versions(),
            **more,
        }

    def _identity(self, code: str) -> dict[str, object]:
        prompts = json.dumps(self.prompts(code), ensure_ascii=False, separators=(",", ":"))
        return {
            "model": self.source.fingerprint,
            "tokenizer": self.source.tokenizer_fingerprint,
            "text": hashlib.sha256(prompts.encode()).hexdigest(),
            "settings": {"dtype": self.dtype},
        }


def record_concepts(
    store: Store,
    model: Model,
    probe: ConceptProbe,
    codes: Sequence[str],
    *,
    report: Callable[[Snapshot], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> None:
    """Record the concept activations of languages into the store, all neurons of each.

    Half precision, about 15 MB a language for 18 × 2048 neurons and 200 concepts. What is stored
    already is left as it is; every finished language is kept at once.

    Raises
    ------
    InputError
        A language without words, a full disk.
    Cancelled
        ``cancelled`` answered True; what was finished is kept.
    """
    todo = [code for code in codes if not store.has(CONCEPTS, probe.key(code))]
    prompts = {code: list(probe.prompts(code).values()) for code in todo}
    progress = Progress(sum(map(len, prompts.values())), report, cancelled)
    for code, each in prompts.items():
        work = partial(_recorded, model, probe, code, each, progress)
        what = f"concepts of {code}"
        keep_once(store, CONCEPTS, probe.key(code), work, progress, float(len(each)), what)


def _recorded(
    model: Model, probe: ConceptProbe, code: str, prompts: Sequence[str], progress: Progress
) -> Piece:
    tensors = record(model, prompts, progress=progress).tensors()
    return tensors, probe.manifest(code, device=str(model.device))


@dataclass(frozen=True)
class ConceptActivations:
    """What a language's own prompts make of the neurons of its set.

    Attributes
    ----------
    concepts : English names of the C concepts.
    mask : bool (L, I), the neurons of the set.
    values : float32 (N, C), mean activation of its N neurons, in the order of the mask.
    """

    concepts: tuple[str, ...]
    mask: np.ndarray
    values: np.ndarray

    @classmethod
    def of(
        cls, concepts: Sequence[str], activations: ProbeActivations, mask: np.ndarray
    ) -> ConceptActivations:
        """The neurons of a set from a recording of all."""
        if mask.shape != activations.values.shape[:2] or len(concepts) != activations.prompts:
            raise ValueError("concepts, activations and mask do not fit together")
        return cls(tuple(concepts), mask, activations.values[mask])

    def rows(self, neurons: np.ndarray, concepts: Sequence[str]) -> np.ndarray:
        """(n, c): some neurons of the set, as a mask (L, I), on some of the concepts."""
        places = {concept: place for place, concept in enumerate(self.concepts)}
        return self.values[neurons[self.mask]][:, [places[concept] for concept in concepts]]


def stored_concepts(
    store: Store, probe: ConceptProbe, sets: NeuronSets
) -> dict[str, ConceptActivations]:
    """Those of the sets' languages that the store has, each with the neurons of its own set.

    One language's recording is in memory at a time.
    """
    found = {}
    for code, mask in zip(sets.languages, sets.masks, strict=True):
        if code not in concept_languages():
            continue
        entry = store.load(CONCEPTS, probe.key(code))
        if entry is not None:
            activations = ProbeActivations.from_tensors(entry.tensors)
            found[code] = ConceptActivations.of(list(probe.prompts(code)), activations, mask)
    return found


@dataclass(frozen=True)
class ConceptSimilarity:
    """HSIC similarity of every two of K languages, 0 to 1, symmetric, 1 on the diagonal.

    Attributes
    ----------
    languages : K FLORES codes.
    values : float64 (K, K); NaN where a pair shares no neuron in the layers, or fewer than 20
        concepts.
    concepts : int64 (K, K), concepts that both name.
    neurons : int64 (K, K), neurons of both sets, within the layers.
    layers : the layers it covers.
    pooling : ``layers`` or ``band``, see `concept_similarity`.
    """

    languages: tuple[str, ...]
    values: np.ndarray
    concepts: np.ndarray
    neurons: np.ndarray
    layers: range
    pooling: str

    def to_frame(self) -> pd.DataFrame:
        """The values, rows and columns named by FLORES code."""
        return pd.DataFrame(self.values, index=self.languages, columns=self.languages)

    def of(self, codes: Sequence[str]) -> ConceptSimilarity:
        """Of some of its languages, in their order: what it says of two depends on no third."""
        at = np.array([self.languages.index(code) for code in codes])
        square = np.ix_(at, at)
        return ConceptSimilarity(
            tuple(codes),
            self.values[square],
            self.concepts[square],
            self.neurons[square],
            self.layers,
            self.pooling,
        )


def concept_similarity(
    activations: Mapping[str, ConceptActivations],
    band: tuple[float, float] = (0.31, 0.66),
    *,
    pooling: str = "layers",
    progress: Advances | None = None,
) -> ConceptSimilarity:
    """HSIC similarity of every two languages.

    On the neurons that both sets hold, X are the activations of one language's prompts and Y those
    of the other's, over the concepts that both name. Every neuron of X is compared with every one
    of Y by normalised HSIC (`hsic.cka_matrix`, biased), and these by `hsic.set_similarity`.

    Parameters
    ----------
    activations : by FLORES code, all of one model and one list of concepts, at least two.
    band : the layers, as fractions of the depth.
    pooling : ``layers``: a similarity for each layer, averaged over those where the languages share
        a neuron; ``band``: one for all neurons of the band together.
    progress : advanced by pairs of languages; may raise ``Cancelled``.

    Raises
    ------
    InputError
        Fewer than two languages, different models, an unknown pooling, a band out of range.
    """
    require_known(pooling, POOLINGS, "pooling")
    codes, every = tuple(activations), list(activations.values())
    if len(codes) < 2:
        raise InputError("A similarity compares languages: choose at least two.")
    if len({each.mask.shape for each in every}) > 1:
        raise InputError(
            "These activations are of models of different sizes: compare languages in one model."
        )
    layers = layer_band(len(every[0].mask), band)
    within = np.zeros(every[0].mask.shape, dtype=bool)
    within[layers.start : layers.stop] = True
    values = np.eye(len(codes))
    concepts = np.diag([len(each.concepts) for each in every])
    neurons = np.diag([int((each.mask & within).sum()) for each in every])
    for i, j in combinations(range(len(codes)), 2):
        a, b = every[i], every[j]
        others = set(b.concepts)
        both = [concept for concept in a.concepts if concept in others]
        shared = a.mask & b.mask & within
        concepts[i, j] = concepts[j, i] = len(both)
        neurons[i, j] = neurons[j, i] = shared.sum()
        values[i, j] = values[j, i] = _similarity(a, b, shared, both, pooling)
        if progress is not None:
            progress.advance(1.0)
    return ConceptSimilarity(codes, values, concepts, neurons, layers, pooling)


def _similarity(
    a: ConceptActivations,
    b: ConceptActivations,
    shared: np.ndarray,
    concepts: Sequence[str],
    pooling: str,
) -> float:
    """Of two languages on shared neurons (L, I) over shared concepts; NaN for too few of either."""
    if len(concepts) < FEWEST_CONCEPTS or not shared.any():
        return np.nan
    matrix = cka_matrix(a.rows(shared, concepts), b.rows(shared, concepts))
    if pooling == "band":
        return set_similarity(matrix)
    # All pairs of the band at once are faster than a small matrix for each layer.
    layer_of = np.nonzero(shared)[0]
    alike = [set_similarity(matrix[np.ix_(at, at)]) for at in _groups(layer_of)]
    return float(np.mean(alike))


def _groups(labels: np.ndarray) -> list[np.ndarray]:
    """The places of each label that occurs."""
    return [np.flatnonzero(labels == label) for label in np.unique(labels)]


# ---- Kept ----------------------------------------------------------------------------------------


def keep_similarity(
    store: Store, probe: ConceptProbe, result: ConceptSimilarity, *, corpus: str = UDHR
) -> None:
    """Keep a similarity of languages by the paper's neuron sets of a corpus."""
    identity = _similarity_identity(probe, result.layers, result.pooling, corpus)
    languages = list(result.languages)
    tensors = {
        "values": result.values,
        "concepts": result.concepts.astype(np.int64),
        "neurons": result.neurons.astype(np.int64),
    }
    manifest = {
        **identity,
        "languages": languages,
        "model_name": probe.source.name,
        "versions": software_versions(),
    }
    key = entry_key(SIMILARITY, **identity, languages=languages)
    store.save(SIMILARITY, key, tensors, manifest)


def stored_similarity(
    store: Store,
    probe: ConceptProbe,
    codes: Sequence[str],
    band: tuple[float, float] = (0.31, 0.66),
    *,
    pooling: str = "layers",
    corpus: str = UDHR,
) -> ConceptSimilarity | None:
    """The kept similarity of these languages, or their part of one of more languages.

    None where none is kept for the model, the number format, the layers and the corpus.
    """
    layers = layer_band(probe.source.layers, band)
    wanted = _similarity_identity(probe, layers, pooling, corpus)
    for key, manifest in store.entries(SIMILARITY):
        fits = all(manifest.get(name) == value for name, value in wanted.items())
        if not fits or not set(codes) <= set(manifest["languages"]):
            continue
        entry = store.load(SIMILARITY, key)
        if entry is not None:
            tensors = entry.tensors
            return ConceptSimilarity(
                tuple(manifest["languages"]),
                tensors["values"],
                tensors["concepts"],
                tensors["neurons"],
                layers,
                pooling,
            ).of(codes)
    return None


def _similarity_identity(
    probe: ConceptProbe, layers: range, pooling: str, corpus: str
) -> dict[str, object]:
    """What a similarity depends on, the languages aside."""
    return {
        "model": probe.source.fingerprint,
        "tokenizer": probe.source.tokenizer_fingerprint,
        "corpus": corpus,
        "layers": [layers.start, layers.stop],
        "pooling": pooling,
        "settings": {"dtype": probe.dtype, "most": probe.most, "seed": probe.seed},
    }
