"""Two languages of a spectrum, against the whole one and a textbook jackknife."""

import numpy as np
import pytest

from bridgex_core.activations import ActivationStats
from bridgex_core.errors import InputError
from bridgex_core.neurons import ActivationTable
from bridgex_core.pairs import pair, pair_of_sets
from bridgex_core.spectrum import SpectrumSettings, select, spectrum
from tests.test_spectrum import random_stats


def test_pair_adds_up_and_lists_the_shared_neurons():
    stats = random_stats(1)
    wanted = SpectrumSettings(top_rate=0.2, band=(0.25, 1.0))
    table = ActivationTable.of(stats)
    matrix, found = spectrum(table, wanted), pair(stats, wanted, "fra_Latn", "swh_Latn")
    assert list(found.layers) == [1, 2, 3]
    assert found.shared.sum() == matrix.shared[2, 4] == len(found.strongest)
    assert (found.shared + found.only_a).sum() == matrix.sizes[2]
    assert (found.shared + found.only_b).sum() == matrix.sizes[4]
    assert found.value == matrix.values[2, 4]
    assert found.low < found.value < found.high
    weakest = found.strongest[["probability_a", "probability_b"]].min(axis=1)
    assert weakest.is_monotonic_decreasing
    masks = select(table, wanted).masks
    first = found.strongest.iloc[0]
    layer, neuron = int(first.layer), int(first.neuron)
    assert masks[2, layer, neuron]
    assert masks[4, layer, neuron]
    assert first.probability_a == table.probability[2, layer, neuron]
    assert first.mean_b == table.means[4, layer, neuron]


def test_pair_interval_is_the_textbook_jackknife():
    stats = random_stats(2)
    wanted = SpectrumSettings(top_rate=0.2)
    found = pair(stats, wanted, "eng_Latn", "deu_Latn")
    leave_one_out = []
    for block in range(6):
        keep = [b for b in range(6) if b != block]
        part = {
            code: ActivationStats(s.positive_counts[keep], s.sums[keep], s.token_counts[keep])
            for code, s in stats.items()
        }
        leave_one_out.append(spectrum(ActivationTable.of(part), wanted).values[0, 1])
    error = np.sqrt(5 / 6 * sum((v - np.mean(leave_one_out)) ** 2 for v in leave_one_out))
    assert found.high - found.value == pytest.approx(1.959964 * error)


def test_pair_of_one_language_or_a_stranger():
    stats = random_stats(0)
    with pytest.raises(InputError, match="two different"):
        pair(stats, SpectrumSettings(), "eng_Latn", "eng_Latn")
    with pytest.raises(InputError, match="jpn_Jpan is not among"):
        pair(stats, SpectrumSettings(), "eng_Latn", "jpn_Jpan")


def test_a_pair_of_given_sets_is_that_of_their_statistics():
    stats = random_stats(1)
    wanted = SpectrumSettings(top_rate=0.2, band=(0.25, 1.0))
    whole = pair(stats, wanted, "fra_Latn", "swh_Latn")
    sets = select(ActivationTable.of(stats), wanted)
    given = pair_of_sets(sets, wanted, "fra_Latn", "swh_Latn")
    for name in ("shared", "only_a", "only_b"):
        np.testing.assert_array_equal(getattr(given, name), getattr(whole, name))
    assert (given.value, given.layers) == (whole.value, whole.layers)
    assert np.isnan([given.low, given.high]).all()
    places = whole.strongest[["layer", "neuron"]].sort_values(["layer", "neuron"])
    np.testing.assert_array_equal(given.strongest.to_numpy(), places.to_numpy())
    with pytest.raises(InputError, match="jpn_Jpan is not among"):
        pair_of_sets(sets, wanted, "fra_Latn", "jpn_Jpan")
    with pytest.raises(InputError, match="two different"):
        pair_of_sets(sets, wanted, "fra_Latn", "fra_Latn")
