import numpy as np
import pytest

from bridgex_core.bridge_sets import BridgeSettings, Layout, bridge_neurons, neuron_rows
from bridgex_core.errors import InputError
from bridgex_core.neurons import NeuronSets
from bridgex_core.probe import ProbeActivations

CODES = ("ind_Latn", "heb_Hebr", "eng_Latn", "fra_Latn")


def sets():
    masks = np.zeros((4, 2, 6), dtype=bool)
    masks[0, 0, [0, 1, 2]] = masks[1, 0, [1, 2, 3]] = True
    masks[2, 0, [2, 3]] = masks[2, 1, 5] = masks[3, 0, 1] = True
    return NeuronSets(CODES, masks, np.zeros(4), np.zeros(4))


def probe(layers=2, width=6, prompts=5, seed=0):
    random = np.random.default_rng(seed)
    values = random.standard_normal((layers, width, prompts)).astype(np.float32)
    return ProbeActivations(values, random.integers(5, 12, prompts))


def layout(here, there, **settings):
    """An overlap with ``here[l]`` neurons in layer l, and bridges b with ``there[b][l]``."""
    width = 1 + max(here) + max(map(max, there))
    overlap = np.arange(width) < np.array(here)[:, None]
    masks = {
        CODES[b]: np.arange(width)[::-1] < np.array(counts)[:, None]
        for b, counts in enumerate(there)
    }
    return Layout.of(
        probe(len(here), width), overlap, masks, BridgeSettings(band=(0.25, 0.75), **settings)
    )


# ---- bridge_neurons ------------------------------------------------------------------------------


def test_the_overlap_and_what_is_specific_to_a_bridge():
    overlap, specific = bridge_neurons(sets(), *CODES[:2], CODES[2:])
    assert np.argwhere(overlap).tolist() == [[0, 1], [0, 2]]
    assert np.argwhere(specific["eng_Latn"]).tolist() == [[0, 3], [1, 5]]
    assert not specific["fra_Latn"].any()


@pytest.mark.parametrize(
    ("source", "target", "bridges", "words"),
    [
        ("ind_Latn", "ind_Latn", ["eng_Latn"], "choose two"),
        ("ind_Latn", "heb_Hebr", [], "at least one"),
        ("ind_Latn", "heb_Hebr", ["eng_Latn", "heb_Hebr"], "heb_Hebr is the source or the target"),
        ("ind_Latn", "heb_Hebr", ["eng_Latn", "eng_Latn"], "twice"),
        ("ind_Latn", "heb_Hebr", ["deu_Latn"], "deu_Latn"),
    ],
)
def test_bad_languages_are_refused(source, target, bridges, words):
    with pytest.raises(InputError, match=words):
        bridge_neurons(sets(), source, target, bridges)


def test_settings_that_do_not_go_together_are_refused():
    with pytest.raises(InputError, match="pooled"):
        BridgeSettings(pooled=True, renumbered=True)
    for count in (1, -1):
        with pytest.raises(InputError, match="2 subsamples"):
            BridgeSettings(subsamples=count)


# ---- Layout --------------------------------------------------------------------------------------


def test_pooled_where_a_set_has_fewer_than_five_in_a_layer_of_the_band():
    assert not layout([0, 5, 5, 0], [[0, 5, 6, 1], [9, 5, 5, 0]]).pooled
    assert layout([0, 4, 5, 0], [[0, 5, 6, 1]]).pooled
    assert layout([5, 5, 5, 5], [[5, 5, 5, 5], [5, 5, 4, 5]]).pooled
    assert not layout([5, 5, 5, 5], [[5, 5, 4, 5]], pooled=False).pooled


def test_bridges_are_compared_on_the_layers_that_all_have():
    found = layout([3, 3, 3, 3], [[1, 1, 1, 1], [1, 0, 2, 1], [2, 2, 0, 0]], pooled=False)
    assert found.layers == ()
    assert len(found.reasons) == 3
    found = layout([3, 3, 3, 3], [[1, 1, 1, 1], [1, 0, 2, 1]], pooled=False)
    assert found.layers == (2,)
    assert found.band[:, 2].all()
    assert not found.reasons


def test_a_bridge_without_neurons_leaves_the_others_their_layers():
    for pooled in (False, True):
        found = layout([3, 3, 3, 3], [[1, 1, 1, 1], [1, 0, 0, 1]], pooled=pooled)
        assert found.layers == (1, 2)
        assert list(found.reasons) == [CODES[1]]
        assert "layers 1 to 2" in found.reasons[CODES[1]]
        assert not found.band[1].any()


def test_renumbering_reads_other_layers():
    # Layers 1, 3, 4 become 0, 1, 2, so that the band 2 to 3 of 5 reads layer 4 alone.
    overlap = np.ones((5, 3), dtype=bool)
    overlap[:, 2] = False
    mask = np.zeros((5, 3), dtype=bool)
    mask[[1, 3, 4], 2] = True
    settings = BridgeSettings.released((0.4, 0.8))
    found = Layout.of(probe(5, 3), overlap, {"a": mask, "b": mask & False}, settings)
    assert found.band.nonzero()[0].tolist() == [0]
    assert found.layers == (4,)
    assert list(found.reasons) == ["b"]


def test_an_overlap_outside_the_band_alone_is_told():
    with pytest.raises(InputError, match="layers 1 to 2"):
        layout([5, 0, 0, 5], [[5, 5, 5, 5]])


@pytest.mark.parametrize("prompts", [0, 1])
def test_a_single_prompt_is_refused(prompts):
    mask = np.ones((2, 6), dtype=bool)
    with pytest.raises(InputError, match=f"has {prompts}: add words"):
        Layout.of(probe(prompts=prompts), mask, {"a": mask}, BridgeSettings())


# ---- neuron_rows ---------------------------------------------------------------------------------


def test_rows_are_standardised():
    data = probe()
    rows = neuron_rows(data, np.array([[1, 3], [0, 2]]), BridgeSettings())
    want = data.values[1, 3].astype(float)
    assert rows.dtype == np.float32
    assert rows[0] == pytest.approx((want - want.mean()) / want.std(), abs=1e-6)


def test_a_regression_leaves_nothing_of_prompt_length():
    data = probe(prompts=30)
    data.values[0, 0] += 3 * data.lengths
    data.values[0, 1] = 0.1 + 0.37 * data.lengths  # nothing but length
    data.values[0, 2] = 0.3
    settings = BridgeSettings(regress_length=True)
    rows = neuron_rows(data, np.argwhere(np.ones((2, 6), dtype=bool)), settings)
    lengths = data.lengths - data.lengths.mean()
    assert np.abs(rows @ lengths).max() < 1e-4
    assert (rows[[1, 2]] == 0).all()
    # An independent solution of the same regression.
    design = np.stack([np.ones(30), data.lengths], axis=1)
    for row, values in zip(rows[[0, 3]], data.values[0, [0, 3]].astype(float), strict=True):
        rest = values - design @ np.linalg.lstsq(design, values)[0]
        assert row == pytest.approx(rest / rest.std(), abs=1e-5)


def test_prompts_of_one_length_need_no_regression():
    data = ProbeActivations(probe().values, np.full(5, 7))
    places = np.array([[0, 0], [1, 1]])
    plain, regressed = (
        neuron_rows(data, places, BridgeSettings(regress_length=on)) for on in (False, True)
    )
    assert regressed == pytest.approx(plain, abs=1e-6)
