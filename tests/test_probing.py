"""Probes: which pairs are known, what the store keeps, what half precision costs."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from bridgex_core import probing
from bridgex_core.bli import Bli
from bridgex_core.decoding import CandidateScores, Decoding, Generated
from bridgex_core.errors import Cancelled, InputError
from bridgex_core.generation import generate
from bridgex_core.hsic import hsic_matrix
from bridgex_core.model_sources import find_model
from bridgex_core.models import load
from bridgex_core.probe import ProbeActivations, record
from bridgex_core.probing import (
    FEWEST_KNOWN,
    PROBES,
    Probe,
    ProbeTask,
    probe_key,
    run_probe,
    stored_probe,
)
from bridgex_core.prompts import probe_prompt
from bridgex_core.store import Store
from bridgex_core.study import model_identity

SOURCE, TARGET = "deu_Latn", "eng_Latn"
IDENTITY = {"model": "fake", "tokenizer": "fake", "dtype": "float32"}


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def lexicon(tmp_path):
    """200 made-up words, of which a hash leaves about 120 to the probe."""
    path = tmp_path / "words.csv"
    rows = "".join(f"wort{n:03d},word{n:03d}\n" for n in range(200))
    path.write_text(f"source,target\n{rows}", encoding="utf-8")
    return path


def activations(prompts: int) -> ProbeActivations:
    values = np.random.default_rng(0).normal(size=(2, 3, prompts)).astype(np.float32)
    return ProbeActivations(values, np.arange(prompts) + 5)


def fake_model(monkeypatch, generate=None, score=None):
    """A model that was given its answers beforehand."""

    class Backend:
        def __init__(self, model):
            pass

        def generate(self, prompts, decoding, *, progress=None):
            return [Generated(generate(prompt)) for prompt in prompts]

        def score_candidates(self, prompts, candidates, *, progress=None):
            values = np.array([[score(p, c) for c in candidates] for p in prompts])
            return CandidateScores(values, np.ones(len(candidates), dtype=int))

    monkeypatch.setattr(probing, "LocalBackend", Backend)
    monkeypatch.setattr(probing, "record", lambda model, prompts, **_: activations(len(prompts)))
    return lambda: SimpleNamespace(source=SimpleNamespace(name="fake"))


def asked(prompt: str) -> int:
    """The number of the word in a prompt over the made-up words."""
    return int(prompt.split("wort")[1][:3])


# ---- Known pairs -------------------------------------------------------------------------------


def test_a_pair_is_known_if_the_model_writes_its_translation(store, lexicon, monkeypatch):
    task = ProbeTask(SOURCE, TARGET, lexicon=str(lexicon))
    numbers = [int(pair.word[4:]) for pair in task.pairs]
    right = {n for n in numbers if n % 2}

    def write(prompt):  # ends in an opening quote; case and punctuation do not count
        assert prompt == f'Deutsch:"wort{asked(prompt):03d}"→English:"'
        return f" Word{asked(prompt):03d}. " if asked(prompt) in right else "word"

    probe = run_probe(store, task, IDENTITY, fake_model(monkeypatch, write))
    assert probe.known.tolist() == [n in right for n in numbers]
    assert [answer.strip(". ") for answer in probe.answers] == [
        f"Word{n:03d}" if n in right else "word" for n in numbers
    ]
    assert FEWEST_KNOWN <= len(right) < len(numbers)
    assert probe.enough
    np.testing.assert_array_equal(
        probe.used.values, probe.activations.values[:, :, [n in right for n in numbers]]
    )
    assert probe.used.lengths.tolist() == [5 + i for i, n in enumerate(numbers) if n in right]
    assert probe.sentence() == (
        f"Measured on the {len(right)} of {len(numbers)} words that the model translates right."
    )


@pytest.mark.parametrize("known", [0, FEWEST_KNOWN - 1, FEWEST_KNOWN])
def test_with_fewer_than_fifty_all_are_used_and_it_says_so(lexicon, known):
    task = ProbeTask(SOURCE, TARGET, words=80, lexicon=str(lexicon))
    probe = Probe(task, activations(80), ("x",) * 80, np.arange(80) < known)
    assert probe.enough == (known == FEWEST_KNOWN)
    assert probe.used.prompts == (FEWEST_KNOWN if probe.enough else 80)
    told = probe.sentence()
    if not probe.enough:
        assert told.startswith(f"The model translates {known} of 80 words right, fewer than the 50")
        assert "all words are used" in told
    ranked = Probe(replace(task, known="ranked"), probe.activations, probe.answers, probe.known)
    assert "first 5%" in ranked.sentence()
    assert "translates right" not in ranked.sentence()


def test_looser_translations_are_accepted_too(store, monkeypatch):
    """CLDR gives keywords besides names; some words have them."""
    task = ProbeTask("eng_Latn", "spa_Latn", words=100)
    keyword = {pair.word: pair.keyword_answers[0] for pair in task.pairs if pair.keyword_answers}
    assert 0 < len(keyword) < 100

    def write(prompt):
        return keyword.get(prompt.split('"')[1], "?")

    probe = run_probe(store, task, IDENTITY, fake_model(monkeypatch, write))
    assert probe.known.tolist() == [pair.word in keyword for pair in task.pairs]


def test_ranked_knows_a_gold_word_among_the_first_five_in_a_hundred(store, lexicon, monkeypatch):
    task = ProbeTask(SOURCE, TARGET, words=100, lexicon=str(lexicon), known="ranked")
    place = {pair.word: n for n, pair in enumerate(task.pairs)}
    assert len(place) == 100

    def score(prompt, candidate):
        """The gold word of pair n stands at rank n + 1."""
        n = place[prompt.split('"')[1]]
        own = place[candidate.replace("word", "wort")]
        return 0.5 - n if own == n else -float(own if own < n else own - 1)

    probe = run_probe(store, task, IDENTITY, fake_model(monkeypatch, score=score))
    assert [int(answer) for answer in probe.answers] == list(range(1, 101))
    assert probe.known.tolist() == [n < 5 for n in range(100)]


def test_ranked_gives_a_model_that_knows_nothing_its_five_in_a_hundred(store, lexicon, monkeypatch):
    random = np.random.default_rng(0)
    task = ProbeTask(SOURCE, TARGET, words=100, lexicon=str(lexicon), known="ranked")
    model = fake_model(monkeypatch, score=lambda prompt, candidate: random.random())
    probe = run_probe(store, task, IDENTITY, model)
    assert 0 <= probe.known.sum() <= 12
    assert not probe.enough


def test_generated_tokens_are_averaged_in_by_name_alone(store, tiny):
    identity, get = tiny
    task = ProbeTask(SOURCE, TARGET, words=6)
    plain = run_probe(store, task, identity, get)
    seen = []
    released = replace(task, generated=True)
    assert stored_probe(store, released, identity) is None
    probe = run_probe(store, released, identity, get, report=seen.append)
    assert seen[-1].done == seen[-1].total == 18
    model = get()
    prompts = [probe_prompt(*task.languages, pair.word) for pair in task.pairs]
    written = generate(model, prompts, Decoding(stop=("\n",)))
    whole = [prompt + each.text for prompt, each in zip(prompts, written, strict=True)]
    expected = record(model, whole)
    np.testing.assert_allclose(probe.activations.values, expected.values, atol=1e-3)
    assert (probe.activations.lengths >= plain.activations.lengths).all()
    assert (probe.activations.lengths > plain.activations.lengths).any()
    assert probe.answers == plain.answers


# ---- Words -------------------------------------------------------------------------------------


def test_no_word_of_a_probe_is_one_of_an_evaluation(lexicon):
    for spec, most in (("cldr", 2000), (str(lexicon), 200)):
        words = {pair.word for pair in ProbeTask(SOURCE, TARGET, most, spec).pairs}
        evaluated = {pair.word for pair in Bli(SOURCE, TARGET, items=2000, lexicon=spec).words}
        assert words
        assert evaluated
        assert not words & evaluated


def test_single_words_come_first():
    few, many = (ProbeTask("eng_Latn", "spa_Latn", n).pairs for n in (60, 2000))
    assert few == many[:60]
    assert all(" " not in pair.word for pair in few)
    assert any(" " in pair.word for pair in many)


@pytest.mark.parametrize(
    ("changes", "content", "expected"),
    [
        ({"words": 1}, "a b\n", "at least two words, but 1"),
        ({"words": 0}, "a b\n", "at least two words, but 0"),
        ({"known": "guessed"}, "a b\n", "no rule 'guessed'"),
        ({"target": SOURCE}, "a b\n", "Source and target are both German"),
        ({"target": "lin_Latn", "lexicon": "cldr"}, "", "no words in Lingala"),
        ({}, "a b\nsolo\n", "line 2"),
        ({}, "", "empty"),
        ({}, "wort000 word\n", "no word from deu_Latn to eng_Latn for a probe"),  # kept aside
        ({}, "wort002 word\n", "one word from deu_Latn to eng_Latn for a probe"),
        ({"lexicon": "/no/such/file"}, "", "no lexicon /no/such/file"),
    ],
)
def test_bad_words(tmp_path, changes, content, expected):
    path = tmp_path / "words.txt"
    path.write_text(content, encoding="utf-8")
    settings = {"source": SOURCE, "target": TARGET, "lexicon": str(path)} | changes
    with pytest.raises(InputError, match=expected):
        assert ProbeTask(**settings).pairs


def test_a_lexicon_of_another_encoding(tmp_path):
    path = tmp_path / "words.txt"
    path.write_bytes("Größe size\nMaß measure\n".encode("latin-1"))
    with pytest.raises(InputError, match="not UTF-8"):
        assert ProbeTask(SOURCE, TARGET, lexicon=str(path)).pairs


# ---- The store ---------------------------------------------------------------------------------


@pytest.fixture
def tiny(store, tiny_model_folder):
    source = find_model(str(tiny_model_folder), store.root)
    return model_identity(source, "float32"), lambda: load(source, dtype="float32", device="cpu")


def no_model():
    raise AssertionError("the model is not needed")


def test_a_stored_probe_is_the_recorded_one(store, tiny):
    identity, get = tiny
    task = ProbeTask(SOURCE, TARGET, words=12)
    assert stored_probe(store, task, identity) is None
    seen = []
    probe = run_probe(store, task, identity, get, report=seen.append)
    assert seen[-1].fraction == 1
    again = run_probe(store, task, identity, no_model)
    np.testing.assert_array_equal(again.activations.values, probe.activations.values)
    np.testing.assert_array_equal(again.known, probe.known)
    assert again.answers == probe.answers
    assert store.parts(PROBES, probe_key(task, identity)) == ()
    prompts = [probe_prompt(*task.languages, pair.word) for pair in task.pairs]
    recorded = record(get(), prompts)
    assert (again.activations.lengths == recorded.lengths).all()
    # Half precision: 2**-11 of a deviation from the neuron's mean over the prompts.
    exact = recorded.values.astype(np.float64)
    deviations = np.abs(exact - exact.mean(axis=2, keepdims=True))
    error = np.abs(again.activations.values - exact)
    assert (error <= 2**-11 * deviations + 1e-6 * np.abs(exact).max()).all()
    assert error.max() > 0
    # Other words, another rule or another format is another probe.
    for other in (replace(task, words=11), replace(task, known="ranked")):
        assert stored_probe(store, other, identity) is None
    assert stored_probe(store, task, {**identity, "dtype": "bfloat16"}) is None


def test_what_half_precision_costs_hsic():
    random = np.random.default_rng(0)
    signal = random.normal(size=(3, 200))
    values = (3 + random.normal(size=(1, 40, 3)) @ signal / 5).astype(np.float32)
    values += random.normal(size=values.shape).astype(np.float32) / 9
    exact = ProbeActivations(values, np.ones(200, int))
    kept = ProbeActivations.from_tensors(exact.tensors())
    rows = np.arange(40)
    one, other = (hsic_matrix(p.rows(0, rows[:20]), p.rows(0, rows[20:])) for p in (exact, kept))
    assert 0 < np.abs(one - other).max() < 1e-3 * one.max()


def test_a_cancelled_probe_keeps_what_was_recorded(store, tiny, monkeypatch):
    identity, get = tiny
    task = ProbeTask(SOURCE, TARGET, words=12)
    done = []
    with pytest.raises(Cancelled):
        run_probe(
            store,
            task,
            identity,
            get,
            report=lambda now: done.append(now.done),
            cancelled=lambda: store.parts(PROBES, probe_key(task, identity)) != (),
        )
    assert done[-1] >= 12
    assert store.parts(PROBES, probe_key(task, identity)) == ("activations",)
    assert stored_probe(store, task, identity) is None

    monkeypatch.setattr(probing, "record", no_model)  # never again
    probe = run_probe(store, task, identity, get, report=lambda now: done.append(now.done))
    assert done[-1] == 24
    monkeypatch.undo()
    whole = run_probe(Store(store.root / "whole"), task, identity, get)
    np.testing.assert_array_equal(probe.activations.values, whole.activations.values)
    assert probe.answers == whole.answers
    assert store.parts(PROBES, probe_key(task, identity)) == ()
