"""`study`: several pairs in one table, its files, and everything that can be wrong."""

import pandas as pd
import pytest

from bridgex_core.cli import backends
from bridgex_core.statistical_tests import holm
from bridgex_core.store import open_store
from bridgex_core.tasks import open_task

from ..dictionary_backend import DictionaryBackend

WORDS = ["study", "--pairs", "ind_Latn:he, eng_Latn:swh_Latn", "--bridges", "en,es", "--items", "6"]


@pytest.fixture
def dictionary(monkeypatch) -> DictionaryBackend:
    """Knows every word into Hebrew directly, and none through anything."""
    words = open_task("bli", "id", "he", items=6).words
    backend = DictionaryBackend({(w.word, "עברית"): w.answers[0] for w in words})
    monkeypatch.setattr(backends, "load_backend", lambda _args, _source: backend)
    return backend


def test_several_pairs(run, place, dictionary, tmp_path):
    files = ["--csv", tmp_path / "rows.csv", "--latex", tmp_path / "gains.tex"]
    outcome = run(*WORDS, *place.options[:4], *files, "--json")
    assert (outcome.code, outcome.err) == (0, "")
    rows = outcome.json["rows"]
    assert [(row["source"], row["target"], row["bridge"]) for row in rows] == [
        ("ind_Latn", "heb_Hebr", None),
        ("ind_Latn", "heb_Hebr", "eng_Latn"),
        ("ind_Latn", "heb_Hebr", "spa_Latn"),
        ("eng_Latn", "swh_Latn", None),
        ("eng_Latn", "swh_Latn", "spa_Latn"),  # English is its source
    ]
    assert [row["accuracy"] for row in rows] == [1, 0, 0, 0, 0]
    raw = [row["p_value"] for row in rows if row["bridge"]]
    assert raw == [2 / 64, 2 / 64, 1]
    assert [row["p_holm"] for row in rows if row["bridge"]] == holm(raw).tolist()
    assert len(outcome.json["in_words"]) == 2
    table = pd.read_csv(tmp_path / "rows.csv")
    assert list(table["accuracy"]) == [1, 0, 0, 0, 0]
    assert (tmp_path / "gains.tex").read_text().count(r"\begin{tabular}") == 2
    calls = len(dictionary.calls)
    again = run(*WORDS, *place.options[:4], "--json").json
    assert {**again, "seconds": 0} == {**outcome.json, "seconds": 0}
    assert len(dictionary.calls) == calls
    # What `evaluate` finds is the same, and stored already.
    words = ["--source", "id", "--target", "he", "--bridges", "en", "--items", "6", "--json"]
    alone = run("evaluate", *words, *place.options[:4]).json["routes"]
    assert len(dictionary.calls) == calls
    assert [each["mrr"] for each in alone] == [row["mrr"] for row in rows[:2]]


def test_in_words(run, place, dictionary):
    lines = run(*WORDS, *place.options[:4]).out.splitlines()
    assert lines[0].startswith("route")
    assert lines[5].startswith("eng_Latn → spa_Latn → swh_Latn")
    assert "bridged route" in lines[7]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--pairs", "ind_Latn"], "'ind_Latn' is no pair"),
        (["--pairs", "id:id"], "both Indonesian"),
        (["--pairs", "id:he,ind_Latn:heb_Hebr"], "a pair twice"),
        (["--pairs", "id:Klingonese"], "No language is called"),
        (["--bridges", ","], "names no language"),
        (["--items", "0"], "of 1 or more"),
        (["--seed", "0,1", "--shots", "0"], "every seed gives the same"),
        (["--csv", "/no/such/folder/x.csv"], "/no/such/folder"),
    ],
)
def test_bad_input(refused, place, dictionary, words, told):
    assert told in refused(*WORDS, *place.options[:4], *words)
    if "--csv" not in words:
        assert open_store(place.store).usage() == {}
