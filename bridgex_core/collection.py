"""Statistics of languages: from the store, or computed into it, block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from . import machine
from .activations import BLOCK_TOKENS, ActivationStats, collect
from .corpora import Corpus, Text
from .errors import InputError
from .fluency import Fluency, score_text
from .model_sources import ModelSource
from .neurons import ActivationTable
from .progress import Progress, Snapshot
from .store import Store, entry_key, software_versions

if TYPE_CHECKING:
    from .models import Model

STATISTICS = "statistics"
FLUENCY = "fluency"
WHAT = {STATISTICS: "activations", FLUENCY: "bits per byte"}


@dataclass(frozen=True)
class Collection:
    """What statistics are of: a model, a corpus, a number format.

    Attributes
    ----------
    source : the model.
    corpus : the texts.
    dtype : ``float32`` or ``bfloat16``, what the model computes in.
    block_tokens : longest input in tokens.
    """

    source: ModelSource
    corpus: Corpus
    dtype: str = "float32"
    block_tokens: int = BLOCK_TOKENS

    def identity(self, text: Text) -> dict[str, object]:
        """Everything that a language's statistics depend on."""
        return {
            "model": self.source.fingerprint,
            "tokenizer": self.source.tokenizer_fingerprint,
            "text": text.digest,
            "settings": {"dtype": self.dtype, "block_tokens": self.block_tokens},
        }

    def key(self, kind: str, text: Text) -> str:
        """Where the store keeps a language's result of a kind."""
        return entry_key(kind, **self.identity(text))

    def manifest(self, text: Text, **more: object) -> dict[str, object]:
        """What a stored result says of itself."""
        return {
            **self.identity(text),
            "language": text.language,
            "model_name": self.source.name,
            "corpus": self.corpus.name,
            "origin": text.origin,
            "versions": software_versions(),
            **more,
        }


def stored_statistics(
    store: Store, collection: Collection, codes: Iterable[str]
) -> dict[str, ActivationStats]:
    """Statistics of those languages that the store has, in the order asked."""
    found = _stored(store, collection, codes, STATISTICS)
    return {code: ActivationStats.from_tensors(tensors) for code, tensors in found.items()}


def stored_table(store: Store, collection: Collection, codes: Iterable[str]) -> ActivationTable:
    """Totals of those languages that the store has, in the order asked.

    The same as ``ActivationTable.of(stored_statistics(...))`` without a copy of every block.

    Raises
    ------
    InputError
        None of them is stored.
    """
    found = _stored(store, collection, codes, STATISTICS)
    if not found:
        raise InputError("None of these languages has stored statistics: collect them first.")
    tokens = np.array([tensors["token_counts"].sum() for tensors in found.values()])
    return ActivationTable(
        tuple(found),
        np.stack([t["positive_counts"].sum(0, dtype=np.int64) for t in found.values()]),
        np.stack([t["sums"].sum(0) / n for t, n in zip(found.values(), tokens, strict=True)]),
        tokens,
    )


def stored_fluency(
    store: Store, collection: Collection, codes: Iterable[str]
) -> dict[str, Fluency]:
    """Bits a byte of those languages that the store has, in the order asked."""
    found = _stored(store, collection, codes, FLUENCY)
    return {code: Fluency.from_tensors(tensors) for code, tensors in found.items()}


def _stored(
    store: Store, collection: Collection, codes: Iterable[str], kind: str
) -> dict[str, dict[str, np.ndarray]]:
    found = {}
    for code in codes:
        entry = store.load(kind, collection.key(kind, collection.corpus.text(code)))
        if entry is not None:
            found[code] = entry.tensors
    return found


def available(store: Store, collection: Collection) -> tuple[str, ...]:
    """Languages of the corpus whose statistics are stored."""
    return tuple(
        code
        for code in collection.corpus.languages()
        if store.has(STATISTICS, collection.key(STATISTICS, collection.corpus.text(code)))
    )


def missing(store: Store, collection: Collection, codes: Iterable[str]) -> tuple[str, ...]:
    """Those languages whose statistics or fluency are not stored yet."""
    return tuple(
        code
        for code in codes
        if not all(
            store.has(kind, collection.key(kind, collection.corpus.text(code)))
            for kind in (STATISTICS, FLUENCY)
        )
    )


@dataclass(frozen=True)
class Plan:
    """What a collection will take, told before it starts.

    Attributes
    ----------
    languages : those still to do.
    device, dtype : where and in which format.
    needed, free : bytes of memory expected, and free on the device.
    text_bytes : UTF-8 bytes of text to read.
    """

    languages: tuple[str, ...]
    device: str
    dtype: str
    needed: int
    free: int
    text_bytes: int

    def sentence(self) -> str:
        """For people."""
        number = len(self.languages)
        what = "1 language" if number == 1 else f"{number} languages"
        return (
            f"{what}, {self.text_bytes / 1000:,.0f} kB of text, on "
            f"{self.device} in {self.dtype}: about {machine.gibibytes(self.needed)} of memory, "
            f"{machine.gibibytes(self.free)} free."
        )


def plan(
    store: Store, collection: Collection, codes: Sequence[str], device: str | None = None
) -> Plan:
    """What collecting the missing ones of these languages will take."""
    todo = missing(store, collection, codes)
    place = machine.resolve_device(device)
    return Plan(
        languages=todo,
        device=str(place),
        dtype=collection.dtype,
        needed=_expected_memory(collection),
        free=machine.available_memory(place),
        text_bytes=sum(collection.corpus.text(code).byte_count for code in todo),
    )


def _expected_memory(collection: Collection) -> int:
    source = collection.source
    statistics = 2 * 32 * 16 * source.neurons  # running and stored counts and sums
    return source.weight_bytes(collection.dtype) + statistics + 2 * 2**30  # logits, workspace


def collect_languages(
    store: Store,
    model: Model,
    collection: Collection,
    codes: Sequence[str],
    *,
    report: Callable[[Snapshot], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> None:
    """Compute the missing statistics and fluency of languages into the store.

    Every finished block is kept at once: an interrupted run goes on where it stopped.

    Raises
    ------
    InputError
        A language without text, a text without tokens, a full disk.
    Cancelled
        ``cancelled`` answered True; what was finished is kept.
    """
    texts = [collection.corpus.text(code) for code in missing(store, collection, codes)]
    sizes = {text.language: [len(model.encode(b)) for b in text.blocks] for text in texts}
    weights = {STATISTICS: 1.0, FLUENCY: _head_cost(model)}
    total = sum(map(sum, sizes.values())) * sum(weights.values())
    progress = Progress(total, report, cancelled)
    for text in texts:
        for kind, weight in weights.items():
            task = _Task(store, model, collection, text, kind)
            task.run(_Weighted(progress, weight), sizes[text.language])


def _head_cost(model: Model) -> float:
    """Cost of a token with the output head, in tokens without it."""
    head = model.network.get_output_embeddings().weight.numel()
    body = sum(p.numel() for name, p in model.body.named_parameters() if "embed" not in name)
    return 1.0 + head / max(body, 1)


@dataclass(frozen=True)
class _Weighted:
    """A progress that counts tokens of unequal cost."""

    progress: Progress
    weight: float

    def advance(self, amount: float, message: str = "") -> None:
        self.progress.advance(amount * self.weight, message)

    def skip(self, amount: float) -> None:
        self.progress.skip(amount * self.weight)


@dataclass(frozen=True)
class _Task:
    """One kind of result of one language, kept block by block until it is whole."""

    store: Store
    model: Model
    collection: Collection
    text: Text
    kind: str

    def run(self, progress: _Weighted, sizes: Sequence[int]) -> None:
        key = self.collection.key(self.kind, self.text)
        what = f"{WHAT[self.kind]} of {self.text.language}"
        progress.advance(0.0, what)

        def waiting() -> None:
            progress.advance(0.0, f"{what}: waiting for another process that computes it")

        with self.store.alone(f"{self.kind}-{key}", waiting):
            progress.advance(0.0, what)
            if self.store.has(self.kind, key):
                progress.skip(float(sum(sizes)))
                return
            done = frozenset(map(int, self.store.load_parts(self.kind, key)))
            progress.skip(float(sum(sizes[block] for block in done)))
            if len(done) < len(sizes):
                self._compute(key, done, progress)
            self._finish(key)

    def _compute(self, key: str, done: frozenset[int], progress: _Weighted) -> None:
        def keep(block: int, result: ActivationStats | Fluency) -> None:
            self.store.save_part(self.kind, key, f"{block:02d}", result.tensors(), {})

        if self.kind == STATISTICS:
            collect(
                self.model,
                self.text.blocks,
                block_tokens=self.collection.block_tokens,
                skip=done,
                on_block=keep,
                progress=progress,
            )
        else:
            score_text(self.model, self.text.blocks, skip=done, on_block=keep, progress=progress)

    def _finish(self, key: str) -> None:
        parts = self.store.load_parts(self.kind, key)
        names = next(iter(parts.values())).tensors
        tensors = {
            name: np.concatenate([part.tensors[name] for part in parts.values()]) for name in names
        }
        manifest = self.collection.manifest(
            self.text, device=str(self.model.device), blocks=len(parts)
        )
        self.store.save(self.kind, key, tensors, manifest)
        self.store.drop_parts(self.kind, key)
