"""Writing in batches against one `generate` a prompt; ranking against one pass a candidate."""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import StoppingCriteria, StoppingCriteriaList

from benchmarks.measure import Report, median_ratio, paired, seconds
from bridgex_core import machine
from bridgex_core.candidates import candidate_tokens, score_candidates
from bridgex_core.decoding import Decoding, Generated
from bridgex_core.generation import generate, stream
from bridgex_core.languages import register
from bridgex_core.lexicons import concept_words
from bridgex_core.model_sources import find_model
from bridgex_core.models import Model, load
from bridgex_core.prompts import translation_prompt
from bridgex_core.store import default_store

SOURCE, TARGET = "ind_Latn", "swh_Latn"
BRIDGES = ("eng_Latn", "deu_Latn", "fra_Latn", "ita_Latn", "por_Latn", "spa_Latn")
SHOTS, WORDS = 4, 60
SAMPLED_WORDS = 3  # of every route, by plain `generate`
CANDIDATES, SAMPLED_CANDIDATES = 500, 20
STREAMED = 48  # tokens


def route_prompts() -> list[list[str]]:
    """A list a route (direct, and over each bridge) of the last prompts of its chains."""
    table = concept_words([SOURCE, *BRIDGES, TARGET]).single_words()
    named = {code: register()[code] for code in table.languages}
    routes = [[SOURCE, TARGET], *([SOURCE, bridge, TARGET] for bridge in BRIDGES)]
    prompts = []
    for route in routes:
        columns = [table.words[table.languages.index(code)] for code in route]
        chains = list(zip(*columns, strict=True))[: SHOTS + WORDS]
        languages = [named[code] for code in route]
        prompts.append(
            [translation_prompt(languages, chain[:-1], chains[:SHOTS]) for chain in chains[SHOTS:]]
        )
    return prompts


class _Stop(StoppingCriteria):
    """At the first stop text, as a user of `generate` would write it."""

    def __init__(self, model: Model, prompt_tokens: int, stop: Sequence[str]) -> None:
        self.model, self.start, self.stop = model, prompt_tokens, stop

    def __call__(
        self, input_ids: torch.LongTensor, scores: torch.FloatTensor, **kwargs: object
    ) -> torch.BoolTensor:
        text = str(self.model.tokenizer.decode(input_ids[0, self.start :]))
        ended = any(stop in text for stop in self.stop)
        return torch.tensor([ended], dtype=torch.bool)  # type: ignore[return-value]


def plain(model: Model, prompt: str, decoding: Decoding) -> tuple[str, int]:
    """The answer of transformers' `generate`, and its tokens."""
    ids = torch.tensor([[*model.bos, *model.encode(prompt)]])
    written = model.network.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=decoding.max_tokens,
        stopping_criteria=StoppingCriteriaList([_Stop(model, ids.shape[1], decoding.stop)]),
    )[0, ids.shape[1] :]
    text = str(model.tokenizer.decode(written, skip_special_tokens=True))
    cuts = [text.find(stop) for stop in decoding.stop if stop in text]
    return text[: min(cuts, default=len(text))], len(written)


def induction(report: Report, model: Model) -> None:
    """60 words over 7 routes, at least 5 times one `generate` a prompt."""
    decoding = Decoding()
    routes = route_prompts()
    prompts = [prompt for route in routes for prompt in route]
    sample = [number for number in range(len(prompts)) if number % WORDS < SAMPLED_WORDS]
    plain(model, prompts[0], decoding)
    generate(model, prompts[:2], decoding)
    slow: list[str] = []
    fast: list[Generated] = []
    one_by_one = seconds(
        lambda: slow.extend(plain(model, prompts[number], decoding)[0] for number in sample)
    )
    batched = seconds(lambda: fast.extend(generate(model, prompts, decoding)))
    alike = sum(fast[number].text == text for number, text in zip(sample, slow, strict=True))
    report.note(
        f"{WORDS} words x {len(routes)} routes, {SHOTS} demonstrations, {model.dtype_name}: "
        f"{batched:.1f} s; one `generate` a prompt is timed on {len(sample)} and scaled"
    )
    report.promise(
        f"one `generate` a prompt / in batches, time, {model.dtype_name}",
        one_by_one / len(sample) * len(prompts) / batched,
        at_least=5.0,
    )
    if model.dtype_name == "float32":
        report.promise("answers alike, share, float32", alike / len(sample), at_least=1.0)
    else:
        report.note(f"answers alike in {model.dtype_name}: {alike} of {len(sample)}")


def same_answers(report: Report, model: Model) -> None:
    """In float32, where rounding decides nothing."""
    decoding = Decoding()
    prompts = [prompt for route in route_prompts() for prompt in route[:2]]
    slow = [plain(model, prompt, decoding)[0] for prompt in prompts]
    fast = [answer.text for answer in generate(model, prompts, decoding)]
    alike = sum(a == b for a, b in zip(slow, fast, strict=True))
    report.promise("answers alike, share, float32", alike / len(prompts), at_least=1.0)


def ranking(report: Report, model: Model) -> None:
    """One prompt against 500 words, at least 10 times one forward pass a word."""
    table = concept_words([SOURCE, TARGET])
    words = list(dict.fromkeys(table.words[1]))[:CANDIDATES]
    prompt = route_prompts()[1][0]
    step = len(words) // SAMPLED_CANDIDATES
    sample = list(range(0, len(words), step))
    tokens = candidate_tokens(model, words)
    start = [*model.bos, *model.encode(prompt)]

    def one_by_one() -> list[float]:
        return [one(tokens[number]) for number in sample]

    def one(candidate: Sequence[int]) -> float:
        ids = torch.tensor([[*start, *candidate]])
        with torch.inference_mode():
            logits = model.network(
                input_ids=ids, use_cache=False, logits_to_keep=len(candidate) + 1
            ).logits[0, :-1]
            values = logits.float().log_softmax(-1)
        return float(values.gather(1, torch.tensor(candidate)[:, None]).sum())

    rows = paired([one_by_one, lambda: score_candidates(model, [prompt], words)], rounds=3)
    scores = score_candidates(model, [prompt], words).log_probability[0]
    report.note(
        f"one prompt of {len(start)} tokens, {len(words)} words, {model.dtype_name}: "
        f"{min(row[1] for row in rows):.2f} s; one pass a word is timed on {len(sample)} and scaled"
    )
    report.promise(
        f"one pass a candidate / tree of candidates, time, {model.dtype_name}",
        median_ratio(rows, 0, 1) * len(words) / len(sample),
        at_least=10.0,
    )
    error = float(np.abs(scores[sample] - one_by_one()).max())
    if model.dtype_name == "float32":
        report.promise("error of a log-probability, float32", error, at_most=1e-3)
    else:
        report.note(f"largest difference of a log-probability in {model.dtype_name}: {error:.2f}")


def single_stream(report: Report, model: Model) -> None:
    """Tokens a second of one stream, beside plain `generate` and llama.cpp; nothing is promised."""
    decoding = Decoding(max_tokens=STREAMED, stop=())
    prompt = "All human beings are born free and equal in dignity and rights."
    counts = {"stream": 0, "generate": 0}
    firsts = []

    def streamed() -> None:
        begun = time.perf_counter()
        times = [time.perf_counter() - begun for _ in stream(model, prompt, decoding)]
        firsts.append(times[0])
        counts["stream"] = len(times)

    def generated() -> None:
        counts["generate"] = plain(model, prompt, decoding)[1]

    rows = paired([streamed, generated], rounds=3)
    rates = [
        count / min(row[column] for row in rows) for column, count in enumerate(counts.values())
    ]
    report.note(
        f"one stream, {model.dtype_name}: {rates[0]:.1f} tokens/s, first token after "
        f"{min(firsts):.2f} s; plain `generate`: {rates[1]:.1f} tokens/s"
    )
    report.note(llama_cpp(prompt))


def llama_cpp(prompt: str) -> str:
    """The rate of llama.cpp, if it and a file for it are there."""
    file = os.environ.get("BRIDGEX_BENCH_GGUF")
    if importlib.util.find_spec("llama_cpp") is None or not file:
        return (
            "llama.cpp: not timed (install llama-cpp-python and name a file in BRIDGEX_BENCH_GGUF)"
        )
    from llama_cpp import Llama

    llama = Llama(file, verbose=False)
    llama(prompt, max_tokens=1)
    taken = seconds(lambda: llama(prompt, max_tokens=STREAMED, temperature=0.0))
    return f"llama.cpp, {Path(file).name}: {STREAMED / taken:.1f} tokens/s"


def main(report: Report) -> None:
    """All of it, speed in the format that is fast here."""
    source = find_model(None, default_store().root)
    dtype = machine.choose_dtype(torch.device("cpu"), source.parameters)
    fast = load(source, dtype=dtype, device="cpu")
    induction(report, fast)
    single_stream(report, fast)
    exact = fast if dtype == "float32" else load(source, dtype="float32", device="cpu")
    if exact is not fast:
        same_answers(report, exact)
    ranking(report, exact)


if __name__ == "__main__":
    report = Report()
    main(report)
    raise SystemExit(report.finish())
