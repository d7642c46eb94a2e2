"""Which neurons of which layers make the scores of bridges.

The overlap T_s ∩ T_t of source and target meets each bridge's specific neurons T_b \\ (T_s ∩ T_t),
layer by layer, or all layers of a band together (``pooled``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .errors import InputError
from .hsic import Bandwidth, Estimator, standardise
from .neurons import NeuronSets, layer_band
from .probe import ProbeActivations

BAND = (0.31, 0.66)
"""The paper's layers 10 to 21 of 32, as fractions of the depth."""

FEWEST_NEURONS = 5
"""With fewer neurons of a set in a layer of the band, layers are pooled by default."""

_ROUNDING = 1e-6  # of the largest activation: smaller residuals of a regression are rounding


@dataclass(frozen=True)
class BridgeSettings:
    """How bridges are scored.

    Attributes
    ----------
    band : layer band, fractions of the depth.
    estimator, bandwidth : of `hsic.hsic_matrix`.
    pooled : the neurons of all layers of the band together; None: where the overlap or a candidate
        has fewer than `FEWEST_NEURONS` in a layer of the band.
    renumbered : per bridge, layers without neurons are skipped and the rest renumbered 0, 1, 2 …
        before the band is taken, so that it reads other layers than it says (released behaviour).
    regress_length : every row is replaced by the residuals of its linear regression on the number
        of tokens of the prompts.
    subsamples : random halves of the prompts that the interval is made of; 0 for no interval.
    seed : of everything random.
    """

    band: tuple[float, float] = BAND
    estimator: Estimator = "biased"
    bandwidth: Bandwidth = "median"
    pooled: bool | None = None
    renumbered: bool = False
    regress_length: bool = False
    subsamples: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        if self.pooled and self.renumbered:
            raise InputError(
                "Renumbered layers cannot be pooled: pooling needs the layers' own numbers."
            )
        if self.subsamples < 0 or self.subsamples == 1:
            raise InputError(
                f"An interval needs at least 2 subsamples (or 0 for none), but {self.subsamples} "
                "were asked for."
            )

    @classmethod
    def released(cls, band: tuple[float, float] = BAND) -> BridgeSettings:
        """As the code that came with the paper scores: its estimator, bandwidth and layers."""
        return cls(band, "released", "released", pooled=False, renumbered=True)


def bridge_neurons(
    sets: NeuronSets, source: str, target: str, bridges: Sequence[str]
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The overlap T_s ∩ T_t and each bridge's specific neurons T_b \\ (T_s ∩ T_t), as masks (L, I).

    Raises
    ------
    InputError
        Source equal to target, a bridge among them or given twice, no bridge, a language without
        a set.
    """
    if source == target:
        raise InputError(f"Source and target are both {source}: choose two languages.")
    if not bridges:
        raise InputError("There is no bridge to compare: name at least one.")
    taken = [code for code in bridges if code in (source, target)]
    if taken:
        raise InputError(
            f"{taken[0]} is the source or the target and cannot be its own bridge: leave it out."
        )
    if len(set(bridges)) < len(bridges):
        twice = next(code for code in bridges if list(bridges).count(code) > 1)
        raise InputError(f"The bridge {twice} is given twice: name it once.")
    unknown = [code for code in (source, target, *bridges) if code not in sets.languages]
    if unknown:
        raise InputError(
            f"There is no neuron set of {', '.join(unknown)}: collect its statistics first."
        )
    masks = dict(zip(sets.languages, sets.masks, strict=True))
    overlap = masks[source] & masks[target]
    return overlap, {code: masks[code] & ~overlap for code in bridges}


@dataclass(frozen=True, eq=False)
class Layout:
    """Which neurons of which layers make each bridge's score.

    ``band`` (B, L) is True where a layer counts for a bridge; in no layer where it has no score.
    """

    bridges: tuple[str, ...]
    overlap: np.ndarray
    specific: np.ndarray
    pooled: bool
    band: np.ndarray
    reasons: Mapping[str, str]

    @classmethod
    def of(
        cls,
        probe: ProbeActivations,
        overlap: np.ndarray,
        specific: Mapping[str, np.ndarray],
        settings: BridgeSettings,
    ) -> Layout:
        _check(probe, overlap, specific)
        masks = np.stack(list(specific.values()))
        within = layer_band(len(overlap), settings.band)
        band = np.isin(np.arange(len(overlap)), within)
        here, there = overlap.sum(axis=1), masks.sum(axis=2)
        both = (here > 0) & (there > 0)
        where = f"the layers {within[0]} to {within[-1]}"
        if settings.renumbered:
            found = both & np.isin(np.cumsum(both, axis=1) - 1, within)
            return cls(
                tuple(specific), overlap, masks, False, found,
                _reasons(specific, found.any(axis=1), f"too few layers to reach {where}"),
            )  # fmt: skip
        if not here[band].any():
            raise InputError(
                f"Source and target share no neuron in {where}: widen the layer band or raise the "
                "top rate."
            )
        pooled = settings.pooled
        if pooled is None:
            pooled = bool(min(here[band].min(), there[:, band].min()) < FEWEST_NEURONS)
        if pooled:
            some = there[:, band].any(axis=1)
            found = band & some[:, np.newaxis]
            why = f"no neuron of its own in {where}"
        else:
            some = (both & band).any(axis=1)
            common = band & (both | ~some[:, np.newaxis]).all(axis=0)
            found = common & some[:, np.newaxis]
            why = f"no neuron of its own in a layer of {where} where all others have some"
        return cls(
            tuple(specific), overlap, masks, pooled, found,
            _reasons(specific, found.any(axis=1), why),
        )  # fmt: skip

    @property
    def depth(self) -> int:
        """L."""
        return len(self.overlap)

    @property
    def counts(self) -> np.ndarray:
        """int (B, L), specific neurons."""
        return self.specific.sum(axis=2)

    @property
    def layers(self) -> tuple[int, ...]:
        """Layers that count for any bridge."""
        return tuple(int(layer) for layer in np.flatnonzero(self.band.any(axis=0)))

    def union(self, bridges: Sequence[int]) -> np.ndarray:
        """bool (L, I): the specific neurons of any of some bridges."""
        return np.asarray(self.specific[list(bridges)].any(axis=0))

    def places(self, mask: np.ndarray, layer: int | None) -> np.ndarray:
        """int (N, 2): layer and number of a mask's neurons in a layer; None: in the pooled ones."""
        kept = np.zeros(self.depth, dtype=bool)
        kept[list(self.layers) if layer is None else layer] = True
        return np.argwhere(mask & kept[:, np.newaxis])

    def mean(self, values: np.ndarray) -> np.ndarray:
        """(…, B) of values (layers that count, …, B): the mean over each bridge's own layers."""
        scores = np.full(values.shape[1:], np.nan)
        for b, own in enumerate(self.band[:, list(self.layers)]):
            if own.any():
                scores[..., b] = values[own, ..., b].mean(axis=0)
        return scores


def _reasons(bridges: Mapping[str, np.ndarray], scored: np.ndarray, why: str) -> dict[str, str]:
    return {
        code: f"{code} has {why}." for code, good in zip(bridges, scored, strict=True) if not good
    }


def _check(
    probe: ProbeActivations, overlap: np.ndarray, specific: Mapping[str, np.ndarray]
) -> None:
    if not specific:
        raise InputError("There is no bridge to compare: name at least one.")
    if probe.prompts < 2:
        raise InputError(
            f"HSIC compares neurons over prompts, but the probe has {probe.prompts}: add words."
        )
    shape = probe.values.shape[:2]
    if any(mask.shape != shape for mask in (overlap, *specific.values())):
        raise ValueError("the masks and the probe are of different models")


def neuron_rows(
    probe: ProbeActivations, places: np.ndarray, settings: BridgeSettings
) -> np.ndarray:
    """float32 (N, P): the activations of neurons (N, 2), standardised, constant ones 0.

    With ``regress_length``, of the residuals of a regression on an intercept and prompt length.
    Single precision, because that is what HSIC then has to be exact to.
    """
    rows = probe.values[places[:, 0], places[:, 1]].astype(np.float64)
    if settings.regress_length and len(rows):
        lengths = probe.lengths - probe.lengths.mean()
        largest = np.abs(rows).max(axis=1)
        rows -= rows.mean(axis=1, keepdims=True)
        if lengths.any():
            rows -= np.outer(rows @ lengths / (lengths @ lengths), lengths)
        rows[rows.std(axis=1) <= _ROUNDING * largest] = 0.0
    return standardise(rows).astype(np.float32)
