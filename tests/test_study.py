"""Evaluations kept, resumed and put together; the study's pairs, table and correction."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pytest

from bridgex_core.bli import Bli
from bridgex_core.errors import Cancelled, InputError
from bridgex_core.evaluation import Evaluation, RouteResult
from bridgex_core.languages import register
from bridgex_core.model_sources import ModelSource
from bridgex_core.statistical_tests import holm
from bridgex_core.store import Store
from bridgex_core.study import EVALUATIONS, Evaluations, Study, measured, study_table, to_latex
from bridgex_core.xicl import Route

from .dictionary_backend import DictionaryBackend

R = register()
ID, HE, EN, ES = (R[code] for code in ("ind_Latn", "heb_Hebr", "eng_Latn", "spa_Latn"))
ROUTES = [Route.of(ID, HE), Route.of(ID, HE, EN), Route.of(ID, HE, ES)]
SOURCE = ModelSource.in_memory("llama", 2, 64)


@dataclass
class Toy:
    """Two items; the score is the number of the route and the seed."""

    seed: int = 0
    runs: list[tuple[str, ...]] = field(default_factory=list)
    name: ClassVar[str] = "toy"
    measure: ClassVar[str] = "accuracy"

    def identity(self):
        return {"task": self.name, "seed": self.seed}

    def labels(self):
        return ("one", "two"), (("1",), ("2",))

    def steps(self, route):
        return 2

    def evaluate(self, backend, route, *, progress=None):
        self.runs.append(route.codes)
        progress.advance(2)
        scores = np.array([len(route.codes) - 2, self.seed], dtype=float)
        return RouteResult(route.codes, scores, (("a",), ("b",)), {"summed": np.array([1, 2])})


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def no_backend():
    raise AssertionError("there is nothing to run")


def test_what_is_kept_comes_back_whole(store):
    task, kept = Toy(), Evaluations.of_model(store, SOURCE, "float32")
    assert kept.evaluation([task], ROUTES) is None
    kept.run([(task, route) for route in ROUTES], lambda: DictionaryBackend({}))
    assert task.runs == [route.codes for route in ROUTES]
    whole = kept.evaluation([task], ROUTES)
    assert (whole.task, whole.measure, whole.items) == ("toy", "accuracy", ("one", "two"))
    assert [runs[0].scores.tolist() for runs in whole.runs] == [[0, 0], [1, 0], [1, 0]]
    assert whole.runs[0][0].ranks["summed"].tolist() == [1, 2]
    kept.run([(task, route) for route in ROUTES], no_backend)
    manifest = store.manifest(EVALUATIONS, kept.key(task, ROUTES[1]))
    assert manifest["route"] == ["ind_Latn", "eng_Latn", "heb_Hebr"]
    assert manifest["model_name"] == "in-memory"
    assert set(manifest["versions"]) >= {"bridgex", "torch", "transformers"}


def test_seeds_are_runs_of_one_evaluation(store):
    tasks, kept = [Toy(0), Toy(1)], Evaluations.of_model(store, SOURCE, "float32")
    kept.run([(task, ROUTES[0]) for task in tasks], lambda: DictionaryBackend({}))
    assert kept.missing(tasks, ROUTES[:2]) == [(task, ROUTES[1]) for task in tasks]
    assert kept.evaluation(tasks, ROUTES[:2]) is None
    whole = kept.evaluation(tasks, ROUTES[:1])
    np.testing.assert_allclose(whole.scores(0), [0, 0.5])


def test_after_a_cancel_the_rest_is_run(store):
    task, kept = Toy(), Evaluations.of_model(store, SOURCE, "float32")
    work = [(task, route) for route in ROUTES]
    seen = []
    with pytest.raises(Cancelled):
        kept.run(
            work,
            lambda: DictionaryBackend({}),
            report=seen.append,
            cancelled=lambda: len(task.runs) == 2,
        )
    assert [kept.has(*each) for each in work] == [True, False, False]
    assert seen[-1].total == 6
    task.runs.clear()
    kept.run(work, lambda: DictionaryBackend({}), report=seen.append)
    assert task.runs == [route.codes for route in ROUTES[1:]]
    assert (seen[-1].done, seen[-1].total) == (4, 4)


def test_either_number_format_counts_and_the_asked_one_is_kept(store):
    task, route = Toy(), ROUTES[0]
    half = Evaluations.of_model(store, SOURCE, "bfloat16")
    half.run([(task, route)], lambda: DictionaryBackend({}))
    whole = Evaluations.of_model(store, SOURCE, "float32")
    assert whole.has(task, route)
    assert whole.stored(task, route) is not None
    assert whole.missing([task], ROUTES[:1]) == []
    assert whole.key(task, route) != half.key(task, route) == whole.key(task, route, 1)
    assert whole.found(task, route) == half.key(task, route)  # a cache must not take it for ours
    whole.keep(task, route, half.stored(task, route))
    assert whole.found(task, route) == whole.key(task, route)
    assert whole.found(task, ROUTES[1]) is None
    alone = Evaluations(store, half.identities[1:], "x")
    assert not alone.has(task, ROUTES[1])


def test_results_that_are_compared_are_of_one_number_format(store):
    task = Toy()
    work = [(task, route) for route in ROUTES]
    either = Evaluations.of_model(store, SOURCE, "float32")
    assert either.uniform(work).identities == either.identities[:1]
    half = Evaluations.of_model(store, SOURCE, "bfloat16").uniform(work)
    assert [one["dtype"] for one in half.identities] == ["bfloat16"]
    half.run(work[:2], lambda: DictionaryBackend({}))
    either.uniform(work[2:]).run(work[2:], lambda: DictionaryBackend({}))
    assert either.evaluation([task], ROUTES) is not None
    alone = either.uniform(work)
    assert alone.identities == half.identities
    assert alone.missing([task], ROUTES) == [work[2]]


def test_the_study_that_ships():
    study = Study()
    assert len(study.pairs) == 15
    work = [route for pair in study.pairs for route in study.routes(pair, R)]
    assert sum(bool(route.bridges) for route in work) == 87
    assert sum(not route.bridges for route in work) == 15
    for route in work:
        assert not {*route.bridges} & {route.source, route.target}
    assert (study.items, study.shots, study.seeds) == (100, 4, (0,))


def test_a_part_of_the_study():
    part = Study(only=(("ind_Latn", "heb_Hebr"),), bridges=("eng_Latn", "heb_Hebr"), seeds=(0, 1))
    assert part.pairs == (("ind_Latn", "heb_Hebr"),)
    work = part.work(R)
    assert [(task.seed, route.codes) for task, route in work] == [
        (0, ("ind_Latn", "heb_Hebr")),
        (1, ("ind_Latn", "heb_Hebr")),
        (0, ("ind_Latn", "eng_Latn", "heb_Hebr")),
        (1, ("ind_Latn", "eng_Latn", "heb_Hebr")),
    ]


def test_what_a_route_gives_depends_on_no_other_bridge(tmp_path):
    def run(*bridges: str) -> dict:
        study = Study(only=(("ind_Latn", "heb_Hebr"),), bridges=bridges, items=5, shots=2)
        kept = Evaluations.of_model(Store(tmp_path / "-".join(bridges)), SOURCE, "float32")
        kept.run(study.work(R), lambda: DictionaryBackend({}))
        (whole,) = study.results(kept, R).values()
        return {runs[0].route: runs[0] for runs in whole.runs}

    alone, among = run("spa_Latn"), run("eng_Latn", "spa_Latn", "fra_Latn")
    assert set(alone) < set(among)
    for route, result in alone.items():
        np.testing.assert_array_equal(result.scores, among[route].scores)
        assert result.answers == among[route].answers
        for name, ranks in result.ranks.items():
            np.testing.assert_array_equal(ranks, among[route].ranks[name])


def random_evaluation(seed: int, source: str) -> Evaluation:
    rng = np.random.default_rng(seed)
    items = tuple(map(str, range(40)))
    runs = []
    for number, bridge in enumerate(((), ("eng_Latn",), ("spa_Latn",))):
        right = (rng.random(40) < 0.2 + 0.3 * number * seed).astype(float)
        ranks = {"summed": rng.integers(1, 50 - 20 * number, 40)}
        answers = (("x",),) * 40
        runs.append((RouteResult((source, *bridge, "heb_Hebr"), right, answers, ranks),))
    return Evaluation("bli", "accuracy", items, tuple((i,) for i in items), tuple(runs))


RESULTS = {(s, "heb_Hebr"): random_evaluation(k, s) for k, s in enumerate(("ind_Latn", "arb_Arab"))}


def test_holms_correction_goes_over_all_pairs():
    table = study_table(RESULTS)
    assert list(table["source"]) == ["ind_Latn"] * 3 + ["arb_Arab"] * 3
    for prefix in ("", "mrr_"):
        raw = [
            value
            for each in RESULTS.values()
            for value in each.table()[f"{prefix}p_value"].dropna()
        ]
        assert len(raw) == 4
        np.testing.assert_allclose(table[f"{prefix}p_holm"].dropna(), holm(raw))
    assert table.loc[table["bridge"] == "", ["p_holm", "mrr_p_holm"]].isna().all(axis=None)


def test_a_study_without_bridges_or_results():
    direct = {
        pair: Evaluation(e.task, e.measure, e.items, e.gold, e.runs[:1])
        for pair, e in RESULTS.items()
    }
    assert "p_holm" not in study_table(direct)
    with pytest.raises(InputError, match="run the study"):
        study_table({})


@pytest.mark.parametrize("measure", ["accuracy", "mrr"])
def test_the_table_for_a_paper(measure):
    table = study_table(RESULTS)
    latex = to_latex(table, measure)
    rows = [line for line in latex.splitlines() if "heb" in line]
    assert len(rows) == 2
    prefix = "mrr_" if measure == "mrr" else ""
    for (source, _), line in zip(RESULTS, rows, strict=True):
        code, target, direct, *cells = (cell.strip(" \\") for cell in line.split("&"))
        assert (code.replace(r"\_", "_"), target) == (source, r"heb\_Hebr")
        own = table[table["source"] == source]
        assert direct == f"{100 * own[measure].iloc[0]:.1f}"
        for cell, (_, row) in zip(cells, own.iloc[1:].iterrows(), strict=True):
            star = "^{*}" if row[f"{prefix}p_holm"] <= 0.05 else ""
            assert cell == f"${100 * row[f'{prefix}difference']:+.1f}{star}$"
    assert "^{*}" in latex


def test_bridges_that_some_pairs_lack_are_dashes():
    short = RESULTS["ind_Latn", "heb_Hebr"]
    short = Evaluation(short.task, short.measure, short.items, short.gold, short.runs[:2])
    table = study_table({**RESULTS, ("ind_Latn", "heb_Hebr"): short})
    (line,) = (line for line in to_latex(table).splitlines() if line.startswith("ind"))
    assert line.count("--") == 1


def test_what_was_measured_of_a_model(store):
    task = Bli("ind_Latn", "heb_Hebr", items=5, shots=1)
    rest = Bli("ind_Latn", "heb_Hebr", items=5, shots=1, apart=False)
    kept = Evaluations.of_model(store, SOURCE, "float32")
    backend = DictionaryBackend({})
    work = [(task, ROUTES[0]), (task, ROUTES[1]), (rest, ROUTES[0]), (Toy(), ROUTES[2])]
    kept.run(work, lambda: backend)
    frame = measured(store, SOURCE)
    assert list(frame["bridge"]) == ["", "eng_Latn"]  # apart from probes alone, words alone
    assert list(frame["items"]) == [5, 5]
    ranks = kept.stored(task, ROUTES[1]).ranks["summed"]
    assert frame["mrr"].iloc[1] == pytest.approx((1 / ranks).mean())
    assert measured(store, ModelSource("x", "x", None, "other", "x", "llama", 1, 1)).empty
