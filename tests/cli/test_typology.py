"""`typology` against scipy."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from bridgex_core.typology import TYPOLOGY_KINDS, typology_similarity

from .conftest import SIX


def test_typology_against_scipy(run, collected):
    words = [*collected.options, "--languages", SIX, "--top-rate", "0.1", "--json"]
    found = run("typology", *words).json
    matrix = run("spectrum", *words, "--order", "given").json
    assert found["settings"] == matrix["settings"]
    assert found["languages"] == matrix["languages"] == SIX.split(",")
    assert list(found["kinds"]) == list(TYPOLOGY_KINDS)
    upper = np.triu_indices(6, 1)
    for kind, one in found["kinds"].items():
        expected = spearmanr(
            np.array(matrix["values"])[upper], typology_similarity(kind, SIX.split(","))[upper]
        ).statistic
        assert one["rho"] == pytest.approx(expected, abs=1e-12)
        assert one["low"] <= one["high"]
        assert 0 < one["p_value"] <= 1
        assert (one["languages"], one["pairs"]) == (6, 15)


def test_typology_of_one_kind_with_a_seed(run, collected):
    words = ["typology", *collected.options, "--languages", SIX, "--top-rate", "0.1"]
    first, second, again = (
        run(*words, "--kind", "genetic", "--seed", seed, "--json").json["kinds"]
        for seed in (1, 2, 1)
    )
    assert list(first) == ["genetic"]
    assert first == again
    assert first != second
    table = run(*words, "--kind", "genetic").out.splitlines()
    assert table[0].split() == ["kind", "rho", "95", "%", "interval", "Mantel", "p", "languages",
                                "pairs"]  # fmt: skip
    assert table[1].startswith("genetic  ")
