"""Writing in batches against one whole forward pass a token, over many architectures."""

from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st

from bridgex_core import generation, models
from bridgex_core.decoding import Decoding, Generated
from bridgex_core.errors import Cancelled, InputError
from bridgex_core.generation import alternatives, generate, group_by_beginning, stream
from bridgex_core.model_sources import find_model
from bridgex_core.progress import Progress

VOCABULARY = 258


def small(**more):
    """Configuration names that most architectures share."""
    return {
        "vocab_size": VOCABULARY, "hidden_size": 16, "intermediate_size": 24,
        "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1,
        "max_position_embeddings": 256, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1,
        **more,
    }  # fmt: skip


def old(**more):
    """The names of GPT-2 and its kin."""
    ends = {"bos_token_id": 0, "eos_token_id": 1}
    return {"vocab_size": VOCABULARY, "n_embd": 16, "n_layer": 2, "n_head": 2, **ends, **more}


def local(window: int):
    """A network that looks back by place in the sequence, whatever its mask says."""
    return transformers.GPTNeoConfig(
        vocab_size=VOCABULARY, hidden_size=16, num_layers=2, num_heads=2, window_size=window,
        attention_types=[[["global", "local"], 1]], max_position_embeddings=256, bos_token_id=0,
        eos_token_id=1,
    )  # fmt: skip


FAMILIES = {
    "llama": transformers.LlamaConfig(**small()),
    "mistral": transformers.MistralConfig(**small(sliding_window=100)),
    "mistral, narrow": transformers.MistralConfig(**small(sliding_window=8)),
    "qwen2": transformers.Qwen2Config(**small()),
    "qwen3": transformers.Qwen3Config(**small(head_dim=8)),
    "gemma2": transformers.Gemma2Config(**small(head_dim=8, sliding_window=100)),
    "gemma3_text": transformers.Gemma3TextConfig(
        **small(head_dim=8, sliding_window=100, layer_types=["sliding_attention", "full_attention"])
    ),
    "gemma3_text, narrow": transformers.Gemma3TextConfig(
        **small(head_dim=8, sliding_window=8, layer_types=["sliding_attention", "full_attention"])
    ),
    "cohere": transformers.CohereConfig(**small()),
    "granite": transformers.GraniteConfig(**small(logits_scaling=3.0)),
    "phi3": transformers.Phi3Config(**small()),
    "gpt2": transformers.GPT2Config(**old(n_positions=256)),
    "gptj": transformers.GPTJConfig(**old(n_positions=256, rotary_dim=4)),
    # Every example fits into the window of the first, but no tree of candidates behind it does.
    "gpt_neo": local(72),
    "gpt_neo, narrow": local(8),
    "gpt_neox": transformers.GPTNeoXConfig(**{**small(), "num_key_value_heads": None}),
    "bloom": transformers.BloomConfig(
        vocab_size=VOCABULARY, hidden_size=16, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=1
    ),
    "falcon": transformers.FalconConfig(
        vocab_size=VOCABULARY, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        alibi=True, bos_token_id=0, eos_token_id=1,
    ),
    "opt": transformers.OPTConfig(
        vocab_size=VOCABULARY, hidden_size=16, ffn_dim=24, num_hidden_layers=2,
        num_attention_heads=2, max_position_embeddings=256, word_embed_proj_dim=16, bos_token_id=0,
        eos_token_id=1, pad_token_id=1,
    ),
    "xglm": transformers.XGLMConfig(
        vocab_size=VOCABULARY, d_model=16, ffn_dim=24, num_layers=2, attention_heads=2,
        max_position_embeddings=256, bos_token_id=0, eos_token_id=1, pad_token_id=1,
    ),
}  # fmt: skip

SHOTS = 'English:"sun"→Deutsch:"Sonne"\n'
OTHER_SHOTS = 'English:"sun"→Suomi:"aurinko"\n'
PROMPTS = [
    SHOTS + 'English:"dog"→Deutsch:"',
    SHOTS + 'English:"elephant"→Deutsch:"',
    OTHER_SHOTS + 'English:"dog"→Suomi:"',
    SHOTS + "é",
    'x',
    OTHER_SHOTS + 'English:"butterflies"→Suomi:"',
]  # fmt: skip
FREE = Decoding(max_tokens=6, stop=())


def build(name: str, folder: Path) -> models.Model:
    """A tiny random network in float32 whose tokenizer makes every byte a token."""
    torch.manual_seed(3)
    network = transformers.AutoModelForCausalLM.from_config(FAMILIES[name])
    for parameter in network.parameters():  # zero biases would hide a mistake
        torch.nn.init.normal_(parameter, std=0.4)
    return models.wrap(network, transformers.AutoTokenizer.from_pretrained(folder))


@pytest.fixture(scope="module")
def llama(tiny_model_folder, tmp_path_factory) -> models.Model:
    return models.load(find_model(str(tiny_model_folder), tmp_path_factory.mktemp("store")))


@pytest.fixture
def sharing(monkeypatch):
    """Whatever prompts share is computed once, however little it is."""
    monkeypatch.setattr(generation, "_BATCH_COST", 0)


def naive(model: models.Model, prompt: str, count: int, first: int | None = None):
    """Greedy, the whole text anew for every token: ids and log-probabilities."""
    ids, values = [*model.bos, *model.encode(prompt)], []
    begin = len(ids)
    while len(ids) - begin < count and ids[-1] != 1:
        with torch.no_grad():
            logits = model.network(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1]
        chosen = int(logits.argmax()) if first is None or len(ids) > begin else first
        ids.append(chosen)
        values.append(float(logits.double().log_softmax(-1)[chosen]))
    return ids[begin:], values


def as_text(model: models.Model, ids) -> str:
    kept = [token for token in ids if token != 1]
    return model.tokenizer.decode(kept).rstrip("\ufffd")


@pytest.mark.parametrize("name", FAMILIES)
def test_equals_one_whole_forward_pass_a_token(name, tiny_model_folder, sharing):
    model = build(name, tiny_model_folder)
    expected = [naive(model, prompt, FREE.max_tokens) for prompt in PROMPTS]
    for batch_size in (1, 2, 64):
        found = generate(model, PROMPTS, FREE, batch_size=batch_size)
        for answer, (ids, values) in zip(found, expected, strict=True):
            assert answer.text == as_text(model, ids)
            assert answer.finish == ("end" if ids[-1] == 1 else "length")
            np.testing.assert_allclose(answer.log_probabilities, values, atol=1e-3)


def test_the_shared_beginning_is_read_once(llama, monkeypatch):
    prompts = [SHOTS * 3 + f'English:"{word}"→Deutsch:"' for word in ("dog", "cat", "tree", "sea")]
    seen = []
    llama.body.register_forward_pre_hook(
        lambda _m, _a, options: seen.append(tuple(options["input_ids"].shape)), with_kwargs=True
    )
    once = generate(llama, prompts, FREE)
    ends = [llama.encode(prompt) for prompt in prompts]
    shared = len(llama.encode(SHOTS * 3 + 'English:"')) + 1
    assert seen[:2] == [(1, shared), (4, max(map(len, ends)) + 1 - shared)]
    monkeypatch.setattr(generation, "_BATCH_COST", 10**9)
    assert [a.text for a in generate(llama, prompts, FREE)] == [a.text for a in once]


def scripted(model: models.Model, texts: list[str], monkeypatch) -> None:
    """Let the model write given texts, byte after byte, and then its end token."""
    scripts = [iter([*model.encode(text), *[1] * 99]) for text in texts]
    monkeypatch.setattr(
        generation,
        "_choose",
        lambda _logits, answers, _decoding: torch.tensor(
            [next(scripts[a._number]) for a in answers]
        ),
    )


def test_finished_rows_leave_the_batch(llama, monkeypatch):
    texts = ["a.", "abcdefg", ".", "abc.", "abcd.", "abcdef"]
    scripted(llama, texts, monkeypatch)
    rows = []
    handle = llama.body.register_forward_hook(
        lambda _m, _a, options, _o: rows.append(len(options["input_ids"])), with_kwargs=True
    )
    found = generate(llama, PROMPTS, Decoding(max_tokens=6, stop=(".",)))
    handle.remove()
    assert [answer.text for answer in found] == ["a", "abcdef", "", "abc", "abcd", "abcdef"]
    assert [len(answer.log_probabilities) for answer in found] == [2, 6, 1, 4, 5, 6]
    assert rows == [6, 6, 6, 6, 3, 3]  # of six, three are done after four tokens
    for prompt, text, answer in zip(PROMPTS, texts, found, strict=True):
        scripted(llama, [text], monkeypatch)
        alone = generate(llama, [prompt], Decoding(max_tokens=6, stop=(".",)))[0]
        assert answer.log_probabilities == pytest.approx(alone.log_probabilities, abs=1e-4)


@pytest.mark.parametrize(
    ("written", "stops", "text", "finish", "tokens"),
    [
        ('Hund"\nmore', ('"', "\n"), "Hund", "stop", 5),
        ("שמש\nx", ("\n",), "שמש", "stop", 7),
        ("犬END", ("END",), "犬", "stop", 6),
        ("a→b", ("→",), "a", "stop", 4),
        ("abc", (), "abc", "end", 4),
        ("犬犬犬犬", (), "犬犬", "length", 8),  # cut off within a character
    ],
)
def test_stop_texts_and_ends(llama, monkeypatch, written, stops, text, finish, tokens):
    decoding = Decoding(max_tokens=8, stop=stops)
    scripted(llama, [written], monkeypatch)
    answer = generate(llama, ["p"], decoding)[0]
    assert (answer.text, answer.finish, len(answer.log_probabilities)) == (text, finish, tokens)


def test_a_stream_never_shows_half_a_character_or_half_a_stop_text(llama, monkeypatch):
    scripted(llama, ["犬 E犬EN\nEND more"], monkeypatch)
    seen = list(stream(llama, "p", Decoding(max_tokens=40, stop=("END",))))
    texts = [answer.text for answer in seen]
    assert texts == [
        "", "", "犬", "犬 ", "犬 ", "犬 ", "犬 ", "犬 E犬", "犬 E犬", "犬 E犬", "犬 E犬EN\n",
        "犬 E犬EN\n", "犬 E犬EN\n", "犬 E犬EN\n",
    ]  # fmt: skip
    assert seen[-1].finish == "stop"
    assert [len(answer.log_probabilities) for answer in seen] == list(range(1, len(seen) + 1))


def test_a_stream_ends_as_the_whole_answer_and_stops_when_closed(llama):
    decoding = Decoding(max_tokens=9, stop=())
    *_, last = stream(llama, PROMPTS[0], decoding)
    whole = generate(llama, PROMPTS[:1], decoding)[0]
    assert (last.text, last.finish) == (whole.text, whole.finish)
    calls = []
    handle = llama.body.register_forward_hook(lambda *_: calls.append(1))
    running = stream(llama, PROMPTS[0], decoding)
    next(running)
    assert not torch.is_inference_mode_enabled()  # the reader's own work is none of ours
    running.close()
    handle.remove()
    assert len(calls) == 1


def test_drawing_follows_the_seed_not_the_batch(llama):
    def drawn(seed: int, batch_size: int, top_p: float = 0.9) -> list[str]:
        decoding = Decoding(max_tokens=6, stop=(), temperature=1.5, top_p=top_p, seed=seed)
        return [a.text for a in generate(llama, PROMPTS, decoding, batch_size=batch_size)]

    assert drawn(5, 1) == drawn(5, 3) == drawn(5, 64)
    assert drawn(5, 64) != drawn(6, 64)
    greedy = [answer.text for answer in generate(llama, PROMPTS, FREE)]
    assert drawn(5, 64, top_p=1e-6) == greedy


def test_drawn_tokens_are_as_frequent_as_they_are_probable():
    logits = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()
    decoding = Decoding(temperature=1.0, top_p=0.8, seed=2)
    answers = [generation._Answer(None, decoding, number) for number in range(4000)]
    tokens = generation._choose(logits.expand(4000, 4), answers, decoding)
    counts = torch.bincount(tokens, minlength=4) / 4000
    # 0.5 + 0.3 reach the share of 0.8; rounding may put the third token in, 0.15 of 0.95 then
    assert counts[3] == 0
    np.testing.assert_allclose(counts[0] / counts[1], 5 / 3, rtol=0.1)


def test_alternatives_begin_with_the_most_probable_first_tokens(llama):
    decoding = Decoding(max_tokens=4, stop=())
    found = alternatives(llama, PROMPTS[0], decoding, count=3)
    with torch.no_grad():
        ids = torch.tensor([[*llama.bos, *llama.encode(PROMPTS[0])]])
        firsts = llama.network(input_ids=ids).logits[0, -1].topk(3).indices.tolist()
    expected = []
    for first in firsts:
        tokens, values = naive(llama, PROMPTS[0], 4, first)
        expected.append((sum(values), as_text(llama, tokens)))
    expected.sort(reverse=True)
    assert [answer.text for answer in found] == [text for _, text in expected]
    np.testing.assert_allclose(
        [answer.log_probability for answer in found], [value for value, _ in expected], atol=1e-3
    )


@given(st.lists(st.lists(st.integers(0, 1), min_size=1, max_size=6), min_size=1, max_size=12))
def test_groups_hold_every_row_once_and_what_they_share(ids):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generation, "_BATCH_COST", 2)
        groups = group_by_beginning(ids)
    assert sorted(row for _, rows in groups for row in rows) == list(range(len(ids)))
    for shared, rows in groups:
        assert len({tuple(ids[row][:shared]) for row in rows}) == 1
        assert all(len(ids[row]) > shared for row in rows)


def test_demonstrations_of_two_routes_make_two_groups():
    one, other = [7, *range(100, 300)], [7, *range(400, 600)]
    ids = [[*one, 1], [*other, 2], [*one, 3, 4], [*other, 5, 6]]
    assert sorted(group_by_beginning(ids)) == [(201, [0, 2]), (201, [1, 3])]
    assert group_by_beginning([[7, 1, 2], [7, 3]])[0][0] == 1


def test_bad_prompts(llama):
    with pytest.raises(InputError, match="no prompt"):
        generate(llama, [], FREE)
    with pytest.raises(InputError, match="empty"):
        generate(llama, ["a", ""], FREE)
    with pytest.raises(InputError, match="507 tokens and an answer of 6.*context of 512"):
        generate(llama, ["a", "b" * 506], FREE)
    with pytest.raises(InputError, match="empty"):
        stream(llama, "", FREE)  # at once, not at the first token


def test_progress_counts_prompts_and_can_stop_within_a_batch(llama):
    progress = Progress(len(PROMPTS))
    generate(llama, PROMPTS, FREE, batch_size=2, progress=progress)
    assert progress.snapshot.fraction == 1
    calls = []
    handle = llama.body.register_forward_hook(lambda *_: calls.append(1))
    with pytest.raises(Cancelled):
        generate(llama, PROMPTS, FREE, progress=Progress(6, cancelled=lambda: len(calls) > 1))
    handle.remove()
    assert len(calls) == 2


def test_a_space_in_front_of_the_first_word_is_kept():
    """As tokenizers made with SentencePiece have it, which drop it at the start of a text."""

    class Words:
        bos_token_id = eos_token_id = None
        words = ('▁"', "▁Hund", "e")

        def __call__(self, text, add_special_tokens=False):
            return transformers.BatchEncoding({"input_ids": [0]})

        def decode(self, ids, **_options):
            return "".join(self.words[i] for i in ids).replace("▁", " ").removeprefix(" ")

    network = transformers.AutoModelForCausalLM.from_config(FAMILIES["llama"])
    spelling = generation._Spelling(models.wrap(network, Words()))
    assert spelling.text([1, 2]) == " Hunde"
    assert isinstance(Generated("x").log_probability, type(None))
