"""Statistics of languages: from the store, or computed into it, block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from . import machine
from .activations import BLOCK_TOKENS, ActivationStats, collect
from .corpora import Corpus, Text
from .errors import InputError
from .generation import Fluency, score_text
from .model_sources import ModelSource
from .progress import Progress, Snapshot
from .store import Store, entry_key, software_versions

if TYPE_CHECKING:
    from .models import Model

STATISTICS = "statistics"
FLUENCY = "fluency"


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
        return (
            f"{len(self.languages)} languages, {self.text_bytes / 1000:,.0f} kB of text, on "
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
    sizes = {text.language: sum(len(model.encode(b)) for b in text.blocks) for text in texts}
    progress = Progress(2.0 * sum(sizes.values()), report, cancelled)
    for text in texts:
        with store.lock(f"collect-{collection.key(STATISTICS, text)}", timeout=3600.0):
            progress.advance(0.0, f"activations of {text.language}")
            _collect_one(store, model, collection, text, progress, sizes[text.language])
            progress.advance(0.0, f"bits per byte of {text.language}")
            _score_one(store, model, collection, text, progress, sizes[text.language])


def _collect_one(
    store: Store,
    model: Model,
    collection: Collection,
    text: Text,
    progress: Progress,
    tokens: int,
) -> None:
    key = collection.key(STATISTICS, text)
    if store.has(STATISTICS, key):
        progress.skip(float(tokens))
        return
    done = {
        int(name): ActivationStats.from_tensors(part.tensors)
        for name, part in store.load_parts(STATISTICS, key).items()
    }
    progress.skip(float(sum(part.tokens for part in done.values())))
    manifest = collection.manifest(text, device=str(model.device))

    def keep(block: int, stats: ActivationStats) -> None:
        store.save_part(STATISTICS, key, f"{block:02d}", stats.tensors(), {})

    fresh = collect(
        model,
        text.blocks,
        block_tokens=collection.block_tokens,
        skip=frozenset(done),
        on_block=keep,
        progress=progress,
    )
    stats = _fill(fresh, done)
    if stats.tokens == 0:
        raise InputError(f"The text in {text.language} is empty: no token was found in it.")
    store.save(
        STATISTICS,
        key,
        stats.tensors(),
        {**manifest, "blocks": stats.blocks, "tokens": stats.tokens},
    )
    store.drop_parts(STATISTICS, key)


def _fill(fresh: ActivationStats, done: Mapping[int, ActivationStats]) -> ActivationStats:
    """Blocks of an earlier run put into their places."""
    for block, part in done.items():
        fresh.positive_counts[block] = part.positive_counts[0]
        fresh.sums[block] = part.sums[0]
        fresh.token_counts[block] = part.token_counts[0]
    return fresh


def _score_one(
    store: Store,
    model: Model,
    collection: Collection,
    text: Text,
    progress: Progress,
    tokens: int,
) -> None:
    key = collection.key(FLUENCY, text)
    if store.has(FLUENCY, key):
        progress.skip(float(tokens))
        return
    fluency = score_text(model, text.blocks, progress=progress)
    store.save(FLUENCY, key, fluency.tensors(), collection.manifest(text, device=str(model.device)))
