"""Classes of neurons by layer → the four parts of a model's depth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .errors import InputError
from .neuron_classes import AGNOSTIC, RELATED, Classes

PARTS = ("understanding", "shared reasoning", "output transformation", "output")


@dataclass(frozen=True)
class DepthParts:
    """The four parts of the depth.

    Attributes
    ----------
    parts : the layers of each part, by name, in order.
    curves : float64 (2, L), share of the layer's neurons that are specific or related, and that
        are agnostic.
    explained : float64 (4,), share of the curves' variance that a division into 1, 2, 3 and 4 parts
        explains; what the fourth adds is ``explained[3] - explained[2]``.
    """

    parts: Mapping[str, range]
    curves: np.ndarray
    explained: np.ndarray

    @property
    def boundaries(self) -> tuple[int, ...]:
        """The first layers of the second, third and fourth part."""
        return tuple(layers.start for layers in list(self.parts.values())[1:])


def depth_parts(classes: Classes) -> DepthParts:
    """Where the curves of language neurons and of shared neurons over the layers turn.

    arXiv 2505.21505 reads four parts off such curves by eye. Here they are the division into four
    runs of layers, at least one long, that leaves the least squared distance of each layer from
    the mean of its run, summed over the two curves, each scaled to unit variance (a flat curve says
    nothing); the earliest boundaries where divisions tie. ``explained`` tells how much that is
    worth: every further part explains something, also of noise.

    Raises
    ------
    InputError
        Fewer than four layers.
    """
    labels = classes.labels
    layers = len(labels)
    if layers < len(PARTS):
        raise InputError(f"Four parts of the depth need four layers; this model has {layers}.")
    curves = np.stack([(labels <= RELATED).mean(1), (labels == AGNOSTIC).mean(1)])
    centred = curves - curves.mean(1, keepdims=True)
    spread = curves.std(1, keepdims=True)
    scaled = np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 1e-12)
    starts, errors = _segments(scaled, len(PARTS))
    ends = [*starts[1:], layers]
    parts = {name: range(a, b) for name, a, b in zip(PARTS, starts, ends, strict=True)}
    whole = errors[0] if errors[0] > 0 else 1.0
    return DepthParts(parts, curves, (errors[0] - errors) / whole)


def _segments(curves: np.ndarray, parts: int) -> tuple[list[int], np.ndarray]:
    """Least-squares division of (C, L) curves into runs, by dynamic programming.

    Returns the first layer of each of the ``parts`` runs, and the error with 1 … ``parts`` runs.
    """
    layers = curves.shape[1]
    cost = np.full((layers, layers + 1), np.inf)  # of the run from a to b, b not in it
    for a in range(layers):
        for b in range(a + 1, layers + 1):
            run = curves[:, a:b]
            cost[a, b] = np.square(run - run.mean(1, keepdims=True)).sum()
    best = np.full(layers + 1, np.inf)  # error of the first b layers, in one run more each time
    best[0] = 0.0
    errors, choices = [], []
    for _ in range(parts):
        totals = best[:layers, None] + cost
        # Equal but for rounding: the earliest start.
        choices.append((totals <= totals.min(0) + 1e-9).argmax(0))
        best = totals.min(0)
        errors.append(best[layers])
    starts, end = [], layers
    for choice in reversed(choices):
        end = int(choice[end])
        starts.append(end)
    return starts[::-1], np.array(errors)
