"""``similarity``: the matrix as JSON, CSV and GraphML, what it records first, and bad input."""

import csv
import shutil

import networkx as nx
import numpy as np
import pytest

from bridgex_core import concepts
from bridgex_core.concepts import CONCEPTS
from bridgex_core.store import open_store

from .conftest import Place

FOUR = ["--languages", "fi,en,German,spa_Latn", "--top-rate", "0.3", "--dtype", "float32"]
CODES = ["fin_Latn", "eng_Latn", "deu_Latn", "spa_Latn"]


@pytest.fixture(autouse=True)
def _few_concepts(monkeypatch):
    original = concepts.common_concepts
    monkeypatch.setattr(concepts, "common_concepts", lambda most, seed: original(30, seed))


@pytest.fixture
def filled(collected, tmp_path) -> Place:
    """A store with the statistics of six languages."""
    shutil.copytree(collected.store, tmp_path / "store")
    return Place(tmp_path / "store", collected.model, collected.corpus)


def test_the_matrix_and_its_files(run, filled, tmp_path):
    files = {"--csv": tmp_path / "a.csv", "--graphml": tmp_path / "a.graphml"}
    options = [word for pair in files.items() for word in pair]
    first = run("similarity", *filled.options, *FOUR, *options, "--json")
    assert "To compute first: concepts of 4 languages." in first.err
    found = first.json
    assert found["languages"] == CODES
    assert found["layers"] == [1]
    values = np.array(found["values"], dtype=float)
    np.testing.assert_array_equal(values, values.T)
    assert (np.diag(values) == 1).all()
    others = values[np.triu_indices(4, 1)]
    assert ((others > 0) & (others < 1)).all()
    assert np.array(found["concepts"]).min() >= 20
    assert open_store(filled.store).usage()[CONCEPTS][0] == 4

    with files["--csv"].open() as file:
        header, *rows = csv.reader(file)
    assert header[1:] == [row[0] for row in rows] == CODES
    np.testing.assert_allclose(np.array([row[1:] for row in rows], dtype=float), values)
    graph = nx.read_graphml(files["--graphml"])
    assert sorted(graph) == sorted(CODES)
    assert nx.is_connected(graph)
    for a, b, weight in graph.edges(data="weight"):
        assert weight == pytest.approx(values[CODES.index(a), CODES.index(b)])

    again = run("similarity", *filled.options, *FOUR)
    assert again.err == ""
    assert "HSIC similarity (CKA), layers 1 to 1" in again.out
    assert f"{others[0]:.3f}" in again.out
    whole = run("similarity", *filled.options, *FOUR, "--layers", "0:1", "--json").json
    assert whole["layers"] == [0, 1]
    assert whole["values"] != found["values"]


def test_a_matrix_by_the_paper_s_sets_is_kept(run, filled, monkeypatch):
    words = [*filled.options, *FOUR[:2], *FOUR[4:], "--layers", "0:1", "--json"]
    found = run("similarity", *words).json

    def never(*_, **__):
        raise AssertionError("it is kept")

    monkeypatch.setattr("bridgex_core.cli.similarity.concept_similarity", never)
    again = run("similarity", *words).json
    assert again == found
    part = run("similarity", *words, "--languages", "spa_Latn,fi").json
    assert part["languages"] == ["spa_Latn", "fin_Latn"]
    assert part["values"][0][1] == found["values"][0][3]


def test_it_computes_statistics_too(run, place):
    outcome = run("similarity", *place.options, *FOUR, "--languages", "fi,en", "--json")
    assert "statistics of 2 languages, concepts of 2 languages" in outcome.err
    assert outcome.json["values"][0][1] is not None


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--languages", "fi"], "at least two"),
        (["--languages", "fi,Suomi"], "given twice"),
        (["--languages", "fi,Klingonese"], "No language is called 'Klingonese'"),
        (["--languages", "fi,fr"], "fra_Latn.txt"),
        (["--languages", "fi,lin_Latn"], "lin_Latn"),
        (["--layers", "1:0"], "1:0"),
        (["--layers", "0.6:0.9"], "holds no layer"),
        (["--top-rate", "2"], "top rate"),
        (["--model", "/no/such/model"], "/no/such/model"),
    ],
)
def test_bad_input(refused, collected, words, expected):
    assert expected in refused("similarity", *collected.options, *FOUR, *words)
