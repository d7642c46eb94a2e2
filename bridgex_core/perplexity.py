"""Perplexity of texts, and how it moves when neurons are changed (LAPE, arXiv 2402.16438)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

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
from .collection import Collection
from .errors import InputError
from .interventions import Intervention, Run, held, keep_runs, random_control, stored_runs
from .lens import vocabulary_logits
from .progress import Advances, Progress, Snapshot
from .store import Store, software_versions

if TYPE_CHECKING:
    import torch

    from .models import Model

PERPLEXITIES = "perplexities"


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
class Factors:
    """By what factor perplexity grows, geometric means over the cells of a matrix.

    Attributes
    ----------
    own : of a language's text, its own neurons changed; NaN where no set is of a language read.
    others : of the other languages' texts; NaN where there are none.
    control : of all texts, random sets changed.
    """

    own: float
    others: float
    control: float


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

    @property
    def factors(self) -> Factors:
        """The matrix in three numbers: does a language's set matter to it alone?"""
        own = np.equal.outer(np.array(self.sets), np.array(self.languages))
        grown, control = np.log(self.changed / self.plain), np.log(self.control / self.plain)
        cells = (grown[own], grown[~own], control)
        return Factors(*(float(np.exp(x.mean())) if x.size else math.nan for x in cells))

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
    changes = _changes(interventions, alive, seed)
    prepared = _Texts(model, texts, tokens)
    values = [prepared.perplexity(model, progress, change) for _, change in changes]
    return _assembled(interventions, tuple(texts), values, prepared.predicted)


def _changes(
    interventions: Mapping[str, Intervention], alive: np.ndarray | None, seed: int
) -> list[tuple[str, Intervention | None]]:
    """Every pass in words and as what is changed: none, then each set and its random control."""
    if not interventions:
        raise InputError("There is no set of neurons to change.")
    found: list[tuple[str, Intervention | None]] = [("the model unchanged", None)]
    for number, (name, each) in enumerate(interventions.items()):
        others = random_control(each.neurons, alive=alive, seed=seed + number)
        found.append((f"neurons of {name} changed", each))
        found.append((f"a random set for {name} changed", replace(each, neurons=others)))
    return found


def _assembled(
    interventions: Mapping[str, Intervention],
    languages: tuple[str, ...],
    values: Sequence[np.ndarray],
    predicted: np.ndarray,
) -> PerplexityChange:
    """The matrix of the passes of `_changes`, each (C,)."""
    return PerplexityChange(
        sets=tuple(interventions),
        languages=languages,
        plain=values[0],
        changed=np.stack(values[1::2]),
        control=np.stack(values[2::2]),
        sizes=np.array([each.size for each in interventions.values()]),
        tokens=predicted,
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
        with torch.inference_mode(), held(model, intervention):
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


# ---- Kept ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PerplexityPlan:
    """A matrix of perplexities that is kept pass by pass; see :func:`perplexity_matrix`.

    Attributes
    ----------
    collection : the model, its number format and the corpus.
    languages : FLORES codes, whose texts are read.
    interventions, tokens, alive, seed : as there.
    """

    collection: Collection
    languages: tuple[str, ...]
    interventions: Mapping[str, Intervention]
    tokens: int | None = None
    alive: np.ndarray | None = None
    seed: int = 0

    def runs(self) -> list[Run]:
        """Every pass; that of the unchanged model is the same for all interventions.

        Raises
        ------
        InputError
            No language or one without text, or no intervention.
        """
        source = self.collection.source
        about = {
            "model": source.fingerprint,
            "tokenizer": source.tokenizer_fingerprint,
            # Texts are read together, in batches: what is beside a text may change its last digits.
            "texts": [self.collection.corpus.text(code).digest for code in self.languages],
            "tokens": self.tokens,
            "settings": {"dtype": self.collection.dtype, "block_tokens": BLOCK_TOKENS},
        }
        changes = _changes(self.interventions, self.alive, self.seed)
        return [Run(PERPLEXITIES, f"perplexity, {what}", each, about) for what, each in changes]


def collect_perplexity(
    store: Store,
    plan: PerplexityPlan,
    load: Callable[[], Model],
    *,
    report: Callable[[Snapshot], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> None:
    """Run the passes of a plan that the store lacks; every one is kept as soon as it is done.

    Parameters
    ----------
    load : gives the model; called only if something is missing.

    Raises
    ------
    InputError
        What :func:`perplexity_matrix` raises, a full disk.
    Cancelled
        ``cancelled`` answered True; finished passes are kept.
    """
    todo = [run for run in plan.runs() if not store.has(PERPLEXITIES, run.key)]
    if not todo:
        return
    model, corpus = load(), plan.collection.corpus
    blocks = {code: corpus.text(code).blocks for code in plan.languages}
    texts = _Texts(model, blocks, plan.tokens)
    size = float(texts.predicted.sum())
    progress = Progress(size * len(todo), report, cancelled)

    def work(run: Run) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        values = texts.perplexity(model, progress, run.intervention)
        return {"perplexity": values, "tokens": texts.predicted}, {
            "languages": list(plan.languages),
            "model_name": plan.collection.source.name,
            "corpus": corpus.name,
            "device": str(model.device),
            "versions": software_versions(),
        }

    keep_runs(store, todo, work, progress, size)


def stored_perplexity(store: Store, plan: PerplexityPlan) -> PerplexityChange | None:
    """The matrix of a plan; None unless all of its passes are stored."""
    entries = stored_runs(store, plan.runs())
    if entries is None:
        return None
    values = [entry.tensors["perplexity"] for entry in entries]
    tokens = entries[0].tensors["tokens"]
    return _assembled(plan.interventions, plan.languages, values, tokens)
