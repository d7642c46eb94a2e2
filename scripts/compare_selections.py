"""Which selection and metric gives a picture that holds? Prints the tables of docs/selection.md.

For every selection and metric at four top rates: split-half reliability, agreement between the
rates, and Spearman's rho against URIEL+, once for the study languages and once for all others
whose statistics are stored.

    python -m bridgex_core collect --languages all && python scripts/compare_selections.py
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bridgex_core.collection import Collection, available, stored_statistics
from bridgex_core.corpora import udhr
from bridgex_core.languages import STUDY_LANGUAGES, register
from bridgex_core.model_sources import find_model
from bridgex_core.neurons import ActivationTable
from bridgex_core.similarity import agreement, off_diagonal, spearman
from bridgex_core.spectrum import SpectrumSettings, spectrum, split_half
from bridgex_core.store import default_store
from bridgex_core.typology import TYPOLOGY_KINDS, typology_similarity

RATES = (0.005, 0.01, 0.02, 0.05)
SELECTIONS = ("active", "distinctive")
METRICS = ("jaccard", "activation", "centred")


def numbers(values: Sequence[float]) -> str:
    """Two digits each; a dash where a constant matrix has no rank correlation."""
    return " ".join("–" if np.isnan(v) else f"{v:.2f}".replace("0.", ".") for v in values)


def main() -> None:
    """Print a table for the study languages and one for all others."""
    store = default_store()
    collection = Collection(find_model(None, store.root), udhr())
    there = [code for code in available(store, collection) if code in register()]
    others = [code for code in there if code not in STUDY_LANGUAGES]
    for title, codes in (("study languages", list(STUDY_LANGUAGES)), ("other languages", others)):
        stats = stored_statistics(store, collection, codes)
        stats = {code: s.fold(2) for code, s in stats.items()}
        table = ActivationTable.of(stats)
        known = {kind: typology_similarity(kind, codes) for kind in TYPOLOGY_KINDS}
        print(f"\n**The {len(codes)} {title}**\n")
        heads = ["selection", "metric", "split half", "between rates (least, mean)"]
        print("| " + " | ".join([*heads, *TYPOLOGY_KINDS]) + " |")
        print("|---" * (len(heads) + len(TYPOLOGY_KINDS)) + "|")
        for selection, metric in itertools.product(SELECTIONS, METRICS):
            wanted = [SpectrumSettings(metric, selection, rate) for rate in RATES]
            matrices = [spectrum(table, each).values for each in wanted]
            between = off_diagonal(agreement(matrices))
            cells = [
                selection,
                metric,
                numbers([split_half(stats, each).rho for each in wanted]),
                numbers([between.min(), between.mean()]),
                *(numbers([spearman(m, known[kind]) for m in matrices]) for kind in known),
            ]
            print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
