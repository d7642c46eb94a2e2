"""Evaluations on perturbed items: what is asked, what is kept apart, and the drops, recounted."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from bridgex_core.atlas import pitfalls
from bridgex_core.bli import Bli
from bridgex_core.embedded import DEFAULT_MODEL
from bridgex_core.errors import InputError
from bridgex_core.evaluation import Evaluation, RouteResult
from bridgex_core.languages import register
from bridgex_core.model_sources import ModelSource, find_model
from bridgex_core.perturbations import PERTURBATIONS
from bridgex_core.robustness import Perturbed, drops, in_words
from bridgex_core.statistical_tests import holm
from bridgex_core.store import Store, open_store
from bridgex_core.study import BRIDGES, EVALUATIONS, Evaluations, measured
from bridgex_core.tasks import open_task, run_item
from bridgex_core.xicl import Route

from .dictionary_backend import Counted, DictionaryBackend

R = register()
ID, HE, EN, ES = (R[code] for code in ("ind_Latn", "heb_Hebr", "eng_Latn", "spa_Latn"))
DIRECT, ENGLISH, SPANISH = Route.of(ID, HE), Route.of(ID, HE, EN), Route.of(ID, HE, ES)
TASK = Bli("ind_Latn", "heb_Hebr", items=20)
SOURCE = ModelSource.in_memory("llama", 2, 64)


# ---- Perturbed tasks ---------------------------------------------------------------------------


def test_results_that_ship_keep_their_keys(tmp_path):
    store = open_store(tmp_path)
    kept = Evaluations.of_model(store, find_model(DEFAULT_MODEL, store.root), "float32")
    for bridges in ([], [EN]):
        assert kept.has(Bli("ind_Latn", "heb_Hebr"), Route.of(ID, HE, *bridges))
    for name in ("bli", "translation", "reading"):
        task = open_task(name, "ind_Latn", "heb_Hebr", items=5)
        assert "perturbation" not in task.identity()
        assert not task.changed.any()


@pytest.mark.parametrize("name", ["bli", "translation", "reading"])
@pytest.mark.parametrize("kind", ["typos", "case", "distractors"])
def test_a_perturbed_task_keeps_items_and_gold(name, kind):
    clean = open_task(name, "ind_Latn", "heb_Hebr", items=6)
    task = open_task(name, "ind_Latn", "heb_Hebr", items=6, perturbation=kind)
    assert task.labels() == clean.labels()
    assert task.changed.all()
    ours, whole = task.identity(), clean.identity()
    assert {key: value for key, value in ours.items() if key != "perturbation"} == whole
    assert ours["perturbation"]["kind"] == kind
    assert (
        replace(task, seed=1).identity()["perturbation"] != ours["perturbation"] or kind == "case"
    )


def test_only_the_source_language_is_perturbed():
    clean = open_task("reading", "ind_Latn", "heb_Hebr", items=4)
    task = replace(clean, perturbation="case")
    for before, after in zip(clean.items, task.asked, strict=True):
        assert after.fields["passage"] == before.fields["passage"].upper()
        assert {**after.fields, "passage": ""} == {**before.fields, "passage": ""}
        assert after.gold == before.gold


def test_demonstrations_are_not_perturbed_but_what_is_asked_is():
    backend, perturbed = DictionaryBackend({}), DictionaryBackend({})
    progress = Counted()
    task = replace(TASK, perturbation="case")
    TASK.evaluate(backend, ENGLISH)
    task.evaluate(perturbed, ENGLISH, progress=progress)
    assert progress.done == task.steps(ENGLISH)
    for calls, other in zip(backend.calls, perturbed.calls, strict=True):
        for word, prompt, changed in zip(TASK.labels()[0], calls, other, strict=True):
            above, _, line = prompt.rpartition("\n")
            assert changed == f"{above}\n{line.replace(word, word.upper(), 1)}"
    asked = run_item(DictionaryBackend({}), task, DIRECT, 3)
    assert asked.text == TASK.words[3].word.upper()


def test_distractors_are_neither_asked_nor_shown_nor_answers():
    task = Bli("ind_Latn", "heb_Hebr", perturbation="distractors")
    every = {word for pair in task.words for word in (pair.word, *pair.answers)}
    shown = set()
    for bridge in [None, *BRIDGES]:
        through = () if bridge is None else (R[bridge],)
        shown |= {row[0] for row in task.examples(Route.of(ID, HE, *through))}
    assert shown
    for text, pair in zip(task.asked, task.words, strict=True):
        word, _, rest = text.partition(" (")
        first, second = rest.removesuffix(")").split(", ")
        assert word == pair.word
        assert first != second
        assert not {first, second} & (every | shown)


def test_distractors_of_texts_come_from_other_items():
    task = open_task("translation", "ind_Latn", "heb_Hebr", items=5, perturbation="distractors")
    texts = [item.fields["text"] for item in (*task.items, *task.known)]
    for before, after in zip(task.items, task.asked, strict=True):
        added = after.fields["text"].partition(" (")[2].partition(")")[0].split(", ")
        assert len(added) == 2
        for word in added:
            assert word not in before.fields["text"]
            assert any(word in text for text in texts)


def test_a_perturbation_that_does_not_exist():
    for name in ("bli", "translation"):
        with pytest.raises(InputError, match="no perturbation 'upper'"):
            open_task(name, "ind_Latn", "heb_Hebr", perturbation="upper")


def test_perturbed_results_stay_out_of_what_lists_results(tmp_path):
    store = Store(tmp_path)
    kept = Evaluations.of_model(store, SOURCE, "float32")
    for source in (ID, EN):
        clean = Bli(source.code, "heb_Hebr", items=5)
        route = Route.of(source, HE)
        for task, right in ((clean, 1.0), (replace(clean, perturbation="typos"), 0.0)):
            result = RouteResult(route.codes, np.full(5, right), (("x",),) * 5)
            kept.keep(task, route, result)
    assert len(list(store.entries(EVALUATIONS))) == 4
    assert measured(store, SOURCE)["accuracy"].tolist() == [1, 1]
    (row,) = pitfalls(store, SOURCE, R).itertuples()
    assert (row.right, row.lost) == (row.items, 0)


def test_forms_of_a_task():
    tasks = [Bli("arb_Arab", "heb_Hebr", items=8, seed=seed) for seed in (0, 1)]
    forms = Perturbed.of(tasks, PERTURBATIONS)
    assert list(forms.tasks) == ["typos", "diacritics", "transliteration", "distractors"]
    assert forms.idle == ("case",)
    assert forms.idle_in_words(R) == "Case changes none of the 8 words of Arabic."
    assert len(forms.work([DIRECT, ENGLISH])) == 4 * 2 * 2
    assert 0 < forms.changed["diacritics"].sum() < 8
    for kind, each in forms.tasks.items():
        assert [task.seed for task in each] == [0, 1]
        np.testing.assert_array_equal(each[0].changed, each[1].changed)
        np.testing.assert_array_equal(forms.changed[kind], each[0].changed)
    told = forms.samples(1)
    assert told["perturbation"].tolist() == list(forms.tasks)
    assert (told["item"] != told["read"]).all()
    assert Perturbed.of(tasks, ()).idle_in_words(R) == ""
    texts = Perturbed.of([open_task("reading", "ind_Latn", "heb_Hebr", items=3)], PERTURBATIONS)
    assert texts.idle_in_words(R) == (
        "Diacritics and transliteration change none of the 3 items of Indonesian."
    )


# ---- Drops -------------------------------------------------------------------------------------


def evaluation(scores, *, measure="accuracy", ranks=None) -> Evaluation:
    """Of routes × seeds × items."""
    routes = (DIRECT, ENGLISH, SPANISH)
    runs = tuple(
        tuple(
            RouteResult(
                route.codes,
                np.asarray(each, dtype=float),
                tuple(("x",) * (len(route.codes) - 1) for _ in each),
                {} if ranks is None else {"summed": np.asarray(ranks[number][seed])},
            )
            for seed, each in enumerate(of_route)
        )
        for number, (route, of_route) in enumerate(zip(routes, scores, strict=False))
    )
    items = tuple(f"item {number}" for number in range(len(scores[0][0])))
    return Evaluation("bli", measure, items, tuple((item,) for item in items), runs)


def test_drops_by_hand():
    clean = evaluation([[[1, 1, 1, 1, 0]], [[1, 1, 0, 0, 1]]])
    typos = evaluation([[[0, 0, 0, 1, 1]], [[1, 0, 0, 0, 0]]])
    changed = {"typos": np.array([True, True, True, True, False])}
    table = drops(clean, {"typos": typos}, changed)
    direct, english = table.to_dict("records")
    assert (direct["bridge"], direct["perturbation"], direct["items"]) == ("", "typos", 4)
    assert (direct["clean"], direct["perturbed"], direct["drop"]) == (1, 0.25, 0.75)
    assert (english["bridge"], english["route"]) == ("eng_Latn", " ".join(ENGLISH.codes))
    assert (english["clean"], english["perturbed"], english["drop"]) == (0.5, 0.25, 0.25)
    assert direct["test"] == "McNemar"
    assert direct["p_value"] == binomtest(3, 3).pvalue == 0.25
    assert english["p_value"] == 1
    assert [direct["p_holm"], english["p_holm"]] == [0.5, 1]
    assert english["against_direct"] == -0.5  # of the lost items (1, 1, 1, 0) and (0, 1, 0, 0)
    assert np.isnan([english["against_low"], english["against_high"]]).all()  # too few items
    assert english["against_p_holm"] == english["against_p_value"]
    assert np.isnan(direct["against_direct"])
    assert np.isnan(direct["against_p_holm"])


def naive(values: np.ndarray, rng: np.random.Generator) -> tuple[float, float, float]:
    """Ends of the percentile interval of the mean, and the p-value by signs drawn at random."""
    means = np.array(
        [values[rng.integers(0, len(values), len(values))].mean() for _ in range(4000)]
    )
    low, high = np.percentile(means, [2.5, 97.5])
    flipped = np.array([(values * rng.choice([-1, 1], len(values))).mean() for _ in range(4000)])
    extreme = np.abs(flipped) >= abs(values.mean()) - 1e-9
    return low, high, (1 + extreme.sum()) / 4001


@pytest.mark.parametrize("ranking", [None, "summed"])
def test_drops_against_naive_ones(ranking):
    rng = np.random.default_rng(1)
    shape = (3, 2, 40)  # routes, seeds, items
    before, after = rng.random(shape), rng.random(shape) * 0.8
    ranks = [rng.integers(1, 50, shape) for _ in range(2)]
    clean = evaluation(before, measure="chrF", ranks=ranks[0])
    perturbed = evaluation(after, measure="chrF", ranks=ranks[1])
    kept = rng.random(40) < 0.7
    table = drops(
        clean,
        {"case": perturbed, "typos": perturbed},
        {"case": kept, "typos": np.ones(40, dtype=bool)},
        ranking=ranking,
    )
    assert table["perturbation"].tolist() == ["case"] * 3 + ["typos"] * 3
    values = [before, after] if ranking is None else [1 / each for each in ranks]
    for row, mask in zip(table.to_dict("records")[:3], [kept] * 3, strict=True):
        route = ["", "eng_Latn", "spa_Latn"].index(row["bridge"])
        lost = (values[0] - values[1])[route].mean(0)[mask]
        low, high, p = naive(lost, rng)
        assert row["drop"] == pytest.approx(lost.mean())
        np.testing.assert_allclose([row["low"], row["high"]], [low, high], atol=0.02)
        assert row["p_value"] == pytest.approx(p, abs=0.03)
        assert row["test"] == "sign flips"
        if route:
            against = lost - (values[0] - values[1])[0].mean(0)[mask]
            low, high, p = naive(against, rng)
            assert row["against_direct"] == pytest.approx(against.mean())
            ends = [row["against_low"], row["against_high"]]
            np.testing.assert_allclose(ends, [low, high], atol=0.02)
            assert row["against_p_value"] == pytest.approx(p, abs=0.03)
    np.testing.assert_allclose(table["p_holm"], holm(table["p_value"].to_numpy()))
    against = table[table["bridge"] != ""]
    np.testing.assert_allclose(
        against["against_p_holm"], holm(against["against_p_value"].to_numpy())
    )


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=12))
@settings(max_examples=25, deadline=None)
def test_items_that_do_not_change_never_count(rows):
    before, after, mask = (np.array(each, dtype=bool) for each in zip(*rows, strict=True))
    found = drops(
        evaluation([[before]]),
        {"typos": evaluation([[np.where(mask, after, before)]])},
        {"typos": mask},
    )
    other = drops(
        evaluation([[before | ~mask]]), {"typos": evaluation([[after & mask]])}, {"typos": mask}
    )
    pd.testing.assert_frame_equal(found, other)
    assert len(found) == bool(mask.any())
    if mask.any():
        assert found["drop"][0] == pytest.approx(before[mask].mean() - after[mask].mean())


def test_one_item_has_no_interval():
    clean, case = evaluation([[[1, 0]], [[1, 1]]]), evaluation([[[0, 0]], [[1, 0]]])
    table = drops(clean, {"case": case}, {"case": np.array([True, False])})
    assert table["drop"].tolist() == [1, 0]
    assert table[["low", "high", "against_low", "against_high"]].isna().all(axis=None)
    assert "case 50.0 (1 item)." in in_words(table, "accuracy", R)


def test_a_few_items_that_all_lose_can_be_chance():
    before, after = np.full(25, 1 / 3), np.full(25, 1 / 3)
    after[:3] = 1 / 4  # three words that all fall by one rank
    clean, marks = (
        evaluation([[np.zeros(25)]], ranks=np.rint(1 / each)[None, None])
        for each in (before, after)
    )
    (row,) = drops(
        clean, {"diacritics": marks}, {"diacritics": np.arange(25) < 3}, ranking="summed"
    ).to_dict("records")
    assert (row["items"], row["p_value"], row["p_holm"]) == (3, 0.25, 0.25)
    assert np.isnan([row["low"], row["high"]]).all()


def test_routes_that_were_not_run_and_other_items():
    clean = evaluation([[[1, 0]], [[1, 1]]])
    one = evaluation([[[1, 0]]])
    every = np.ones(2, dtype=bool)
    assert drops(clean, {"case": one}, {"case": every})["bridge"].tolist() == [""]
    assert drops(one, {"case": clean}, {"case": every})["bridge"].tolist() == [""]
    assert drops(clean, {"case": one}, {"case": every}, ranking="summed").empty
    bridged_only = Evaluation("bli", "accuracy", clean.items, clean.gold, clean.runs[1:])
    (row,) = drops(clean, {"case": bridged_only}, {"case": every}).to_dict("records")
    assert np.isnan(row["against_direct"])
    with pytest.raises(ValueError, match="other items"):
        drops(clean, {"case": evaluation([[[1, 0, 1]]])}, {"case": np.ones(3, dtype=bool)})


# ---- In words ----------------------------------------------------------------------------------


def test_in_words():
    n = 40
    clean = evaluation([[np.ones(n)], [np.ones(n)]])
    half = np.arange(n) % 2
    typos = evaluation([[np.zeros(n)], [half]])
    every = {"typos": np.ones(n, dtype=bool), "case": np.ones(n, dtype=bool)}
    told = in_words(drops(clean, {"typos": typos, "case": clean}, every), "accuracy", R)
    assert "typos 75.0 (40 items), case 0 (40 items)." in told
    assert "over 4 tests 2 can be told from chance at 0.05" in told
    assert "the largest is 100.0 with typos, direct." in told
    assert "Against the direct route, via English loses 50.0 points less with typos." in told
    told = in_words(drops(clean, {"case": clean}, every), "accuracy", R)
    assert "over 2 tests no drop can be told from chance" in told
    assert "No bridge can be told to lose more or less than the direct route." in told
    few = evaluation([[np.eye(n)[0]]])
    told = in_words(drops(few, {"case": few}, every), "accuracy", R)
    assert "only 2.5 % are right, so there is little to lose" in told
    assert "No bridge" not in told
    empty = drops(clean, {}, {})
    assert "Nothing has been measured" in in_words(empty, "accuracy", R)
