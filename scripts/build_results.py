"""Compute the results that ship with the product: the spectrum's study languages, in float32.

Everything is computed into the default store first (what is there already is kept), then copied to
bridgex_core/data/results: statistics folded to 8 blocks, block b into b modulo 8 so that odd and
even articles stay apart, sums rounded to float32. Counts are exact.

    python scripts/build_results.py
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bridgex_core.activations import ActivationStats
from bridgex_core.collection import FLUENCY, STATISTICS, Collection, collect_languages, missing
from bridgex_core.corpora import udhr
from bridgex_core.languages import STUDY_LANGUAGES
from bridgex_core.model_sources import find_model
from bridgex_core.models import load
from bridgex_core.progress import terminal_reporter
from bridgex_core.store import Store, default_store

RESULTS = Path(__file__).resolve().parent.parent / "bridgex_core" / "data" / "results"
BLOCKS = 8
WRITTEN_BY_STORE = ("schema", "checksum", "bytes", "created")


def shipped(kind: str, tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The tensors as they are committed."""
    if kind != STATISTICS:
        return tensors
    folded = ActivationStats.from_tensors(tensors).fold(BLOCKS).tensors()
    return {**folded, "sums": folded["sums"].astype(np.float32)}


def main() -> None:
    """Compute, fold, write."""
    store = Store(default_store().root)  # without the bundled results: they are what is made
    collection = Collection(find_model(None, store.root), udhr())
    if missing(store, collection, STUDY_LANGUAGES):
        model = load(collection.source, dtype=collection.dtype, device="cpu")
        report = terminal_reporter(sys.stderr)
        collect_languages(store, model, collection, STUDY_LANGUAGES, report=report)
    shutil.rmtree(RESULTS, ignore_errors=True)
    bundle = Store(RESULTS)
    for code in STUDY_LANGUAGES:
        text = collection.corpus.text(code)
        for kind in (STATISTICS, FLUENCY):
            entry = store.load(kind, collection.key(kind, text))
            assert entry is not None
            manifest = {k: v for k, v in entry.manifest.items() if k not in WRITTEN_BY_STORE}
            if kind == STATISTICS:
                manifest |= {"blocks": BLOCKS, "folded_from": len(text.blocks)}
            bundle.save(kind, entry.key, shipped(kind, dict(entry.tensors)), manifest)
    for folder in RESULTS.iterdir():
        if folder.name not in (STATISTICS, FLUENCY):
            shutil.rmtree(folder)
    size = sum(file.stat().st_size for file in RESULTS.rglob("*") if file.is_file())
    print(f"{RESULTS}: {len(STUDY_LANGUAGES)} languages, {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
