"""Neurons zeroed, scaled or replaced while a model runs.

Deactivation as in LAPE (Tang et al., arXiv 2402.16438), amplification and replacement as in arXiv
2507.22608 and 2503.17456. An intervention holds in the thread or task that opened it and nowhere
else, so sessions that share a model never see each other's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from .entries import Entry
from .errors import InputError
from .keeping import Piece, keep_once
from .neurons import ActivationTable, require_known
from .progress import Progress
from .store import Store, entry_key

if TYPE_CHECKING:
    import torch
    from torch import nn

    from .models import Model

ACTIONS = ("zero", "scale", "replace")
MOST_STRENGTH = 100
STRENGTHS = {"zero": 1.0, "scale": 2.0, "replace": 1.0}
"""The strength of each action where none is given."""


@dataclass(frozen=True)
class Intervention:
    """What is done to which neurons.

    Attributes
    ----------
    neurons : bool (L, I), the neurons it is done to.
    action : ``zero``; ``scale``: times ``strength``; ``replace``: ``strength`` of the way from the
        activation to ``values``, 1 being all of it.
    strength : at most 100 either way; without effect on ``zero``.
    values : float (L, I), what ``replace`` puts there, such as a language's mean activation.

    Raises
    ------
    InputError
        An unknown action, a strength out of range, or ``replace`` without values.
    """

    neurons: np.ndarray
    action: str = "zero"
    strength: float = 1.0
    values: np.ndarray | None = None

    def __post_init__(self) -> None:
        require_known(self.action, ACTIONS, "action")
        if self.neurons.ndim != 2 or self.neurons.dtype != bool:
            raise ValueError("neurons must be a boolean array (L, I)")
        if not abs(self.strength) <= MOST_STRENGTH:  # NaN too
            raise InputError(
                f"The strength {self.strength:g} is not between -{MOST_STRENGTH} and "
                f"{MOST_STRENGTH}."
            )
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

    def identity(self) -> dict[str, Any]:
        """What results under it depend on, as JSON: equal for two that do the same to a model."""
        layers, width = self.neurons.shape
        mask = f"{layers} {width} ".encode() + np.packbits(self.neurons).tobytes()
        values = None
        if self.action == "replace" and self.values is not None:
            put = self.values[self.neurons].astype("<f8").tobytes()
            values = hashlib.sha256(put).hexdigest()
        return {
            "neurons": hashlib.sha256(mask).hexdigest(),
            "action": self.action,
            "strength": None if self.action == "zero" else float(self.strength),
            "values": values,
        }


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
        if len(pool) < count:
            pool = np.arange(neurons.shape[1])
        control[layer, rng.choice(pool, count, replace=False)] = True
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


def held(model: Model, intervention: Intervention | None) -> AbstractContextManager[None]:
    """:func:`intervene`; without an intervention the model is as it is."""
    return nullcontext() if intervention is None else intervene(model, intervention)


# ---- Kept runs -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """A piece of work of a model, with neurons changed or without: an entry of the store.

    Attributes
    ----------
    kind : of the entry.
    what : in words, for the progress.
    intervention : None for the model as it is.
    about : everything else that the result depends on, as JSON.
    """

    kind: str
    what: str
    intervention: Intervention | None
    about: Mapping[str, Any]

    @property
    def identity(self) -> dict[str, Any]:
        """Everything that the result depends on."""
        changed = None if self.intervention is None else self.intervention.identity()
        return {**self.about, "intervention": changed}

    @cached_property
    def key(self) -> str:
        """Where the store keeps it."""
        return entry_key(self.kind, **self.identity)


def keep_runs(
    store: Store,
    runs: Sequence[Run],
    work: Callable[[Run], Piece],
    progress: Progress,
    size: float,
) -> None:
    """Do runs one after the other, each stored as soon as it is done, unless it is there by then.

    Parameters
    ----------
    work : gives a run's tensors and what its manifest says beside its identity; it advances the
        progress by ``size``, which is that of each run.

    Raises
    ------
    Cancelled
        By the progress; finished runs are kept.
    """
    for run in runs:
        keep_once(store, run.kind, run.key, partial(_done, run, work), progress, size, run.what)


def _done(run: Run, work: Callable[[Run], Piece]) -> Piece:
    tensors, more = work(run)
    return tensors, {**run.identity, **more}


def stored_runs(store: Store, runs: Sequence[Run]) -> list[Entry] | None:
    """The stored results of runs; None unless all are there."""
    found = []
    for run in runs:
        entry = store.load(run.kind, run.key)
        if entry is None:
            return None
        found.append(entry)
    return found
