"""The probe in batches against one prompt at a time; a ranking of bridges from nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence

import numpy as np
import torch

from benchmarks.measure import Report, median_ratio, paired, seconds
from bridgex_core import machine
from bridgex_core.bridges import rank
from bridgex_core.collection import Collection
from bridgex_core.corpora import udhr
from bridgex_core.evidence import Candidates
from bridgex_core.model_sources import find_model
from bridgex_core.models import Model, load
from bridgex_core.probe import record
from bridgex_core.probing import ProbeTask
from bridgex_core.prompts import probe_prompt
from bridgex_core.store import Store, default_store
from bridgex_core.study import BRIDGES

SOURCE, TARGET = "ind_Latn", "swh_Latn"
WORDS = 300
SAMPLED = 30  # prompts that go through the model one at a time


def one_at_a_time(model: Model, prompts: Sequence[str]) -> np.ndarray:
    """(L, I, P): a hook on every activation module, and a call of the network for each prompt."""
    values = []
    for prompt in prompts:
        caught: list[torch.Tensor] = []
        handles = [
            module.register_forward_hook(lambda _module, _input, out, to=caught: to.append(out))
            for module in model.activations
        ]
        with torch.inference_mode():
            model.network(input_ids=torch.tensor([[*model.bos, *model.encode(prompt)]]))
        for handle in handles:
            handle.remove()
        means = [out.view(-1, model.width)[len(model.bos) :].float().mean(0) for out in caught]
        values.append(torch.stack(means).numpy())
    return np.stack(values, axis=2)


def probe_prompts(words: int) -> tuple[list[str], list[int]]:
    """The prompts, and the numbers of those that go through the model one at a time."""
    task = ProbeTask(SOURCE, TARGET, words)
    prompts = [probe_prompt(*task.languages, pair.word) for pair in task.pairs]
    return prompts, list(range(0, len(prompts), max(1, len(prompts) // SAMPLED)))


def in_batches(report: Report, model: Model, words: int = WORDS) -> None:
    """At least 6 times one prompt at a time."""
    prompts, sample = probe_prompts(words)
    sampled = [prompts[number] for number in sample]
    rows = paired(
        [
            lambda: one_at_a_time(model, sampled),
            lambda: record(model, sampled, batch_tokens=1),
            lambda: record(model, prompts),
        ],
        rounds=3,
    )
    scale = len(prompts) / len(sample)
    report.note(
        f"{len(prompts)} prompts, {model.dtype_name}: {min(row[2] for row in rows):.2f} s; one at "
        f"a time is timed on {len(sample)} and scaled; without the output head it would be "
        f"{median_ratio(rows, 1, 2) * scale:.1f} times"
    )
    report.promise(
        f"probe, one prompt at a time / in batches, time, {model.dtype_name}",
        median_ratio(rows, 0, 2) * scale,
        at_least=6.0,
    )


def same_numbers(report: Report, model: Model, words: int = WORDS) -> None:
    """What batches change, in float32."""
    prompts, sample = probe_prompts(words)
    found = record(model, prompts).values[:, :, sample]
    expected = one_at_a_time(model, [prompts[number] for number in sample])
    spread = expected.std(axis=2, keepdims=True)
    alive = spread[:, :, 0] > 1e-6 * np.abs(expected).max()
    error = (found - expected)[alive] / spread[alive]
    report.promise(
        "probe in batches, error of a row, of its standard deviation (root mean square)",
        float(np.sqrt(np.mean(error**2))),
        at_most=1e-3,
    )


def ranking(report: Report, dtype: str) -> None:
    """A new pair, the paper's six candidates: from nothing, and from what is stored."""
    source = find_model(None, default_store().root)
    with tempfile.TemporaryDirectory() as folder:
        statistics = Collection(source, udhr(), dtype)

        def candidates() -> Candidates:
            return Candidates(Store(folder), statistics, ProbeTask(SOURCE, TARGET, WORDS), BRIDGES)

        loaded: list[Model] = []

        def get(dtype: str) -> Model:
            if not loaded:
                loaded.append(load(source, dtype=dtype))
            return loaded[0]

        parts = {
            "activation statistics": seconds(lambda: candidates().complete(["overlap"], get)),
            "the probe": seconds(lambda: candidates().complete(["hsic"], get)),
        }
        stored = seconds(lambda: rank(candidates().gather(["hsic"]), "hsic"))
        told = ", ".join(f"{what} {taken:.1f} s" for what, taken in parts.items())
        report.note(
            f"ranking of {len(BRIDGES)} candidates by hsic, {WORDS} words, greedy known pairs, "
            f"cold store, {dtype}: {sum(parts.values()) + stored:.1f} s with loading ({told}); "
            f"from stored activations {stored:.2f} s"
        )


def main(report: Report) -> None:
    """All of it: speed in the format that is fast here, the ranking in bfloat16."""
    source = find_model(None, default_store().root)
    dtype = machine.choose_dtype(torch.device("cpu"), source.parameters)
    fast = load(source, dtype=dtype, device="cpu")
    in_batches(report, fast)
    exact = fast if dtype == "float32" else load(source, dtype="float32", device="cpu")
    same_numbers(report, exact)
    ranking(report, "bfloat16")


if __name__ == "__main__":
    report = Report()
    main(report)
    raise SystemExit(report.finish())
