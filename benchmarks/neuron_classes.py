"""LAPE on many languages."""

from __future__ import annotations

from functools import partial

import numpy as np

from benchmarks.measure import Report, median_ratio, paired, seconds
from bridgex_core.neuron_classes import lape
from bridgex_core.neurons import ActivationTable

LANGUAGES, LAYERS, WIDTH = 80, 18, 2048


def made_up(languages: int, width: int) -> ActivationTable:
    """Totals as texts of a few thousand tokens leave them."""
    rng = np.random.default_rng(0)
    tokens = rng.integers(2000, 4000, languages)
    shares = rng.beta(0.4, 1.2, (languages, LAYERS, width))
    counts = (tokens[:, None, None] * shares).astype(np.int64)
    return ActivationTable(tuple(map(str, range(languages))), counts, counts * 0.4, tokens)


def main(report: Report) -> None:
    """80 languages x 18 x 2048 neurons in under 0.5 s, and 4 times the neurons in 4 times that."""
    table = made_up(LANGUAGES, WIDTH)
    lape(table)
    report.promise(
        "LAPE of 80 languages, s", min(seconds(partial(lape, table)) for _ in range(3)), at_most=0.5
    )
    tables = [made_up(20, width) for width in (WIDTH, 4 * WIDTH)]
    rows = paired([partial(lape, table) for table in tables])
    report.promise("LAPE for 4 times the neurons / once", median_ratio(rows, 1, 0), at_most=6.0)
