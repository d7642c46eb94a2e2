"""`try`: chains of one word, with a dictionary, a tiny model, and everything that can be wrong."""

import pytest

from bridgex_core.bli import Bli
from bridgex_core.cli import chains
from bridgex_core.errors import InputError
from bridgex_core.languages import register
from bridgex_core.xicl import Route

from ..dictionary_backend import DictionaryBackend

PAIR = ["--source", "ind_Latn", "--target", "Hebrew"]
ANSWERS = {("api", "English"): "Fire.", ("Fire.", "עברית"): "אש", ("api", "עברית"): "hello there"}


@pytest.fixture
def dictionary(monkeypatch) -> DictionaryBackend:
    backend = DictionaryBackend(ANSWERS)
    monkeypatch.setattr(chains, "load_backend", lambda _args, _source: backend)
    return backend


def timeless(outcome) -> dict:
    return {key: value for key, value in outcome.json.items() if key != "seconds"}


def test_a_word_directly_and_through_english(run, place, dictionary):
    words = ["try", *PAIR, "--bridge", "en,spa_Latn", "--word", "api", *place.options[:4], "--json"]
    outcome = run(*words)
    assert (outcome.code, outcome.err) == (0, "")
    told = outcome.json
    assert [told[key] for key in ("text", "source", "target", "shots", "seed", "backend")] == [
        "api", "ind_Latn", "heb_Hebr", 4, 0, "dictionary",
    ]  # fmt: skip
    direct, english, spanish = told["chains"]
    assert direct["route"] == ["ind_Latn", "heb_Hebr"]
    assert english["route"] == ["ind_Latn", "eng_Latn", "heb_Hebr"]
    (step,) = direct["steps"]
    assert (step["output"], step["right"], step["log_probability"]) == ("hello there", False, -0.75)
    assert step["language_of_output"]["code"] == "eng_Latn"
    assert [each["right"] for each in english["steps"]] == [True, True]
    assert english["steps"][1]["language_of_output"]["code"] == "heb_Hebr"
    assert "אש" in english["steps"][1]["accepted"]
    assert spanish["broken_at_step"] == 1
    assert [each["text"] for each in english["alternatives"]] == ["אש"]
    for chain in told["chains"]:
        assert 1 <= chain["ranks"]["summed"] <= chain["ranks"]["candidates"] <= 51
    id_, en, he = (register()[c] for c in english["route"])
    known = Bli("ind_Latn", "heb_Hebr").demonstrations(Route.of(id_, he, en))
    assert "api" in [row[0] for row in known.chosen(4)]  # it would give itself away
    shown = known.without("api").chosen(4)
    lines = english["steps"][1]["prompt"].split("\n")
    assert lines[-1] == 'Bahasa Indonesia:"api"→English:"Fire."→עברית:"'
    assert [line.split('"')[1] for line in lines[:-1]] == [row[0] for row in shown]
    assert timeless(run(*words)) == timeless(outcome)
    assert timeless(run(*words, "--seed", "1")) != timeless(outcome)


def test_in_words(run, place, dictionary):
    outcome = run("try", *PAIR, "--bridge", "en", "--word", "api", *place.options[:4])
    lines = outcome.out.splitlines()
    assert lines[0] == "Indonesian → Hebrew"
    assert (
        lines[1] == "  heb_Hebr  hello there  (wrong, log-probability -0.75, written in eng_Latn)"
    )
    assert "Indonesian → English → Hebrew" in lines
    assert "  eng_Latn  Fire.  (right, log-probability -0.75)" in lines
    assert sum(line.startswith("  rank of the gold word among") for line in lines) == 2


def test_a_sentence_needs_no_lexicon(run, place, dictionary):
    words = ["try", "--source", "ind_Latn", "--target", "heb_Hebr", *place.options[:4], "--json"]
    told = run(*words, "--text", 'Saya {makan} "nasi".').json
    (chain,) = told["chains"]
    assert told["shots"] == 0
    assert told["max_tokens"] == 128
    assert chain["steps"][0]["prompt"] == 'Bahasa Indonesia:"Saya {makan} "nasi"."→עברית:"'
    assert chain["steps"][0]["right"] is None
    assert chain["ranks"] is None


def test_what_a_backend_cannot_tell_is_left_out_with_the_reason(run, place, dictionary):
    dictionary.no_scores = "The server does not tell."
    told = run("try", *PAIR, "--word", "api", *place.options[:4], "--json")
    assert told.json["chains"][0]["ranks"] is None
    assert "The server does not tell." in told.out


def test_a_key_is_read_from_its_file(refused, place, tmp_path, monkeypatch):
    given = []

    def connect(url, model, *, api_key):
        given.append((url, model, api_key))
        raise InputError("Enough.")

    monkeypatch.setattr("bridgex_core.cli.backends.connect", connect)
    key = tmp_path / "key.txt"
    key.write_text("secret\n")
    words = ["try", *PAIR, "--word", "api", "--server", "http://x", *place.options[:2]]
    assert "Enough." in refused(*words, "--server-key", key)
    refused(*words)
    assert given == [("http://x", None, "secret"), ("http://x", None, None)]


def test_a_tiny_model(run, place):
    words = ["try", *PAIR, "--bridge", "en", "--word", "api", "--shots", "1", "--dtype", "float32"]
    first = run(*words, *place.options[:4], "--json")
    assert first.code == 0
    for chain in first.json["chains"]:
        assert chain["steps"][-1]["log_probability"] < 0
        assert len(chain["alternatives"]) == 5
        assert chain["ranks"]["candidates"] >= 50
    assert timeless(run(*words, *place.options[:4], "--json")) == timeless(first)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([*PAIR, "--word", " "], "There is no text"),
        ([*PAIR, "--text", ""], "There is no text"),
        ([*PAIR], "--word --text is required"),
        ([*PAIR, "--word", "api", "--text", "api"], "not allowed with"),
        ([*PAIR, "--word", "api", "--bridge", "he"], "Hebrew comes twice"),
        ([*PAIR, "--word", "api", "--bridge", "en,id"], "Indonesian comes twice"),
        ([*PAIR, "--word", "api", "--bridge", "en,eng_Latn"], "twice"),
        ([*PAIR, "--word", "api", "--bridge", ""], "names no language"),
        ([*PAIR[:2], "--target", "id", "--word", "api"], "both Indonesian"),
        ([*PAIR[:2], "--target", "Klingonese", "--word", "api"], "No language is called"),
        ([*PAIR[:2], "--word", "api"], "--target"),
        ([*PAIR, "--word", "api", "--shots", "-1"], "'-1'"),
        ([*PAIR, "--word", "api", "--shots", "9999"], "fewer than the 9999"),
        ([*PAIR, "--word", "api", "--template", "{text}"], "{language}"),
        ([*PAIR, "--word", "api", "--server-model", "x"], "give --server too"),
        ([*PAIR, "--word", "api", "--server-key", "x"], "--server-key is of a server"),
        ([*PAIR, "--word", "api", "--server", "http://x", "--server-key", "/no"], "can't be read"),
        ([*PAIR, "--word", "api", "--server", "http://x", "--model", "y"], "leave out --server"),
        ([*PAIR, "--word", "api", "--server", "nonsense"], "no address of a server"),
        ([*PAIR, "--word", "api", "--server", "http://127.0.0.1:9"], "No server answers"),
    ],
)
def test_bad_input(refused, place, dictionary, words, told):
    model = [] if "--server" in words else place.options[2:4]
    assert told in refused("try", *words, *place.options[:2], *model)


def test_a_prompt_that_is_too_long(refused, place):
    words = ["try", *PAIR, "--text", "kata " * 200, *place.options[:4], "--dtype", "float32"]
    assert "context of 512" in refused(*words)


def test_a_model_that_is_not_there(refused, place):
    words = ["try", *PAIR, "--word", "api", "--store", place.store]
    assert "not installed" in refused(*words)
    assert "/no/such" in refused(*words, "--model", "/no/such")
