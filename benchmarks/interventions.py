"""Perplexity under interventions against the bare forward passes, and the lens."""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.measure import Report, median_ratio, paired, seconds
from bridgex_core.activations import batches
from bridgex_core.corpora import udhr
from bridgex_core.interventions import Intervention
from bridgex_core.lens import logit_lens
from bridgex_core.model_sources import find_model
from bridgex_core.models import Model, load
from bridgex_core.perplexity import perplexity_matrix
from bridgex_core.store import default_store

LANGUAGES = ("eng_Latn", "swh_Latn")
TOKENS = 300  # a language
PROMPT = (
    "All human beings are born free and equal in dignity and rights. They are endowed with reason "
    "and conscience and should act towards one another in a spirit"
)


def against_bare_forward(report: Report, model: Model) -> None:
    """1 + 2·S passes with losses take at most 1.3 times as long as that many to the logits."""
    texts = {code: udhr().text(code).blocks for code in LANGUAGES}
    rng = np.random.default_rng(0)
    shape = (model.layers, model.width)
    sets = {code: Intervention(rng.random(shape) < 0.01) for code in LANGUAGES}
    ids: list[list[int]] = []
    for blocks in texts.values():
        left = TOKENS
        for block in blocks:
            ids.append(model.encode(block)[:left])
            left -= len(ids[-1])
    prepared = list(batches(ids, bos=model.bos))
    passes = 1 + 2 * len(sets)

    def bare() -> None:
        with torch.inference_mode():
            for _ in range(passes):
                for batch in prepared:
                    mask = np.arange(batch.ids.shape[1])[None] < batch.lengths[:, None]
                    model.network(
                        input_ids=torch.from_numpy(batch.ids),
                        attention_mask=torch.from_numpy(mask.astype(np.int64)),
                        use_cache=False,
                    )

    rows = paired([bare, lambda: perplexity_matrix(model, texts, sets, tokens=TOKENS)], rounds=3)
    report.promise(
        f"perplexity matrix / its bare forward passes, {model.dtype_name}",
        median_ratio(rows, 1, 0),
        at_most=1.3,
    )


def lens_of_a_prompt(report: Report, model: Model) -> None:
    """A 30-token prompt; the aim is 1 s warm in bfloat16."""
    logit_lens(model, PROMPT)
    best = min(seconds(lambda: logit_lens(model, PROMPT)) for _ in range(3))
    tokens = len(model.encode(PROMPT)) + len(model.bos)
    report.note(f"lens of {tokens} tokens in {model.dtype_name}: {best:.2f} s")


def main(report: Report) -> None:
    """All of it, for float32 and bfloat16."""
    source = find_model(None, default_store().root)
    for dtype in ("float32", "bfloat16"):
        model = load(source, dtype=dtype)
        against_bare_forward(report, model)
        lens_of_a_prompt(report, model)
