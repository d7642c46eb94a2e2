"""HSIC of all pairs of neurons against the released procedure and against brute force.

Everything is timed on one thread, in a process of its own: on a machine that others use too, the
threads of a matrix product wait for each other, and a ratio would tell more about that.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys

import numpy as np

from benchmarks.measure import Report, median_ratio, paired, seconds
from bridgex_core.hsic import hsic_matrix
from bridgex_core.hsic_products import direct_products

FACTORS = 8
SAMPLE_PAIRS = 40
RATE_SIZE = 2048


def made_up(neurons: int, prompts: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows of two neuron sets that share what drives them, as neurons of a layer do."""
    rng = np.random.default_rng(seed)
    factors = rng.standard_normal((FACTORS, prompts))
    x, y = (
        0.5 * rng.standard_normal((neurons, FACTORS)) @ factors
        + rng.standard_normal((neurons, prompts))
        for _ in range(2)
    )
    return x, y


def error(x: np.ndarray, y: np.ndarray, values: np.ndarray) -> float:
    """Of biased HSICs from float64 kernels, as a share of the largest of them."""
    sigma = [np.median(_distances(side), axis=1)[:, np.newaxis] for side in (x, y)]
    truth = direct_products(x / sigma[0], y / sigma[1])[0] / (x.shape[1] - 1) ** 2
    return float(np.abs(values - truth).max() / truth.max())


def _distances(rows: np.ndarray) -> np.ndarray:
    i, j = np.triu_indices(rows.shape[1], 1)
    return np.abs(rows[:, i] - rows[:, j])


def against_the_released_procedure() -> dict[str, float]:
    """200 × 200 neurons, 500 prompts, in float32."""
    neurons, prompts = 200, 500
    x, y = (side.astype(np.float32) for side in made_up(neurons, prompts))
    rng = np.random.default_rng(1)
    # What the kernels hold makes no difference to the time; making them is not counted.
    kh, hl = rng.standard_normal((2, SAMPLE_PAIRS, prompts, prompts), dtype=np.float32)

    def released() -> None:
        for i in range(SAMPLE_PAIRS):
            np.trace(kh[i] @ hl[i])

    rows = paired([released, lambda: hsic_matrix(x, y)], rounds=9)
    return {
        "ratio": median_ratio(rows, 0, 1) * neurons**2 / SAMPLE_PAIRS,
        "seconds": min(row[1] for row in rows),
        "error": error(x.astype(np.float64), y.astype(np.float64), hsic_matrix(x, y)),
    }


def against_brute_force() -> dict[str, float]:
    """1,000 × 1,000 neurons, 1,500 prompts, in float64."""
    neurons, prompts = 1000, 1500
    x, y = made_up(neurons, prompts)
    factor = np.ones((RATE_SIZE, RATE_SIZE), dtype=np.float32)
    product = min(seconds(lambda: factor @ factor) for _ in range(5))
    brute = product * neurons**2 * prompts**2 / RATE_SIZE**3
    before = _peak()
    values: list[np.ndarray] = []
    taken = seconds(lambda: values.append(hsic_matrix(x, y)))
    peak = _peak() - before
    some = slice(0, 20)
    return {
        "ratio": taken / brute,
        "seconds": taken,
        "gib": peak / 2**30,
        "error": error(x[some], y[some], values[0][some, some]),
    }


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _alone(what: str) -> dict[str, float]:
    one = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.hsic_pairs", what],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | one,
    )
    return dict(json.loads(done.stdout))


def main(report: Report) -> None:
    """All of it."""
    found = _alone("released")
    report.note(
        f"HSIC of 200 x 200 neurons, 500 prompts, float32, one thread: {found['seconds']:.2f} s; "
        f"the released procedure is timed on {SAMPLE_PAIRS} pairs and scaled, without its kernels"
    )
    report.promise("released procedure / HSIC matrix, time", found["ratio"], at_least=500)
    report.promise("error / largest value, float32", found["error"], at_most=1e-6)

    found = _alone("brute")
    report.note(f"HSIC of 1,000 x 1,000 neurons, 1,500 prompts: {found['seconds']:.1f} s")
    report.promise(
        f"HSIC matrix / 2NMn² operations at the float32 rate of a {RATE_SIZE}³ product, time",
        found["ratio"],
        at_most=0.5,
    )
    report.promise("memory above the inputs, GiB", found["gib"], at_most=1.0)
    report.promise("error / largest value, 20 x 20 of them", found["error"], at_most=1e-8)


if __name__ == "__main__":
    parts = {"released": against_the_released_procedure, "brute": against_brute_force}
    print(json.dumps(parts[sys.argv[1]]()))
