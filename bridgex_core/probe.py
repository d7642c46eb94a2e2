"""Word pairs → the recorded activations of their translation prompts: the probe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .activations import recording
from .errors import InputError
from .progress import Advances

if TYPE_CHECKING:
    import torch

    from .models import Model

BATCH_TOKENS = 2048  # padding included


@dataclass(frozen=True)
class ProbeActivations:
    """Every neuron's mean activation on each of P prompts.

    Attributes
    ----------
    values : float32 (L, I, P), mean over the prompt's tokens, BOS left out.
    lengths : int64 (P,), tokens of each prompt, BOS left out.

    The store keeps a neuron's mean over the prompts in single and the deviations from it in half
    precision: what is read back is off by at most 2**-11 of a deviation, whatever the mean.
    """

    values: np.ndarray
    lengths: np.ndarray

    def __post_init__(self) -> None:
        if self.values.ndim != 3 or self.lengths.shape != self.values.shape[2:]:
            raise ValueError("values (L, I, P) and lengths (P,) do not fit together")

    @property
    def prompts(self) -> int:
        """P."""
        return len(self.lengths)

    def rows(self, layer: int, neurons: np.ndarray) -> np.ndarray:
        """float64 (N, P): the activations of some neurons of a layer."""
        return self.values[layer, neurons].astype(np.float64)

    def tensors(self) -> dict[str, np.ndarray]:
        """What the store keeps: ``centre`` float32 (L, I), ``deviations`` float16 (L, I, P).

        Raises
        ------
        InputError
            A deviation is not finite in half precision.
        """
        centre = self.values.mean(2)
        with np.errstate(over="ignore"):
            deviations = (self.values - centre[:, :, None]).astype(np.float16)
        if not np.isfinite(deviations).all():
            raise InputError(
                "Some activations are not finite in half precision: this model cannot be probed in "
                "this number format; try --dtype float32."
            )
        return {"centre": centre, "deviations": deviations, "lengths": self.lengths}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, np.ndarray]) -> ProbeActivations:
        """The inverse of :meth:`tensors`, to half precision."""
        values = tensors["deviations"].astype(np.float32) + tensors["centre"][:, :, None]
        return cls(values, tensors["lengths"])


def record(
    model: Model,
    prompts: Sequence[str],
    *,
    batch_tokens: int = BATCH_TOKENS,
    progress: Advances | None = None,
) -> ProbeActivations:
    """Record the activations of prompts in one forward pass each; nothing is generated.

    Prompts of like length go through the model together; the result does not depend on how.

    Parameters
    ----------
    model : a loaded model.
    prompts : the texts, at least one.
    batch_tokens : tokens of a batch, padding included (one prompt at least).
    progress : advanced by the prompts of each batch.

    Raises
    ------
    InputError
        No prompt, an empty one, or one that is longer than the model's context.
    """
    import torch

    ids = [[*model.bos, *model.encode(prompt)] for prompt in prompts]
    _check(model, ids)
    values = np.empty((model.layers, model.width, len(ids)), dtype=np.float32)
    order = sorted(range(len(ids)), key=lambda p: len(ids[p]))
    skipped = len(model.bos)
    with torch.inference_mode():
        for batch in _batches(order, ids, batch_tokens):
            means = _means(model, [ids[p] for p in batch], skipped)
            values[:, :, batch] = means.transpose(0, 2, 1)
            if progress is not None:
                progress.advance(float(len(batch)))
    return ProbeActivations(values, np.array([len(each) - skipped for each in ids]))


def _check(model: Model, ids: Sequence[Sequence[int]]) -> None:
    if not ids:
        raise InputError("There is no prompt to record.")
    longest = max(map(len, ids))
    if longest > model.context:
        raise InputError(
            f"A prompt has {longest} tokens, more than the model's context of {model.context}."
        )
    if min(map(len, ids)) <= len(model.bos):
        raise InputError("A prompt is empty: the model's tokenizer finds no token in it.")


def _batches(
    order: Sequence[int], ids: Sequence[Sequence[int]], batch_tokens: int
) -> list[list[int]]:
    """Prompts by growing length, so that the last of a batch is its longest."""
    found: list[list[int]] = []
    for p in order:
        if found and len(ids[p]) * (len(found[-1]) + 1) <= batch_tokens:
            found[-1].append(p)
        else:
            found.append([p])
    return found


def _means(model: Model, ids: Sequence[Sequence[int]], skipped: int) -> np.ndarray:
    """(L, R, I) float32: mean activation of each row over its positions after the first ones."""
    import torch

    lengths = torch.tensor([len(row) for row in ids])
    padded = torch.zeros((len(ids), int(lengths.max())), dtype=torch.long)
    for row, tokens in enumerate(ids):
        padded[row, : len(tokens)] = torch.tensor(tokens)
    positions = torch.arange(padded.shape[1])[None]
    mask = (positions < lengths[:, None]).to(model.device)
    counted = mask & (positions >= skipped).to(model.device)
    weights = (counted.float() / counted.sum(1, keepdim=True))[:, None, :]
    means = torch.empty((model.layers, len(ids), model.width), device=model.device)

    def receive(layer: int, activation: torch.Tensor) -> None:
        means[layer] = (weights @ activation.float().view(len(ids), -1, model.width))[:, 0]

    with recording(model, receive):
        model.body(input_ids=padded.to(model.device), attention_mask=mask.long(), use_cache=False)
    return means.cpu().numpy()
