"""What several test files share: a tiny model on disk, and a small corpus in a folder."""

import os
from pathlib import Path

import pytest

# Two processes with two threads each would wait for each other on two cores.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


CORPUS_LANGUAGES = ("deu_Latn", "eng_Latn", "fin_Latn", "hun_Latn", "spa_Latn", "swh_Latn")
CORPUS_LINES = 6


@pytest.fixture(scope="session")
def tiny_model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama of 2 layers × 64 neurons, whose tokenizer makes every UTF-8 byte a token."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("tiny-model")
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate(["<s>", "</s>", *letters])}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="</s>"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=512,
        initializer_range=0.3,
        bos_token_id=0,
        eos_token_id=1,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def folder_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the first articles of the Declaration in six languages, one a line."""
    from bridgex_core.corpora import udhr

    folder = tmp_path_factory.mktemp("corpus")
    for code in CORPUS_LANGUAGES:
        lines = udhr().text(code).blocks[1 : CORPUS_LINES + 1]
        text = "".join(f"{' '.join(line.split())}\n" for line in lines)
        (folder / f"{code}.txt").write_text(text, encoding="utf-8")
    return folder
