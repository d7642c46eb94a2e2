"""`spectrum`, on neuron sets that are known beforehand."""

import csv
import shlex
import xml.etree.ElementTree as ElementTree

import pytest

import bridgex_core.language_graph
from bridgex_core.languages import STUDY_LANGUAGES

from .conftest import ACTIVE, HAND_MADE


def test_spectrum_of_known_sets(run, hand_made):
    words = ["spectrum", *hand_made.options, *ACTIVE, "--languages", "sw,en,de", "--order", "given"]
    found = run(*words, "--json").json
    assert found["languages"] == list(HAND_MADE)
    assert found["values"] == [[1.0, 0.6, 0.0], [0.6, 1.0, 0.0], [0.0, 0.0, 1.0]]
    assert found["shared"] == [[4, 3, 0], [3, 4, 0], [0, 0, 4]]
    assert found["sizes"] == [4, 4, 4]
    assert found["tokens"] == [40, 40, 40]
    assert found["layers"] == [0, 1]
    assert found["model"] == str(hand_made.model)
    assert found["corpus"] == f"folder:{hand_made.corpus}"
    assert (found["dtype"], found["order"]) == ("float32", "given")
    assert found["settings"] == {
        "metric": "jaccard", "selection": "active", "top_rate": 4 / 128, "ties": "break",
        "layers": [0.0, 1.0],
    }  # fmt: skip
    assert found["reliability"] == {"rho": 1.0, "corrected": 1.0}  # all blocks are alike

    second = run(*words, "--json", "--layers", "0.5:1.0").json
    assert second["layers"] == [1]
    assert second["sizes"] == [1, 1, 2]
    assert second["values"][0] == [1.0, 1.0, 0.0]


def test_matrix_csv_has_codes_and_full_precision(run, hand_made, tmp_path):
    file = tmp_path / "matrix.csv"
    words = ["spectrum", *hand_made.options, *ACTIVE, "--order", "given", "--csv", file]
    assert run(*words, "--languages", "en,sw,de", "--layers", "0.0:0.5").code == 0
    rows = list(csv.reader(file.read_text(encoding="utf-8").splitlines()))
    codes = ["eng_Latn", "swh_Latn", "deu_Latn"]
    assert rows[0] == ["", *codes]
    assert [row[0] for row in rows[1:]] == codes
    assert rows[1][1:] == ["1.0", "0.5", "0.0"]  # {1, 2, 3} and {0, 1, 2}
    run(*words, "--languages", "en,sw,de", "--metric", "activation", "--top-rate", "0.05")
    values = run(
        *words, "--languages", "en,sw,de", "--metric", "activation", "--top-rate", "0.05", "--json"
    ).json["values"]
    rows = list(csv.reader(file.read_text(encoding="utf-8").splitlines()))
    assert [[float(cell) for cell in row[1:]] for row in rows[1:]] == values


def test_an_undefined_number_is_null(run, hand_made):
    pair = run("spectrum", *hand_made.options, *ACTIVE, "--languages", "sw,en", "--json")
    assert pair.json["reliability"] == {"rho": None, "corrected": None}  # one pair has no ranks
    text = run("spectrum", *hand_made.options, *ACTIVE, "--languages", "sw,en").out
    assert "Split-half reliability –" in text


def test_spectrum_as_a_table(run, hand_made):
    words = ["spectrum", *hand_made.options, *ACTIVE, "--languages", "sw,en,de", "--order", "given"]
    lines = run(*words, "--metric", "count").out.splitlines()
    assert lines[0].split() == list(HAND_MADE)
    assert lines[1].split() == ["swh_Latn", "4", "3", "0"]
    assert "count, active neurons, top rate 0.03125, layers 0 to 1; " in lines[-2]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("alphabet", ["eng_Latn", "deu_Latn", "swh_Latn"]),  # English, German, Swahili
        ("family", ["swh_Latn", "eng_Latn", "deu_Latn"]),  # Atlantic-Congo, then Indo-European
    ],
)
def test_order_of_the_languages(run, hand_made, tmp_path, order, expected):
    file = tmp_path / "matrix.csv"
    words = ["spectrum", *hand_made.options, *ACTIVE, "--languages", "de,sw,en", "--order", order]
    assert run(*words, "--json", "--csv", file).json["languages"] == expected
    assert file.read_text().splitlines()[0] == f",{','.join(expected)}"


def test_clustering_puts_the_alike_together(run, hand_made):
    words = ["spectrum", *hand_made.options, *ACTIVE, "--languages", "sw,de,en", "--json"]
    found = run(*words).json
    assert found["order"] == "clustering"
    assert found["languages"][1] in ("swh_Latn", "eng_Latn")
    ends = {found["languages"][0], found["languages"][2]}
    assert "deu_Latn" in ends
    i, j = (found["languages"].index(code) for code in ("swh_Latn", "eng_Latn"))
    assert found["values"][i][j] == 0.6  # values move with the names


def test_graph_file(run, hand_made, tmp_path):
    file = tmp_path / "graph.graphml"
    words = ["spectrum", *hand_made.options, *ACTIVE, "--languages", "sw,en,de"]
    assert run(*words, "--graphml", file).code == 0
    root = ElementTree.parse(file).getroot()
    nodes = {node.get("id") for node in root.iter("{http://graphml.graphdrawing.org/xmlns}node")}
    assert nodes == set(HAND_MADE)


def test_graph_heeds_the_seed(run, hand_made, tmp_path, monkeypatch):
    seeds = []
    original = bridgex_core.language_graph.language_graph

    def language_graph(*words, seed, **more):
        seeds.append(seed)
        return original(*words, seed=seed, **more)

    monkeypatch.setattr(bridgex_core.language_graph, "language_graph", language_graph)
    words = ["spectrum", *hand_made.options, *ACTIVE, "--languages", "sw,en,de", "--seed", "7"]
    run(*words, "--graphml", tmp_path / "graph.graphml")
    assert seeds == [7]


def test_heatmap_page(run, hand_made, tmp_path):
    file = tmp_path / "page.html"
    words = ["spectrum", *hand_made.options, *ACTIVE, "--languages", "sw,en,de"]
    assert run(*words, "--html", file).code == 0
    page = file.read_text(encoding="utf-8")
    assert "Plotly.newPlot" in page
    assert "Kiswahili" in page
    assert "<script src=" not in page  # it opens without a network


def test_missing_languages_are_named_with_the_command_that_helps(run, refused, place):
    words = ["spectrum", *place.options, "--languages", "sw,en", "--dtype", "float32", "--json"]
    line = refused(*words)
    assert "swh_Latn, eng_Latn" in line
    command = shlex.split(line.partition("`")[2].partition("`")[0])
    assert command[:3] == ["python", "-m", "bridgex_core"]
    assert run(*command[3:]).code == 0
    assert run(*words, "--selection", "active").code == 0
    lacking = refused("spectrum", *place.options, "--languages", "sw,fi")
    assert "no statistics of fin_Latn yet" in lacking
    assert "--dtype float32" in lacking  # the format that the others are stored in


def test_spectrum_collects_when_it_is_told_to(run, place):
    words = ["spectrum", *place.options, "--languages", "sw,en", "--dtype", "float32", "--json"]
    outcome = run(*words, "--selection", "active", "--collect")
    assert (outcome.code, outcome.json["languages"]) == (0, ["swh_Latn", "eng_Latn"])
    assert run(*words, "--selection", "active").json == outcome.json


def test_the_study_languages_are_the_default(refused, place):
    line = refused("spectrum", *place.options[:-2])
    assert ", ".join(STUDY_LANGUAGES) in line


def test_all_stands_for_every_language_of_the_corpus(run, place):
    found = run("spectrum", *place.options, "--languages", "all", "--collect", "--json").json
    assert sorted(found["languages"]) == sorted(file.stem for file in place.corpus.glob("*.txt"))
