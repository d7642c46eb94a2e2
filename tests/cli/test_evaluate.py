"""`evaluate`: the numbers of a table, kept and resumed, and everything that can be wrong."""

import json

import pytest

from bridgex_core import jobs
from bridgex_core.cli import backends
from bridgex_core.lexicons import open_lexicon
from bridgex_core.store import Store, open_store
from bridgex_core.study import EVALUATIONS
from bridgex_core.tasks import open_task

from ..dictionary_backend import DictionaryBackend
from .test_collect import Terminal, new_job

WORDS = ["--source", "id", "--target", "heb_Hebr", "--items", "8", "--shots", "2"]


@pytest.fixture
def dictionary(monkeypatch) -> DictionaryBackend:
    """Knows four words directly, six through English, none through Spanish."""
    answers = {}
    english = {p.word: p.answers[0] for p in open_lexicon("cldr", "ind_Latn", "eng_Latn").pairs}
    for number, pair in enumerate(open_task("bli", "id", "he", items=8).words):
        if number < 4:
            answers[pair.word, "עברית"] = pair.answers[0]
        answers[pair.word, "English"] = f"{english[pair.word]} {number}"
        if number < 6:
            answers[f"{english[pair.word]} {number}", "עברית"] = pair.answers[0]
    backend = DictionaryBackend(answers)
    monkeypatch.setattr(backends, "load_backend", lambda _args, _source: backend)
    return backend


def timeless(outcome) -> dict:
    return {key: value for key, value in outcome.json.items() if key != "seconds"}


def test_the_numbers_of_every_route(run, place, dictionary):
    words = ["evaluate", *WORDS, "--bridges", "eng_Latn,es", *place.options[:4], "--json"]
    outcome = run(*words)
    assert (outcome.code, outcome.err) == (0, "")
    told = outcome.json
    assert told["task"] == "bli"
    assert told["measure"] == "accuracy"
    assert [told[key] for key in ("items", "shots", "seeds", "ranking")] == [8, 2, [0], "summed"]
    direct, english, spanish = told["routes"]
    assert [each["bridge"] for each in told["routes"]] == [None, "eng_Latn", "spa_Latn"]
    assert english["route"] == ["ind_Latn", "eng_Latn", "heb_Hebr"]
    assert [each["accuracy"] for each in told["routes"]] == [0.5, 0.75, 0]
    for each in told["routes"]:
        assert 0 <= each["low"] <= each["accuracy"] <= each["high"] <= 1
        assert each["mrr_low"] <= each["mrr"] <= each["mrr_high"]
        assert each["first_low"] <= each["first"] <= each["first_high"]
    assert direct["p_value"] is None
    assert (english["fixed"], english["broken"], english["test"]) == (2, 0, "McNemar")
    asked = [word.word for word in open_task("bli", "id", "he", items=8).words]
    assert (english["fixed_items"], english["broken_items"]) == (asked[4:6], [])
    assert spanish["broken_items"] == asked[:4]
    # 2 of 2: 2 · 1/4; 4 of 4: 2 · 1/16; Holm over both
    assert [each["p_value"] for each in told["routes"][1:]] == [0.5, 0.125]
    assert [each["p_holm"] for each in told["routes"][1:]] == [0.5, 0.25]
    calls = len(dictionary.calls)
    again = run(*words)
    assert timeless(again) == timeless(outcome)
    assert len(dictionary.calls) == calls  # from the store
    more = run(*words[:-1], "--bridges", "es,fr,en", "--json")
    assert len(dictionary.calls) == calls + 2  # French alone
    kept = {each["bridge"]: each["accuracy"] for each in more.json["routes"]}
    assert kept == {None: 0.5, "spa_Latn": 0, "fra_Latn": 0, "eng_Latn": 0.75}


def test_the_same_from_an_empty_store(run, place, dictionary, tmp_path):
    words = ["evaluate", *WORDS, "--bridges", "en", "--model", place.model, "--json", "--store"]
    assert timeless(run(*words, tmp_path / "a")) == timeless(run(*words, tmp_path / "b"))


def test_several_seeds(run, place, dictionary):
    words = ["evaluate", *WORDS, "--bridges", "en", "--seed", "0,3", *place.options[:4]]
    told = run(*words, "--json").json
    assert told["seeds"] == [0, 3]
    assert [each["accuracy"] for each in told["routes"]] == [0.5, 0.75]
    assert told["routes"][1]["test"] == "paired bootstrap"
    shown = {prompt.rpartition("\n")[0] for call in dictionary.calls[:2] for prompt in call}
    assert len(shown) == 2


def test_in_words(run, place, dictionary):
    lines = run("evaluate", *WORDS, "--bridges", "en", *place.options[:4]).out.splitlines()
    assert lines[0] == f"bli, 8 items, {place.model}"
    assert lines[1].split() == "route accuracy 95 % interval MRR first change p (Holm) fixed broken".split()  # fmt: skip  # noqa: E501, SIM905
    assert lines[2].startswith("ind_Latn → heb_Hebr  ")
    assert lines[3].endswith("0.250   0.500     2      0")
    alone = run("evaluate", *WORDS, "--bridges", "none", *place.options[:4]).out.splitlines()
    assert len(alone) == 3


def test_the_ranking_is_chosen(run, place, dictionary):
    words = ["evaluate", *WORDS, "--bridges", "none", *place.options[:4], "--json"]
    found = [
        run(*words, "--ranking", name).json["routes"][0]["mrr"]
        for name in ("summed", "per-token", "calibrated")
    ]
    assert len(set(found)) == 3


def test_other_tasks(run, place, monkeypatch):
    class Echo(DictionaryBackend):
        def answer(self, prompt):
            return super().answer('x:"y"→z:"')

    backend = Echo({}, unknown="Kila mtu ana haki")
    monkeypatch.setattr(backends, "load_backend", lambda _args, _source: backend)
    words = ["--source", "fi", "--target", "sw", "--items", "3", "--bridges", "en"]
    told = run("evaluate", "--task", "translation", *words, *place.options[:4], "--json").json
    assert (told["measure"], told["shots"], told["items"]) == ("chrF", 0, 3)
    for route in told["routes"]:
        assert 0 < route["chrF"] < 1
        assert "mrr" not in route
    told = run("evaluate", "--task", "reading", *words, *place.options[:4], "--json").json
    assert told["measure"] == "accuracy"
    assert len(backend.calls) == 4  # the letters are scored, not written


def test_a_template_of_ones_own(run, refused, place, dictionary, tmp_path):
    words = ["evaluate", *WORDS, "--bridges", "none", *place.options[:4]]
    template = ["--template", '{language} :"{text}"']
    assert run(*words, *template).code == 0
    assert 'Bahasa Indonesia :"' in dictionary.calls[0][0]
    assert "{text}" in refused(*words, "--template", "{language}")
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"direct": ["{nonsense}"], "bridged": ["{text}", "{step1}"]}))
    assert "{nonsense}" in refused(*words, "--task", "translation", "--template", path)


def test_the_same_on_perturbed_items(run, place, dictionary):
    words = ["evaluate", *WORDS, "--bridges", "en", *place.options[:4]]
    assert run(*words, "--dtype", "float32").code == 0
    perturbed = [*words, "--perturb", "case,transliteration,typos"]  # in the format that is kept
    told = run(*perturbed, "--json").json
    assert told["unchanged_by"] == ["transliteration"]
    rows = told["robustness"]
    assert [row["measure"] for row in rows] == ["accuracy"] * 4 + ["mrr"] * 4
    assert [row["perturbation"] for row in rows[:4]] == ["case", "case", "typos", "typos"]
    assert [row["bridge"] for row in rows[:4]] == [None, "eng_Latn"] * 2
    for row in rows[:4]:  # the dictionary knows no word in capitals, nor with a typo
        assert (row["items"], row["perturbed"]) == (8, 0)
        assert row["drop"] == row["clean"] == (0.75 if row["bridge"] else 0.5)
        assert row["low"] <= row["drop"] <= row["high"]
    assert rows[0]["against_direct"] is None
    assert rows[1]["against_direct"] == 0.25
    calls = len(dictionary.calls)
    assert "robustness" not in run(*words, "--json").json
    lines = run(*perturbed).out.splitlines()
    assert len(dictionary.calls) == calls  # from the store
    assert "Drop in accuracy, over the words that change" in lines
    assert lines[-1] == "Transliteration changes none of the 8 words of Indonesian."
    assert sum(line.startswith("typos  ") for line in lines) == 4


def test_all_perturbations(run, place, dictionary):
    words = ["evaluate", *WORDS, "--bridges", "none", "--perturb", "all", *place.options[:4]]
    words += ["--dtype", "float32"]
    told = run(*words, "--json").json
    assert {row["perturbation"] for row in told["robustness"]} == {"typos", "case", "distractors"}
    assert told["unchanged_by"] == ["diacritics", "transliteration"]


def test_ctrl_c_keeps_finished_routes(run, place, dictionary, monkeypatch):
    words = ["evaluate", *WORDS, "--bridges", "en,es", *place.options[:4], "--json"]
    write = DictionaryBackend.generate

    def interrupted(self, prompts, decoding, *, progress=None):
        if len(self.calls) == 4:
            raise KeyboardInterrupt
        return write(self, prompts, decoding, progress=progress)

    monkeypatch.setattr(DictionaryBackend, "generate", interrupted)
    stopped = run(*words)
    assert (stopped.code, stopped.out) == (130, "")
    assert "goes on from there" in stopped.err
    assert len(list(Store(place.store).entries(EVALUATIONS))) == 2
    monkeypatch.undo()
    monkeypatch.setattr(backends, "load_backend", lambda _args, _source: dictionary)
    assert run(*words).code == 0
    assert len(dictionary.calls) == 4 + 2


def test_a_job_and_a_terminal(run, place, dictionary, monkeypatch):
    store = open_store(place.store)
    words = ["evaluate", *WORDS, "--bridges", "en", *place.options[:4]]
    job_id = new_job(store, words)
    store.write_text(f"jobs/{job_id}/cancel", "r1")
    assert run(*words, "--job", job_id).code == 130
    assert jobs.job(store, job_id).state == "cancelled"
    assert len(list(Store(place.store).entries(EVALUATIONS))) <= 1
    (store.root / "jobs" / job_id / "cancel").unlink()
    assert run(*words, "--job", job_id).code == 0
    ended = jobs.job(store, job_id)
    assert (ended.state, ended.fraction) == ("done", 1.0)
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    assert run(*words, "--seed", "1").code == 0
    assert "  0%" in terminal.text
    assert "100%" in terminal.text


def test_a_tiny_model(run, place):
    words = ["evaluate", *WORDS[:4], "--items", "3", "--shots", "1", "--bridges", "en"]
    first = run(*words, *place.options[:4], "--dtype", "float32", "--json")
    assert first.code == 0
    assert [route["accuracy"] for route in first.json["routes"]] == [0, 0]
    again = run(*words, *place.options[:4], "--json")  # either number format counts
    assert timeless(again) == timeless(first)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--bridges", "he"], "Hebrew comes twice"),
        (["--bridges", "en,id"], "Indonesian comes twice"),
        (["--bridges", ","], "names no language"),
        (["--target", "id"], "two languages"),
        (["--items", "0"], "of 1 or more"),
        (["--items", "x"], "'x'"),
        (["--seed", "0,0"], "a seed twice"),
        (["--seed", "0,x"], "'x'"),
        (["--seed", "0,1", "--shots", "0"], "every seed gives the same"),
        (["--shots", "9999"], "fewer than the 9999"),
        (["--task", "poetry"], "poetry"),
        (["--perturb", "typos,noise"], "no perturbation 'noise'"),
        (["--perturb", "case,case"], "a perturbation twice"),
        (["--task", "summary", "--shots", "0"], "docs/tasks.md"),
        (["--task", "translation", "--data", "/no/such"], "/no/such"),
        (["--data", "/no/such"], "takes a lexicon"),
        (["--lexicon", "/no/such"], "/no/such"),
        (["--task", "translation", "--template", "/no/such"], "/no/such"),
        (["--job", "0123456789abcdef"], "0123456789abcdef"),
    ],
)
def test_bad_input(refused, place, dictionary, words, told):
    assert told in refused("evaluate", *WORDS, *place.options[:4], *words)
    assert open_store(place.store).usage() == {}


def test_a_malformed_line_has_its_number(refused, place, tmp_path):
    for code in ("swh_Latn", "fin_Latn"):
        (tmp_path / f"{code}.jsonl").write_text(f'{{"dialect": "{code}"}}\nrubbish\n')
    words = ["--task", "reading", "--source", "sw", "--target", "fi", "--data", tmp_path]
    line = refused("evaluate", *words, *place.options[:4])
    assert "fin_Latn.jsonl, line 2: the line is not JSON" in line


def test_a_model_that_is_not_installed(refused, place):
    assert "not installed" in refused("evaluate", *WORDS, "--store", place.store)
