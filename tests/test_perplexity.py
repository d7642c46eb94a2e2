"""Perplexity against transformers' own loss, and the matrix against one set at a time."""

import numpy as np
import pytest
import torch

from bridgex_core import lens
from bridgex_core.activations import BLOCK_TOKENS
from bridgex_core.corpora import udhr
from bridgex_core.errors import InputError
from bridgex_core.interventions import Intervention, intervene, random_control
from bridgex_core.model_sources import find_model
from bridgex_core.models import load
from bridgex_core.perplexity import perplexity, perplexity_matrix
from tests.test_activations import FAMILIES, LAYERS, WIDTH, build

TEXT = "All human beings are born free"


def own_loss(model, texts) -> tuple[float, int]:
    """Summed loss and predicted tokens, from transformers."""
    total, count = 0.0, 0
    for text in texts:
        ids = torch.tensor([[*model.bos, *model.encode(text)]])
        with torch.no_grad():
            total += model.network(input_ids=ids, labels=ids).loss.item() * (ids.shape[1] - 1)
        count += ids.shape[1] - 1
    return total, count


@pytest.mark.parametrize("bos", [1, None])
@pytest.mark.parametrize("name", FAMILIES)
def test_equals_transformers_own_loss(name, bos, monkeypatch):
    monkeypatch.setattr(lens, "WORDS", 13)
    model = build(name, bos)
    total, count = own_loss(model, [TEXT])
    assert perplexity(model, [TEXT]) == pytest.approx(np.exp(total / count), rel=1e-5)


def test_blocks_of_different_length_and_an_empty_one_count_by_token(tiny_model_folder, tmp_path):
    model = load(find_model(str(tiny_model_folder), tmp_path))
    texts = ["Watu wote", "", *udhr().text("swh_Latn").blocks[2:4]]
    texts[-1] = texts[-1][: BLOCK_TOKENS - 20]
    texts[-2] = texts[-2][: BLOCK_TOKENS - 20]
    total, count = own_loss(model, [text for text in texts if text])
    assert perplexity(model, texts) == pytest.approx(np.exp(total / count), rel=1e-5)


def test_only_the_first_tokens():
    model = build("llama")
    short, long = perplexity(model, [TEXT[:9], TEXT[9:14]]), perplexity(model, [TEXT])
    assert perplexity(model, [TEXT[:9], TEXT[9:]], tokens=14) == pytest.approx(short)
    assert short != pytest.approx(long)


def test_the_matrix_is_one_set_and_one_language_at_a_time():
    model = build("mistral")
    texts = {"eng_Latn": [TEXT, "a"], "swh_Latn": ["Watu wote wamezaliwa huru", "", "hadhi"]}
    rng = np.random.default_rng(0)
    masks = {name: rng.random((LAYERS, WIDTH)) < 0.2 for name in ("swh_Latn", "fin_Latn", "none")}
    masks["none"][:] = False
    sets = {name: Intervention(mask, "scale", -2.0) for name, mask in masks.items()}
    found = perplexity_matrix(model, texts, sets, seed=5)
    assert found.sets == ("swh_Latn", "fin_Latn", "none")
    assert found.languages == ("eng_Latn", "swh_Latn")
    for column, blocks in enumerate(texts.values()):
        assert found.plain[column] == pytest.approx(perplexity(model, blocks))
        assert found.tokens[column] == sum(map(len, blocks))
        for row, mask in enumerate(masks.values()):
            with intervene(model, Intervention(mask, "scale", -2.0)):
                assert found.changed[row, column] == pytest.approx(perplexity(model, blocks))
            with intervene(model, Intervention(random_control(mask, seed=5 + row), "scale", -2.0)):
                assert found.control[row, column] == pytest.approx(perplexity(model, blocks))
    assert (found.change[2] == 0).all()
    assert (found.control_change[2] == 0).all()
    assert np.abs(found.change[:2]).min() > 1e-6
    assert found.sizes.tolist() == [mask.sum() for mask in masks.values()]
    frame = found.to_frame()
    assert len(frame) == 6
    row = frame[(frame.set == "fin_Latn") & (frame.language == "swh_Latn")].iloc[0]
    assert (row.changed, row.control) == (found.changed[1, 1], found.control[1, 1])


def test_progress_counts_every_pass():
    class Counter:
        total = 0.0

        def advance(self, amount, message=""):
            self.total += amount

    model, counter = build("llama"), Counter()
    none = Intervention(np.zeros((LAYERS, WIDTH), dtype=bool))
    perplexity_matrix(model, {"eng_Latn": [TEXT]}, {"a": none, "b": none}, progress=counter)
    assert counter.total == 5 * len(TEXT)


def test_nothing_to_predict():
    model = build("llama", None)
    some = {"a": Intervention(np.zeros((LAYERS, WIDTH), dtype=bool))}
    with pytest.raises(InputError, match="in eng_Latn"):
        perplexity_matrix(model, {"swh_Latn": ["two"], "eng_Latn": ["", "a"]}, some)
    with pytest.raises(InputError, match="no text at all"):
        perplexity_matrix(model, {}, some)
    with pytest.raises(InputError, match="no set of neurons"):
        perplexity_matrix(model, {"eng_Latn": ["two"]}, {})
