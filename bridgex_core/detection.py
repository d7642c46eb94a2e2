"""The impact of every neuron, all neurons of a layer at once (Zhao et al., arXiv 2402.18815).

A feed-forward block adds up what its neurons write: f(x) = Σᵢ hᵢ·wᵢ (+ a bias), hᵢ being what the
down projection reads (the activation; in a gated block times the up projection) and wᵢ its i-th
column. Without neuron i the output is hᵢ·wᵢ away, so ‖f(x) − f(x without i)‖ = |hᵢ|·‖wᵢ‖ for all i
from one forward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from threading import get_ident
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from .activations import BLOCK_TOKENS, CPU_BATCH_TOKENS, batches, run_body
from .errors import InputError
from .progress import Advances

if TYPE_CHECKING:
    import torch
    from torch import nn

    from .models import Model


def impacts(model: Model, texts: Sequence[str], *, progress: Advances | None = None) -> np.ndarray:
    """float64 (L, I): each neuron's impact on its block's output, averaged over a text's tokens.

    ‖f(x) − f(x without i)‖, Euclidean, before any norm that follows the block. The
    beginning-of-sequence token does not count.

    Parameters
    ----------
    model : a loaded model.
    texts : the blocks, cut into pieces of at most 256 tokens.
    progress : advanced by the tokens of each batch.

    Raises
    ------
    InputError
        Not one token in the texts.
    """
    import torch

    token_ids = [model.encode(text) for text in texts]
    if not any(token_ids):
        raise InputError("The text is empty: the model's tokenizer finds no token in it.")
    sums = torch.zeros((model.layers, model.width), dtype=torch.float64, device=model.device)
    skipped, tokens = len(model.bos), 0
    weights = torch.empty(0)

    def receive(layer: int, states: torch.Tensor) -> None:
        sums[layer] += (weights @ states.abs().float()).double()

    with torch.inference_mode(), _reading(model, receive):
        for batch in batches(
            token_ids,
            bos=model.bos,
            pad=model.tokenizer.pad_token_id or 0,
            block_tokens=min(BLOCK_TOKENS, model.context),
            batch_tokens=CPU_BATCH_TOKENS,
        ):
            place = np.arange(batch.ids.shape[1])[None]
            counted = (place >= skipped) & (place < batch.lengths[:, None])
            weights = torch.from_numpy(counted.ravel().astype(np.float32)).to(model.device)
            run_body(model, batch)
            tokens += int(counted.sum())
            if progress is not None:
                progress.advance(float(counted.sum()))
    norms = torch.stack([_column_norms(down) for down in model.downs])
    return (sums * norms / tokens).cpu().numpy()


@contextmanager
def _reading(model: Model, receive: Callable[[int, torch.Tensor], None]) -> Iterator[None]:
    """While open, what every down projection reads, (tokens, width), goes to ``receive``."""
    thread = get_ident()

    def read(layer: int, _module: nn.Module, inputs: tuple[torch.Tensor]) -> None:
        if get_ident() == thread:  # not another session's run of the same model
            receive(layer, inputs[0].detach().reshape(-1, inputs[0].shape[-1]))

    with ExitStack() as stack:
        for layer, down in enumerate(model.downs):
            stack.callback(down.register_forward_pre_hook(partial(read, layer)).remove)
        yield


def _column_norms(down: nn.Module) -> torch.Tensor:
    """float64 (I,): how long the vector is that each neuron writes."""
    weight: torch.Tensor = down.weight.detach().double()  # type: ignore[operator]
    transposed = hasattr(down, "nx")  # GPT-2's Conv1D keeps (I, hidden)
    return weight.norm(dim=1 if transposed else 0)


def impact_agreement(impact: np.ndarray, probability: np.ndarray) -> pd.DataFrame:
    """Spearman's rank correlation of impact and activation probability, within each layer.

    Parameters
    ----------
    impact, probability : (L, I).

    Returns
    -------
    DataFrame with ``layer`` and ``spearman`` (nan where one of them is the same for all neurons).
    """
    from scipy.stats import rankdata

    if impact.shape != probability.shape:
        raise InputError(
            f"Impacts of {impact.shape} and probabilities of {probability.shape} layers and "
            "neurons are not of the same model."
        )
    first, second = (rankdata(values, axis=1) for values in (impact, probability))
    first, second = (ranks - ranks.mean(1, keepdims=True) for ranks in (first, second))
    spread = np.sqrt((first**2).sum(1) * (second**2).sum(1))
    with np.errstate(invalid="ignore"):
        correlation = (first * second).sum(1) / spread
    return pd.DataFrame({"layer": np.arange(len(impact)), "spearman": correlation})
