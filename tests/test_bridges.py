"""Every ranker against a naive oracle, and what is said of a ranking."""

from dataclasses import replace

import numpy as np
import pytest

from bridgex_core.alignment import SentenceStates
from bridgex_core.bridge_hsic import Ranked
from bridgex_core.bridge_null import calibrate
from bridgex_core.bridge_sets import BridgeSettings
from bridgex_core.bridges import (
    ENGLISH,
    ON_PROBE,
    ON_STATISTICS,
    RANKERS,
    Evidence,
    can_rank,
    rank,
    rank_by,
    require_route,
    verdict,
)
from bridgex_core.errors import InputError
from bridgex_core.languages import register
from bridgex_core.neurons import ActivationTable
from bridgex_core.probe import ProbeActivations
from bridgex_core.spectrum import SpectrumSettings
from bridgex_core.typology import TYPOLOGY_KINDS, typology_similarity
from tests.test_bridge_hsic import of_layer

SOURCE, TARGET = "fin_Latn", "swh_Latn"
BRIDGES = ("eng_Latn", "deu_Latn", "spa_Latn")
LANGUAGES = (SOURCE, TARGET, *BRIDGES)
LAYERS, WIDTH, PROMPTS, TOKENS = 4, 40, 24, 50
SETS = SpectrumSettings(top_rate=40 / (LAYERS * WIDTH))
BAND = BridgeSettings(band=(0.25, 0.75), pooled=False)  # layers 1 and 2
STEPS = [step for bridge in BRIDGES for step in ((SOURCE, bridge), (bridge, TARGET))]


def states(random) -> SentenceStates:
    active = np.packbits(random.random((6, LAYERS, WIDTH)) < 0.5, axis=2)
    return SentenceStates(active, None, np.full(6, 9))


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    """All evidence, at random; languages share about half of their neurons."""
    random = np.random.default_rng(0)
    common = random.random((LAYERS, WIDTH))
    chances = 0.6 * common + 0.4 * random.random((len(LANGUAGES), LAYERS, WIDTH))
    counts = random.binomial(TOKENS, chances)
    means = random.random(counts.shape)
    signal = random.normal(size=(3, PROMPTS))
    values = random.normal(size=(LAYERS, WIDTH, 3)) @ signal
    values += random.normal(size=values.shape)
    return Evidence(
        SOURCE,
        TARGET,
        BRIDGES,
        ActivationTable(LANGUAGES, counts, means, np.full(len(LANGUAGES), TOKENS)),
        ProbeActivations(values.astype(np.float32), random.integers(5, 20, PROMPTS)),
        {code: states(random) for code in LANGUAGES},
        {step: (random.random(40) < 0.3).astype(float) for step in STEPS},
        SETS,
        BAND,
    )


def sets_of(evidence, ties="break") -> dict[str, np.ndarray]:
    """The 40 neurons of highest count; a tie by mean, or all that tie."""
    found = {}
    for code, counts, means in zip(
        LANGUAGES, evidence.table.counts, evidence.table.means, strict=True
    ):
        order = sorted(range(counts.size), key=lambda n: (-counts.flat[n], -means.flat[n]))
        mask = np.zeros(counts.size, dtype=bool)
        mask[order[:40]] = True
        if ties == "include":
            mask = counts.ravel() >= counts.flat[order[39]]
        found[code] = mask.reshape(counts.shape)
    return found


def neurons(evidence, **keywords):
    sets = sets_of(evidence, **keywords)
    overlap = sets[SOURCE] & sets[TARGET]
    return overlap, {code: sets[code] & ~overlap for code in BRIDGES}


# ---- Each against its oracle -------------------------------------------------------------------


def test_hsic(evidence):
    overlap, specific = neurons(evidence)
    found = rank(evidence, "hsic")
    for score, mask in zip(found.scores, specific.values(), strict=True):
        by_layer = [of_layer(evidence.probe, overlap, mask, layer) for layer in (1, 2)]
        assert score == pytest.approx(np.mean(by_layer), rel=3e-6)
    assert found.bridges == BRIDGES
    assert len(found.subsamples) == 100


def test_hsic_as_released(evidence):
    """Ties included, one bandwidth for a layer, centred on one side, no layer is empty here."""
    overlap, specific = neurons(evidence, ties="include")
    found = rank(replace(evidence, settings=replace(BAND, subsamples=4, seed=7)), "hsic-released")
    assert sets_of(evidence, "include")[SOURCE].sum() > 40
    for score, mask in zip(found.scores, specific.values(), strict=True):
        by_layer = [
            of_layer(evidence.probe, overlap, mask, layer, released=True) for layer in (1, 2)
        ]
        assert score == pytest.approx(np.mean(by_layer), rel=3e-6)
    assert len(found.subsamples) == 4


def test_hsic_calibrated(evidence):
    """Against random sets of the mean activation probability, prompt length taken out."""
    found = rank(evidence, "hsic-calibrated")
    mean = evidence.table.counts.mean(axis=0) / TOKENS
    regressed = replace(BAND, regress_length=True)
    expected = calibrate(evidence.probe, *neurons(evidence), mean, regressed)
    np.testing.assert_allclose(found.scores, expected.scores)
    np.testing.assert_allclose(
        found.scores, (found.plain.scores - found.draws.mean(0)) / found.draws.std(0, ddof=1)
    )
    assert found.draws.shape == (200, 3)
    plain = rank(evidence, "hsic").scores
    assert not np.allclose(found.plain.scores, plain)
    asked = replace(evidence, settings=regressed)
    np.testing.assert_allclose(found.plain.scores, rank(asked, "hsic").scores)


def test_competence_is_the_chance_that_both_steps_hold(evidence):
    right = {step: np.zeros(40) for step in STEPS}
    right[SOURCE, "eng_Latn"][:20], right["eng_Latn", TARGET][:10] = 1, 1  # 0.5 x 0.25
    right[SOURCE, "deu_Latn"][:30], right["deu_Latn", TARGET][:8] = 1, 1  # 0.75 x 0.2
    right[SOURCE, "spa_Latn"][:] = 1  # 1 x 0
    found = rank(replace(evidence, competence=right), "competence")
    assert found.scores == pytest.approx([0.125, 0.15, 0])
    assert found.ranking == ("deu_Latn", "eng_Latn", "spa_Latn")
    # The variance of a product of two independent means of 40 words each.
    variance = [
        (p * q / 40 + m**2) * (r * s / 40 + n**2) - (m * n) ** 2
        for m, p, q, n, r, s in (
            (0.5, 0.5, 0.5, 0.25, 0.25, 0.75),
            (0.75, 0.75, 0.25, 0.2, 0.2, 0.8),
        )
    ]
    assert found.spread[:2] == pytest.approx(1.96 * np.sqrt(variance), rel=0.2)
    assert found.spread[2] == 0
    assert set(found.as_good_as_first) == {"deu_Latn", "eng_Latn"}


def naive_closeness(evidence, similarity):
    sets = sets_of(evidence)
    return [
        np.mean([similarity(end, bridge, sets[end], sets[bridge]) for end in (SOURCE, TARGET)])
        for bridge in BRIDGES
    ]


def test_overlap(evidence):
    expected = naive_closeness(
        evidence, lambda a, b, one, other: (one & other).sum() / (one | other).sum()
    )
    assert rank(evidence, "overlap").scores == pytest.approx(expected)


def test_activation_similarity(evidence):
    chance = dict(zip(LANGUAGES, evidence.table.counts / TOKENS, strict=True))

    def cosine(a, b, one, other):
        x, y = (chance[code][one & other] for code in (a, b))
        return x @ y / np.sqrt((x @ x) * (y @ y))

    found = rank(evidence, "activation")
    assert found.scores == pytest.approx(naive_closeness(evidence, cosine))
    assert np.isnan(found.low).all()


def test_alignment(evidence):
    """Blocks that are mutual nearest neighbours by the Jaccard of their active neurons."""

    def active(code):
        bits = np.unpackbits(evidence.states[code].active, axis=2)[:, 1:3, :WIDTH]
        return bits.reshape(6, -1).astype(bool)

    def share(a, b, *_):
        x, y = active(a), active(b)
        alike = [[(p & q).sum() / (p | q).sum() for q in y] for p in x]
        return np.mean(
            [
                all(
                    alike[i][i] > alike[i][j] and alike[i][i] > alike[j][i]
                    for j in range(6)
                    if j != i
                )
                for i in range(6)
            ]
        )

    found = rank(evidence, "alignment")
    assert found.scores == pytest.approx(naive_closeness(evidence, share))


def test_uriel(evidence):
    found = rank(evidence, "uriel")
    for score, bridge in zip(found.scores, BRIDGES, strict=True):
        by_end = [
            np.nanmean([typology_similarity(kind, [end, bridge])[0, 1] for kind in TYPOLOGY_KINDS])
            for end in (SOURCE, TARGET)
        ]
        assert score == pytest.approx(np.mean(by_end))


def test_a_language_that_uriel_does_not_know_cannot_be_judged(evidence, monkeypatch):
    def unknown(kind, codes):
        values = np.ones((len(codes), len(codes)))
        at = [n for n, code in enumerate(codes) if code == "deu_Latn"]
        values[at] = values[:, at] = np.nan
        return values

    monkeypatch.setattr("bridgex_core.bridges.typology_similarity", unknown)
    found = rank(evidence, "uriel")
    assert np.isnan(found.scores).tolist() == [False, True, False]
    assert list(found.reasons) == ["deu_Latn"]
    assert found.ranking[-1] == "deu_Latn"


def test_english_and_random(evidence):
    assert rank(evidence, "english").ranking[0] == "eng_Latn"
    assert rank(evidence, "random").as_good_as_first == BRIDGES
    others = replace(evidence, bridges=("deu_Latn", "spa_Latn"))
    with pytest.raises(InputError, match="English is not among the candidates"):
        rank(others, "english")


# ---- What a ranker needs -------------------------------------------------------------------------


def lacking(evidence, *what):
    changes = {
        "probe": {"probe": None},
        "states": {"states": {}},
        "competence": {"competence": {step: np.ones(3) for step in STEPS[1:]}},
        "statistics": {"table": _without(evidence.table, "deu_Latn")},
        "english": {"bridges": ("deu_Latn", "spa_Latn")},
    }
    for each in what:
        evidence = replace(evidence, **changes[each])
    return evidence


def _without(table, code):
    kept = [n for n, each in enumerate(table.languages) if each != code]
    languages = tuple(table.languages[n] for n in kept)
    return ActivationTable(languages, table.counts[kept], table.means[kept], table.tokens[kept])


@pytest.mark.parametrize(
    ("what", "unable", "told"),
    [
        ((), set(), ""),
        (("probe",), set(ON_PROBE), "not been probed"),
        (("states",), {"alignment"}, "no neuron states"),
        (("competence",), {"competence"}, "from fin_Latn to eng_Latn has not been measured"),
        (("statistics",), set(ON_STATISTICS), "no activation statistics of deu_Latn"),
        (("english",), {"english"}, "English is not among"),
    ],
)
def test_a_ranker_can_rank_if_it_has_its_evidence(evidence, what, unable, told):
    there = lacking(evidence, *what)
    for ranker in RANKERS:
        assert can_rank(there, ranker) == (ranker not in unable)
        if ranker in unable:
            with pytest.raises(InputError, match=told):
                rank(there, ranker)
        else:
            assert rank(there, ranker).bridges == there.bridges


def test_rankers_that_cannot_rank_stop_no_other(evidence):
    there = lacking(evidence, "states", "probe")
    rankings, unable = rank_by(there, ["hsic", "uriel", "alignment", "overlap"])
    assert list(rankings) == ["uriel", "overlap"]
    assert list(unable) == ["hsic", "alignment"]
    assert "not been probed" in unable["hsic"]


def test_no_such_ranker(evidence):
    with pytest.raises(InputError, match=r"no ranker 'guess': choose one of hsic,"):
        rank(evidence, "guess")


@pytest.mark.parametrize(
    ("target", "bridges", "expected"),
    [
        (SOURCE, BRIDGES, "both fin_Latn"),
        (TARGET, (), "no candidate bridge"),
        (TARGET, (ENGLISH, SOURCE), "fin_Latn is the source itself"),
        (TARGET, (TARGET,), "swh_Latn is the target itself"),
        (TARGET, (ENGLISH, ENGLISH), "eng_Latn comes twice"),
    ],
)
def test_bridges_that_cannot_stand_between(evidence, target, bridges, expected):
    with pytest.raises(InputError, match=expected):
        require_route(SOURCE, target, bridges)
    with pytest.raises(InputError, match=expected):
        replace(evidence, target=target, bridges=bridges)


@pytest.mark.parametrize("ranker", ON_PROBE)
def test_constant_neurons_and_a_single_prompt(evidence, ranker):
    values = evidence.probe.values.copy()
    overlap, specific = neurons(evidence)
    for mask in (overlap, *specific.values()):
        layer, neuron = np.argwhere(mask)[0]
        values[layer, neuron] = 3.0
    still = replace(evidence, probe=ProbeActivations(values, evidence.probe.lengths))
    assert np.isfinite(rank(still, ranker).scores).all()
    one = ProbeActivations(values[:, :, :1], evidence.probe.lengths[:1])
    with pytest.raises(InputError, match="over prompts, but the probe has 1"):
        rank(replace(evidence, probe=one), ranker)


# ---- In words ------------------------------------------------------------------------------------


def ranked(scores, halves=(), reasons=()):
    codes = ("eng_Latn", "spa_Latn", "fra_Latn", "deu_Latn")[: len(scores)]
    subsamples = np.array(halves, dtype=float).reshape(-1, len(scores))
    return Ranked(codes, np.array(scores, dtype=float), subsamples, dict.fromkeys(reasons, "Why."))


@pytest.mark.parametrize(
    ("ranking", "expected"),
    [
        (ranked([3, 2, 1], [[3, 2, 1]] * 3), "English is ahead; Spanish and French are behind."),
        (ranked([3, 2, 1]), "English comes first; Spanish and French are behind."),
        (ranked([1, 3, 2]), "Spanish comes first; French and English are behind."),
        (
            ranked([3, 2.9, 1], [[3, 3.2, 1], [3.1, 2.7, 1]]),
            "English and Spanish are equally good here; French is behind.",
        ),
        (
            ranked([3, 2.9, 2.8], [[3, 3.2, 1], [3.1, 2.7, 5]]),
            "This ranking cannot tell English, Spanish and French apart.",
        ),
        (ranked([2, 2, 1]), "English and Spanish are equally good here; French is behind."),
        (
            ranked([3, 2, np.nan], reasons=["fra_Latn"]),
            "English comes first; Spanish is behind; French cannot be judged.",
        ),
        (
            ranked([3, 3, np.nan], reasons=["fra_Latn"]),
            "English and Spanish are equally good here; French cannot be judged.",
        ),
        (
            ranked([3, np.nan, np.nan], reasons=["spa_Latn", "fra_Latn"]),
            "English is the only candidate that can be judged.",
        ),
        (ranked([3]), "English is the only candidate that can be judged."),
        (
            ranked([np.nan] * 2, reasons=["eng_Latn", "spa_Latn"]),
            "None of the candidates can be judged.",
        ),
    ],
)
def test_what_a_ranking_says(ranking, expected):
    assert verdict(ranking, register()) == expected
