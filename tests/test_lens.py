"""The lens of every architecture against the same network cut off after each layer."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
import transformers

from bridgex_core import lens as lens_module
from bridgex_core import models
from bridgex_core.errors import InputError
from bridgex_core.lens import logit_lens, share_by_layer, vocabulary_logits
from bridgex_core.model_sources import find_model
from bridgex_core.text_language import SCRIPTS
from tests.test_activations import FAMILIES, LAYERS, VOCABULARY, WIDTH, LetterTokenizer, small

PROMPT = "born free"
LETTERS = "aбעकа猫ひ"  # of the made-up words; Latin, Cyrillic, Hebrew, Devanagari, Han, Hiragana

FURTHER = {
    "phi": transformers.PhiConfig(**small()),
    "cohere": transformers.CohereConfig(**small(logit_scale=0.3, pad_token_id=0)),
    "granite": transformers.GraniteConfig(**small(logits_scaling=3.0, embedding_multiplier=2.0)),
    "starcoder2": transformers.Starcoder2Config(**small()),
    "xglm": transformers.XGLMConfig(
        vocab_size=VOCABULARY, d_model=16, ffn_dim=WIDTH, num_layers=LAYERS, attention_heads=2
    ),
    "falcon": transformers.FalconConfig(
        vocab_size=VOCABULARY, hidden_size=16, num_hidden_layers=LAYERS, num_attention_heads=2
    ),
    "gptj": transformers.GPTJConfig(
        vocab_size=VOCABULARY, n_embd=16, n_layer=LAYERS, n_head=2, rotary_dim=4, n_positions=64
    ),
    "opt": transformers.OPTConfig(  # as OPT-350m: projections, and no final norm
        vocab_size=VOCABULARY, hidden_size=16, ffn_dim=WIDTH, num_hidden_layers=LAYERS,
        num_attention_heads=2, max_position_embeddings=64, word_embed_proj_dim=8,
        do_layer_norm_before=False,
    ),
}  # fmt: skip
CONFIGURATIONS = {name: family[0] for name, family in FAMILIES.items()}
CONFIGURATIONS |= {f"{name}, further": config for name, config in FURTHER.items()}


class WordTokenizer(LetterTokenizer):
    """Word k is its number after a letter; the first three have a role."""

    def __len__(self):
        return VOCABULARY - 1  # heads are often wider than the tokenizer

    def decode(self, ids):
        return f"{LETTERS[ids[0] % len(LETTERS)]}{ids[0]}"

    def batch_decode(self, rows):
        return [self.decode(row) for row in rows]

    def get_added_vocab(self):
        return {"<pad>": 0, "<s>": 1, "</s>": 2}


def build(name: str, bos: int | None = 1) -> models.Model:
    """A tiny random network in float64 (XGLM can do float32 alone), every parameter drawn."""
    torch.manual_seed(7)
    network = transformers.AutoModelForCausalLM.from_config(CONFIGURATIONS[name])
    network = network if name.startswith("xglm") else network.double()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return models.wrap(network, WordTokenizer(bos))


def cut_logits(model: models.Model, layers: int, ids) -> np.ndarray:
    """(P, V): what the network says with the first layers alone."""
    network = copy.deepcopy(model.network)
    path, _, name = models.ARCHITECTURES[network.config.model_type].layers.rpartition(".")
    parent = network.get_submodule(path)
    setattr(parent, name, getattr(parent, name)[:layers])
    network.config.num_hidden_layers = layers
    with torch.no_grad():
        return network(input_ids=torch.tensor([ids]), use_cache=False).logits[0].double().numpy()


def softmax(logits):
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_each_level_is_the_network_cut_off_there(name, monkeypatch):
    monkeypatch.setattr(lens_module, "WORDS", 11)  # several pieces of vocabulary and of rows
    monkeypatch.setattr(lens_module, "ROWS", 7)
    model = build(name)
    lens = logit_lens(model, PROMPT, top=VOCABULARY)
    ids = [1, *model.encode(PROMPT)]
    words = np.vectorize(lambda text: int(text[1:]))(lens.top_tokens)
    for level in range(LAYERS + 1):
        expected = softmax(cut_logits(model, level, ids))
        found = np.zeros_like(expected)
        np.put_along_axis(found, words[level], lens.probabilities[level].astype(float), 1)
        np.testing.assert_allclose(found, expected, atol=1e-6, err_msg=f"level {level}")
    assert (np.diff(lens.probabilities, axis=2) <= 0).all()
    assert lens.levels == LAYERS + 1
    assert lens.tokens == tuple(model.tokenizer.decode([token]) for token in ids)


def test_the_mass_of_a_script_is_that_of_its_words():
    model = build("llama")
    lens = logit_lens(model, PROMPT, top=VOCABULARY)
    names = list(SCRIPTS)
    np.testing.assert_allclose(lens.script_mass.sum(2), 1, atol=1e-6)
    for script in names:
        expected = np.where(lens.scripts == script, lens.probabilities, 0).sum(2)
        np.testing.assert_allclose(lens.script_mass[:, :, names.index(script)], expected, atol=1e-6)
    texts = dict(zip(lens.top_tokens.ravel(), lens.scripts.ravel(), strict=True))
    assert texts["a0"] == texts["б1"] == texts["ע2"] == "Zyyy"  # words with a role
    assert texts["a49"] == "Zyyy"  # a row of the head that no word stands for
    assert (texts["a7"], texts["б8"], texts["猫5"], texts["ひ6"]) == (
        "Latn",
        "Cyrl",
        "Hani",
        "Hira",
    )


def test_shares_go_to_the_only_language_of_a_script():
    lens = logit_lens(build("llama"), PROMPT)
    shares = share_by_layer(lens, ["zho_Hans", "jpn_Jpan", "heb_Hebr", "eng_Latn"])
    np.testing.assert_allclose(shares.groupby("level").share.sum(), 1)
    owner = dict(zip(shares.script, shares.language, strict=True))
    assert owner["Hani"] == ""  # both write it
    assert (owner["Hira"], owner["Hebr"], owner["Latn"]) == ("jpn_Jpan", "heb_Hebr", "eng_Latn")
    assert owner["Cyrl"] == owner["Zyyy"] == ""
    mean = lens.script_mass[:, 1:].mean(1)[:, list(SCRIPTS).index("Hebr")]
    np.testing.assert_allclose(shares[shares.script == "Hebr"].share, mean, rtol=1e-5)
    two = share_by_layer(lens, ["swh_Latn", "eng_Latn"], positions=[3])
    assert set(two[two.script == "Latn"].language) == {""}
    last = two[(two.script == "Latn") & (two.level == 0)].share.item()
    assert last == pytest.approx(lens.script_mass[0, 3, 0], rel=1e-5)
    with pytest.raises(InputError, match="positions"):
        share_by_layer(lens, ["eng_Latn"], positions=[99])


def test_scripts_that_hardly_appear_are_counted_together():
    lens = logit_lens(build("llama"), PROMPT)
    mass = lens.script_mass * 0
    mass[..., 0], mass[..., list(SCRIPTS).index("Cyrl")] = 0.9995, 0.0005
    shares = share_by_layer(replace(lens, script_mass=mass), ["eng_Latn"])
    assert set(shares.script) == {"Latn", "Zzzz"}
    kept = share_by_layer(replace(lens, script_mass=mass), ["eng_Latn", "rus_Cyrl"])
    assert set(kept.script) == {"Latn", "Cyrl"}


def test_the_last_level_of_a_model_on_disk_is_its_own_answer(tiny_model_folder, tmp_path):
    model = models.load(find_model(str(tiny_model_folder), tmp_path))
    lens = logit_lens(model, "Watu wote")
    with torch.no_grad():
        ids = torch.tensor([[*model.bos, *model.encode("Watu wote")]])
        expected = torch.softmax(model.network(input_ids=ids).logits[0].double(), -1)
    values, words = expected.topk(5)
    np.testing.assert_allclose(lens.probabilities[-1], values, rtol=1e-4)
    said = [[model.tokenizer.decode([token]) for token in row] for row in words.tolist()]
    assert lens.top_tokens[-1].tolist() == said
    frame = lens.to_frame()
    assert len(frame) == 3 * len(lens.tokens) * 5
    row = frame[(frame.level == 2) & (frame.position == 4) & (frame["rank"] == 2)]
    assert row.says.item() == said[4][1]


def test_logits_come_in_pieces_that_make_the_whole(monkeypatch):
    monkeypatch.setattr(lens_module, "WORDS", 20)
    model = build("gemma2")
    states = torch.randn(3, 16, dtype=torch.float64)
    pieces = list(vocabulary_logits(model, states))
    assert [start for start, _ in pieces] == [0, 20, 40]
    raw = model.network.lm_head(states)
    torch.testing.assert_close(torch.cat([part for _, part in pieces], 1), 30 * (raw / 30).tanh())


def test_prompts_that_cannot_be_read():
    model = build("llama")
    with pytest.raises(InputError, match="empty"):
        logit_lens(model, "")
    with pytest.raises(InputError, match="65 tokens, more than the model's context of 64"):
        logit_lens(model, "a" * 64)
    with pytest.raises(InputError, match="not 0"):
        logit_lens(model, "a", top=0)
