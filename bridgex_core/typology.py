"""How alike languages are by what linguists know of them: URIEL+'s distances as similarities.

The table data/typology.csv holds the distances of the bundled languages as the package urielplus
1.3.2 computes them with all of its databases, without imputed values; data/SOURCES-languages.md
says more.
"""

import csv
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files

import numpy as np

from .errors import InputError

TYPOLOGY_KINDS: tuple[str, ...] = ("genetic", "syntactic", "geographic", "featural")
"""Family tree, syntactic features, place on the globe, all typological features."""


def typology_similarity(kind: str, codes: Sequence[str]) -> np.ndarray:
    """1 minus URIEL+'s distance of every two languages.

    Parameters
    ----------
    kind : one of `TYPOLOGY_KINDS`.
    codes : K FLORES-200 codes.

    Returns
    -------
    similarity : (K, K) float64, symmetric, from 0 to 1, with 1 on the diagonal; NaN where URIEL+
        knows fewer than 20 features of both languages, and for a language that is not bundled.

    Raises
    ------
    InputError
        The kind is none of `TYPOLOGY_KINDS`.

    >>> typology_similarity("genetic", ["spa_Latn", "por_Latn", "fin_Latn"]).round(2)
    array([[1.  , 0.66, 0.  ],
           [0.66, 1.  , 0.  ],
           [0.  , 0.  , 1.  ]])
    """
    if kind not in TYPOLOGY_KINDS:
        raise InputError(f"There is no typology {kind!r}: take one of {', '.join(TYPOLOGY_KINDS)}.")
    position, tables = _tables()
    table = tables[kind]
    known = np.array([position.get(code, -1) for code in codes], dtype=np.intp)
    similarity = np.where(
        (known[:, None] >= 0) & (known >= 0), table[known[:, None], known], np.nan
    )
    np.fill_diagonal(similarity, 1.0)
    return similarity


@lru_cache(maxsize=1)
def _tables() -> tuple[dict[str, int], dict[str, np.ndarray]]:
    """The row of each code, and each kind's whole (N, N) similarity."""
    text = (files("bridgex_core") / "data" / "typology.csv").read_text(encoding="utf-8")
    (_, _, *codes), *rows = csv.reader(text.splitlines())
    tables = {}
    for kind in TYPOLOGY_KINDS:
        cells = [row[2:] for row in rows if row[0] == kind]
        below = np.array([[1 - float(c) if c else np.nan for c in row] for row in cells])
        table = np.where(np.isnan(below), below.T, below)
        np.fill_diagonal(table, 1.0)
        tables[kind] = table
    return {code: position for position, code in enumerate(codes)}, tables
