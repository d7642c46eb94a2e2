"""The words of the pages: names of settings, languages and numbers as people read them."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from bridgex_core.figures import METRIC_TITLES
from bridgex_core.languages import Language
from bridgex_core.model_sources import ModelSource
from bridgex_core.spectrum import SpectrumSettings

METRIC_HELP = (
    "**Jaccard overlap**: shared neurons over the neurons of either language.  \n"
    "**Overlap coefficient**: shared neurons over the smaller of the two sets.  \n"
    "**Shared neurons**: how many there are.  \n"
    "**Activation similarity**: cosine of the activation probabilities over the shared neurons, "
    "as in the paper.  \n"
    "**Centred activation similarity**: the same over both sets, after taking off each neuron's "
    "mean over the languages."
)
SELECTIONS = {"distinctive": "Most distinctive", "active": "Most active"}
SELECTION_HELP = (
    "Which neurons stand for a language.  \n"
    "**Most active**: those with the highest activation probability, as in the paper.  \n"
    "**Most distinctive**: those that are most active compared with the other languages chosen "
    "(a z-score)."
)
ORDERINGS = {"clustering": "By similarity", "family": "By family", "alphabet": "By name"}
VIEWS = {"heatmap": "Heatmap", "graph": "Graph", "map": "Map", "typology": "Typology"}
ANALYSES = {
    "classes": "Classes",
    "neuron": "A neuron",
    "thought": "Language of thought",
    "alignment": "Alignment",
    "interventions": "Interventions",
    "detection": "Detection",
    "pitfalls": "Pitfalls",
    "robustness": "Robustness",
    "files": "Files",
}
METHODS = {"lape": "LAPE", "sharing": "Sharing Matters", "membership": "Top-rate membership"}
METHOD_HELP = (
    "Which neurons belong to which language.  \n"
    "**LAPE** (arXiv 2402.16438): those whose activation probability differs most between the "
    "languages (lowest entropy).  \n"
    "**Sharing Matters** (arXiv 2406.09265): on how many articles a neuron is active in all, "
    "several, one or none of the languages.  \n"
    "**Top-rate membership**: whether a neuron is among the most active ones of a language."
)
MEASURES = {"states": "Neuron states", "hidden": "Hidden states"}
ACTIONS = {"zero": "Switch off", "scale": "Scale", "replace": "Replace by a language's mean"}
RUNS = {"plain": "Unchanged", "changed": "Set changed", "control": "Random set changed"}
KINDS = {
    "genetic": "Family tree",
    "syntactic": "Syntax",
    "geographic": "Geography",
    "featural": "All features",
}
_SIGNS = re.compile(r"([!-/:-@\[-`{-~])")


def plain(text: object) -> str:
    """Text that is not ours, so that Markdown shows it as it is.

    >>> plain("![x](http://y)")
    '\\\\!\\\\[x\\\\]\\\\(http\\\\:\\\\/\\\\/y\\\\)'
    """
    return _SIGNS.sub(r"\\\1", str(text).replace("\n", " "))


def isolated(text: str, rtl: bool) -> str:
    """The text in marks that keep its direction from upsetting what stands around it."""
    return f"\u2067{text}\u2069" if rtl else text


def language_label(language: Language) -> str:
    """English name and autonym, or the one where they are the same."""
    if language.name.casefold() == language.autonym.casefold():
        return language.name
    return f"{language.name} · {isolated(language.autonym, language.is_rtl)}"


def listed(names: Sequence[str], most: int = 6) -> str:
    """Names with commas, the last ones counted where they are many.

    >>> listed(["a", "b", "c"]), listed(["a", "b", "c", "d"], most=2)
    ('a, b and c', 'a, b and 2 more')
    """
    shown = list(names[:most])
    rest = len(names) - len(shown)
    if rest:
        return f"{', '.join(shown)} and {rest} more"
    return " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1] if shown else "")))


def shortened(text: str, most: int = 60) -> str:
    """A text on one line, cut where it is longer.

    >>> shortened("a long\\ntext", 8)
    'a long …'
    """
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 2].rstrip()} …"


def counted(number: int, noun: str) -> str:
    """A number with its noun.

    >>> counted(1, "language"), counted(1200, "token")
    ('1 language', '1,200 tokens')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def span(numbers: Collection[int]) -> str:
    """From the least to the most of some numbers.

    >>> span([1200, 7]), span([3, 3])
    ('7 to 1,200', '3')
    """
    low, high = min(numbers), max(numbers)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def percent(share: float) -> str:
    """A share as people read it.

    >>> percent(0.002), percent(0.1)
    ('0.2 %', '10 %')
    """
    return f"{100 * share:.3g} %"


def layers_phrase(layers: range, depth: int) -> str:
    """Which layers of a model, counted from 0.

    >>> layers_phrase(range(18), 18), layers_phrase(range(6, 12), 18), layers_phrase(range(3, 4), 8)
    ('all 18 layers', 'layers 6 to 11 of 0 to 17', 'layer 3 of 0 to 7')
    """
    if len(layers) == depth:
        return f"all {depth} layers"
    if len(layers) == 1:
        return f"layer {layers[0]} of 0 to {depth - 1}"
    return f"layers {layers[0]} to {layers[-1]} of 0 to {depth - 1}"


def model_size(source: ModelSource) -> str:
    """How large a model is.

    >>> from pathlib import Path
    >>> from bridgex_core.embedded import EMBEDDED
    >>> model_size(EMBEDDED["gemma-3-270m"].source(Path("nowhere")))
    '268 M parameters, 18 layers × 2,048 neurons'
    """
    parts = []
    if source.parameters:
        millions = source.parameters / 1e6
        size = f"{millions / 1000:.1f} B" if millions >= 1000 else f"{millions:.0f} M"
        parts.append(f"{size} parameters")
    if source.neurons:
        parts.append(f"{source.layers} layers × {source.width:,} neurons")
    return ", ".join(parts)


def metric(name: str) -> str:
    """What a metric is called within a sentence.

    >>> metric("jaccard"), metric("count")
    ('Jaccard overlap', 'shared neurons')
    """
    title = METRIC_TITLES[name]
    return title if name == "jaccard" else title[0].lower() + title[1:]


def measured(settings: SpectrumSettings) -> str:
    """The metric with the neurons that it compares, as the beginning of a sentence."""
    which = "most active in" if settings.selection == "active" else "most distinctive of"
    return f"{METRIC_TITLES[settings.metric]} of the neurons {which} each language"


def p_value(p: float) -> str:
    """A p-value as it is written in a sentence.

    >>> p_value(0.0001), p_value(0.034), p_value(0.62)
    ('p < 0.001', 'p = 0.034', 'p = 0.62')
    """
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"
