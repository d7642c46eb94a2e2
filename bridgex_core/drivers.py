"""What drives a neuron: the tokens and sentences of a text on which its activation is highest."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from threading import get_ident
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import regex

from .activations import BLOCK_TOKENS, split_blocks
from .errors import InputError
from .neurons import ActivationTable
from .progress import Advances

if TYPE_CHECKING:
    import torch

    from .models import Model

# The end of a sentence in many scripts; a dot only before a space, so that 3.5 stays whole.
_SENTENCE_END = regex.compile(r"(?<=[。！？।॥።។၊။؟۔])\s*|(?<=[.!?…:;])\s+|\n+")


@dataclass(frozen=True)
class DrivingToken:
    """A token on which the neuron's activation is high.

    Attributes
    ----------
    text : as it stands in the text, without spaces around it.
    highest, mean : over the places where this text stands.
    count : those places.
    """

    text: str
    highest: float
    mean: float
    count: int


@dataclass(frozen=True)
class DrivingSentence:
    """A sentence, in pieces with an activation each, to be shaded.

    Attributes
    ----------
    block : the block of the text that it is from.
    pieces : joined, they are the sentence. A piece is a token, with what stands before it; tokens
        that are parts of one letter are one piece.
    activations : the neuron's activation on each piece; 0 on a last piece that no token covers.
    """

    block: int
    pieces: tuple[str, ...]
    activations: tuple[float, ...]

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def highest(self) -> float:
        """The highest activation on a piece that is more than space."""
        pairs = zip(self.pieces, self.activations, strict=True)
        return max((value for piece, value in pairs if piece.strip()), default=-np.inf)


@dataclass(frozen=True)
class Drivers:
    """What drives a neuron in a text.

    Attributes
    ----------
    layer, neuron : which one.
    tokens : the distinct tokens of highest activation, best first; spaces alone do not count.
    sentences : the sentences with the highest activations, best first.
    positive_share : share of the text's tokens on which the activation is above zero.
    """

    layer: int
    neuron: int
    tokens: tuple[DrivingToken, ...]
    sentences: tuple[DrivingSentence, ...]
    positive_share: float

    @property
    def highest(self) -> float:
        """The highest activation in the text: what shading may be scaled by."""
        return self.tokens[0].highest


def drivers(
    model: Model,
    texts: Sequence[str],
    layer: int,
    neuron: int,
    *,
    top: int = 5,
    progress: Advances | None = None,
) -> Drivers:
    """The tokens and sentences of a text that drive a neuron highest.

    The model runs as far as the neuron's layer. A sentence is read in its block, so what stands
    before it counts.

    Parameters
    ----------
    model : a loaded model with a fast tokenizer, which tells where in the text each token stands.
    texts : the blocks.
    layer, neuron : which one.
    top : tokens and sentences kept.
    progress : advanced by the tokens of each piece of text.

    Raises
    ------
    InputError
        No such neuron, no token but spaces in the texts, or a tokenizer that does not tell places.
    """
    _check(model, layer, neuron)
    places: dict[str, list[float]] = {}
    sentences: list[DrivingSentence] = []
    positive = total = 0
    for block, text in enumerate(texts):
        ids, spans = _spans(model, text)
        if not ids:
            continue
        values = _activations(model, ids, layer, neuron, progress)
        positive, total = positive + int((values > 0).sum()), total + len(values)
        spans, highest = _merged(spans, values)
        for (start, end), value in zip(spans, highest, strict=True):
            places.setdefault(text[start:end].strip(), []).append(value)
        sentences += _sentences(block, text, spans, highest)
        sentences = sorted(sentences, key=lambda each: -each.highest)[:top]
    tokens = [
        DrivingToken(text, max(found), sum(found) / len(found), len(found))
        for text, found in places.items()
        if text
    ]
    if not tokens:
        raise InputError("The text is empty: there is no token in it but spaces.")
    tokens.sort(key=lambda token: -token.highest)
    return Drivers(layer, neuron, tuple(tokens[:top]), tuple(sentences), positive / total)


def nearest_neurons(
    table: ActivationTable, layer: int, neuron: int, *, count: int = 10
) -> pd.DataFrame:
    """The neurons whose activation probabilities rise and fall over the languages most alike.

    Parameters
    ----------
    table : of at least three languages.
    layer, neuron : whose neighbours.
    count : how many.

    Returns
    -------
    DataFrame with ``layer``, ``neuron``, ``correlation`` (Pearson's, over the languages) and
    ``difference`` (the largest of the two profiles in any language), most alike first. Neurons
    with the same probability in every language correlate with none and are left out.

    Raises
    ------
    InputError
        Too few languages, no such neuron, or one with the same probability in every language.
    """
    if len(table.languages) < 3:
        raise InputError("Neurons are compared over at least three languages; add languages.")
    _check(table, layer, neuron)
    profiles = table.probability.reshape(len(table.languages), -1)
    centred = profiles - profiles.mean(0)
    length = np.sqrt(np.square(centred).sum(0))
    own = layer * table.width + neuron
    varies = length > 1e-12
    if not varies[own]:
        raise InputError(
            f"Neuron {neuron} of layer {layer} is as often active in every language, so no other "
            "rises and falls with it."
        )
    correlation = np.full(len(length), -np.inf)
    correlation[varies] = centred[:, own] @ centred[:, varies] / (length[varies] * length[own])
    correlation[own] = -np.inf
    best = np.argsort(-correlation, kind="stable")[:count]
    best = best[np.isfinite(correlation[best])]
    return pd.DataFrame(
        {
            "layer": best // table.width,
            "neuron": best % table.width,
            "correlation": correlation[best].clip(-1, 1),
            "difference": np.abs(profiles[:, best] - profiles[:, [own]]).max(0),
        }
    )


def _check(shape: Model | ActivationTable, layer: int, neuron: int) -> None:
    if not (0 <= layer < shape.layers and 0 <= neuron < shape.width):
        raise InputError(
            f"There is no neuron {neuron} in layer {layer}: the model has layers 0 to "
            f"{shape.layers - 1} of neurons 0 to {shape.width - 1}."
        )


def _spans(model: Model, text: str) -> tuple[list[int], list[tuple[int, int]]]:
    """Token ids of a text, and where in it each token stands."""
    try:
        encoded = model.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    except NotImplementedError as error:
        raise InputError(
            "This model's tokenizer does not tell where in a text its tokens stand, so nothing can "
            "be shaded."
        ) from error
    return list(encoded.input_ids), [
        (int(start), int(end)) for start, end in encoded.offset_mapping
    ]


class _Reached(Exception):
    """The neuron's layer has been computed; what follows is not needed."""


def _activations(
    model: Model, ids: Sequence[int], layer: int, neuron: int, progress: Advances | None
) -> np.ndarray:
    """float64 (T,): the neuron's activation on every token."""
    import torch

    found: list[np.ndarray] = []
    skipped, thread = len(model.bos), get_ident()

    def receive(_module: object, _inputs: object, output: torch.Tensor) -> None:
        if get_ident() != thread:  # another session's run of the same model
            return
        values = output.detach().reshape(-1, output.shape[-1])[skipped:, neuron]
        found.append(values.double().cpu().numpy())
        raise _Reached

    handle = model.activations[layer].register_forward_hook(receive)
    try:
        with torch.inference_mode():
            for _, piece in split_blocks([ids], min(BLOCK_TOKENS, model.context) - skipped):
                row = torch.tensor([[*model.bos, *piece]], device=model.device)
                with suppress(_Reached):
                    model.body(input_ids=row, use_cache=False)
                if progress is not None:
                    progress.advance(float(len(piece)))
    finally:
        handle.remove()
    return np.concatenate(found)


def _merged(
    spans: Sequence[tuple[int, int]], values: np.ndarray
) -> tuple[list[tuple[int, int]], list[float]]:
    """Tokens that share letters (the bytes of one) as one, with the highest of their values."""
    kept: list[tuple[int, int]] = []
    highest: list[float] = []
    for (start, end), value in zip(spans, values.tolist(), strict=True):
        if kept and start < kept[-1][1]:
            kept[-1] = (kept[-1][0], max(end, kept[-1][1]))
            highest[-1] = max(highest[-1], value)
        elif end > start:
            kept.append((start, end))
            highest.append(value)
    return kept, highest


def _sentences(
    block: int, text: str, spans: Sequence[tuple[int, int]], values: Sequence[float]
) -> list[DrivingSentence]:
    """The block's sentences that hold a token, which belongs where its last letter stands."""
    ends = [m.end() for m in _SENTENCE_END.finditer(text) if 0 < m.end() < len(text)]
    bounds = [0, *ends, len(text)]
    found = []
    for start, end in pairwise(bounds):
        inside = [
            (span, v) for span, v in zip(spans, values, strict=True) if start < span[1] <= end
        ]
        if not inside:
            continue
        pieces, place = [], start
        for (_, stop), _ in inside:
            pieces.append(text[place:stop])
            place = stop
        activations = [value for _, value in inside]
        if place < end:
            pieces.append(text[place:end])
            activations.append(0.0)
        found.append(DrivingSentence(block, tuple(pieces), tuple(activations)))
    return found
