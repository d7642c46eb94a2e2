"""Candidates read as a tree against one forward pass each."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bridgex_core import candidates as module
from bridgex_core import models
from bridgex_core.candidates import LocalBackend, candidate_tokens, score_candidates
from bridgex_core.decoding import Backend, Decoding
from bridgex_core.errors import InputError
from bridgex_core.progress import Progress
from tests.test_generation import FAMILIES, OTHER_SHOTS, SHOTS, build, llama

__all__ = ["llama"]  # the fixture

PROMPTS = [
    SHOTS + 'English:"dog"→Deutsch:"',
    SHOTS + 'English:"elephant"→Deutsch:"',
    OTHER_SHOTS + 'English:"dog"→Suomi:"',
    "x",
]
WORDS = ["Hund", "Hunde", "Hand", "H", "Katze", "כלב", "Hund", "Hunger", "Kater", "a b"]
READS_NO_TREE = {"bloom", "falcon", "gpt_neo"}  # ALiBi, and windows of its own


def one_by_one(model: models.Model, prompts, words) -> np.ndarray:
    """A forward pass over the whole text for every prompt and word, summed in float64."""
    scores = np.empty((len(prompts), len(words)))
    for p, prompt in enumerate(prompts):
        for w, word in enumerate(words):
            start, tokens = [*model.bos, *model.encode(prompt)], model.encode(word)
            with torch.no_grad():
                ids = torch.tensor([start + tokens])
                logits = model.network(input_ids=ids, use_cache=False).logits[0]
            values = logits[len(start) - 1 : -1].double().log_softmax(-1)
            scores[p, w] = sum(float(values[i, token]) for i, token in enumerate(tokens))
    return scores


@pytest.mark.parametrize("name", FAMILIES)
def test_equals_one_forward_pass_a_candidate(name, tiny_model_folder, monkeypatch):
    model = build(name, tiny_model_folder)
    expected = one_by_one(model, PROMPTS, WORDS)
    ways = []
    for way in ("_read_nodes", "_read_rows"):
        used = getattr(module, way)
        monkeypatch.setattr(
            module, way, lambda *a, used=used, way=way: (ways.append(way), used(*a))[1]
        )
    whole = module._reads_a_tree(model)
    assert whole == (name.split(",")[0] not in READS_NO_TREE)
    ways.clear()
    found = score_candidates(model, PROMPTS, WORDS)
    np.testing.assert_allclose(found.log_probability, expected, atol=1e-3)
    assert found.tokens.tolist() == [len(word.encode()) for word in WORDS]
    assert set(ways) == {"_read_nodes" if whole and "narrow" not in name else "_read_rows"}


@pytest.mark.parametrize("positions", [1, 3, 7, 2048])
def test_small_passes_and_small_trees_change_nothing(llama, monkeypatch, positions):
    expected = score_candidates(llama, PROMPTS, WORDS).log_probability
    monkeypatch.setattr(module, "_POSITIONS", positions)
    monkeypatch.setattr(module, "_LOGITS_IN_FLOAT32", 300)
    monkeypatch.setattr(module, "_NODES", 5)
    assert len(module._parts(candidate_tokens(llama, WORDS))) > 2
    for tree in (True, False):
        monkeypatch.setattr(module, "_reads_a_tree", lambda _model, tree=tree: tree)
        found = score_candidates(llama, PROMPTS, WORDS).log_probability
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_common_beginnings_are_read_once(llama):
    read = []
    handle = llama.body.register_forward_hook(
        lambda _m, _a, options, _o: read.append(options["input_ids"].numel()), with_kwargs=True
    )
    module._reads_a_tree(llama)
    read.clear()
    score_candidates(llama, ["p"], ["Hund", "Hunde", "Hand", "H"])
    handle.remove()
    assert read == [len(llama.bos) + 1, 6]  # H, Hu, Hun, Hund, Ha, Han


@given(st.lists(st.text("ab", min_size=1, max_size=5), min_size=1, max_size=9))
def test_a_tree_holds_every_proper_beginning_once(words):
    tokens = [tuple(map(ord, word)) for word in words]
    tree = module._Tree(tokens)
    proper = {word[:n] for word in words for n in range(1, len(word))}
    spelled = []
    for node in range(tree.size):
        above = np.flatnonzero(tree.ancestors()[node])
        spelled.append("".join(chr(tree.tokens[m]) for m in above))
        assert tree.depths[node] == len(above) - 1
        assert tree.parents[node] < node
    assert sorted(spelled) == sorted(proper)
    covered = {node for path in tree.paths() for node in path}
    assert covered == set(range(tree.size))


def test_tokens_are_those_behind_a_quote(llama, monkeypatch):
    assert candidate_tokens(llama, ["ab"]) == [tuple(llama.encode("ab"))]
    # A tokenizer that joins the quote and the first letter: the candidate is taken by itself.
    pieces = {'"': [5], '"ab': [9, 8], "ab": [6, 8]}
    model = type("Joining", (), {"encode": lambda _self, text: pieces[text]})()
    assert candidate_tokens(model, ["ab"]) == [(6, 8)]


def test_bad_candidates(llama):
    for words, match in ((["a", " "], "empty"), ([""], "empty"), ([], "no candidate")):
        with pytest.raises(InputError, match=match):
            score_candidates(llama, ["p"], words)
    with pytest.raises(InputError, match="do not fit"):
        score_candidates(llama, ["p" * 500], ["a" * 12])
    with pytest.raises(InputError, match="no prompt"):
        score_candidates(llama, [], ["a"])


def test_the_local_backend_is_a_backend(llama):
    backend: Backend = LocalBackend(llama)
    decoding = Decoding(max_tokens=3, stop=())
    assert backend.no_scores is None
    assert backend.title == llama.source.title
    whole = backend.generate(["p"], decoding)[0]
    assert list(backend.stream("p", decoding))[-1].text == whole.text
    assert backend.alternatives("p", decoding, 2)[0].log_probability >= whole.log_probability - 1e-4
    progress = Progress(2)
    scores = backend.score_candidates(["p", "q"], ["a", "ab"], progress=progress)
    assert scores.log_probability.shape == (2, 2)
    assert progress.snapshot.fraction == 1
    assert (scores.log_probability[:, 1] < scores.log_probability[:, 0]).all()
