"""``probe``: recorded once, resumed, and every sort of bad input."""

import hashlib
import json

import pytest

from bridgex_core import jobs, probing
from bridgex_core.probing import PROBES
from bridgex_core.store import open_store

PAIR = ["--source", "fi", "--target", "Swahili"]
WORDS = ["--words", "8", "--dtype", "float32"]


@pytest.fixture
def model(place):
    """The options that name an empty store and the tiny model; a probe needs no corpus."""
    return ["--store", place.store, "--model", place.model]


def test_a_probe_is_recorded_and_stored(run, place, model):
    first = run("probe", *PAIR, *model, *WORDS, "--json")
    assert (first.code, first.err) == (0, "")
    done = first.json
    assert (done["source"], done["target"], done["rule"]) == ("fin_Latn", "swh_Latn", "greedy")
    assert done["words"] == len(done["pairs"]) == 8
    assert done["known"] == sum(pair["known"] for pair in done["pairs"])
    assert not done["enough"]
    assert done["sentence"].startswith(f"The model translates {done['known']} of 8 words right")
    assert done["dtype"] == "float32"
    assert all(pair["word"] and pair["accepted"] for pair in done["pairs"])
    folder = place.store / done["stored"]
    assert (folder / "data.safetensors").is_file()
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["answers"] == [pair["answer"] for pair in done["pairs"]]

    again = run("probe", *PAIR, *model, *WORDS, "--json").json
    assert {**again, "seconds": 0} == {**done, "seconds": 0}
    told = run("probe", *PAIR, *model, *WORDS).out
    assert done["sentence"] in told
    assert done["stored"] in told
    assert open_store(place.store).usage()[PROBES][0] == 1


def test_the_ranked_rule_is_fixed_by_chance(run, model):
    done = run("probe", *PAIR, *model, "--words", "20", "--known", "ranked", "--json").json
    assert done["rule"] == "ranked"
    for pair in done["pairs"]:
        assert 1 <= int(pair["answer"]) <= 20
        assert pair["known"] == (int(pair["answer"]) == 1)  # 5 % of 20
    assert "first 5%" in done["sentence"]


def test_ctrl_c_keeps_what_was_recorded(run, place, model, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(probing, "_greedy", interrupted)
    stopped = run("probe", *PAIR, *model, *WORDS)
    assert (stopped.code, stopped.out) == (130, "")
    assert "what was finished is stored" in stopped.err
    monkeypatch.undo()
    monkeypatch.setattr(probing, "record", interrupted)
    assert run("probe", *PAIR, *model, *WORDS).code == 0


def test_a_job_reports_how_it_went(run, place, model):
    store = open_store(place.store)
    words = ["probe", *PAIR, *map(str, model), *WORDS]
    job_id = hashlib.sha256(repr(words).encode()).hexdigest()[:16]
    record = {"run": "r1", "title": "A job", "argv": words, "started": "2025-01-01T00:00:00+00:00"}
    store.write_text(f"jobs/{job_id}/job.json", json.dumps(record))
    assert run(*words, "--job", job_id).code == 0
    ended = jobs.job(store, job_id)
    assert (ended.state, ended.fraction) == ("done", 1.0)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([*PAIR[:3], "Suomi"], "Source and target are both Finnish"),
        ([*PAIR[:3], "Lingala"], "no words in Lingala"),
        ([*PAIR[:3], "Klingonese"], "No language is called 'Klingonese'"),
        (PAIR[:2], "--target"),
        ([*PAIR, "--words", "1"], "at least two words, but 1"),
        ([*PAIR, "--words", "-3"], "'-3' is not a whole number"),
        ([*PAIR, "--known", "guessed"], "'guessed'"),
        ([*PAIR, "--lexicon", "/no/such/lexicon"], "/no/such/lexicon"),
        ([*PAIR, "--model", "/no/such/model"], "/no/such/model"),
        ([*PAIR, "--device", "abacus", *WORDS], "abacus"),
    ],
)
def test_bad_usage(refused, model, words, expected):
    assert expected in refused("probe", *model, *words)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"talo nyumba\nkissa\n", "line 2"),  # one column
        (b"", "empty"),
        ("talo nyumba\nmäki kilima\n".encode("latin-1"), "not UTF-8"),
        ("talo nyumba\n".encode("utf-16"), "not UTF-8"),
        (b"talo nyumba\n", "word from fin_Latn to swh_Latn for a probe"),  # a single prompt
    ],
)
def test_bad_lexicons(refused, place, model, tmp_path, content, expected):
    path = tmp_path / "words.txt"
    path.write_bytes(content)
    assert expected in refused("probe", *model, *PAIR, "--lexicon", path)
    assert open_store(place.store).usage() == {}
