"""Which bridges are worth trying for a pair of languages: every ranker, and what it says in words.

A ranker gives each candidate a score, higher for the better bridge, from what is known without
trying it. `hsic` is the paper's; the others are its rivals.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from .alignment import SentenceStates, alignment_matrix
from .bridge_hsic import Ranked, score_bridges
from .bridge_null import calibrate
from .bridge_sets import BridgeSettings, bridge_neurons
from .errors import InputError
from .languages import Register
from .neurons import ActivationTable, NeuronSets
from .probe import ProbeActivations
from .spectrum import PAPER, SpectrumSettings, select, spectrum
from .typology import TYPOLOGY_KINDS, typology_similarity

RANKERS: dict[str, str] = {
    "hsic": "HSIC between the overlap's neurons and the bridge's own (the paper)",
    "hsic-released": "HSIC as the paper's released code computes it",
    "hsic-calibrated": "HSIC against random neuron sets of the same sizes, prompt length taken out",
    "competence": "how well the model itself goes source → bridge and bridge → target",
    "activation": "activation similarity to source and target",
    "overlap": "shared neurons with source and target (Jaccard)",
    "alignment": "agreement of neuron states on parallel text with source and target",
    "uriel": "typological similarity to source and target (URIEL+)",
    "english": "always English",
    "random": "any candidate",
}
"""Every ranker of its own with one line about it."""

CHANCE = 0.05
"""A candidate whose p-value against its null is above this does not stand out."""
ON_PROBE = ("hsic", "hsic-released", "hsic-calibrated")
ON_STATISTICS = (*ON_PROBE, "activation", "overlap")
ENGLISH = "eng_Latn"
_RESAMPLES = 200


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is known of a pair and its candidate bridges.

    Attributes
    ----------
    source, target : FLORES codes.
    bridges : the candidates, at least one.
    table : activation totals of all of these languages, for the rankers in :data:`ON_STATISTICS`;
        more make `distinctive` sets surer.
    probe : the pair's probe, for the rankers in :data:`ON_PROBE`.
    states : neuron states on parallel text by language, for `alignment`.
    competence : by (from, to), float64 (N,), whether the model puts the gold word first, for each
        of some words: both steps of every candidate, for `competence`.
    sets : how neuron sets are selected.
    settings : how HSIC is taken.
    seed : of everything random.

    Raises
    ------
    InputError
        Source and target are one language, a bridge is one of them or comes twice.
    """

    source: str
    target: str
    bridges: tuple[str, ...]
    table: ActivationTable
    probe: ProbeActivations | None = None
    states: Mapping[str, SentenceStates] = field(default_factory=dict)
    competence: Mapping[tuple[str, str], np.ndarray] = field(default_factory=dict)
    sets: SpectrumSettings = PAPER
    settings: BridgeSettings = field(default_factory=BridgeSettings)
    seed: int = 0

    def __post_init__(self) -> None:
        require_route(self.source, self.target, self.bridges)

    @property
    def languages(self) -> tuple[str, ...]:
        """Source, target, and the candidates."""
        return (self.source, self.target, *self.bridges)

    @property
    def lacking(self) -> tuple[str, ...]:
        """Those of them without activation statistics."""
        return tuple(code for code in self.languages if code not in self.table.languages)

    def rows(self) -> list[int]:
        """Where those languages stand in the table.

        Raises
        ------
        InputError
            One has no statistics.
        """
        if self.lacking:
            raise InputError(
                f"There are no activation statistics of {', '.join(self.lacking)}: collect them "
                "first, or choose other languages."
            )
        return [self.table.languages.index(code) for code in self.languages]

    def neuron_sets(self, *, ties: str | None = None) -> NeuronSets:
        """The sets of those languages among all of the table."""
        settings = self.sets if ties is None else replace(self.sets, ties=ties)
        return select(self.table, settings, self.rows())


def require_route(source: str, target: str, bridges: Sequence[str]) -> None:
    """Check that bridges can stand between two languages.

    Raises
    ------
    InputError
        They cannot; the sentence says why.
    """
    if source == target:
        raise InputError(f"Source and target are both {source}: choose two languages.")
    if not bridges:
        raise InputError("There is no candidate bridge: choose at least one.")
    for bridge in bridges:
        if bridge in (source, target):
            end = "source" if bridge == source else "target"
            raise InputError(f"The bridge {bridge} is the {end} itself: choose another.")
        if list(bridges).count(bridge) > 1:
            raise InputError(f"The bridge {bridge} comes twice: name it once.")


def rank(evidence: Evidence, ranker: str) -> Ranked:
    """The candidates by one ranker.

    Raises
    ------
    InputError
        An unknown ranker, or one whose evidence is missing.
    """
    if ranker not in _RANKERS:
        raise InputError(f"There is no ranker '{ranker}': choose one of {', '.join(RANKERS)}.")
    return _RANKERS[ranker](evidence)


def rank_by(evidence: Evidence, rankers: Sequence[str]) -> tuple[dict[str, Ranked], dict[str, str]]:
    """The candidates by each of some rankers, and why others cannot rank them."""
    rankings, unable = {}, {}
    for ranker in rankers:
        try:
            rankings[ranker] = rank(evidence, ranker)
        except InputError as error:
            unable[ranker] = str(error)
    return rankings, unable


def can_rank(evidence: Evidence, ranker: str) -> bool:
    """Whether a ranker has what it needs."""
    if ranker in ON_STATISTICS and evidence.lacking:
        return False
    if ranker in ON_PROBE:
        return evidence.probe is not None
    if ranker == "competence":
        return all(step in evidence.competence for step in steps(evidence))
    if ranker == "alignment":
        return all(code in evidence.states for code in evidence.languages)
    if ranker == "english":
        return ENGLISH in evidence.bridges
    return True


def steps(evidence: Evidence) -> list[tuple[str, str]]:
    """Both steps of the chain through every candidate."""
    return [
        step
        for bridge in evidence.bridges
        for step in ((evidence.source, bridge), (bridge, evidence.target))
    ]


def _probe(evidence: Evidence) -> ProbeActivations:
    if evidence.probe is None:
        raise InputError(
            f"The pair {evidence.source} and {evidence.target} has not been probed: run the probe "
            "first."
        )
    return evidence.probe


def _hsic(evidence: Evidence) -> Ranked:
    neurons = bridge_neurons(
        evidence.neuron_sets(), evidence.source, evidence.target, evidence.bridges
    )
    return score_bridges(_probe(evidence), *neurons, evidence.settings)


def _released(evidence: Evidence) -> Ranked:
    sets = evidence.neuron_sets(ties="include")
    neurons = bridge_neurons(sets, evidence.source, evidence.target, evidence.bridges)
    released = BridgeSettings.released(evidence.settings.band)
    settings = replace(
        released, subsamples=evidence.settings.subsamples, seed=evidence.settings.seed
    )
    return score_bridges(_probe(evidence), *neurons, settings)


def _calibrated(evidence: Evidence) -> Ranked:
    neurons = bridge_neurons(
        evidence.neuron_sets(), evidence.source, evidence.target, evidence.bridges
    )
    settings = replace(evidence.settings, regress_length=True)
    return calibrate(_probe(evidence), *neurons, evidence.table.probability.mean(axis=0), settings)


def _competence(evidence: Evidence) -> Ranked:
    """The chance that both steps hold, as if they were independent; resampled over the words."""
    missing = [step for step in steps(evidence) if step not in evidence.competence]
    if missing:
        raise InputError(
            f"How well the model goes from {missing[0][0]} to {missing[0][1]} has not been "
            "measured: measure the competence first."
        )
    random = np.random.default_rng(evidence.seed)
    scores, resampled = [], []
    for bridge in evidence.bridges:
        right = [
            evidence.competence[step]
            for step in ((evidence.source, bridge), (bridge, evidence.target))
        ]
        scores.append(np.prod([step.mean() for step in right]))
        drawn = [random.choice(step, (_RESAMPLES, len(step))).mean(axis=1) for step in right]
        resampled.append(np.prod(drawn, axis=0))
    return Ranked(evidence.bridges, np.array(scores), np.array(resampled).T, {})


def _by_closeness(measure: Callable[[Evidence], np.ndarray], why: str) -> Callable[..., Ranked]:
    """Rank by the mean similarity to source and target, of a matrix over evidence.languages."""

    def ranked(evidence: Evidence) -> Ranked:
        matrix = measure(evidence)
        scores = (matrix[0, 2:] + matrix[1, 2:]) / 2
        reasons = {
            bridge: why
            for bridge, score in zip(evidence.bridges, scores, strict=True)
            if np.isnan(score)
        }
        return Ranked(evidence.bridges, scores, _nothing(evidence), reasons)

    return ranked


def _spectrum(metric: str) -> Callable[[Evidence], np.ndarray]:
    def measure(evidence: Evidence) -> np.ndarray:
        settings = replace(evidence.sets, metric=metric, band=(0.0, 1.0))
        return spectrum(evidence.table, settings, rows=evidence.rows()).values

    return measure


def _alignment(evidence: Evidence) -> np.ndarray:
    lacking = [code for code in evidence.languages if code not in evidence.states]
    if lacking:
        raise InputError(f"There are no neuron states of {', '.join(lacking)} on parallel text.")
    states = {code: evidence.states[code] for code in evidence.languages}
    return alignment_matrix(states, band=evidence.settings.band).pooled


def _uriel(evidence: Evidence) -> np.ndarray:
    kinds = [typology_similarity(kind, evidence.languages) for kind in TYPOLOGY_KINDS]
    known = np.isfinite(kinds)
    return np.where(known.any(axis=0), np.nansum(kinds, axis=0) / known.sum(axis=0).clip(1), np.nan)


def _english(evidence: Evidence) -> Ranked:
    if ENGLISH not in evidence.bridges:
        raise InputError("English is not among the candidates: add it, or take another ranker.")
    scores = np.array([float(bridge == ENGLISH) for bridge in evidence.bridges])
    return Ranked(evidence.bridges, scores, _nothing(evidence), {})


def _random(evidence: Evidence) -> Ranked:
    return Ranked(evidence.bridges, np.zeros(len(evidence.bridges)), _nothing(evidence), {})


def _nothing(evidence: Evidence) -> np.ndarray:
    return np.empty((0, len(evidence.bridges)))


_RANKERS: dict[str, Callable[[Evidence], Ranked]] = {
    "hsic": _hsic,
    "hsic-released": _released,
    "hsic-calibrated": _calibrated,
    "competence": _competence,
    "activation": _by_closeness(_spectrum("activation"), "It shares no neuron with either."),
    "overlap": _by_closeness(_spectrum("jaccard"), "It shares no neuron with either."),
    "alignment": _by_closeness(_alignment, "Too little of its text is parallel."),
    "uriel": _by_closeness(_uriel, "URIEL+ knows too few of its features."),
    "english": _english,
    "random": _random,
}


def verdict(ranked: Ranked, register: Register) -> str:
    """What a ranking says, in one sentence.

    >>> from bridgex_core.languages import register
    >>> scores, halves = np.array([3.0, 2.9, 1.0]), np.array([[3.0, 3.1, 1.0], [3.1, 2.9, 0.9]])
    >>> codes = ("eng_Latn", "spa_Latn", "fra_Latn")
    >>> verdict(Ranked(codes, scores, halves, {}), register())
    'English and Spanish are equally good here; French is behind.'
    """
    level = ranked.as_good_as_first
    if not level:
        return "None of the candidates can be judged."
    behind = [code for code in ranked.ranking if code not in level and code not in ranked.reasons]
    first = _names(level, register)
    if len(level) > 1:
        said = (
            f"{first} are equally good here"
            if behind or ranked.reasons
            else f"This ranking cannot tell {first} apart"
        )
    elif not behind:
        return f"{first} is the only candidate that can be judged."
    else:
        said = f"{first} is ahead" if len(ranked.subsamples) else f"{first} comes first"
    if behind:
        said += f"; {_names(behind, register)} {'is' if len(behind) == 1 else 'are'} behind"
    if ranked.reasons:
        unjudged = [code for code in ranked.bridges if code in ranked.reasons]
        said += f"; {_names(unjudged, register)} cannot be judged"
    return said + "."


def _names(codes: Sequence[str], register: Register) -> str:
    return _listed([register[code].name for code in codes])


def _listed(names: Sequence[str]) -> str:
    """Names in a sentence.

    >>> _listed(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
