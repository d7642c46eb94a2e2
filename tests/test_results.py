"""The results that ship with the product: whole, readable without the model, and reproducible."""

import numpy as np
import pytest

from bridgex_core.activations import collect
from bridgex_core.atlas import NamedSets
from bridgex_core.collection import (
    FLUENCY,
    STATISTICS,
    Collection,
    missing,
    stored_fluency,
    stored_statistics,
    stored_table,
)
from bridgex_core.corpora import udhr
from bridgex_core.detection import stored_impacts
from bridgex_core.fluency import hardly_known, score_text
from bridgex_core.interventions import Intervention
from bridgex_core.languages import STUDY_LANGUAGES, register
from bridgex_core.model_sources import find_model
from bridgex_core.models import load
from bridgex_core.neurons import ActivationTable
from bridgex_core.perplexity import PerplexityPlan, stored_perplexity
from bridgex_core.perturbations import PERTURBATIONS
from bridgex_core.robustness import Perturbed, drops
from bridgex_core.spectrum import DEFAULT, PAPER, saturation, select, spectrum, split_half
from bridgex_core.store import Store, default_store
from bridgex_core.study import Evaluations, Study


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """An empty store over the bundled results."""
    return Store(tmp_path_factory.mktemp("store"), bundled=default_store().bundled)


@pytest.fixture(scope="module")
def collection(store):
    return Collection(find_model(None, store.root), udhr())


@pytest.fixture(scope="module")
def stats(store, collection):
    return stored_statistics(store, collection, STUDY_LANGUAGES)


def test_the_study_languages_are_there_before_any_model_is_installed(store, collection):
    assert not collection.source.installed
    assert missing(store, collection, STUDY_LANGUAGES) == ()


def test_each_says_how_it_was_made(store, collection):
    for code in STUDY_LANGUAGES:
        for kind in (STATISTICS, FLUENCY):
            manifest = store.manifest(kind, collection.key(kind, udhr().text(code)))
            assert manifest["settings"]["dtype"] == "float32"
            assert manifest["language"] == code
            assert manifest["versions"]["torch"].startswith("2.13.0")


def test_what_the_atlas_opens_with_is_there(store, collection):
    table = stored_table(store, collection, STUDY_LANGUAGES)
    sets = NamedSets(store, table)
    off = {code: Intervention(sets.mask(f"lape:{code}")) for code in STUDY_LANGUAGES}
    found = stored_perplexity(
        store, PerplexityPlan(collection, STUDY_LANGUAGES, off, 300, sets.alive)
    )
    assert found is not None
    assert (found.sizes.min(), found.sizes.max()) == (14, 79)
    factors = found.factors
    assert factors.own > 6 > 1.2 > factors.others > factors.control > 1
    assert (found.tokens == 300).all()
    assert stored_impacts(store, collection, STUDY_LANGUAGES).languages == STUDY_LANGUAGES


@pytest.mark.parametrize("pair", [("ind_Latn", "swh_Latn"), ("arb_Arab", "heb_Hebr")])
def test_perturbed_words_of_two_pairs_are_there(store, collection, pair):
    study = Study()
    forms, routes = Perturbed.of(study.tasks(pair), PERTURBATIONS), study.routes(pair, register())
    clean = [(task, route) for task in forms.clean for route in routes]
    kept = Evaluations.of_model(store, collection.source, "float32")
    kept = kept.uniform([*clean, *forms.work(routes)])
    whole = kept.evaluation(forms.clean, routes)
    perturbed = {kind: kept.evaluation(tasks, routes) for kind, tasks in forms.tasks.items()}
    assert None not in perturbed.values()
    assert len(drops(whole, perturbed, forms.changed, ranking="summed")) == 7 * len(perturbed)


def test_the_counts_are_possible(stats):
    for s in stats.values():
        assert s.positive_counts.shape == (8, 18, 2048)
        assert (s.positive_counts <= s.token_counts[:, None, None]).all()
        assert (s.positive_counts >= 0).all()
        assert 1500 < s.tokens < 5000


def test_related_languages_share_more(stats):
    for settings in (DEFAULT, PAPER):
        values = spectrum(ActivationTable.of(stats), settings).to_frame()
        for a, b, c in (
            ("fra_Latn", "spa_Latn", "jpn_Jpan"),
            ("zho_Hans", "jpn_Jpan", "fin_Latn"),
            ("arb_Arab", "heb_Hebr", "ita_Latn"),
        ):
            assert values.loc[a, b] > values.loc[a, c]


def test_the_default_picture_is_reliable_and_the_tie_break_does_not_make_it(stats):
    table = ActivationTable.of(stats)
    assert split_half(stats, DEFAULT).rho > 0.95
    assert (saturation(table, DEFAULT).chosen_by_tie_break <= 1).all()
    assert (saturation(table, PAPER).saturated > 200).all()


def test_the_model_knows_english_best(store, collection):
    fluency = stored_fluency(store, collection, STUDY_LANGUAGES)
    bits = {code: f.bits_per_byte for code, f in fluency.items()}
    assert min(bits, key=bits.get) == "eng_Latn"
    assert not hardly_known(fluency["eng_Latn"], udhr().text("eng_Latn").blocks)


@pytest.mark.slow
def test_two_languages_computed_again_are_the_same(stats, store, collection):
    """Counts within 0.1 % of the tokens and at most 1 % of the top neurons: processors differ."""
    model = load(find_model(None, default_store().root), dtype="float32", device="cpu")
    again = dict(stats)
    for code in ("zho_Hans", "eng_Latn"):
        fresh = collect(model, udhr().text(code).blocks).fold(8)
        again[code] = fresh
        assert (fresh.token_counts == stats[code].token_counts).all()
        counts, shipped = (s.positive_counts.sum(0) for s in (fresh, stats[code]))
        assert np.abs(counts - shipped).max() <= 0.001 * fresh.tokens
        np.testing.assert_allclose(
            fresh.mean_activation, stats[code].mean_activation, rtol=1e-3, atol=1e-4
        )
    tables = [ActivationTable.of(each) for each in (stats, again)]
    for settings in (PAPER, DEFAULT):
        masks = [select(table, settings).masks for table in tables]
        for k, code in enumerate(stats):
            changed = (masks[0][k] & ~masks[1][k]).sum()
            assert changed <= 0.01 * masks[0][k].sum(), code
    fluency = score_text(model, udhr().text("eng_Latn").blocks)
    shipped_fluency = stored_fluency(store, collection, ["eng_Latn"])["eng_Latn"]
    assert fluency.bits_per_byte == pytest.approx(shipped_fluency.bits_per_byte, rel=1e-3)
