"""One stored result as a folder: what comes back is what went in, or it is called damaged."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bridgex_core import entries
from bridgex_core.entries import DamageError, canonical_json, read_folder, write_folder
from bridgex_core.errors import InputError

ADDED = {"schema", "checksum", "bytes", "created"}
DTYPES = [
    *("bool", "complex64", "float16", "float32", "float64"),
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *(">i4", ">f8"),
]
ARRAYS = st.sampled_from(DTYPES).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, min_side=0, max_side=4))
)
# Views whose memory does not lie in their own order.
VIEWS = st.sampled_from([lambda a: a, lambda a: a.T, lambda a: a[..., ::-1] if a.ndim else a])
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    tensors=st.dictionaries(st.text(max_size=6), st.tuples(ARRAYS, VIEWS), max_size=3),
    manifest=st.dictionaries(st.text(max_size=6).filter(lambda n: n not in ADDED), JSON),
)
def test_tensors_and_manifest_come_back_exactly(tmp_path_factory, tensors, manifest):
    views = {name: view(array) for name, (array, view) in tensors.items()}
    folder = tmp_path_factory.mktemp("entry") / "whole"
    written = write_folder(folder, views, manifest)
    entry = read_folder(folder, "stats", "0" * 32)
    assert entry.manifest == written
    assert {k: v for k, v in entry.manifest.items() if k not in ADDED} == manifest
    assert entry.tensors.keys() == views.keys()
    for name, array in views.items():
        found = entry.tensors[name]
        assert found.shape == array.shape
        assert found.dtype == array.dtype.newbyteorder("=")
        # Bit for bit, NaNs too.
        assert found.tobytes() == array.astype(found.dtype).tobytes()


def test_the_manifest_vouches_for_the_data_file(tmp_path):
    written = write_folder(tmp_path / "e", {"a": np.arange(3)}, {"languages": ["swh_Latn", "日本"]})
    data = (tmp_path / "e" / "data.safetensors").read_bytes()
    assert written["checksum"] == hashlib.sha256(data).hexdigest()
    assert written["bytes"] == len(data)
    assert written["schema"] == 1
    text = (tmp_path / "e" / "manifest.json").read_text(encoding="utf-8")
    assert json.loads(text) == written
    assert "日本" in text, "readable for a person too"


def test_only_the_tensors_asked_for_are_read(tmp_path):
    write_folder(tmp_path / "e", {"a": np.arange(3), "b": np.arange(4)}, {})
    assert list(read_folder(tmp_path / "e", "k", "0", ["b"]).tensors) == ["b"]
    assert read_folder(tmp_path / "e", "k", "0", []).tensors == {}
    with pytest.raises(InputError, match="no tensor 'c', only a, b"):
        read_folder(tmp_path / "e", "k", "0", ["c"])


def test_arrays_read_are_the_readers_own(tmp_path):
    write_folder(tmp_path / "e", {"a": np.arange(3)}, {})
    read_folder(tmp_path / "e", "k", "0").tensors["a"][:] = 7
    assert read_folder(tmp_path / "e", "k", "0").tensors["a"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("dtype", ["object", "U3", "complex128", "datetime64[s]", "longdouble"])
def test_a_dtype_that_cannot_be_stored_is_refused_before_any_writing(tmp_path, dtype):
    with pytest.raises(TypeError, match="tensor 'a' of dtype"):
        write_folder(tmp_path / "e", {"a": np.zeros(2, dtype=dtype)}, {})
    assert not (tmp_path / "e").exists()


@pytest.mark.parametrize("name", sorted(ADDED))
def test_a_manifest_cannot_state_what_the_store_states(tmp_path, name):
    with pytest.raises(InputError, match=name):
        write_folder(tmp_path / "e", {}, {name: 1})


@pytest.mark.parametrize("value", [np.int64(1), Path("x"), {1}, {1: 2}, b"x", object(), [{2: 3}]])
def test_values_that_json_cannot_hold_are_refused(value):
    with pytest.raises(TypeError):
        canonical_json({"x": value})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [{"x": -float("inf")}]])
def test_numbers_that_json_cannot_hold_are_refused(value):
    with pytest.raises(InputError):
        canonical_json({"x": value})


@given(st.dictionaries(st.text(max_size=5), JSON))
def test_canonical_json_does_not_depend_on_order(value):
    turned = dict(reversed(value.items()))
    assert canonical_json(turned) == canonical_json(value)
    assert json.loads(canonical_json(value)) == value


def test_an_unchanged_file_is_hashed_once(tmp_path, monkeypatch):
    write_folder(tmp_path / "e", {"a": np.arange(3)}, {})
    hashed = []
    real = hashlib.file_digest
    monkeypatch.setattr(
        entries.hashlib, "file_digest", lambda file, name: hashed.append(1) or real(file, name)
    )
    read_folder(tmp_path / "e", "k", "0", verify=False)
    assert not hashed
    read_folder(tmp_path / "e", "k", "0")
    read_folder(tmp_path / "e", "k", "0")
    assert len(hashed) == 1
    data = tmp_path / "e" / "data.safetensors"
    content = bytearray(data.read_bytes())
    content[-1] ^= 1
    data.write_bytes(content)
    with pytest.raises(DamageError, match="checksum"):
        read_folder(tmp_path / "e", "k", "0")
    read_folder(tmp_path / "e", "k", "0", verify=False)
