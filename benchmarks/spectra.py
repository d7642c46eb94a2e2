"""The spectrum of many languages from stored statistics."""

from __future__ import annotations

import tempfile
from functools import partial

import numpy as np

from benchmarks.measure import Report, median_ratio, paired, seconds
from bridgex_core.activations import ActivationStats
from bridgex_core.collection import STATISTICS, Collection, stored_table
from bridgex_core.corpora import udhr
from bridgex_core.model_sources import find_model
from bridgex_core.neurons import ActivationTable
from bridgex_core.spectrum import DEFAULT, PAPER, spectrum
from bridgex_core.store import Store

LANGUAGES, LAYERS, WIDTH, BLOCKS = 80, 18, 2048, 31


def made_up(seed: int, width: int) -> ActivationStats:
    """Statistics as a text of 31 blocks leaves them."""
    rng = np.random.default_rng(seed)
    tokens = rng.integers(60, 140, BLOCKS)
    p = rng.beta(0.4, 1.2, (LAYERS, width))
    counts = (tokens[:, None, None] * p).astype(np.int64)
    return ActivationStats(counts, counts * 0.4, tokens)


def from_the_store(report: Report) -> None:
    """80 languages x 18 x 2048 neurons, read and drawn in under 1.5 s."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        collection = Collection(find_model(None, store.root), udhr())
        codes = udhr().languages()[:LANGUAGES]
        for k, code in enumerate(codes):
            key = collection.key(STATISTICS, udhr().text(code))
            store.save(STATISTICS, key, made_up(k, WIDTH).tensors(), {})

        def read_and_compute() -> None:
            spectrum(stored_table(store, collection, codes), DEFAULT)

        read_and_compute()
        report.promise(
            "spectrum of 80 languages from stored statistics, s",
            min(seconds(read_and_compute) for _ in range(3)),
            at_most=1.5,
        )


def linear_in_neurons(report: Report) -> None:
    """4 times the neurons take about 4 times as long."""
    tables = [
        ActivationTable.of({str(k): made_up(k, width).fold(2) for k in range(20)})
        for width in (WIDTH, 4 * WIDTH)
    ]
    for settings in (PAPER, DEFAULT):
        rows = paired([partial(spectrum, table, settings) for table in tables])
        report.promise(
            f"time for 4 times the neurons / once, {settings.selection}",
            median_ratio(rows, 1, 0),
            at_most=6.0,
        )


def main(report: Report) -> None:
    """All of it."""
    from_the_store(report)
    linear_in_neurons(report)
