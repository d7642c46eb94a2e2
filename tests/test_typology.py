import numpy as np
import pytest

from bridgex_core.errors import InputError
from bridgex_core.languages import STUDY_LANGUAGES, register
from bridgex_core.typology import TYPOLOGY_KINDS, typology_similarity

CODES = register().codes

# Read off urielplus 1.3.2 itself, independently of scripts/build_register.py:
#     u = URIELPlus(); u.set_glottocodes(); u.integrate_databases()
#     u.new_distance(kind, "stan1288", "port1283")      # and so on, by Glottocode
PUBLISHED = """
genetic    spa_Latn por_Latn .3418
genetic    spa_Latn fin_Latn 1.0
genetic    arb_Arab heb_Hebr .5765
genetic    swh_Latn zul_Latn .6527
genetic    eng_Latn deu_Latn .6996
genetic    zho_Hans jpn_Jpan 1.0
genetic    ind_Latn tgl_Latn .7837
syntactic  spa_Latn por_Latn .271
syntactic  spa_Latn fin_Latn .4413
syntactic  arb_Arab heb_Hebr .4425
syntactic  swh_Latn zul_Latn .292
syntactic  eng_Latn deu_Latn .3539
syntactic  zho_Hans jpn_Jpan .5142
syntactic  ind_Latn tgl_Latn .5625
geographic spa_Latn por_Latn .0246
geographic spa_Latn fin_Latn .1296
geographic arb_Arab heb_Hebr .038
geographic swh_Latn zul_Latn .0986
geographic eng_Latn deu_Latn .0437
geographic zho_Hans jpn_Jpan .0714
geographic ind_Latn tgl_Latn .1108
featural   spa_Latn por_Latn .3995
featural   spa_Latn fin_Latn .4943
featural   arb_Arab heb_Hebr .4176
featural   swh_Latn zul_Latn .3743
featural   eng_Latn deu_Latn .401
featural   zho_Hans jpn_Jpan .5726
featural   ind_Latn tgl_Latn .4759
"""


@pytest.mark.parametrize("row", PUBLISHED.strip().splitlines())
def test_similarities_are_urielpluss_distances(row):
    kind, a, b, distance = row.split()
    # Geographic distances are rounded in float32 there, in float64 here.
    tolerance = 5e-4 if kind == "geographic" else 1e-9
    assert typology_similarity(kind, [a, b])[0, 1] == pytest.approx(
        1 - float(distance), abs=tolerance
    )


@pytest.mark.parametrize("kind", TYPOLOGY_KINDS)
def test_a_similarity_is_symmetric_from_0_to_1_with_1_on_the_diagonal(kind):
    similarity = typology_similarity(kind, CODES)
    assert similarity.shape == (len(CODES), len(CODES))
    assert similarity.dtype == np.float64
    np.testing.assert_array_equal(similarity, similarity.T)
    known = similarity[~np.isnan(similarity)]
    assert known.min() >= 0
    assert known.max() <= 1
    assert (np.diag(similarity) == 1).all()
    assert np.isnan(similarity).mean() < 0.1
    assert not np.isnan(typology_similarity(kind, STUDY_LANGUAGES)).any()


@pytest.mark.parametrize("kind", TYPOLOGY_KINDS)
def test_languages_come_in_the_order_asked_for(kind):
    whole = typology_similarity(kind, CODES)
    order = np.random.default_rng(0).permutation(len(CODES))[:20]
    some = typology_similarity(kind, [CODES[k] for k in order])
    np.testing.assert_array_equal(some, whole[np.ix_(order, order)])


def test_a_language_outside_the_table_is_unknown_except_to_itself():
    similarity = typology_similarity("genetic", ["nyn_Latn", "swh_Latn", "nyn_Latn"])
    assert np.isnan(similarity[0, 1:]).all()
    np.testing.assert_array_equal(np.diag(similarity), 1)
    assert typology_similarity("genetic", []).shape == (0, 0)


def test_too_few_shared_features_are_no_knowledge():
    # Three shared syntactic features would make Tswana and Yiddish identical.
    assert np.isnan(typology_similarity("syntactic", ["tsn_Latn", "ydd_Hebr"])[0, 1])


def test_an_unknown_kind_lists_the_kinds():
    with pytest.raises(InputError) as error:
        typology_similarity("phonetic", ["eng_Latn"])
    assert all(kind in str(error.value) for kind in TYPOLOGY_KINDS)


def nearest(kind, code, among):
    row = typology_similarity(kind, [code, *among])[0, 1:]
    return among[int(np.nanargmax(row))]


def test_known_facts():
    others = [code for code in CODES if code != "spa_Latn"]
    assert nearest("geographic", "spa_Latn", ["por_Latn", "eus_Latn", "fra_Latn", "quy_Latn"]) in (
        "por_Latn",
        "eus_Latn",
    )
    assert nearest("genetic", "spa_Latn", others) == "por_Latn"
    assert nearest("genetic", "fin_Latn", ["hun_Latn", "swe_Latn", "est_Latn"]) == "est_Latn"
    assert nearest("genetic", "afr_Latn", ["nld_Latn", "xho_Latn", "eng_Latn"]) == "nld_Latn"
    assert nearest("geographic", "kat_Geor", [c for c in CODES if c != "kat_Geor"]) in (
        "hye_Armn",
        "azj_Latn",
    )
    assert nearest("syntactic", "jpn_Jpan", list(STUDY_LANGUAGES[2:])) != "arb_Arab"


def test_geographic_similarity_falls_with_distance_on_the_globe():
    # An independent measure: great-circle distances of the register's own coordinates.
    points = np.radians([[r.latitude, r.longitude] for r in register()])
    latitude, longitude = points[:, 0], points[:, 1]
    cosine = np.sin(latitude[:, None]) * np.sin(latitude) + np.cos(latitude[:, None]) * np.cos(
        latitude
    ) * np.cos(longitude[:, None] - longitude)
    angle = np.arccos(np.clip(cosine, -1, 1))
    above = np.triu_indices(len(points), 1)
    similarity = typology_similarity("geographic", CODES)[above]
    assert np.corrcoef(similarity, angle[above])[0, 1] < -0.95
