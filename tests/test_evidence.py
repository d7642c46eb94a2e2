"""What the rankers stand on: what is missing, computed once, kept, and compared over pairs."""

import numpy as np
import pytest

from bridgex_core import evidence as module
from bridgex_core.bli import Bli
from bridgex_core.bridge_hsic import Ranked
from bridgex_core.bridges import RANKERS, rank, rank_by
from bridgex_core.collection import Collection
from bridgex_core.corpora import open_corpus
from bridgex_core.errors import Cancelled, InputError
from bridgex_core.evaluation import RouteResult
from bridgex_core.evidence import (
    SCORES,
    Candidates,
    Recommendation,
    combine,
    keep_scores,
    kept_scores,
    recommend,
)
from bridgex_core.languages import register
from bridgex_core.model_sources import ModelSource, find_model
from bridgex_core.models import load
from bridgex_core.probing import ProbeTask
from bridgex_core.rankers import COMBINED, PLACE, quality
from bridgex_core.spectrum import SpectrumSettings
from bridgex_core.store import Store
from bridgex_core.study import Evaluations, measured
from bridgex_core.xicl import Route

PAIR = ("fin_Latn", "swh_Latn")
BRIDGES = ("eng_Latn", "deu_Latn", "spa_Latn")
NEEDY = ("hsic", "overlap", "competence")


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def tiny(store, tiny_model_folder, folder_corpus, monkeypatch):
    """Candidates of the tiny model, with few words."""
    monkeypatch.setattr(module, "COMPETENCE_WORDS", 3)
    source = find_model(str(tiny_model_folder), store.root)
    statistics = Collection(source, open_corpus(str(folder_corpus)))

    def make(pair=PAIR, bridges=BRIDGES[:2], **changes) -> Candidates:
        return Candidates(store, statistics, ProbeTask(*pair, words=8, **changes), bridges)

    return make


def no_model(dtype):
    raise AssertionError("the model is not needed")


# ---- Missing, and computed ---------------------------------------------------------------------


def test_what_is_missing_is_computed_once(tiny):
    candidates = tiny()
    assert candidates.missing(["random", "english", "uriel"]) == ()
    assert candidates.missing(["activation"]) == ("statistics",)
    assert candidates.missing(["alignment"]) == ("statistics",)
    assert candidates.missing(["hsic-released"]) == ("statistics", "probe")
    assert candidates.missing(["competence"]) == ("competence",)
    assert candidates.missing(RANKERS) == ("statistics", "probe", "competence")
    assert candidates.competence() == {}

    loaded, told = [], []

    def get(dtype):
        loaded.append(dtype)
        return load(candidates.statistics.source, dtype=dtype, device="cpu")

    candidates.complete(RANKERS, get, report=told.append)
    assert loaded == ["float32"] * 3
    fractions = [now.fraction for now in told]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    assert {now.eta_seconds for now in told if now.fraction < 2 / 3} == {None}
    assert any("probe of fin_Latn and swh_Latn" in now.message for now in told) or len(told) > 3

    again = tiny()
    assert again.missing(RANKERS) == ()
    again.complete(RANKERS, no_model)
    evidence = again.gather(sets=SpectrumSettings(top_rate=0.4))
    rankings, unable = rank_by(evidence, RANKERS)
    assert (list(rankings), unable) == (list(RANKERS), {})
    assert all(ranked.bridges == BRIDGES[:2] for ranked in rankings.values())
    frame = again.table(rankings)
    assert list(frame) == [*PLACE, *RANKERS]
    assert frame["bridge"].tolist() == list(BRIDGES[:2])
    assert (frame["hsic"].to_numpy() == rankings["hsic"].scores).all()
    # One neuron of 128 a language: nothing is shared, and the other rankers still rank.
    assert not set(again.scores()) & {"hsic", "hsic-calibrated"}
    assert {"overlap", "competence", "random"} <= set(again.scores())
    for task, route in again.steps():
        kept = again.evaluations.stored(task, route)
        firsts = evidence.competence[route.codes]
        assert firsts.tolist() == [float(r == 1) for r in kept.ranks["summed"]]
        assert len(firsts) == 3
        aside = {pair.word for pair in Bli(*route.codes, items=999).words}
        assert not aside & {pair.word for pair in task.words}  # apart from every evaluation
    assert evidence.probe.prompts == 8


def test_only_what_a_ranker_needs_is_gathered(tiny):
    """Typology needs neither statistics nor a model."""
    evidence = tiny().gather(["uriel"])
    assert evidence.lacking == (*PAIR, *BRIDGES[:2])
    assert np.isfinite(rank(evidence, "uriel").scores).all()
    with pytest.raises(InputError, match="no activation statistics of fin_Latn"):
        rank(evidence, "overlap")


def test_stopped_between_two_steps(tiny, store):
    candidates = tiny()

    def get(dtype):
        return load(candidates.statistics.source, dtype=dtype, device="cpu")

    with pytest.raises(Cancelled):
        candidates.complete(
            ["hsic"], get, cancelled=lambda: "statistics" not in candidates.missing(["overlap"])
        )
    assert "probe" in candidates.missing(["hsic"])
    candidates.complete(["hsic"], get)
    assert candidates.missing(["hsic"]) == ()


@pytest.mark.parametrize(
    ("pair", "bridges", "rankers", "expected"),
    [
        (("fin_Latn", "fra_Latn"), BRIDGES, ["overlap"], "no fra_Latn.txt"),
        (PAIR, ("ita_Latn",), ["hsic"], "no ita_Latn.txt"),
        (("fin_Latn", "lin_Latn"), BRIDGES, ["competence"], "no words in Lingala"),
        (PAIR, ("lin_Latn",), ["competence"], "no words in Lingala"),
    ],
)
def test_what_cannot_be_computed_is_told_before_anything_is(
    tiny, store, pair, bridges, rankers, expected
):
    with pytest.raises(InputError, match=expected):
        tiny(pair, bridges).complete([*rankers, "uriel"], no_model)
    assert store.usage() == {}


def test_candidates_that_cannot_be_bridges(tiny):
    with pytest.raises(InputError, match="swh_Latn is the target itself"):
        tiny(bridges=("eng_Latn", "swh_Latn"))
    with pytest.raises(InputError, match="both fin_Latn"):
        tiny(("fin_Latn", "fin_Latn"))


def test_a_lexicon_of_one_pair_is_not_read_as_another(tiny, tmp_path):
    """A table with the columns source and target fits any pair; only the probe may use it."""
    path = tmp_path / "own.csv"
    path.write_text("source,target\n" + "".join(f"sana{n},neno{n}\n" for n in range(40)))
    candidates = tiny(lexicon=str(path))
    assert {pair.word[:4] for pair in candidates.task.pairs} == {"sana"}
    words = {pair.word for task, _ in candidates.steps() for pair in task.words}
    assert words
    assert not any(word.startswith("sana") for word in words)
    folder = tmp_path / "muse"
    folder.mkdir()
    for name in ("fi-en", "en-sw", "fi-de", "de-sw"):
        (folder / f"{name}.txt").write_text("".join(f"a{n} b{n}\n" for n in range(40)))
    from_folder = [task.words[0].word[0] for task, _ in tiny(lexicon=str(folder)).steps()]
    assert from_folder == ["a"] * 4


# ---- Kept scores -------------------------------------------------------------------------------


def table(candidates, **scores):
    nothing = np.empty((0, len(candidates.bridges)))
    rankings = {
        name.replace("_", "-"): Ranked(candidates.bridges, np.array(values, float), nothing, {})
        for name, values in scores.items()
    }
    return candidates.table(rankings), rankings


def test_the_latest_scores_win(tiny, store):
    candidates, other = tiny(), tiny(("hun_Latn", "swh_Latn"))
    assert list(kept_scores(candidates)) == PLACE
    keep_scores(candidates, table(candidates, hsic=[1, 2], overlap=[5, 6])[0])
    keep_scores(other, table(other, hsic=[7, 8])[0])
    keep_scores(candidates, table(candidates, hsic=[3, np.nan])[0])
    found = kept_scores(candidates).set_index(PLACE)
    assert found["hsic"].tolist() == pytest.approx([np.nan, 3, 8, 7], nan_ok=True)
    assert found["overlap"].tolist()[:2] == [6, 5]  # by no later ones
    assert found["overlap"].isna().tolist()[2:] == [True, True]
    # Back to the first: they are the latest now.
    keep_scores(candidates, table(candidates, hsic=[1, 2], overlap=[0, 0])[0])
    found = kept_scores(candidates).set_index(PLACE)
    assert found["hsic"].tolist() == [2, 1, 8, 7]
    assert found["overlap"].tolist()[:2] == [0, 0]
    assert store.usage()[SCORES][0] == 3


def test_scores_of_other_bridges_do_not_mix(tiny):
    two, three = tiny(), tiny(bridges=BRIDGES)
    keep_scores(three, table(three, hsic=[1, 2, 3])[0])
    keep_scores(two, table(two, hsic=[9, 8])[0])
    assert kept_scores(two)["bridge"].tolist() == ["deu_Latn", "eng_Latn"]
    assert kept_scores(two)["hsic"].tolist() == [8, 9]


def test_scores_of_another_model_do_not_count(tiny, store):
    candidates = tiny()
    keep_scores(candidates, table(candidates, hsic=[1, 2])[0])
    elsewhere = Collection(ModelSource.in_memory("llama", 2, 64), candidates.statistics.corpus)
    other = Candidates(store, elsewhere, candidates.task, candidates.bridges)
    assert kept_scores(other).empty


# ---- Which ranker to go by -----------------------------------------------------------------------


PAIRS = [
    (source, target)
    for source in ("fin_Latn", "hun_Latn")
    for target in ("swh_Latn", "tgl_Latn", "heb_Hebr")
]


def measure(candidates, gains):
    """Keep evaluations in which the gold word always stands at rank 1/gain."""
    kept = Evaluations.of_model(candidates.store, candidates.statistics.source, "float32")
    for pair, by_bridge in gains.items():
        task = Bli(*pair, items=4)
        for bridge, gain in zip(BRIDGES, by_bridge, strict=True):
            route = Route.of(*(register()[code] for code in (*pair, bridge)))
            ranks = np.full(4, round(1 / gain))
            answers = tuple(("x", "y") for _ in range(4))
            result = RouteResult(route.codes, np.zeros(4), answers, {"summed": ranks})
            kept.keep(task, route, result)


@pytest.fixture
def studied(tiny):
    """Six pairs: the order of gains is that of `overlap`; `hsic` always takes the worst."""
    random = np.random.default_rng(0)
    gains = {pair: random.permutation([1.0, 0.5, 0.25]) for pair in PAIRS}
    for pair in PAIRS:
        candidates = tiny(pair, BRIDGES)
        scores, _ = table(candidates, hsic=-gains[pair], overlap=gains[pair], random=[0, 0, 0])
        keep_scores(candidates, scores)
    measure(tiny(), gains)
    return gains


def test_the_ranker_of_lowest_regret_is_recommended(tiny, studied):
    candidates = tiny(bridges=BRIDGES)
    assert len(measured(candidates.store, candidates.statistics.source)) == 18
    found = recommend(candidates, ["hsic", "overlap", "random", "uriel"])
    assert found.ranker == "overlap"
    rows = found.quality.set_index("ranker")
    assert set(rows.index) == {"hsic", "overlap", "random", COMBINED}  # of uriel nothing is kept
    assert rows["pairs"].tolist() == [6] * 4
    assert rows["regret"].to_dict() == pytest.approx(
        {"overlap": 0, COMBINED: 0, "random": 1 - 1.75 / 3, "hsic": 0.75}
    )
    assert found.sentence() == (
        "No ranker loses less than 'overlap': over 6 measured pairs its first choice is the best "
        "bridge in 100%, and loses 0.000 of the mean reciprocal rank (0.000 to 0.000)."
    )
    assert recommend(candidates, ["uriel"]) is None


def test_nothing_is_recommended_where_nothing_was_measured(tiny):
    candidates = tiny(bridges=BRIDGES)
    assert recommend(candidates, list(RANKERS)) is None
    keep_scores(candidates, table(candidates, hsic=[1, 2, 3])[0])
    assert recommend(candidates, list(RANKERS)) is None


def test_one_pair_is_a_pair():
    frame = quality(*(_frame(name) for name in ("hsic", "mrr")), ["hsic"])
    assert "over 1 measured pair its" in Recommendation("hsic", frame).sentence()


def _frame(name):
    import pandas as pd

    return pd.DataFrame(
        [(*PAIR, "eng_Latn", 1.0), (*PAIR, "deu_Latn", 0.5)], columns=[*PLACE, name]
    )


def test_the_combination_never_sees_the_pair_s_own_target(tiny, studied):
    candidates = tiny(bridges=BRIDGES)
    _, rankings = table(candidates, hsic=[1, 2, 3], overlap=[3, 2, 1], random=[0, 0, 0])
    found = combine(candidates, rankings)
    assert found.ranking == ("eng_Latn", "deu_Latn", "spa_Latn")  # overlap with, hsic against
    assert len(found.subsamples) == 0
    # What is kept or measured of this target is of no consequence.
    own = {pair: [0.25, 1.0, 0.5] for pair in PAIRS if pair[1] == PAIR[1]}
    for key, manifest in list(candidates.store.entries("evaluations")):
        if manifest["target"] == PAIR[1]:
            candidates.store.delete("evaluations", key)
    measure(candidates, own)
    assert combine(candidates, rankings).scores.tolist() == found.scores.tolist()
    # And without any other target there is none.
    for key, manifest in list(candidates.store.entries("evaluations")):
        if manifest["target"] != PAIR[1]:
            candidates.store.delete("evaluations", key)
    assert combine(candidates, rankings) is None
