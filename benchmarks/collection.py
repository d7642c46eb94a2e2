"""Collection against the bare forward pass and against TransformerLens."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.measure import Report, median_ratio, paired
from bridgex_core.activations import ActivationStats, TokenBatch, batches, collect, run_body
from bridgex_core.corpora import udhr
from bridgex_core.model_sources import find_model
from bridgex_core.models import Model, load
from bridgex_core.store import default_store

BLOCKS = 8  # articles of the UDHR, about 1,000 tokens
LONG = 2  # blocks of 15 articles each, cut into pieces of 256 tokens


def tokens_of(model: Model, texts: tuple[str, ...]) -> list[TokenBatch]:
    """The batches that collection makes of a text."""
    ids = [model.encode(text) for text in texts]
    return list(batches(ids, bos=model.bos, pad=model.tokenizer.pad_token_id or 0))


def against_bare_forward(report: Report, model: Model) -> None:
    """Collection keeps at least 0.90 of the bare body's tokens a second."""
    texts = udhr().text("fin_Latn").blocks[:BLOCKS]
    prepared = tokens_of(model, texts)

    def bare() -> None:
        with torch.inference_mode():
            for batch in prepared:
                run_body(model, batch)

    rows = paired([bare, lambda: collect(model, texts)], rounds=7)
    tokens = collect(model, texts).tokens
    rate = tokens / statistics.median(row[1] for row in rows)
    report.note(f"collection in {model.dtype_name}: {rate:,.0f} tokens/s")
    report.promise(
        f"collection / bare forward, tokens/s, {model.dtype_name}",
        median_ratio(rows, 0, 1),
        at_least=0.90,
    )


def against_transformer_lens(report: Report, model: Model) -> None:
    """At least 3 times its `run_with_cache` as documented, and faster than it at its leanest."""
    from transformer_lens.model_bridge import TransformerBridge

    twin = load(model.source, dtype=model.dtype_name)  # the bridge rewires the network it is given
    bridge = TransformerBridge.boot_transformers(
        str(model.source.path),
        hf_model=twin.network,
        tokenizer=twin.tokenizer,
        dtype=model.dtype,
        device="cpu",
    )
    articles = udhr().text("fin_Latn").blocks[1:]
    texts = tuple("\n".join(articles[part::LONG]) for part in range(LONG))
    prepared = tokens_of(model, texts)

    def cached(**options: Any) -> None:
        with torch.inference_mode():
            for batch in prepared:
                _, cache = bridge.run_with_cache(torch.from_numpy(batch.ids), **options)
                gates = [cache[name] for name in cache if is_gate(name)]
                assert len(gates) == model.layers
                for gate in gates:
                    (torch.nn.functional.gelu(gate, approximate="tanh") > 0).sum((0, 1))

    def gates_only(**options: Any) -> None:
        cached(names_filter=is_gate, **options)

    rows = paired(
        [cached, gates_only, lambda: gates_only(logits_to_keep=1), lambda: collect(model, texts)], 3
    )
    report.note(f"of run_with_cache for the gates alone: {median_ratio(rows, 1, 3):.2f} times")
    report.promise(
        f"collection / TransformerLens run_with_cache, {model.dtype_name}",
        median_ratio(rows, 0, 3),
        at_least=3.0,
    )
    report.promise(
        f"collection / TransformerLens at its leanest, {model.dtype_name}",
        median_ratio(rows, 2, 3),
        at_least=1.0,
    )


def is_gate(name: str) -> bool:
    """Whether a hook of TransformerLens gives the gate before its activation function."""
    return name.endswith("mlp.gate.hook_out")


def peak_memory_is_flat(report: Report) -> None:
    """8 times the text costs at most 5 % more memory above the loaded model."""
    once, eightfold = (_peak(times) for times in (1, 8))
    report.note(f"peak above the loaded model: {once / 2**20:.0f} MiB, {eightfold / 2**20:.0f} MiB")
    report.promise("peak memory, 8 times the text / once", eightfold / once, at_most=1.05)


def _peak(times: int) -> int:
    """Peak bytes above the loaded model in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.collection", str(times)],
        check=True,
        capture_output=True,
        text=True,
    )
    return int(done.stdout.split()[-1])


def _measure_peak(times: int) -> None:
    model = load(find_model(None, default_store().root))
    warm_up = collect(model, ["All human beings are born free and equal."])
    assert isinstance(warm_up, ActivationStats)
    base = _resident()
    texts = [block * times for block in udhr().text("fin_Latn").blocks[:BLOCKS]]
    stats = collect(model, texts)
    assert np.isfinite(stats.sums).all()
    print(_peak_resident() - base)


def _peak_resident() -> int:
    """This process's own peak: what getrusage tells survives the fork from a larger one."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )


def _resident() -> int:
    import psutil

    return int(psutil.Process().memory_info().rss)


def main(report: Report) -> None:
    """All of it, for float32 and bfloat16."""
    source = find_model(None, default_store().root)
    for dtype in ("float32", "bfloat16"):
        model = load(source, dtype=dtype)
        against_bare_forward(report, model)
        against_transformer_lens(report, model)
    peak_memory_is_flat(report)


if __name__ == "__main__":
    _measure_peak(int(sys.argv[1]))
