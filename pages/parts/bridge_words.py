"""The words of the Bridges page."""

from __future__ import annotations

from collections.abc import Sequence

from bridgex_core.bridge_hsic import BridgeScores, Ranked
from bridgex_core.bridge_null import Calibrated
from bridgex_core.bridges import CHANCE, ON_PROBE
from bridgex_core.bridges import RANKERS as ABOUT
from bridgex_core.evidence import COMPETENCE_WORDS, Recommendation
from bridgex_core.languages import Language
from bridgex_core.model_sources import ModelSource
from bridgex_core.probing import Probe
from bridgex_core.rankers import COMBINED
from pages.parts import words

RANKERS = {
    "hsic": "HSIC (the paper)",
    "hsic-released": "HSIC, released code",
    "hsic-calibrated": "HSIC against chance",
    "competence": "Competence",
    "activation": "Activation similarity",
    "overlap": "Shared neurons",
    "alignment": "Alignment",
    "uriel": "Typology (URIEL+)",
    "english": "Always English",
    "random": "Random",
    COMBINED: "Combined",
}
SCORES = {
    "hsic": "HSIC",
    "hsic-released": "HSIC as the released code takes it",
    "hsic-calibrated": "Standard deviations above random neurons",
    "competence": "Chance that both steps are right",
    "activation": "Mean activation similarity",
    "overlap": "Mean Jaccard overlap",
    "alignment": "Mean alignment",
    "uriel": "Mean typological similarity",
    "english": "1 for English",
    "random": "The same for all",
    COMBINED: "Combined score",
}
POOLED = {"auto": "Where layers have few", "yes": "Always", "no": "Never"}
KNOWN = {"greedy": "It writes the translation", "ranked": "Translation among the first 5 %"}


def about(ranker: str) -> str:
    """A ranker in one sentence, without the full stop.

    >>> about("overlap")
    'Shared neurons: shared neurons with source and target (Jaccard)'
    """
    weighing = "the others weighed as fits the measured pairs of other targets best"
    return f"{RANKERS[ranker]}: {ABOUT.get(ranker, weighing)}"


def measured(
    ranker: str, ranked: Ranked, probe: Probe | None, source: ModelSource, dtype: str
) -> str:
    """What a ranking stands on: the ranker, the words, the layers, the model."""
    parts = [f"{about(ranker)}."]
    if ranker in ON_PROBE and probe is not None and probe.enough:  # else a warning says it
        parts.append(probe.sentence())
    if ranker == "competence":
        parts.append(f"Up to {COMPETENCE_WORDS} words a step, none of them in any evaluation.")
    scores = ranked.plain if isinstance(ranked, Calibrated) else ranked
    where = ""
    if isinstance(scores, BridgeScores):
        where = f", {_layers(scores, source.layers)}"
    parts.append(f"Model: {source.title} in {dtype}{where}.")
    return " ".join(parts)


def _layers(scores: BridgeScores, depth: int) -> str:
    if scores.settings.renumbered:
        return "layers renumbered as the released code does"
    layers = scores.layers
    if not layers:
        return "no layer that all candidates have"
    told = words.layers_phrase(range(layers[0], layers[-1] + 1), depth)
    if scores.pooled:
        told += ", their neurons pooled"
    elif len(layers) <= layers[-1] - layers[0]:
        told = "layers " + words.listed([str(layer) for layer in layers], most=depth)
    if scores.settings.regress_length:
        told += ", prompt length taken out"
    return told


def intervals(ranker: str, ranked: Ranked) -> str:
    """What the intervals and the shares mean, in one sentence; empty where there are none."""
    count = len(ranked.subsamples)
    if not count:
        return "It has no interval: only the order is shown."
    how = (
        f"{count} random halves of the words"
        if ranker in ON_PROBE
        else f"{count} resamples of the words"
    )
    return (
        f"Whiskers are 95 % intervals, how far other words of this kind would move the score; "
        f"“first in” is how often a candidate comes first; both from {how}. “Behind” is judged "
        "word for word, so whiskers may overlap."
    )


def against_chance(ranked: Calibrated, languages: Sequence[Language]) -> str:
    """Which candidates stand out from random neurons."""
    out = [
        words.plain(language.name)
        for language, p in zip(languages, ranked.p_values, strict=True)
        if p <= CHANCE
    ]
    if not out:
        return (
            "None of them stands out from random neurons of the same number "
            f"(p > {CHANCE:g} each), so the order may be chance."
        )
    stand = "stands" if len(out) == 1 else "stand"
    return (
        f"{words.listed(out)} {stand} out from random neurons of the same number (p ≤ {CHANCE:g})."
    )


def recommended(found: Recommendation | None, source: ModelSource) -> str:
    """Which ranker to go by, and why."""
    if found is None:
        return (
            f"**Nothing has been measured for {words.plain(source.title)} yet**, so no ranker can "
            "be recommended: shown first is the paper's own. Evaluate some pairs in the Lab, and "
            "this page says which ranker picks the best bridges."
        )
    return f"**Recommended: {RANKERS[found.ranker]}.** {words.plain(found.sentence())}"


def route(languages: Sequence[Language]) -> str:
    """A path through languages.

    >>> from bridgex_core.languages import register
    >>> route([register()[code] for code in ("ind_Latn", "eng_Latn", "swh_Latn")])
    'Indonesian → English → Swahili'
    """
    return " → ".join(words.plain(language.name) for language in languages)
