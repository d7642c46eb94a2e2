"""Compute the results that ship with the product, all with the embedded model.

Everything is computed into the default store first (what is there already is kept), then copied to
bridgex_core/data/results:

- statistics (float32) and fluency of the study languages: statistics folded to 8 blocks, block b
  into b modulo 8 so that odd and even articles stay apart, sums rounded to float32, counts exact;
  beside them the neuron states of every article, one bit each;
- the study: word translation for 15 pairs, directly and through the paper's bridges;
- what the rankers of bridges say of these pairs, and the competence it rests on;
- the probe of the pair that the page on bridges opens with;
- the HSIC similarity of the study languages;
- the impact of every neuron for each of them, and what the Atlas opens its interventions with:
  every language's neurons switched off, and 20 words of the default pair;
- two pairs on perturbed inputs, along the same routes.

    python scripts/build_results.py
"""

from __future__ import annotations

import shutil
import sys
from functools import cache
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bridgex_core.activations import ActivationStats
from bridgex_core.alignment import NEURON_STATES, SentenceStates
from bridgex_core.atlas import NamedSets
from bridgex_core.bli import Bli
from bridgex_core.candidates import LocalBackend
from bridgex_core.collection import FLUENCY, STATISTICS, Collection, collect_languages, stored_table
from bridgex_core.concepts import (
    SIMILARITY,
    ConceptProbe,
    concept_similarity,
    keep_similarity,
    record_concepts,
    stored_concepts,
)
from bridgex_core.corpora import udhr
from bridgex_core.detection import IMPACTS, collect_impacts
from bridgex_core.effects import EFFECTS, WordEffects, collect_word_effects
from bridgex_core.evidence import SCORES, Candidates, keep_scores
from bridgex_core.interventions import Intervention
from bridgex_core.languages import STUDY_LANGUAGES, register
from bridgex_core.machine import choose_dtype, resolve_device
from bridgex_core.model_sources import find_model
from bridgex_core.models import Model, load
from bridgex_core.perplexity import PERPLEXITIES, PerplexityPlan, collect_perplexity
from bridgex_core.perturbations import PERTURBATIONS
from bridgex_core.probing import PROBES, ProbeTask, probe_key
from bridgex_core.progress import terminal_reporter
from bridgex_core.robustness import Perturbed
from bridgex_core.spectrum import PAPER, select
from bridgex_core.store import Entry, Store, default_store
from bridgex_core.study import EVALUATIONS, Evaluations, Study, Task
from bridgex_core.xicl import Route

RESULTS = Path(__file__).resolve().parent.parent / "bridgex_core" / "data" / "results"
BLOCKS = 8
DEFAULT_PAIR = ("ind_Latn", "swh_Latn")
PERTURBED_PAIRS = (DEFAULT_PAIR, ("arb_Arab", "heb_Hebr"))
PERPLEXITY_TOKENS, EFFECT_WORDS = 300, 20
STUDY = Study()
WRITTEN_BY_STORE = ("schema", "checksum", "bytes", "created")

store = Store(default_store().root)  # without the bundled results: they are what is made
languages = register()
collection = Collection(find_model(None, store.root), udhr())
answers_dtype = choose_dtype(resolve_device("cpu"), collection.source.parameters)
report = terminal_reporter(sys.stderr)


@cache
def model(dtype: str) -> Model:
    """The embedded model."""
    return load(collection.source, dtype=dtype, device="cpu")


def candidates(pair: tuple[str, str]) -> Candidates:
    """A pair of the study with the paper's bridges."""
    return Candidates(
        store,
        collection,
        ProbeTask(*pair),
        tuple(code for code in STUDY.bridges if code not in pair),
        answers_dtype,
        STUDY_LANGUAGES,
    )


def compute() -> None:
    """Everything that is not in the default store yet."""
    collect_languages(store, model("float32"), collection, STUDY_LANGUAGES, report=report)
    for pair in STUDY.pairs:
        work = [(task, r) for task in STUDY.tasks(pair) for r in STUDY.routes(pair, languages)]
        evaluations().run(work, lambda: LocalBackend(model(answers_dtype)), report=report)
        one = candidates(pair)
        one.complete(["hsic", "competence"], model, report=report)
        keep_scores(one, one.scores())
    evaluations().run(perturbed(), lambda: LocalBackend(model(answers_dtype)), report=report)
    collect_perplexity(store, deactivations(), lambda: model("float32"), report=report)
    effects = word_effects()
    collect_word_effects(store, effects, lambda: LocalBackend(model("float32")), report=report)
    collect_impacts(store, model("float32"), collection, STUDY_LANGUAGES, report=report)
    concepts = ConceptProbe(collection.source)
    record_concepts(store, model("float32"), concepts, STUDY_LANGUAGES, report=report)
    sets = select(stored_table(store, collection, STUDY_LANGUAGES), PAPER)
    keep_similarity(store, concepts, concept_similarity(stored_concepts(store, concepts, sets)))


def perturbed() -> list[tuple[Task, Route]]:
    """The perturbed items of some pairs, along the routes of the study."""
    work: list[tuple[Task, Route]] = []
    for pair in PERTURBED_PAIRS:
        work += Perturbed.of(STUDY.tasks(pair), PERTURBATIONS).work(STUDY.routes(pair, languages))
    return work


def named_sets() -> NamedSets:
    """The neurons of every study language, as the Atlas has them."""
    return NamedSets(store, stored_table(store, collection, STUDY_LANGUAGES))


def deactivations() -> PerplexityPlan:
    """Every language's neurons switched off, and every language read."""
    sets = named_sets()
    off = {code: Intervention(sets.mask(f"lape:{code}")) for code in STUDY_LANGUAGES}
    return PerplexityPlan(collection, STUDY_LANGUAGES, off, PERPLEXITY_TOKENS, sets.alive)


def word_effects() -> WordEffects:
    """The target's neurons of the default pair switched off, and words translated."""
    sets, target = named_sets(), DEFAULT_PAIR[1]
    return WordEffects(
        collection.source,
        collection.dtype,
        Bli(*DEFAULT_PAIR, items=EFFECT_WORDS),
        Route.of(*(languages[code] for code in DEFAULT_PAIR)),
        Intervention(sets.mask(f"lape:{target}")),
        sets.alive,
    )


def evaluations() -> Evaluations:
    """Where the study's results are."""
    return Evaluations.of_model(store, collection.source, answers_dtype)


def keep(bundle: Store, kind: str, entry: Entry | None, **more: object) -> None:
    """An entry as it is committed."""
    assert entry is not None, kind
    manifest = {k: v for k, v in entry.manifest.items() if k not in WRITTEN_BY_STORE}
    bundle.save(kind, entry.key, dict(entry.tensors), manifest | more)


def ship_statistics(bundle: Store) -> None:
    """Statistics folded, the states of every article, fluency, and impacts."""
    for code in STUDY_LANGUAGES:
        text = collection.corpus.text(code)
        entry = store.load(STATISTICS, collection.key(STATISTICS, text))
        assert entry is not None
        stats = ActivationStats.from_tensors(entry.tensors)
        folded = stats.fold(BLOCKS).tensors()
        manifest = {k: v for k, v in entry.manifest.items() if k not in WRITTEN_BY_STORE}
        bundle.save(
            STATISTICS,
            entry.key,
            {**folded, "sums": folded["sums"].astype(np.float32)},
            manifest | {"blocks": BLOCKS, "folded_from": len(text.blocks)},
        )
        states = SentenceStates.of(stats).tensors()
        bundle.save(NEURON_STATES, collection.key(NEURON_STATES, text), states, manifest)
        for kind in (FLUENCY, IMPACTS):
            keep(bundle, kind, store.load(kind, collection.key(kind, text)))


def ship_study(bundle: Store) -> None:
    """Evaluations of the study, and what the rankers rest on and say."""
    of = evaluations()
    work: list[tuple[Task, Route]] = [*STUDY.work(languages), *perturbed()]
    for pair in STUDY.pairs:
        work += candidates(pair).steps()
    for key in dict.fromkeys(of.key(task, route) for task, route in work):
        keep(bundle, EVALUATIONS, store.load(EVALUATIONS, key))
    for run in (*deactivations().runs(), *word_effects().runs()):
        keep(bundle, run.kind, store.load(run.kind, run.key))
    for kind in (SCORES, SIMILARITY):
        for key, manifest in store.entries(kind):
            if manifest["model"] == collection.source.fingerprint:
                keep(bundle, kind, store.load(kind, key))
    probe = probe_key(ProbeTask(*DEFAULT_PAIR), candidates(DEFAULT_PAIR).identity)
    keep(bundle, PROBES, store.load(PROBES, probe))


def main() -> None:
    """Compute, fold, write."""
    compute()
    shutil.rmtree(RESULTS, ignore_errors=True)
    bundle = Store(RESULTS)
    ship_statistics(bundle)
    ship_study(bundle)
    kinds = (
        *(STATISTICS, NEURON_STATES, FLUENCY, IMPACTS, EVALUATIONS, PERPLEXITIES, EFFECTS),
        *(SCORES, SIMILARITY, PROBES),
    )
    for folder in RESULTS.iterdir():
        if folder.name not in kinds:
            shutil.rmtree(folder)
    size = sum(file.stat().st_size for file in RESULTS.rglob("*") if file.is_file())
    print(f"{RESULTS}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
