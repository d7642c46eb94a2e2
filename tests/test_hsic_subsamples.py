import numpy as np
import pytest

from bridgex_core.errors import InputError
from bridgex_core.hsic_subsamples import GROUPS, Halves, subsampled


def naive_sigma(row):
    distances = np.abs(np.subtract.outer(row, row))[np.triu_indices(len(row), 1)]
    return np.median(distances) or 1.0


def naive(a, b, at, estimator, sigmas):
    """The definitions on the samples ``at``, with given σ, kernels centred by matrices."""
    n = len(at)
    k, l = (  # noqa: E741
        np.exp(-(np.subtract.outer(row[at], row[at]) ** 2) / (2 * sigma**2))
        for row, sigma in zip((a, b), sigmas, strict=True)
    )
    h = np.eye(n) - 1 / n
    if estimator == "biased":
        return np.trace(k @ h @ l @ h) / (n - 1) ** 2
    if estimator == "released":
        return np.trace(k @ h @ l)
    np.fill_diagonal(k, 0), np.fill_diagonal(l, 0)
    middle = k.sum(0) @ l.sum(0)
    return (np.trace(k @ l) + k.sum() * l.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * middle) / (
        n * (n - 3)
    )


def data(rows, samples, seed=0):
    random = np.random.default_rng(seed)
    signal = random.standard_normal((2, samples))
    return random.standard_normal((rows, 2)) @ signal + random.standard_normal((rows, samples))


def collected(x, y, halves, **keywords):
    found = np.full((len(halves.chosen), len(x), len(y)), np.nan)
    for i, j, values in subsampled(x, y, halves, **keywords):
        found[:, i, j] = values
    return found


@pytest.mark.parametrize("estimator", ["biased", "unbiased", "released"])
@pytest.mark.parametrize("samples", [20, 33])
def test_a_half_is_the_definition_with_the_bandwidth_of_the_whole(samples, estimator):
    x, y = data(3, samples), data(2, samples, 1)
    halves = Halves.draw(samples, 4, 0)
    found = collected(x, y, halves, estimator=estimator)
    for half in range(4):
        at = halves.order[halves.inside()[half]]
        want = [
            [naive(a, b, at, estimator, (naive_sigma(a), naive_sigma(b))) for b in y] for a in x
        ]
        assert found[half] == pytest.approx(np.array(want), rel=1e-9, abs=1e-12)


def test_many_rows_go_through_several_tiles():
    x, y = data(130, 24), data(260, 24, 1)
    halves = Halves.draw(24, 3, 0)
    whole = collected(x, y, halves)
    assert np.isfinite(whole).all()
    assert collected(x[128:], y[128:131], halves) == pytest.approx(whole[:, 128:, 128:131])


def test_bandwidth_by_number_and_constant_rows():
    x, halves = data(2, 30), Halves.draw(30, 2, 0)
    x[1] = 7.0
    found = collected(x, x, halves, bandwidth=0.8)
    at = halves.order[halves.inside()[1]]
    assert found[1, 0, 0] == pytest.approx(naive(x[0], x[0], at, "biased", (0.8, 0.8)))
    assert (found[:, 1] == 0).all()
    assert (found[:, :, 1] == 0).all()


@pytest.mark.parametrize("samples", [20, 21, 39, 57])
def test_halves_hold_half_of_the_groups_and_every_sample_is_in_one(samples):
    halves = Halves.draw(samples, 50, 3)
    assert sorted(halves.order) == list(range(samples))
    sizes = np.diff(halves.bounds)
    assert len(sizes) == GROUPS
    assert sizes.sum() == samples
    assert np.ptp(sizes) <= 1
    assert (halves.chosen.sum(1) == GROUPS // 2).all()
    assert abs(halves.inside().sum(1).mean() - samples / 2) < 1
    assert (Halves.draw(samples, 50, 3).chosen == halves.chosen).all()
    assert (Halves.draw(samples, 50, 4).order != halves.order).any()


def test_what_hsic_refuses_is_refused():
    with pytest.raises(InputError, match="estimator"):
        list(subsampled(data(1, 20), data(1, 20), Halves.draw(20, 2, 0), estimator="best"))
