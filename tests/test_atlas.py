"""What the Atlas asks of several engines at once."""

from pathlib import Path

import numpy as np
import pytest

from bridgex_core.atlas import (
    NamedSets,
    chain_prompts,
    keep_upload,
    method_agreement,
    most_specific,
    pitfalls,
)
from bridgex_core.bli import Bli
from bridgex_core.errors import InputError
from bridgex_core.evaluation import RouteResult
from bridgex_core.languages import register
from bridgex_core.model_sources import ModelSource
from bridgex_core.neuron_classes import CLASSES, Classes, lape
from bridgex_core.neuron_files import Import, export_sets, load_import, save_import
from bridgex_core.neurons import ActivationTable, top_neurons
from bridgex_core.store import Store
from bridgex_core.study import Evaluations
from bridgex_core.xicl import Route

CODES = ("eng_Latn", "swh_Latn", "heb_Hebr")
REGISTER = register()


def table(seed: int = 0) -> ActivationTable:
    rng = np.random.default_rng(seed)
    tokens = np.array([500, 600, 700])
    counts = rng.binomial(tokens[:, None, None], rng.random((3, 4, 60)) ** 3)
    return ActivationTable(CODES, counts, counts / 100, tokens)


def classes(method: str, labels: np.ndarray) -> Classes:
    masks = np.zeros((3, *labels.shape), dtype=bool)
    return Classes(method, CODES, labels.astype(np.int8), CLASSES, masks)


def test_agreement_of_unrelated_methods_is_that_of_chance() -> None:
    rng = np.random.default_rng(0)
    first, second = (
        classes(name, rng.choice(4, (100, 400), p=(0.1, 0.2, 0.3, 0.4))) for name in ("a", "b")
    )
    frame = method_agreement([first, second])
    assert list(frame["class"]) == list(CLASSES)
    assert set(frame["first"]) == {"a"}
    np.testing.assert_allclose(frame["jaccard"], frame["chance"], atol=0.01)
    np.testing.assert_allclose(frame["chance"][0], 0.1 * 0.1 / (0.1 + 0.1 - 0.1 * 0.1), rtol=0.05)


def test_every_two_methods_are_compared() -> None:
    one = classes("a", np.arange(8).reshape(2, 4) % 4)
    frame = method_agreement([one, one, one])
    assert len(frame) == 3 * len(CLASSES)
    assert (frame["jaccard"] == 1).all()


def test_most_specific_neurons_come_first() -> None:
    totals = table()
    found = lape(totals, top_share=0.1)
    for k, code in enumerate(CODES):
        frame = most_specific(found, totals, code)
        assert len(frame) == found.masks[k].sum()
        assert frame["entropy"].is_monotonic_increasing
        for row in frame.itertuples():
            assert found.masks[k, row.layer, row.neuron]
            p = totals.counts[:, row.layer, row.neuron] / totals.tokens
            assert row.probability == p[k]
            assert row.highest_elsewhere == max(np.delete(p, k))
    assert len(most_specific(found, totals, CODES[0], count=1)) == 1
    with pytest.raises(InputError):
        most_specific(found, totals, "deu_Latn")


def test_prompts_name_the_same_word_in_every_language() -> None:
    direct, bridged = chain_prompts(REGISTER, "ind_Latn", "eng_Latn", "swh_Latn")
    start = direct[: direct.index("→")]
    assert start.startswith("Bahasa Indonesia")
    assert direct == f'{start}→Kiswahili:"'
    assert bridged.startswith(f'{start}→English:"')
    assert bridged.endswith('"→Kiswahili:"')
    assert "anjing" in direct
    shown = chain_prompts(REGISTER, "ind_Latn", "eng_Latn", "swh_Latn", shots=2)
    assert [prompt.split("\n")[-1] for prompt in shown] == [direct, bridged]
    assert all(prompt.count("anjing") == 1 for prompt in shown)
    assert all(len(prompt.split("\n")) == 3 for prompt in shown)
    with pytest.raises(InputError):
        chain_prompts(REGISTER, "ind_Latn", "ind_Latn", "swh_Latn")


# ---- Uploads -----------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.mark.parametrize("form", ["pth", "safetensors", "csv"])
def test_an_upload_is_kept(store: Store, form: str) -> None:
    sets = top_neurons(table(), top_rate=0.05)
    named = REGISTER.resolve_all(CODES) if form == "pth" else ()
    told = keep_upload(
        store, " mine ", {f"sets.{form}": export_sets(sets, form)}, named, layers=4, width=60
    )
    assert told["name"] == "mine"
    found = load_import(store, "mine").result
    assert found.languages == CODES
    np.testing.assert_array_equal(found.masks, sets.masks)


def test_a_refused_upload_names_the_file_as_the_reader_does(store: Store, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        keep_upload(store, "bad", {"../../sets.pth": b"cos\nsystem\n(S'true'\ntR."}, ())
    assert "The file sets.pth can't be read" in str(caught.value)
    assert not list(tmp_path.rglob("sets.pth"))
    with pytest.raises(InputError, match="name"):
        keep_upload(store, "  ", {"a.csv": b""})
    with pytest.raises(InputError, match="at least one file"):
        keep_upload(store, "none", {})
    assert not list(store.entries("imported"))


# ---- Pitfalls ----------------------------------------------------------------------------------

SOURCE = ModelSource.in_memory("tiny", 4, 60)


def keep(store: Store, source: str, right: set[str], **change: int) -> Bli:
    """Keep an evaluation into Swahili that found these gold words."""
    task = Bli(source, "swh_Latn", **{"items": 12, "shots": 2, **change})
    golds = [pair.answers[0] for pair in task.words]
    route = Route.of(REGISTER[source], REGISTER["swh_Latn"])
    result = RouteResult(
        route.codes,
        np.array([float(gold in right) for gold in golds]),
        tuple(("x",) for _ in golds),
    )
    Evaluations.of_model(store, SOURCE, "float32").keep(task, route, result)
    return task


def test_pitfalls_count_what_only_english_finds(store: Store) -> None:
    english, german = (
        [pair.answers[0] for pair in Bli(code, "swh_Latn", items=12).words]
        for code in ("eng_Latn", "deu_Latn")
    )
    common = sorted(set(english) & set(german))
    assert len(common) > 4
    keep(store, "eng_Latn", set(common[:4]))
    keep(store, "deu_Latn", {common[0], common[4]})
    (row,) = pitfalls(store, SOURCE, REGISTER).itertuples()
    assert (row.source, row.target, row.items) == ("deu_Latn", "swh_Latn", len(common))
    assert (row.right_in_english, row.right, row.lost) == (4, 2, 3)
    assert row.share_lost == 0.75
    keep(store, "deu_Latn", set(), items=3)  # the shorter one does not count
    assert list(pitfalls(store, SOURCE, REGISTER)["lost"]) == [3]


def test_pitfalls_compare_like_with_like(store: Store) -> None:
    keep(store, "eng_Latn", set())
    keep(store, "deu_Latn", set(), shots=1)
    assert not len(pitfalls(store, SOURCE, REGISTER))
    keep(store, "fra_Latn", set())
    (row,) = pitfalls(store, SOURCE, REGISTER).itertuples()
    assert row.source == "fra_Latn"
    assert np.isnan(row.share_lost)
    other = ModelSource.in_memory("another", 4, 60)
    assert other.fingerprint == SOURCE.fingerprint or not len(pitfalls(store, other, REGISTER))


def test_sets_by_name(tmp_path: Path) -> None:
    store, totals = Store(tmp_path), table()
    sets = NamedSets(store, totals, 0.1)
    active, specific = top_neurons(totals, top_rate=0.1), lape(totals, top_share=0.1)
    keep_upload(store, "a: b", {"a.safetensors": export_sets(active, "safetensors")})
    for k, code in enumerate(CODES):
        assert (sets.mask(f"lape:{code}") == specific.masks[k]).all()
        assert (sets.mask(f"membership:{code}") == active.masks[k]).all()
        assert (sets.mask(f"import:{code}:a: b") == active.masks[k]).all()
    assert (sets.mask("shared") == active.masks.all(0)).all()
    assert (sets.alive == (totals.counts > 0).any(0)).all()
    for name, told in (
        ("mine:eng_Latn", "kind of set 'mine' is unknown"),
        ("lape:fin_Latn", "language 'fin_Latn' is unknown"),
        ("import:fin_Latn:a: b", "no set of fin_Latn, only of eng_Latn"),
        ("import:eng_Latn:c", "No import is named 'c'"),
    ):
        with pytest.raises(InputError, match=told):
            sets.mask(name)


def test_imports_that_cannot_be_changed_in_this_model(tmp_path: Path) -> None:
    store, totals = Store(tmp_path), table()
    small = ActivationTable(CODES, totals.counts[..., :30], totals.means[..., :30], totals.tokens)
    save_import(store, "small", Import(top_neurons(small, top_rate=0.1), ("a",), "0" * 64, ()))
    save_import(store, "dumps", Import(totals, ("a",), "0" * 64, ()))
    with pytest.raises(InputError, match="4 layers of 30 neurons; this one has 4 of 60"):
        NamedSets(store, totals).mask("import:eng_Latn:small")
    with pytest.raises(InputError, match="holds activation statistics"):
        NamedSets(store, totals).mask("import:eng_Latn:dumps")
