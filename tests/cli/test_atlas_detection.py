"""``atlas detection``: what it records first, what it prints, jobs, and bad input."""

import shutil

import numpy as np
import pytest

from bridgex_core import jobs
from bridgex_core.collection import STATISTICS, stored_table
from bridgex_core.detection import IMPACTS, detect, stored_impacts
from bridgex_core.spectrum import spectrum_of_sets
from bridgex_core.store import open_store

from .conftest import Place
from .test_collect import new_job

CODES = ("swh_Latn", "eng_Latn", "deu_Latn")
WORDS = ["atlas", "detection", "--languages", "sw,en,German", "--dtype", "float32"]


@pytest.fixture
def filled(collected, tmp_path) -> Place:
    """A store with the statistics of six languages."""
    shutil.copytree(collected.store, tmp_path / "store")
    return Place(tmp_path / "store", collected.model, collected.corpus)


def test_it_records_what_is_missing_and_says_what_the_core_says(run, filled):
    words = [*WORDS, *filled.options, "--top-rate", "0.1"]
    first = run(*words, "--json")
    assert "To compute first: impacts of 3 languages." in first.err
    found = first.json
    store, collection = open_store(filled.store), filled.collection()
    table = stored_table(store, collection, CODES)
    expected = detect(stored_impacts(store, collection, CODES), table, 0.1)
    assert found["languages"] == list(CODES)
    assert found["settings"] == {"top_rate": 0.1}
    assert found["tokens"] == table.tokens.tolist()
    assert found["neurons"] == [13, 13, 13]
    frame, layers = expected.to_frame(), expected.by_layer()
    for name in ("specific", "shared", "active", "both", "jaccard", "chance", "spearman"):
        np.testing.assert_allclose(found[name], frame[name])
    assert found["layers"] == [0, 1]
    np.testing.assert_allclose(found["by_layer"]["spearman"], expected.spearman)
    assert found["by_layer"]["specific"][1] == layers["specific"][2:4].tolist()
    for name, sets in (("impact", expected.impact), ("active", expected.active)):
        np.testing.assert_allclose(found["overlap"][name], spectrum_of_sets(sets).values)

    again = run(*words)
    assert again.err == ""
    header, row = again.out.splitlines()[:2]
    assert header.split() == [
        *("language", "neurons", "specific", "shared", "jaccard", "by", "chance", "spearman")
    ]
    assert row.split()[:4] == ["swh_Latn", "13", str(found["specific"][0]), str(found["shared"][0])]
    assert f"{found['jaccard'][0]:.3f}" in row


def test_it_computes_statistics_too(run, place):
    outcome = run(*WORDS, *place.options, "--json")
    assert "statistics of 3 languages, impacts of 3 languages" in outcome.err
    usage = open_store(place.store).usage()
    assert usage[STATISTICS][0] == usage[IMPACTS][0] == 3


def test_a_job_stops_when_it_is_asked_to_and_goes_on(run, filled):
    words = [*WORDS, *filled.options]
    store = open_store(filled.store)
    job_id = new_job(store, words)
    store.write_text(f"jobs/{job_id}/cancel", "r1")
    stopped = run(*words, "--job", job_id)
    assert stopped.code == 130
    assert "goes on from there" in stopped.err
    assert jobs.job(store, job_id).state == "cancelled"
    other = new_job(store, [*words, "again"])
    assert run(*words, "--job", other).code == 0
    assert jobs.job(store, other).state == "done"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--languages", "sw"], "at least two"),
        (["--languages", "sw,Klingonese"], "Klingonese"),
        (["--languages", "sw,fr"], "fra_Latn.txt"),
        (["--top-rate", "2"], "top rate"),
        (["--top-rate", "nan"], "top rate"),
        (["--model", "/no/such/model"], "/no/such/model"),
    ],
)
def test_bad_input(refused, collected, words, expected):
    assert expected in refused(*WORDS, *collected.options, *words)
