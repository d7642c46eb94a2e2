"""Neuron files: round trips, the real sets of LLaMA-2-7B, and everything a wrong file can be."""

import io
import os
import pickle
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from bridgex_core.errors import InputError
from bridgex_core.neuron_files import (
    FORMATS,
    Import,
    export_activations,
    export_sets,
    import_activations,
    import_files,
    import_sets,
    imports,
    load_import,
    overlap_counts,
    save_import,
)
from bridgex_core.neurons import ActivationTable, NeuronSets
from bridgex_core.store import Store

CODES = ("deu_Latn", "heb_Hebr", "swh_Latn")
any_file = settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def random_sets(seed: int, rate: float = 0.1) -> NeuronSets:
    rng = np.random.default_rng(seed)
    masks = rng.random((3, 4, 20)) < rate
    return NeuronSets(CODES, masks, np.zeros(3, int), np.zeros(3, int))


def random_table(seed: int) -> ActivationTable:
    rng = np.random.default_rng(seed)
    tokens = rng.integers(1, 4000, 3)
    counts = rng.binomial(tokens[:, None, None], rng.random((3, 4, 20)))
    return ActivationTable(CODES, counts, rng.normal(size=counts.shape), tokens)


def saved(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


def test_formats_are_all_tried():
    assert set(FORMATS) == {"pth", "safetensors", "csv"}


@any_file
@given(st.integers(0, 10_000), st.sampled_from(FORMATS), st.sampled_from([0.0, 0.02, 0.5]))
def test_sets_come_back_as_they_went(tmp_path, seed, form, rate):
    sets = random_sets(seed, rate)
    path = tmp_path / f"sets.{form}"
    path.write_bytes(export_sets(sets, form))
    found = import_sets(path, CODES, layers=4, width=20)
    assert found.result.languages == CODES
    assert found.result.masks.dtype == bool
    assert (found.result.masks == sets.masks).all()
    assert found.notes == ()
    assert found.origin == (f"sets.{form}",)


@any_file
@given(st.integers(0, 10_000))
def test_safetensors_need_nothing_told(tmp_path, seed):
    sets = random_sets(seed, 0.03)
    path = tmp_path / "sets.safetensors"
    path.write_bytes(export_sets(sets, "safetensors"))
    found = import_sets(path)
    assert found.result.languages == CODES
    assert (found.result.masks == sets.masks).all()
    assert found.notes == ()


def test_the_smallest_shape_is_taken_and_said_so(tmp_path):
    masks = np.zeros((3, 4, 20), dtype=bool)
    masks[0, 1, 6] = masks[2, 2, 3] = True
    sets = NeuronSets(CODES, masks, np.zeros(3, int), np.zeros(3, int))
    for form, shape in (("pth", (4, 7)), ("csv", (3, 7))):
        path = tmp_path / f"sets.{form}"
        path.write_bytes(export_sets(sets, form))
        found = import_sets(path, CODES)
        assert found.result.masks.shape == (3, *shape)
        assert (found.result.masks == masks[:, : shape[0], : shape[1]]).all()
        assert len(found.notes) == (1 if form == "pth" else 2)
        assert "7 is the smallest number" in found.notes[-1]


def test_a_csv_takes_the_order_of_the_languages_named(tmp_path):
    path = tmp_path / "sets.csv"
    path.write_text("language,layer,neuron\r\nheb_Hebr,0,3\r\n\r\ndeu_Latn,1,0\r\n")
    assert import_sets(path).result.languages == ("heb_Hebr", "deu_Latn")
    found = import_sets(path, CODES).result
    assert np.argwhere(found.masks).tolist() == [[0, 1, 0], [1, 0, 3]]
    with pytest.raises(InputError, match=r"sets\.csv holds sets of heb_Hebr as well"):
        import_sets(path, ["deu_Latn"])


def test_the_pth_file_is_what_lape_reads(tmp_path):
    """A list over languages of lists over layers of sorted LongTensors."""
    sets = random_sets(0)
    lists = torch.load(io.BytesIO(export_sets(sets, "pth")), weights_only=True)
    assert [len(layers) for layers in lists] == [4, 4, 4]
    for mask, layers in zip(sets.masks, lists, strict=True):
        for row, tensor in zip(mask, layers, strict=True):
            assert tensor.dtype == torch.int64
            assert tensor.tolist() == [i for i, inside in enumerate(row) if inside]


def test_empty_layers_may_be_floats(tmp_path):
    path = saved(tmp_path / "a.pth", [[torch.tensor([]), torch.tensor([1], dtype=torch.int32)]])
    assert np.argwhere(import_sets(path, ["deu_Latn"]).result.masks).tolist() == [[0, 1, 1]]


@pytest.fixture(scope="module")
def real_sets() -> Path:
    folder = os.environ.get("BRIDGEX_TEST_DATA")
    if not folder:
        pytest.skip("BRIDGEX_TEST_DATA does not name a folder with LAPE's neuron sets")
    return Path(folder) / "lape" / "LLaMA-2-7B.neuron.pth"


def test_the_real_sets_overlap_as_they_do(real_sets):
    names = ["eng_Latn", "zho_Hans", "fra_Latn", "spa_Latn", "vie_Latn", "ind_Latn", "jpn_Jpan"]
    sets = import_sets(real_sets, names, layers=32, width=11008).result
    assert sets.sizes.tolist() == [95, 583, 1022, 838, 836, 1068, 582]
    shared = overlap_counts(sets)
    assert (shared == shared.T).all()
    assert (np.diag(shared) == sets.sizes).all()
    assert shared[2, 3] == 336
    assert shared[4, 5] == 324
    assert shared[0, 1] == 18
    raw = torch.load(real_sets, weights_only=True)
    again = torch.load(io.BytesIO(export_sets(sets, "pth")), weights_only=True)
    assert all(
        torch.equal(a, b)
        for x, y in zip(raw, again, strict=True)
        for a, b in zip(x, y, strict=True)
    )


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000))
def test_overlap_counts_are_counted_neurons(seed):
    sets = random_sets(seed, 0.3)
    neurons = [{tuple(n) for n in np.argwhere(mask)} for mask in sets.masks]
    assert overlap_counts(sets).tolist() == [[len(a & b) for b in neurons] for a in neurons]


@any_file
@given(st.integers(0, 10_000))
def test_statistics_come_back_as_they_went(tmp_path, seed):
    table = random_table(seed)
    paths = []
    for name, content in export_activations(table).items():
        paths.append(tmp_path / name)
        paths[-1].write_bytes(content)
    found = import_activations(paths, CODES, layers=4, width=20)
    assert [path.name for path in paths] == [f"activation.{code}" for code in CODES]
    assert found.notes == ()
    assert found.result.languages == CODES
    assert (found.result.counts == table.counts).all()
    assert (found.result.tokens == table.tokens).all()
    np.testing.assert_array_max_ulp(found.result.means, table.means, maxulp=1)


def test_statistics_in_the_shapes_that_the_tools_write(tmp_path):
    """Counts of 32 bits or as floats, n as a tensor, sums of 32 bits, higher sums besides."""
    counts = torch.tensor([[3, 0], [1, 4]])
    ones = torch.ones(2, 2)
    lape = {"n": 4, "over_zero": counts.int(), "sum1": ones, "sum4": ones}
    other = {"n": torch.tensor(5), "over_zero": counts.float(), "sum1": 0 * ones}
    paths = [saved(tmp_path / "activation.de", lape), saved(tmp_path / "activation.he", other)]
    table = import_files(paths, CODES[:2]).result
    assert table.counts.tolist() == [counts.tolist()] * 2
    assert table.counts.dtype == np.int64
    assert table.tokens.tolist() == [4, 5]
    assert table.means.tolist() == [[[0.25] * 2] * 2, [[0.0] * 2] * 2]


def test_unknown_means_are_said_to_be_unknown(tmp_path):
    table = random_table(0)
    contents = export_activations(table, sums=False)
    paths = [tmp_path / name for name in contents]
    for path, content in zip(paths, contents.values(), strict=True):
        path.write_bytes(content)
    paths[0].write_bytes(export_activations(table)[paths[0].name])  # one that has them
    found = import_activations(paths, CODES)
    assert (found.result.means == 0).all()
    assert "lack sum1" in found.notes[0]


class _Attack:
    def __reduce__(self):
        return (os.system, ("touch harmed",))


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ([[torch.tensor([1])]] * 2, "sets of 2 languages, but 3 were named"),
        ([[torch.tensor([1])], [torch.tensor([1])], []], "list over languages"),
        ([], "list over languages"),
        ([torch.tensor([1])] * 3, "list over languages"),
        ({"n": 1}, "list over languages"),
        ([[torch.tensor([0.5])]] * 3, "no list of neuron numbers for deu_Latn in layer 0"),
        ([[torch.tensor([[1]])]] * 3, "no list of neuron numbers"),
        ([[torch.tensor([1j])]] * 3, "no list of neuron numbers"),
        ([["1"]] * 3, "no list of neuron numbers"),
        ([[torch.tensor([1]).to_sparse()]] * 3, "no list of neuron numbers"),
        ([[torch.zeros(1).long().expand(10**9)]] * 3, "no list of neuron numbers"),
        ([[torch.tensor([-1])]] * 3, "negative neuron number"),
        ([[torch.tensor([1, 1])]] * 3, "names a neuron of deu_Latn twice"),
        ([[torch.tensor([2**40])]] * 3, "1 to 262144 can be"),
    ],
)
def test_wrong_sets_are_refused_in_one_sentence(tmp_path, content, fault):
    path = saved(tmp_path / "wrong.pth", content)
    with pytest.raises(InputError, match=rf"wrong\.pth .*{fault}"):
        import_sets(path, CODES)


def test_sets_that_do_not_fit_the_model(tmp_path):
    path = saved(tmp_path / "a.pth", [[torch.tensor([7])] * 2] * 3)
    with pytest.raises(InputError, match="with 2 layers, not 3"):
        import_sets(path, CODES, layers=3)
    with pytest.raises(InputError, match="beyond the 7 neurons a layer"):
        import_sets(path, CODES, width=7)
    with pytest.raises(InputError, match="does not name its 3 languages"):
        import_sets(path)
    with pytest.raises(InputError, match="deu_Latn is named twice"):
        import_sets(path, ["deu_Latn", "deu_Latn", "heb_Hebr"])


@pytest.mark.parametrize("suffix", [".pth", ""])
def test_code_in_a_file_is_never_run(tmp_path, monkeypatch, suffix):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / f"code{suffix}"
    path.write_bytes(pickle.dumps([[_Attack()]], protocol=2))
    zipped = saved(tmp_path / f"zipped{suffix}", [[_Attack()]])
    for file in (path, zipped):
        with pytest.raises(InputError, match="holds code, which is never run"):
            import_sets(file, CODES)
        with pytest.raises(InputError, match="holds code, which is never run"):
            import_activations([file], CODES[:1])
    assert not (tmp_path / "harmed").exists()


@pytest.mark.parametrize("form", FORMATS)
def test_damaged_files_are_refused_or_still_sound(tmp_path, form):
    """Cut anywhere, or with any byte changed: sets, or one clear error."""
    content = export_sets(random_sets(1), form)
    rng = np.random.default_rng(0)
    path = tmp_path / f"damaged.{form}"
    for _ in range(60):
        broken = bytearray(content)
        broken[int(rng.integers(len(broken)))] = int(rng.integers(256))
        for data in (bytes(broken), content[: int(rng.integers(len(content)))]):
            path.write_bytes(data)
            with suppress(InputError):
                assert len(import_sets(path, CODES).result.masks) == 3


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "does not begin with the columns language,layer,neuron"),
        ("layer,neuron\n", "does not begin"),
        ("language,layer,neuron\ndeu_Latn,0\n", "in line 2"),
        ("language,layer,neuron\ndeu_Latn,0,1\ndeu_Latn,-1,1\n", "in line 3"),
        ("language,layer,neuron\ndeu_Latn,0,99999999999999999999\n", "in line 2"),
        ("language,layer,neuron\n", "holds no neuron"),
        ("language,layer,neuron\ndeu_Latn,5000,1\n", "1 to 1024 can be"),
    ],
)
def test_wrong_csv_files(tmp_path, text, fault):
    path = tmp_path / "wrong.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=fault):
        import_sets(path)


def test_safetensors_that_are_something_else(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(save({"weight": np.ones(3)}))
    with pytest.raises(InputError, match="no safetensors file of neuron sets"):
        import_sets(path)
    told = {"languages": '["a"]', "layers": "2", "width": "3"}
    for wrong in (np.ones((1, 2)), np.ones(2, int), np.array([[0, -1]])):
        path.write_bytes(save({"a": wrong}, told))
        with pytest.raises(InputError, match="no list of layers and neuron numbers for a"):
            import_sets(path)
    path.write_bytes(save({"a": np.array([[2, 0]])}, told))
    with pytest.raises(InputError, match="beyond the 2 layers"):
        import_sets(path)


TABLE = torch.ones(2, 2, dtype=torch.int64)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ([[torch.tensor([1])]], "holds no activation statistics"),
        ({"n": 3}, "holds no activation statistics"),
        ({"n": "3", "over_zero": TABLE}, "entry n that is no number"),
        ({"n": TABLE, "over_zero": TABLE}, "entry n that is no number"),
        ({"n": 3.5, "over_zero": TABLE}, "value of n that is no count"),
        ({"n": 10**30, "over_zero": TABLE}, "entry n that is no number"),
        ({"n": 0, "over_zero": 0 * TABLE}, "no token"),
        ({"n": 3, "over_zero": 4 * TABLE}, "more activations than tokens"),
        ({"n": 3, "over_zero": -TABLE}, "value of over_zero that is no count"),
        ({"n": 3, "over_zero": TABLE / 2}, "value of over_zero that is no count"),
        ({"n": 3, "over_zero": TABLE[0]}, "over_zero that is no table"),
        ({"n": 3, "over_zero": TABLE[:0]}, "no neuron"),
        ({"n": 3, "over_zero": TABLE, "sum1": TABLE[:1]}, "another shape"),
        ({"n": 3, "over_zero": TABLE, "sum1": TABLE * torch.nan}, "sum1 that is no table"),
    ],
)
def test_wrong_statistics_are_refused_in_one_sentence(tmp_path, content, fault):
    path = saved(tmp_path / "activation.wrong", content)
    with pytest.raises(InputError, match=rf"activation\.wrong .*{fault}"):
        import_activations([path], ["deu_Latn"])


def test_statistics_that_do_not_fit_each_other(tmp_path):
    a = saved(tmp_path / "activation.a", {"n": 3, "over_zero": TABLE})
    b = saved(tmp_path / "activation.b", {"n": 3, "over_zero": TABLE[:1]})
    with pytest.raises(InputError, match=r"activation\.b counts 1 x 2 neurons, where 2 x 2"):
        import_activations([a, b], CODES[:2])
    with pytest.raises(InputError, match=r"activation\.a counts 2 x 2 neurons, where 2 x 5"):
        import_activations([a], CODES[:1], width=5)
    with pytest.raises(InputError, match="2 files and 3 languages"):
        import_activations([a, b], CODES)


def test_a_file_is_recognised_by_its_content(tmp_path):
    sets = tmp_path / "sets.pth"
    sets.write_bytes(export_sets(random_sets(0), "pth"))
    dump = saved(tmp_path / "activation.a", {"n": 3, "over_zero": TABLE})
    assert isinstance(import_files([sets], CODES).result, NeuronSets)
    assert isinstance(import_files([dump], CODES[:1]).result, ActivationTable)
    with pytest.raises(InputError, match="import one at a time"):
        import_files([sets, dump], CODES)
    with pytest.raises(InputError, match="at least one file"):
        import_files([], CODES)
    with pytest.raises(InputError, match="can't be read"):
        import_files([tmp_path / "missing"], CODES)


def test_imports_are_kept_by_name(tmp_path):
    store = Store(tmp_path / "store")
    path = tmp_path / "sets.csv"
    path.write_bytes(export_sets(random_sets(0), "csv"))
    sets = import_sets(path, CODES)
    table = Import(random_table(1), ("activation.a",), "0" * 64)
    manifest = save_import(store, "LLaMA-2-7B, LAPE", sets)
    save_import(store, "another", table)
    assert manifest["content"] == "sets"
    assert manifest["languages"] == list(CODES)
    assert (manifest["layers"], manifest["width"]) == sets.result.masks.shape[1:]
    assert manifest["origin"] == ["sets.csv"]
    assert manifest["digest"] == sets.digest
    assert manifest["notes"] == list(sets.notes) != []
    assert list(imports(store)) == ["LLaMA-2-7B, LAPE", "another"]
    assert save_import(store, "LLaMA-2-7B, LAPE", sets) == manifest

    again = load_import(store, "LLaMA-2-7B, LAPE")
    assert isinstance(again.result, NeuronSets)
    assert (again.result.masks == sets.result.masks).all()
    assert (again.origin, again.digest, again.notes) == (sets.origin, sets.digest, sets.notes)
    other = load_import(store, "another").result
    assert isinstance(other, ActivationTable)
    for field in ("counts", "means", "tokens"):
        assert (getattr(other, field) == getattr(table.result, field)).all()


def test_names_are_taken_once_and_unknown_ones_list_the_known(tmp_path):
    store = Store(tmp_path)
    one, two = (Import(random_sets(seed), ("a.pth",), str(seed)) for seed in (0, 1))
    with pytest.raises(InputError, match="there are none yet"):
        load_import(store, "mine")
    save_import(store, "mine", one)
    with pytest.raises(InputError, match="another import named 'mine' already"):
        save_import(store, "mine", two)
    assert (load_import(store, "mine").result.masks == one.result.masks).all()
    with pytest.raises(InputError, match="the names are: mine"):
        load_import(store, "yours")
    for name in ("", " mine", "two\nlines", "x" * 81):
        with pytest.raises(InputError, match="cannot name an import"):
            save_import(store, name, one)


def test_other_formats_are_refused():
    with pytest.raises(InputError, match="pth, safetensors, csv"):
        export_sets(random_sets(0), "xlsx")
