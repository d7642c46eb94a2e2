"""Two languages of a spectrum: the neurons that they share, and how sure their cell is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from .activations import ActivationStats
from .errors import InputError
from .neurons import ActivationTable, NeuronSets
from .spectrum import SpectrumSettings, select, spectrum, spectrum_of_sets


@dataclass(frozen=True)
class Pair:
    """What two languages share.

    Attributes
    ----------
    a, b : FLORES codes.
    layers : the layers covered.
    shared, only_a, only_b : int64, neurons by layer.
    strongest : the shared neurons, the most probable in both first: ``layer``, ``neuron``,
        ``probability_a``, ``probability_b``, ``mean_a``, ``mean_b``; of sets without statistics
        ``layer`` and ``neuron`` alone, by position.
    value, low, high : the metric and its 95 % interval; NaN where the text has too few blocks.
    """

    a: str
    b: str
    layers: range
    shared: np.ndarray
    only_a: np.ndarray
    only_b: np.ndarray
    strongest: pd.DataFrame
    value: float
    low: float
    high: float


def pair(stats: Mapping[str, ActivationStats], settings: SpectrumSettings, a: str, b: str) -> Pair:
    """Everything about one cell of a spectrum.

    The interval is a delete-one jackknife over the blocks of the text, the same block being left
    out of both languages (and, for ``distinctive`` and ``centred``, out of all).

    Raises
    ------
    InputError
        A language that is not in the spectrum, or the same one twice.
    """
    table = ActivationTable.of(stats)
    cell = _cell(table.languages, a, b)
    matrix = spectrum(table, settings, rows=cell)
    within = slice(matrix.layers.start, matrix.layers.stop)
    masks = select(table, settings, cell).masks[:, within]
    value = float(matrix.values[0, 1])
    low, high = _jackknife(stats, settings, cell, value)
    return Pair(
        a=a,
        b=b,
        layers=matrix.layers,
        **_by_layer(*masks),
        strongest=_strongest(table, cell, masks[0] & masks[1], matrix.layers.start),
        value=value,
        low=low,
        high=high,
    )


def pair_of_sets(sets: NeuronSets, settings: SpectrumSettings, a: str, b: str) -> Pair:
    """The same of neuron sets that are given, such as imported ones; there is no interval.

    Raises
    ------
    InputError
        As :func:`pair` and :func:`bridgex_core.spectrum.spectrum_of_sets`.
    """
    first, second = _cell(sets.languages, a, b)
    matrix = spectrum_of_sets(sets, settings)
    within = slice(matrix.layers.start, matrix.layers.stop)
    masks = sets.masks[[first, second], within]
    layer, neuron = np.nonzero(masks[0] & masks[1])
    return Pair(
        a=a,
        b=b,
        layers=matrix.layers,
        **_by_layer(*masks),
        strongest=pd.DataFrame({"layer": layer + matrix.layers.start, "neuron": neuron}),
        value=float(matrix.values[first, second]),
        low=float("nan"),
        high=float("nan"),
    )


def _by_layer(in_a: np.ndarray, in_b: np.ndarray) -> dict[str, np.ndarray]:
    return {
        "shared": (in_a & in_b).sum(1),
        "only_a": (in_a & ~in_b).sum(1),
        "only_b": (in_b & ~in_a).sum(1),
    }


def _cell(languages: Sequence[str], a: str, b: str) -> tuple[int, int]:
    for code in (a, b):
        if code not in languages:
            raise InputError(f"{code} is not among the languages of this spectrum.")
    if a == b:
        raise InputError("A pair needs two different languages.")
    return languages.index(a), languages.index(b)


def _strongest(
    table: ActivationTable, rows: tuple[int, int], shared: np.ndarray, first_layer: int
) -> pd.DataFrame:
    layer, neuron = np.nonzero(shared)
    layer = layer + first_layer
    pa, pb = (table.counts[k, layer, neuron] / table.tokens[k] for k in rows)
    ma, mb = (table.means[k, layer, neuron] for k in rows)
    columns = {
        "layer": layer,
        "neuron": neuron,
        "probability_a": pa,
        "probability_b": pb,
        "mean_a": ma,
        "mean_b": mb,
    }
    order = np.lexsort((neuron, layer, -np.minimum(ma, mb), -np.minimum(pa, pb)))
    return pd.DataFrame(columns).iloc[order].reset_index(drop=True)


def _jackknife(
    stats: Mapping[str, ActivationStats],
    settings: SpectrumSettings,
    cell: tuple[int, int],
    value: float,
) -> tuple[float, float]:
    blocks = min(s.blocks for s in stats.values())
    if blocks < 4:
        return (float("nan"), float("nan"))
    folded = {code: s.fold(blocks) for code, s in stats.items()}  # the same articles together
    left_out = np.array(
        [
            spectrum(table, settings, rows=cell).values[0, 1]
            for table in _leaving_out_each_block(folded, blocks)
        ]
    )
    spread = np.square(left_out - left_out.mean()).sum() * (blocks - 1) / blocks
    half = 1.959964 * float(np.sqrt(spread))
    return (value - half, value + half)


def _leaving_out_each_block(
    stats: Mapping[str, ActivationStats], blocks: int
) -> Iterator[ActivationTable]:
    counts = np.stack([s.positive_counts.sum(0) for s in stats.values()])
    sums = np.stack([s.sums.sum(0) for s in stats.values()])
    tokens = np.array([s.tokens for s in stats.values()])
    for block in range(blocks):
        left = tokens - [s.token_counts[block] for s in stats.values()]
        yield ActivationTable(
            tuple(stats),
            counts - np.stack([s.positive_counts[block] for s in stats.values()]),
            (sums - np.stack([s.sums[block] for s in stats.values()])) / left[:, None, None],
            left,
        )
