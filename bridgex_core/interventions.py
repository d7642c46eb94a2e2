"""Neurons zeroed, scaled or replaced while a model runs, and what that does to its perplexity.

Deactivation as in LAPE (Tang et al., arXiv 2402.16438), amplification and replacement as in arXiv
2507.22608 and 2503.17456. An intervention holds in the thread or task that opened it and nowhere
else, so sessions that share a model never see each other's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from .activations import (
    ACCELERATOR_BATCH_TOKENS,
    BLOCK_TOKENS,
    CPU_BATCH_TOKENS,
    TokenBatch,
    batches,
    run_body,
)
from .errors import InputError
from .lens import vocabulary_logits
from .neurons import ActivationTable, require_known
from .progress import Advances

if TYPE_CHECKING:
    import torch
    from torch import nn

    from .models import Model

ACTIONS = ("zero", "scale", "replace")


@dataclass(frozen=True)
class Intervention:
    """What is done to which neurons.

    Attributes
    ----------
    neurons : bool (L, I), the neurons it is done to.
    action : ``zero``; ``scale``: times ``strength``; ``replace``: ``strength`` of the way from the
        activation to ``values``, 1 being all of it.
    strength : any finite number; without effect on ``zero``.
    values : float (L, I), what ``replace`` puts there, such as a language's mean activation.

    Raises
    ------
    InputError
        An unknown action, a strength that is no number, or ``replace`` without values.
    """

    neurons: np.ndarray
    action: str = "zero"
    strength: float = 1.0
    values: np.ndarray | None = None

    def __post_init__(self) -> None:
        require_known(self.action, ACTIONS, "action")
        if self.neurons.ndim != 2 or self.neurons.dtype != bool:
            raise ValueError("neurons must be a boolean array (L, I)")
        if not math.isfinite(self.strength):
            raise InputError(f"The strength {self.strength} is not a finite number.")
        if self.action == "replace" and self.values is None:
            raise InputError("The action 'replace' needs the values to put in place.")
        if self.values is not None and self.values.shape != self.neurons.shape:
            raise ValueError("values and neurons have different shapes")

    @classmethod
    def by_mean(
        cls, neurons: np.ndarray, table: ActivationTable, language: str, *, strength: float = 1.0
    ) -> Intervention:
        """Replace the neurons' activation by their mean activation in a language."""
        require_known(language, table.languages, "language of the means")
        means = table.means[table.languages.index(language)]
        return cls(neurons, "replace", strength, means)

    @property
    def size(self) -> int:
        """Number of neurons."""
        return int(self.neurons.sum())


def mask_of(layers: Sequence[int], neurons: Sequence[int], shape: tuple[int, int]) -> np.ndarray:
    """bool ``shape`` (L, I), true at the neurons (layers[k], neurons[k]).

    Raises
    ------
    InputError
        A neuron that a model of that shape does not have.

    >>> mask_of([0, 1], [2, 0], (2, 3)).astype(int).tolist()
    [[0, 0, 1], [1, 0, 0]]
    """
    mask = np.zeros(shape, dtype=bool)
    for layer, neuron in zip(layers, neurons, strict=True):
        if not (0 <= layer < shape[0] and 0 <= neuron < shape[1]):
            raise InputError(
                f"There is no neuron {neuron} in layer {layer}: the model has layers "
                f"0 to {shape[0] - 1} of neurons 0 to {shape[1] - 1}."
            )
        mask[layer, neuron] = True
    return mask


def random_control(
    neurons: np.ndarray, *, alive: np.ndarray | None = None, seed: int = 0
) -> np.ndarray:
    """bool (L, I): as many neurons in each layer as the set has, drawn at random.

    They are drawn from the ``alive`` ones (all, by default) outside the set, or, in a layer that
    has too few of those, from all of the layer.
    """
    rng = np.random.default_rng(seed)
    outside = ~neurons if alive is None else alive & ~neurons
    control = np.zeros_like(neurons)
    for layer, count in enumerate(neurons.sum(1)):
        pool = np.flatnonzero(outside[layer])
        control[
            layer, rng.choice(pool if len(pool) >= count else len(neurons[layer]), count, False)
        ] = True
    return control


_in_force: ContextVar[frozenset[object]] = ContextVar("interventions in force", default=frozenset())


@contextmanager
def intervene(model: Model, intervention: Intervention) -> Iterator[None]:
    """While open, the neurons' activations are changed in what this thread or task runs.

    Other threads that use the model at the same time are not affected; one that is started inside
    must run in a copy of the context (``contextvars.copy_context().run``) to be. Nested ones apply
    one after the other, the outermost first. On the way out, whatever happens, the model is as it
    was: its weights are never touched.

    Raises
    ------
    InputError
        The set is of a model of another shape.
    """
    shape = (model.layers, model.width)
    if intervention.neurons.shape != shape:
        raise InputError(
            f"The neuron set is of a model with {intervention.neurons.shape[0]} layers of "
            f"{intervention.neurons.shape[1]} neurons; this one has {shape[0]} of {shape[1]}."
        )
    mark = object()
    with ExitStack() as stack:
        for layer, module in enumerate(model.activations):
            if intervention.neurons[layer].any():
                change = _change(model, intervention, layer)
                handle = module.register_forward_hook(partial(_apply, mark, change))
                stack.callback(handle.remove)
        stack.callback(_in_force.reset, _in_force.set(_in_force.get() | {mark}))
        yield


def _apply(
    mark: object,
    change: Callable[[torch.Tensor], torch.Tensor],
    _module: nn.Module,
    _inputs: object,
    output: torch.Tensor,
) -> torch.Tensor | None:
    """The hook: it does something only where its intervention is in force."""
    return change(output) if mark in _in_force.get() else None


def _change(
    model: Model, intervention: Intervention, layer: int
) -> Callable[[torch.Tensor], torch.Tensor]:
    """The change of a layer's activation (..., I)."""
    import torch

    index = torch.from_numpy(np.flatnonzero(intervention.neurons[layer])).to(model.device)
    if intervention.action == "zero":
        return lambda output: output.index_fill(-1, index, 0)
    if intervention.action == "scale":
        return lambda output: output.index_copy(
            -1, index, output.index_select(-1, index) * intervention.strength
        )
    assert intervention.values is not None
    values = torch.from_numpy(intervention.values[layer]).to(model.device)[index].to(model.dtype)
    return lambda output: output.index_copy(
        -1, index, torch.lerp(output.index_select(-1, index), values, intervention.strength)
    )


def perplexity(
    model: Model,
    texts: Sequence[str],
    *,
    tokens: int | None = None,
    progress: Advances | None = None,
) -> float:
    """exp of the mean −log probability of a text's tokens, each given those before it.

    What ``exp`` of transformers' own loss is. Every block starts after the beginning-of-sequence
    token; where the model has none, a piece's first token is given, not predicted.

    Parameters
    ----------
    texts : the blocks; they are cut into pieces of at most 256 tokens.
    tokens : only the first so many tokens; all by default.
    progress : advanced by the tokens of each batch.

    Raises
    ------
    InputError
        Not one token to predict.
    """
    text = _Texts(model, {"text": texts}, tokens)
    return float(text.perplexity(model, progress)[0])


@dataclass(frozen=True)
class PerplexityChange:
    """Perplexity of C languages' texts with S sets of neurons changed, one set at a time.

    Attributes
    ----------
    sets : S names, the languages whose neurons were changed.
    languages : C FLORES codes, of the texts.
    plain : float64 (C,), perplexity of the unchanged model.
    changed : float64 (S, C), with each set changed.
    control : float64 (S, C), with a random set of the same size and layers changed likewise.
    sizes : int64 (S,), neurons in each set.
    tokens : int64 (C,), tokens predicted.
    """

    sets: tuple[str, ...]
    languages: tuple[str, ...]
    plain: np.ndarray
    changed: np.ndarray
    control: np.ndarray
    sizes: np.ndarray
    tokens: np.ndarray

    @property
    def change(self) -> np.ndarray:
        """(S, C): how much the perplexity went up, as LAPE's matrix has it."""
        return self.changed - self.plain

    @property
    def control_change(self) -> np.ndarray:
        """(S, C): the same for the random sets."""
        return self.control - self.plain

    def to_frame(self) -> pd.DataFrame:
        """One row a set and a language."""
        row, column = (axis.ravel() for axis in np.indices(self.changed.shape))
        return pd.DataFrame(
            {
                "set": np.array(self.sets, dtype=object)[row],
                "neurons": self.sizes[row],
                "language": np.array(self.languages, dtype=object)[column],
                "tokens": self.tokens[column],
                "plain": self.plain[column],
                "changed": self.changed.ravel(),
                "control": self.control.ravel(),
            }
        )


def perplexity_matrix(
    model: Model,
    texts: Mapping[str, Sequence[str]],
    interventions: Mapping[str, Intervention],
    *,
    tokens: int | None = None,
    alive: np.ndarray | None = None,
    seed: int = 0,
    progress: Advances | None = None,
) -> PerplexityChange:
    """Perplexity of every language's text under every intervention: LAPE's deactivation matrix.

    The plain model is run once for all of them: 1 + 2·S passes over the texts.

    Parameters
    ----------
    model : a loaded model.
    texts : the blocks of each language.
    interventions : by name, usually the language whose neurons they change.
    tokens : only the first so many tokens of each language; all by default.
    alive : bool (L, I), the neurons that random sets are drawn from; all by default.
    seed : of the random sets.
    progress : advanced by the tokens of each batch of each pass.

    Raises
    ------
    InputError
        No text, no intervention, or a language without a token to predict.
    """
    if not interventions:
        raise InputError("There is no set of neurons to change.")
    prepared = _Texts(model, texts, tokens)
    plain = prepared.perplexity(model, progress)
    changed, control = [], []
    for number, each in enumerate(interventions.values()):
        others = random_control(each.neurons, alive=alive, seed=seed + number)
        changed.append(prepared.perplexity(model, progress, each))
        control.append(prepared.perplexity(model, progress, replace(each, neurons=others)))
    return PerplexityChange(
        sets=tuple(interventions),
        languages=tuple(texts),
        plain=plain,
        changed=np.stack(changed),
        control=np.stack(control),
        sizes=np.array([each.size for each in interventions.values()]),
        tokens=prepared.predicted,
    )


class _Texts:
    """Texts of several languages as batches of tokens, made once and run many times."""

    def __init__(
        self, model: Model, texts: Mapping[str, Sequence[str]], tokens: int | None
    ) -> None:
        ids: list[list[int]] = []
        owner: list[int] = []
        for language, blocks in enumerate(texts.values()):
            left = math.inf if tokens is None else tokens
            for block in blocks:
                encoded = model.encode(block) if left > 0 else []
                ids.append(encoded if len(encoded) <= left else encoded[: int(left)])
                owner.append(language)
                left -= len(ids[-1])
        self.batches: list[TokenBatch] = list(
            batches(
                ids,
                bos=model.bos,
                pad=model.tokenizer.pad_token_id or 0,
                block_tokens=min(BLOCK_TOKENS, model.context),
                batch_tokens=CPU_BATCH_TOKENS
                if model.device.type == "cpu"
                else ACCELERATOR_BATCH_TOKENS,
            )
        )
        self.owner = np.array(owner, dtype=np.int64)
        self.predicted = np.zeros(len(texts), dtype=np.int64)
        for batch in self.batches:
            np.add.at(self.predicted, self.owner[batch.blocks], batch.lengths - 1)
        empty = [name for name, count in zip(texts, self.predicted, strict=True) if count == 0]
        if empty or not texts:
            raise InputError(
                f"There is no token to predict in {', '.join(empty) or 'no text at all'}."
            )

    def perplexity(
        self, model: Model, progress: Advances | None, intervention: Intervention | None = None
    ) -> np.ndarray:
        """float64, a value a language."""
        import torch

        total = np.zeros(len(self.predicted))
        changed = nullcontext() if intervention is None else intervene(model, intervention)
        with torch.inference_mode(), changed:
            for batch in self.batches:
                loss = _row_losses(model, batch)
                np.add.at(total, self.owner[batch.blocks], loss)
                if progress is not None:
                    progress.advance(float(batch.lengths.sum() - len(batch.lengths)))
        return np.exp(total / self.predicted)


def _row_losses(model: Model, batch: TokenBatch) -> np.ndarray:
    """float64 (R,): −log probability of each row's tokens after its first."""
    import torch

    states = run_body(model, batch)[:, :-1]
    ids = torch.from_numpy(batch.ids).to(model.device)[:, 1:]
    lengths = torch.from_numpy(batch.lengths).to(model.device)
    counted = torch.arange(ids.shape[1], device=model.device)[None] < lengths[:, None] - 1
    losses = torch.zeros(ids.shape, dtype=torch.float64, device=model.device)
    losses[counted] = _token_losses(model, states[counted], ids[counted])
    return losses.sum(1).cpu().numpy()


def _token_losses(model: Model, states: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """float64 (N,): −log probability of tokens (N,) after final hidden states (N, hidden)."""
    import torch

    total = states.new_full((len(states),), -torch.inf, dtype=torch.float64)
    own = torch.zeros_like(total)
    for start, logits in vocabulary_logits(model, states):
        total = torch.logaddexp(total, logits.logsumexp(1).double())
        place = tokens - start
        inside = (place >= 0) & (place < logits.shape[1])
        found = logits.gather(1, place.clamp(0, logits.shape[1] - 1)[:, None])[:, 0]
        own = torch.where(inside, found.double(), own)
    return total - own
