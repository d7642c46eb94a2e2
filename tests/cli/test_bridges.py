"""``bridges``: rankings as JSON and in words, what it computes first, every sort of bad input."""

import shutil
import sys

import numpy as np
import pytest

from bridgex_core import evidence, probing
from bridgex_core.bli import Bli
from bridgex_core.bridges import RANKERS
from bridgex_core.collection import STATISTICS
from bridgex_core.corpora import udhr
from bridgex_core.evaluation import RouteResult
from bridgex_core.evidence import SCORES
from bridgex_core.languages import register
from bridgex_core.probe import record
from bridgex_core.store import Store, open_store
from bridgex_core.study import BRIDGES, Evaluations
from bridgex_core.xicl import Route

from .conftest import Place
from .test_collect import Terminal

PAIR = ["--source", "fi", "--target", "sw"]
THREE = ["eng_Latn", "deu_Latn", "spa_Latn"]
FEW = ["--words", "8", "--dtype", "float32", "--top-rate", "0.4"]
ASKED = [*PAIR, "--candidates", "en,German,spa_Latn", *FEW]


@pytest.fixture(autouse=True)
def _few_words(monkeypatch):
    monkeypatch.setattr(evidence, "COMPETENCE_WORDS", 3)


@pytest.fixture(scope="module")
def whole(collected, tmp_path_factory) -> Place:
    """A store to write to, with the statistics of six languages."""
    store = tmp_path_factory.mktemp("bridges") / "store"
    shutil.copytree(collected.store, store)
    return Place(store, collected.model, collected.corpus)


def test_a_ranking_is_a_list_best_first(run, whole):
    outcome = run("bridges", *whole.options, *ASKED, "--json")
    assert outcome.code == 0
    found = outcome.json
    assert (found["source"], found["target"], found["ranker"]) == ("fin_Latn", "swh_Latn", "hsic")
    assert sorted(row["bridge"] for row in found["ranking"]) == sorted(THREE)
    scores = [row["score"] for row in found["ranking"]]
    assert scores == sorted(scores, reverse=True)
    assert all(row["interval"] is None for row in found["ranking"])  # of 8 words
    assert found["verdict"].endswith(".")
    assert found["words"] == 8
    assert found["sentence"].startswith(f"The model translates {found['known']} of 8 words")
    assert found["recommended"] is None
    assert found["settings"]["layers"] == [0.31, 0.66]
    assert found["settings"]["pooled"] in (True, False)

    # The probe is stored now: nothing is left to compute, and `probe` finds it.
    again = run("bridges", *whole.options, *ASKED, "--json")
    assert again.err == ""
    assert again.json["ranking"] == found["ranking"]
    probed = run("probe", *whole.options[:4], *PAIR, *FEW[:4], "--json").json
    assert probed["known"] == found["known"]


def test_intervals_come_with_twenty_words(run, whole):
    words = [*ASKED, "--words", "24", "--pooled", "yes", "--length", "--json"]
    found = run("bridges", *whole.options, *words).json
    for row in found["ranking"]:
        low, high = row["interval"]
        assert low < row["score"] < high
    assert sum(row["first_share"] for row in found["ranking"]) == pytest.approx(1)
    assert found["settings"]["pooled"] is True
    assert found["settings"]["length"] is True
    plain = run("bridges", *whole.options, *words[:-2], "--json").json
    assert plain["ranking"] != found["ranking"]
    calibrated = run("bridges", *whole.options, *words, "--ranker", "hsic-calibrated").json
    assert all(0 < row["p_value"] <= 1 for row in calibrated["ranking"])
    assert calibrated["settings"]["pooled"] is True


def test_all_rankers_side_by_side(run, whole):
    words = [*ASKED, "--ranker", "all"]
    outcome = run("bridges", *whole.options, *words, "--json")
    assert "competence" in outcome.err
    found = outcome.json
    assert set(found["rankings"]) == set(RANKERS)
    assert found["ranker"] == "hsic"  # nothing was measured to recommend by
    assert found["ranking"] == found["rankings"]["hsic"]["ranking"]
    assert list(found["unable"]) == ["combined"]
    for each in found["rankings"].values():
        assert sorted(row["bridge"] for row in each["ranking"]) == sorted(THREE)
        assert each["verdict"].endswith(".")
    assert list(Store(whole.store).entries(SCORES)) == []  # no default settings
    told = run("bridges", *whole.options, *words)
    assert told.err == ""
    assert all(ranker in told.out for ranker in RANKERS)
    assert found["verdict"] in told.out


def test_what_was_measured_recommends_a_ranker(run, whole):
    """The best bridge is always the one that stands first by overlap."""
    kept = Evaluations.of_model(open_store(whole.store), whole.collection().source, "float32")
    top = ["--ranker", "all", "--words", "8", "--dtype", "float32", "--json"]
    for source, target in (("fin_Latn", "swh_Latn"), ("fin_Latn", "hun_Latn")):
        words = ["--source", source, "--target", target, "--candidates", ",".join(THREE), *top]
        found = run("bridges", *whole.options, *words).json
        order = [row["bridge"] for row in found["rankings"]["competence"]["ranking"]]
        for place, bridge in enumerate(order):
            route = Route.of(*(register()[code] for code in (source, target, bridge)))
            answers = tuple(("x", "y") for _ in range(4))
            ranks = {"summed": np.full(4, place + 1)}
            kept.keep(
                Bli(source, target, items=4),
                route,
                RouteResult(route.codes, np.zeros(4), answers, ranks),
            )
    assert len(list(Store(whole.store).entries(SCORES))) == 2
    found = run("bridges", *whole.options, *ASKED, "--ranker", "overlap", "--json").json
    advice = found["recommended"]
    assert advice["ranker"] in {row["ranker"] for row in advice["quality"]}
    regrets = [row["regret"] for row in advice["quality"]]
    assert regrets == sorted(regrets)
    assert advice["why"].startswith(f"No ranker loses less than '{advice['ranker']}': over ")
    assert "eng_Latn" in THREE
    assert "english" in {row["ranker"] for row in advice["quality"]}
    combined = run("bridges", *whole.options, *ASKED, "--ranker", "combined", "--json").json
    assert combined["ranker"] == "combined"
    assert len(combined["ranking"]) == 3


def test_everything_is_computed_from_nothing(run, place, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert run("bridges", *place.options, *ASKED).code == 0
    assert "To compute first: statistics, probe." in terminal.text
    assert "100%" in terminal.text
    usage = open_store(place.store).usage()
    assert usage[STATISTICS][0] == 5
    assert usage["probes"][0] == 1


def test_typology_needs_no_statistics(run, place):
    outcome = run("bridges", *place.options, *ASKED, "--ranker", "uriel", "--json")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.json["words"] is None
    assert open_store(place.store).usage() == {}


def test_the_candidates_by_name(run, place):
    """The paper's six, and all of the classes 4 and 5, without source and target."""
    words = [*place.options[:4], "--target", "eng_Latn", "--ranker", "random", "--json"]
    six = run("bridges", *words, "--source", "sw").json
    assert [row["bridge"] for row in six["ranking"]] == list(BRIDGES[1:])
    high = run("bridges", *words, "--source", "fi", "--candidates", "high").json
    expected = [
        language.code
        for language in register()
        if (language.resource_class or 0) >= 4 and language.code in udhr().languages()
    ]
    assert "fin_Latn" in expected
    assert [row["bridge"] for row in high["ranking"]] == [
        code for code in expected if code not in ("fin_Latn", "eng_Latn")
    ]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--source", "fi", "--target", "fin"], "both fin_Latn"),
        (["--candidates", "en,sw"], "swh_Latn is the target itself"),
        (["--candidates", "fi"], "fin_Latn is the source itself"),
        (["--candidates", "en,eng"], "given twice"),
        (["--candidates", " , "], "--candidates names no language"),
        (["--candidates", "Klingonese"], "No language is called 'Klingonese'"),
        (["--candidates", "fr"], "no fra_Latn.txt"),  # no text
        (["--target", "ckb_Arab"], "no ckb_Arab.txt"),
        (["--target", "lin_Latn", "--ranker", "competence"], "no words in Lingala"),
        (["--ranker", "guess"], "'guess'"),
        (["--ranker", "english", "--candidates", "de,es"], "English is not among the candidates"),
        (["--ranker", "combined"], "run `study`"),
        (["--layers", "1:0"], "1:0"),
        (["--layers", "0.6:0.9"], "holds no layer"),
        (["--top-rate", "2"], "top rate"),
        (["--pooled", "perhaps"], "'perhaps'"),
        (["--words", "1"], "at least two words"),
        (["--lexicon", "/no/such/file"], "/no/such/file"),
        (["--model", "/no/such/model"], "/no/such/model"),
        (["--corpus", "/no/such/corpus"], "/no/such/corpus"),
        (["--seed", "-1"], "'-1'"),
    ],
)
def test_bad_input(refused, collected, words, expected):
    assert expected in refused("bridges", *collected.options, *ASKED, *words)


def test_neurons_that_are_not_shared(run, whole):
    """One neuron of 128 is too few; the top rate says how to get more."""
    outcome = run("bridges", *whole.options, *ASKED, "--top-rate", "0.01")
    assert outcome.code == 2
    assert "share no neuron in the layers" in outcome.err
    assert "top rate" in outcome.err


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"talo nyumba\nkissa\n", "line 2"),
        ("talo nyumba\nmäki kilima\n".encode("latin-1"), "not UTF-8"),
        (b"talo nyumba\n", "word from fin_Latn to swh_Latn for a probe"),
    ],
)
def test_bad_lexicons(refused, collected, tmp_path, content, expected):
    path = tmp_path / "words.txt"
    path.write_bytes(content)
    assert expected in refused("bridges", *collected.options, *ASKED, "--lexicon", path)


@pytest.mark.parametrize("ranker", ["hsic", "hsic-released", "hsic-calibrated"])
def test_constant_neurons_have_no_hsic(run, whole, monkeypatch, ranker):
    """Every second neuron is the same on all prompts: its HSIC is 0, not undefined."""

    def half_constant(*args, **keywords):
        recorded = record(*args, **keywords)
        recorded.values[:, ::2] = 1.5
        return recorded

    monkeypatch.setattr(probing, "record", half_constant)
    words = [*ASKED, "--words", "9", "--known", "ranked", "--ranker", ranker]
    found = run("bridges", *whole.options, *words, "--json").json
    assert all(row["score"] is not None for row in found["ranking"])


def test_all_words_unknown_are_all_used_and_it_is_said(run, whole, tmp_path):
    path = tmp_path / "words.csv"
    path.write_text("source,target\n" + "".join(f"sana{n},xq{n}zk\n" for n in range(30)))
    words = [*ASKED, "--words", "10", "--lexicon", path]
    found = run("bridges", *whole.options, *words, "--json").json
    assert (found["known"], found["words"]) == (0, 10)
    assert "all words are used, and the ranking may say little" in found["sentence"]
    assert "all words are used" in run("bridges", *whole.options, *words).out


def test_a_language_without_words_is_ranked_by_what_needs_none(run, place, tmp_path):
    """Words are lacking for Lingala, not texts."""
    folder = tmp_path / "texts"
    shutil.copytree(place.corpus, folder)
    text = "".join(f"{block.splitlines()[0]}\n" for block in udhr().text("lin_Latn").blocks[1:7])
    (folder / "lin_Latn.txt").write_text(text, encoding="utf-8")
    words = [*place.options[:4], "--corpus", folder, *ASKED, "--target", "lin_Latn"]
    outcome = run("bridges", *words, "--ranker", "all", "--json")
    assert outcome.code == 0, outcome.err
    found = outcome.json
    assert {"overlap", "activation", "alignment", "uriel"} <= set(found["rankings"])
    for ranker in ("hsic", "hsic-released", "hsic-calibrated", "competence"):
        assert "no words in Lingala" in found["unable"][ranker]
    assert found["ranker"] == "activation"
