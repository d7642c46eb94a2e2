import numpy as np
import pytest

from bridgex_core.bridge_hsic import score_bridges
from bridgex_core.bridge_null import _draw, calibrate
from bridgex_core.bridge_sets import BridgeSettings
from bridgex_core.errors import InputError
from bridgex_core.hsic import hsic_matrix, set_similarity, standardise
from bridgex_core.probe import ProbeActivations

LAYERS, WIDTH, PROMPTS = 3, 200, 60
BAND = (0.3, 1.0)  # layers 1 and 2
REGRESSED = BridgeSettings(band=BAND, pooled=False, regress_length=True)


def exchangeable(seed, sizes, *, width=WIDTH, prompts=PROMPTS):
    """Neurons that differ by chance alone, of random sets that have high activation probability."""
    random = np.random.default_rng(seed)
    values = random.standard_normal((LAYERS, width, 2)) @ random.standard_normal((2, prompts))
    values += 2 * random.standard_normal(values.shape)
    overlap = np.zeros((LAYERS, width), dtype=bool)
    specific = {code: overlap.copy() for code in sizes}
    for layer in range(LAYERS):
        order = random.permutation(width)
        overlap[layer, order[:4]] = True
        for code, size in sizes.items():
            specific[code][layer, random.choice(order[4:], size, replace=False)] = True
    probe = ProbeActivations(values.astype(np.float32), random.integers(4, 9, prompts))
    probability = random.random((LAYERS, width))
    probability[np.any([overlap, *specific.values()], axis=0)] += 1
    return probe, overlap, specific, probability


# ---- Drawing -------------------------------------------------------------------------------------


def test_a_draw_holds_no_neuron_twice_and_stays_near_in_activation_probability():
    random = np.random.default_rng(0)
    probability = random.random(300)
    own, free = np.zeros(300, dtype=bool), np.ones(300, dtype=bool)
    own[random.choice(300, 4, replace=False)] = True
    free[own] = free[:50] = False
    found = _draw(probability, own, free, 200, 50, random)
    assert found.shape == (200, 4)
    assert free[found].all()
    assert all(len(set(row)) == 4 for row in found.tolist())
    pool = np.sort(probability[free])
    for wanted, drawn in zip(probability[own], found.T, strict=True):
        ranks = pool.searchsorted(probability[drawn])
        assert np.ptp(ranks) < 50
        middle = pool.searchsorted(wanted)
        assert np.abs(ranks - np.clip(middle, 25, len(pool) - 25)).max() <= 26
        assert len(set(drawn.tolist())) > 30  # all of the neighbours, not the nearest alone


def test_a_large_set_on_one_spot_has_more_neighbours():
    probability, own = np.linspace(0, 1, 300), np.arange(300) >= 280
    found = _draw(probability, own, ~own, 10, 50, np.random.default_rng(0))
    assert all(len(set(row)) == 20 for row in found.tolist())
    assert 280 - 10 * 20 <= found.min() < 280 - 180


def test_neurons_run_out():
    own = np.arange(10) < 6
    assert _draw(np.ones(10), own, ~own, 3, 50, np.random.default_rng(0)) is None
    own[5] = False
    found = _draw(np.ones(10), own, ~own, 3, 50, np.random.default_rng(0))
    assert (np.sort(found, axis=1) == np.arange(5, 10)).all()


# ---- The null ------------------------------------------------------------------------------------


@pytest.mark.parametrize("pooled", [False, True])
def test_a_null_that_can_be_drawn_in_one_way_only(pooled):
    """With as many free neurons as are wanted, every draw is the same known set."""
    random = np.random.default_rng(0)
    probe = ProbeActivations(random.standard_normal((2, 8, 30)).astype(np.float32), np.full(30, 5))
    columns = np.broadcast_to(np.arange(8), (2, 8))
    probability = np.ones((2, 8))
    probability[0, 7] = 0.0  # dead
    probe.values[1, 7] = 2.0  # constant
    settings = BridgeSettings(band=(0.0, 1.0), pooled=pooled)
    specific = {"a": (columns >= 2) & (columns < 4)}
    specific["a"][:, 4] = True
    found = calibrate(probe, columns < 2, specific, probability, settings, draws=4)
    x = [standardise(probe.values[layer, :2]) for layer in (0, 1)]
    y = [standardise(probe.values[layer, 5:7]) for layer in (0, 1)]
    # Three are wanted, two are free.
    assert np.isnan(found.scores).all()
    assert "too few" in found.reasons["a"]
    specific["a"][:, 4] = False
    probability[:, 4] = 0.0
    found = calibrate(probe, columns < 2, specific, probability, settings, draws=4)
    by_layer = [set_similarity(hsic_matrix(x[i], y[i])) for i in (0, 1)]
    both = set_similarity(hsic_matrix(np.concatenate(x), np.concatenate(y)))
    assert found.draws == pytest.approx(both if pooled else np.mean(by_layer), rel=1e-5)
    assert found.layer_null.mean[0] == pytest.approx(by_layer, rel=1e-5)
    # A null without any spread compares with nothing.
    assert np.isnan(found.scores).all()


def test_z_p_and_quantiles_come_from_the_draws():
    probe, overlap, specific, probability = exchangeable(0, {"a": 6, "b": 9})
    found = calibrate(probe, overlap, specific, probability, REGRESSED)
    plain = score_bridges(probe, overlap, specific, REGRESSED)
    assert found.plain.scores == pytest.approx(plain.scores)
    assert found.draws.shape == (200, 2)
    mean, sd = found.draws.mean(0), found.draws.std(0, ddof=1)
    assert found.scores == pytest.approx((plain.scores - mean) / sd)
    assert found.spread == pytest.approx(plain.spread / sd)
    assert found.subsamples.mean(0) == pytest.approx(found.scores)
    for b in range(2):
        above = sum(draw >= plain.scores[b] for draw in found.draws[:, b])
        assert found.p_values[b] == pytest.approx((1 + above) / 201)
    assert found.null.low == pytest.approx(np.quantile(found.draws, 0.025, axis=0))
    assert found.layer_null.high.shape == (2, LAYERS)
    assert (found.layer_null.low < found.layer_null.mean).all()
    assert found.null.mean == pytest.approx(found.layer_null.mean[:, 1:].mean(1), rel=1e-6)


def test_the_seed_decides_and_other_bridges_do_not():
    probe, overlap, specific, probability = exchangeable(1, {"a": 6, "b": 9})
    settings = BridgeSettings(band=BAND, pooled=True)
    found = calibrate(probe, overlap, specific, probability, settings)
    again = calibrate(probe, overlap, {"b": specific["b"]}, probability, settings)
    assert again.draws[:, 0] == pytest.approx(found.draws[:, 1], rel=1e-5)
    other = calibrate(
        probe, overlap, specific, probability, BridgeSettings(band=BAND, pooled=True, seed=1)
    )
    assert np.abs(other.draws - found.draws).max() > 1e-4


def topics(seed, strength):
    """Every neuron follows one of 100 topics; those of ``true`` follow the overlap's, but weakly.

    Of the many neurons of ``large``, some follow the overlap's topics by chance.
    """
    random = np.random.default_rng(seed)
    probe, overlap, specific, probability = exchangeable(
        seed, {"true": 12, "large": 100}, width=1200
    )
    specific["large"] &= ~specific["true"]
    topic = random.integers(0, 100, overlap.shape)
    topic[specific["true"]] = random.choice(topic[overlap], specific["true"].sum())
    strengths = np.where(specific["true"], strength, 2.0)
    values = random.standard_normal((100, PROMPTS))[topic] * strengths[:, :, None]
    values += random.standard_normal(values.shape)
    probe = ProbeActivations(values.astype(np.float32), probe.lengths)
    return probe, overlap, specific, probability


def test_a_shared_signal_wins_against_a_larger_set_of_nothing():
    found = calibrate(*topics(0, 1.4), BridgeSettings(band=BAND))
    assert found.plain.ranking[0] == "large"
    assert found.ranking[0] == "true"
    assert found.scores[0] > 3
    assert abs(found.scores[1]) < 3
    assert found.p_values[0] == 1 / 201


@pytest.mark.parametrize("pooled", [False, True])
def test_z_is_about_standard_normal_where_there_is_nothing(pooled):
    settings = BridgeSettings(band=BAND, pooled=pooled, subsamples=0)
    z, p = [], []
    for seed in range(40):
        found = calibrate(*exchangeable(seed, {"a": 5, "b": 15}, prompts=24), settings, draws=60)
        z.append(found.scores)
        p.append(found.p_values)
    z, p = np.array(z), np.array(p)
    assert np.abs(z.mean(0)).max() < 0.5  # √40 · 0.5 is three standard errors
    assert z.std(0).min() > 0.7
    assert z.std(0).max() < 1.4
    assert 0.35 < p.mean() < 0.65


def test_length_is_regressed_out_by_default():
    probe, overlap, specific, probability = exchangeable(0, {"a": 6})
    found = calibrate(probe, overlap, specific, probability, draws=5)
    assert found.plain.settings.regress_length


@pytest.mark.parametrize(
    "settings", [BridgeSettings.released(BAND), BridgeSettings(band=BAND, bandwidth="released")]
)
def test_released_scores_have_no_null(settings):
    with pytest.raises(InputError, match="released scores"):
        calibrate(*exchangeable(0, {"a": 6}), settings)


def test_a_bridge_without_neurons_keeps_its_reason():
    probe, overlap, specific, probability = exchangeable(0, {"a": 6, "b": 6})
    specific["b"][:] = False
    for pooled in (False, True):
        settings = BridgeSettings(band=BAND, pooled=pooled)
        found = calibrate(probe, overlap, specific, probability, settings, draws=20)
        assert np.isfinite(found.scores[0])
        assert np.isnan(found.scores[1])
        assert found.reasons == found.plain.reasons
        assert found.ranking == ("a", "b")
        assert np.isnan(found.p_values[1])
