import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridgex_core.bridge_hsic import FEWEST_PROMPTS, Ranked, first_shares, score_bridges
from bridgex_core.bridge_sets import BridgeSettings
from bridgex_core.errors import InputError
from bridgex_core.hsic_subsamples import Halves
from bridgex_core.probe import ProbeActivations

# ---- Oracles: loops in float64 -----------------------------------------------------------------


def standard(row):
    row = row.astype(float)
    return (row - row.mean()) / row.std()


def median(row):
    return np.median(np.abs(np.subtract.outer(row, row))[np.triu_indices(len(row), 1)])


def pair(a, b, sigmas, estimator="biased"):
    n = len(a)
    k, l = (  # noqa: E741
        np.exp(-(np.subtract.outer(r, r) ** 2) / (2 * s**2))
        for r, s in zip((a, b), sigmas, strict=True)
    )
    h = np.eye(n) - 1 / n
    return np.trace(k @ h @ l @ h) / (n - 1) ** 2 if estimator == "biased" else np.trace(k @ h @ l)


def similarity(xs, ys, at=None, released=False):
    """The mean of maxima over rows that are standardised, and have their σ, on all prompts."""
    xs, ys = [standard(x) for x in xs], [standard(y) for y in ys]
    if released:
        distances = sorted(np.linalg.norm(a - b) for side in (xs, ys) for a in side for b in side)
        sigma = distances[(len(distances) - 1) // 2] + 1e-6
        x_sigmas, y_sigmas = [sigma] * len(xs), [sigma] * len(ys)
    else:
        x_sigmas, y_sigmas = [median(x) for x in xs], [median(y) for y in ys]
    at = np.arange(len(xs[0])) if at is None else at
    values = np.array(
        [
            [
                pair(x[at], y[at], (s, t), "released" if released else "biased")
                for y, t in zip(ys, y_sigmas, strict=True)
            ]
            for x, s in zip(xs, x_sigmas, strict=True)
        ]
    )
    return (values.max(1).mean() + values.max(0).mean()) / 2


# ---- Data ----------------------------------------------------------------------------------------

LAYERS, WIDTH = 5, 12
BAND = BridgeSettings(band=(0.2, 0.8))  # layers 1 to 3


def study(seed=0, prompts=24, bridges=("a", "b", "c"), here=3, there=4):
    """A probe with some signal, an overlap, and bridges that share neurons with one another."""
    random = np.random.default_rng(seed)
    signal = random.standard_normal((3, prompts))
    values = random.standard_normal((LAYERS, WIDTH, 3)) @ signal
    values += 0.5 * random.standard_normal(values.shape)
    probe = ProbeActivations(values.astype(np.float32), random.integers(4, 9, prompts))
    overlap = np.arange(WIDTH) < np.full((LAYERS, 1), here)
    specific = {}
    for code in bridges:
        mask = np.zeros((LAYERS, WIDTH), dtype=bool)
        for layer in range(LAYERS):
            mask[layer, random.choice(np.arange(here, WIDTH), there, replace=False)] = True
        specific[code] = mask
    return probe, overlap, specific


def of_layer(probe, overlap, mask, layer, **keywords):
    return similarity(
        probe.values[layer, overlap[layer]], probe.values[layer, mask[layer]], **keywords
    )


def with_settings(**changes):
    return BridgeSettings(**{"band": BAND.band, **changes})


# ---- Scores against the oracles ------------------------------------------------------------------


def test_a_score_is_the_mean_over_the_layers_of_the_band():
    probe, overlap, specific = study()
    found = score_bridges(probe, overlap, specific, with_settings(pooled=False))
    assert found.layers == (1, 2, 3)
    assert not found.pooled
    for b, mask in enumerate(specific.values()):
        want = [of_layer(probe, overlap, mask, layer) for layer in range(LAYERS)]
        assert found.layer_scores[b] == pytest.approx(want, rel=3e-6)
        assert found.scores[b] == pytest.approx(np.mean(want[1:4]), rel=3e-6)


def test_pooled_takes_the_neurons_of_the_band_together():
    probe, overlap, specific = study()
    found = score_bridges(probe, overlap, specific, BAND)
    assert found.pooled  # three neurons of the overlap in a layer
    for b, mask in enumerate(specific.values()):
        want = similarity(probe.values[1:4][overlap[1:4]], probe.values[1:4][mask[1:4]])
        assert found.scores[b] == pytest.approx(want, rel=3e-6)
        assert found.layer_scores[b, 4] == pytest.approx(
            of_layer(probe, overlap, mask, 4), rel=3e-6
        )


def test_the_released_score_reads_renumbered_layers():
    probe, overlap, specific = study()
    specific["a"][1] = False
    found = score_bridges(probe, overlap, specific, BridgeSettings.released((0.2, 0.8)))
    read = {"a": (2, 3, 4), "b": (1, 2, 3), "c": (1, 2, 3)}
    for b, (code, mask) in enumerate(specific.items()):
        want = [of_layer(probe, overlap, mask, layer, released=True) for layer in read[code]]
        assert found.scores[b] == pytest.approx(np.mean(want), rel=3e-6)
    assert found.layers == (1, 2, 3, 4)
    assert len(found.subsamples) == BAND.subsamples


@pytest.mark.parametrize("pooled", [False, True])
def test_a_subsample_is_the_score_on_half_of_the_prompts(pooled):
    probe, overlap, specific = study(prompts=26)
    asked = with_settings(pooled=pooled, subsamples=3, seed=5)
    found = score_bridges(probe, overlap, specific, asked)
    halves = Halves.draw(26, 3, 5)
    for half in range(3):
        at = halves.order[halves.inside()[half]]
        for b, mask in enumerate(specific.values()):
            if pooled:
                x, y = (probe.values[1:4][m[1:4]] for m in (overlap, mask))
                want = similarity(x, y, at=at)
            else:
                want = np.mean(
                    [of_layer(probe, overlap, mask, layer, at=at) for layer in (1, 2, 3)]
                )
            assert found.subsamples[half, b] == pytest.approx(want, rel=1e-5)


def test_the_best_pairs_are_those_of_highest_hsic():
    probe, overlap, specific = study()
    for pooled in (False, True):
        found = score_bridges(probe, overlap, specific, with_settings(pooled=pooled))
        table = found.best_pairs["b"]
        assert len(table) == 20
        assert (np.diff(table.hsic) <= 0).all()
        assert set(table.layer) <= {1, 2, 3}
        assert pooled or (table.layer == table.bridge_layer).all()
        for row in (table.iloc[0], table.iloc[19]):
            a = standard(probe.values[int(row.layer), int(row.neuron)])
            b = standard(probe.values[int(row.bridge_layer), int(row.bridge_neuron)])
            assert row.hsic == pytest.approx(pair(a, b, (median(a), median(b))), rel=1e-5)
            assert overlap[int(row.layer), int(row.neuron)]
            assert specific["b"][int(row.bridge_layer), int(row.bridge_neuron)]
        # What comes first is the largest of all maxima that the score is made of.
        assert table.hsic[0] >= found.scores[1]


# ---- Missing layers, few prompts -----------------------------------------------------------------


def test_a_layer_without_neurons_is_missing_not_zero():
    probe, overlap, specific = study()
    specific["a"][2] = False
    overlap[4] = False
    found = score_bridges(probe, overlap, specific, with_settings(pooled=False))
    assert found.layers == (1, 3)
    assert np.isnan(found.layer_scores[0, 2])
    assert np.isnan(found.layer_scores[:, 4]).all()
    assert found.scores == pytest.approx(found.layer_scores[:, [1, 3]].mean(1))
    assert found.counts[0].tolist() == [4, 4, 0, 4, 4]
    assert found.overlap_counts[4] == 0


def test_a_bridge_without_neurons_has_no_score_and_a_reason():
    probe, overlap, specific = study()
    specific["b"][1:4] = False
    for pooled in (False, True):
        found = score_bridges(probe, overlap, specific, with_settings(pooled=pooled))
        assert np.isnan(found.scores).tolist() == [False, True, False]
        assert found.ranking[-1] == "b"
        assert found.first_share[1] == 0
        assert found.frame().reason.iloc[-1] == found.reasons["b"] != ""
        assert found.best_pairs["b"].empty
        assert "b" not in found.as_good_as_first


def test_no_layer_in_common_gives_reasons_for_all():
    probe, overlap, specific = study(bridges=("a", "b"))
    specific["a"][[1, 2]] = specific["b"][3] = False
    found = score_bridges(probe, overlap, specific, with_settings(pooled=False))
    assert np.isnan(found.scores).all()
    assert set(found.reasons) == {"a", "b"}
    assert found.as_good_as_first == ()
    assert np.isnan(found.first_share).all()


def test_few_prompts_give_a_score_without_an_interval():
    probe, overlap, specific = study(prompts=FEWEST_PROMPTS - 1)
    found = score_bridges(probe, overlap, specific, BAND)
    assert np.isfinite(found.scores).all()
    assert found.subsamples.shape == (0, 3)
    assert np.isnan([found.low, found.high, found.first_share]).all()
    assert found.as_good_as_first == found.ranking[:1]
    enough = study(prompts=FEWEST_PROMPTS)
    assert len(score_bridges(*enough, BAND).subsamples) == 100
    assert not len(score_bridges(*enough, with_settings(subsamples=0)).subsamples)


def test_a_single_prompt_is_refused():
    with pytest.raises(InputError, match="add words"):
        score_bridges(*study(prompts=1), BAND)


# ---- Properties ----------------------------------------------------------------------------------


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), pooled=st.booleans())
def test_the_order_of_prompts_and_of_bridges_does_not_matter(seed, pooled):
    probe, overlap, specific = study(seed, prompts=12)
    order = np.random.default_rng(seed).permutation(12)
    shuffled = ProbeActivations(probe.values[:, :, order], probe.lengths[order])
    asked = with_settings(pooled=pooled, regress_length=True)
    found = score_bridges(probe, overlap, specific, asked)
    other = score_bridges(shuffled, overlap, dict(reversed(specific.items())), asked)
    assert other.scores[::-1] == pytest.approx(found.scores, rel=1e-5)
    assert other.layer_scores[::-1] == pytest.approx(found.layer_scores, rel=1e-5)


def test_the_shift_and_scale_of_activations_do_not_matter():
    probe, overlap, specific = study()
    moved = ProbeActivations(4 * probe.values - 1, probe.lengths)
    found, other = (score_bridges(p, overlap, specific, BAND) for p in (probe, moved))
    assert other.scores == pytest.approx(found.scores, rel=1e-5)


def test_equal_bridges_tie():
    probe, overlap, specific = study(bridges=("a", "b"))
    specific["twin"] = specific["a"].copy()
    found = score_bridges(probe, overlap, specific, BAND)
    assert found.scores[0] == found.scores[2]
    assert found.first_share[0] == found.first_share[2]
    assert found.first_share.sum() == pytest.approx(1)
    places = [found.ranking.index(code) for code in ("a", "twin")]
    assert places[1] == places[0] + 1


def test_a_planted_length_is_regressed_out():
    """Length alone moves the overlap and bridge a; b shares the signal of the overlap."""
    random = np.random.default_rng(1)
    prompts = 60
    lengths = random.integers(4, 20, prompts)
    signal, noise = random.standard_normal(prompts), random.standard_normal((5, 12, prompts))
    length = (lengths - lengths.mean()) / lengths.std()
    values = 0.3 * noise
    values[:, :4] += signal + 2 * length
    values[:, 4:8] += 2 * length
    values[:, 8:] += signal
    probe = ProbeActivations(values.astype(np.float32), lengths)
    columns = np.broadcast_to(np.arange(12), (5, 12))
    specific = {"a": (columns >= 4) & (columns < 8), "b": columns >= 8}
    plain = score_bridges(probe, columns < 4, specific, BAND)
    regressed = score_bridges(probe, columns < 4, specific, with_settings(regress_length=True))
    assert plain.ranking[0] == "a"
    assert regressed.ranking[0] == "b"
    assert regressed.scores[0] < regressed.scores[1] / 3
    assert regressed.as_good_as_first == ("b",)
    assert regressed.first_share[1] == 1


def test_the_interval_follows_the_spread_of_new_prompts():
    """The jackknife's standard deviation against that of the score over fresh draws of prompts."""
    random = np.random.default_rng(0)
    loadings = random.standard_normal((5, 12, 2))
    columns = np.broadcast_to(np.arange(12), (5, 12))
    scores, reaches = [], []
    for _ in range(60):
        values = loadings @ random.standard_normal((2, 60)) + random.standard_normal((5, 12, 60))
        probe = ProbeActivations(values.astype(np.float32), np.full(60, 5))
        found = score_bridges(probe, columns < 3, {"a": columns > 7}, BAND)
        scores.append(found.scores[0])
        reaches.append(found.spread[0])
    assert 0.75 < np.mean(reaches) / (1.96 * np.std(scores)) < 1.6


# ---- Ranked --------------------------------------------------------------------------------------


def test_ranked_by_hand():
    subsamples = np.array([[3.0, 2.0, 0.0, np.nan], [1.0, 2.0, 0.0, np.nan]])
    found = Ranked(tuple("abcd"), np.array([2.0, 2.5, 0.0, np.nan]), subsamples, {"d": "No."})
    assert found.ranking == tuple("bacd")
    assert found.spread[:3] == pytest.approx([1.96, 0, 0])
    assert found.low[0] == pytest.approx(0.04)
    assert found.high[1] == 2.5
    assert found.first_share.tolist() == [0.5, 0.5, 0, 0]
    assert found.as_good_as_first == ("b", "a")  # 0.5 behind, by 1.96·1; c is 2.5 behind, by 0
    table = found.frame()
    assert table.bridge.tolist() == list("bacd")
    assert table.reason.tolist() == ["", "", "", "No."]


def test_a_tie_for_the_first_place_is_split():
    shares = first_shares(np.array([[1.0, 1.0, 0.5], [0.0, 2.0, 2.0]]))
    assert shares.tolist() == [0.25, 0.5, 0.25]
    assert np.isnan(first_shares(np.empty((0, 2)))).all()
