"""Statistics computed into the store: whole, resumed, interrupted, shared."""

import numpy as np
import pytest

from bridgex_core import collection as collecting
from bridgex_core.activations import collect
from bridgex_core.collection import (
    FLUENCY,
    STATISTICS,
    Collection,
    available,
    collect_languages,
    missing,
    plan,
    stored_fluency,
    stored_statistics,
    stored_table,
)
from bridgex_core.corpora import open_corpus
from bridgex_core.errors import Cancelled, InputError
from bridgex_core.fluency import score_text
from bridgex_core.model_sources import find_model
from bridgex_core.models import load
from bridgex_core.neurons import ActivationTable
from bridgex_core.store import Store

CODES = ("eng_Latn", "swh_Latn")


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def collection(store, tiny_model_folder, folder_corpus):
    source = find_model(str(tiny_model_folder), store.root)
    return Collection(source, open_corpus(str(folder_corpus)))


@pytest.fixture
def model(collection):
    return load(collection.source)


def test_what_is_stored_is_what_was_computed(store, model, collection):
    assert missing(store, collection, CODES) == CODES
    snapshots = []
    collect_languages(store, model, collection, CODES, report=snapshots.append)
    assert missing(store, collection, CODES) == ()
    assert available(store, collection) == CODES
    assert snapshots[-1].fraction == pytest.approx(1.0)
    assert [s.fraction for s in snapshots] == sorted(s.fraction for s in snapshots)
    for code in CODES:
        blocks = collection.corpus.text(code).blocks
        direct, stored = collect(model, blocks), stored_statistics(store, collection, [code])[code]
        assert (stored.positive_counts == direct.positive_counts).all()
        assert (stored.token_counts == direct.token_counts).all()
        np.testing.assert_allclose(stored.sums, direct.sums, rtol=1e-6)
        bits = stored_fluency(store, collection, [code])[code]
        np.testing.assert_allclose(bits.bits, score_text(model, blocks).bits)
    assert not any(store.parts(kind, key) for kind in (STATISTICS, FLUENCY) for key in ["0" * 32])


def test_the_manifest_says_what_it_is(store, model, collection):
    collect_languages(store, model, collection, ["eng_Latn"])
    text = collection.corpus.text("eng_Latn")
    manifest = store.manifest(STATISTICS, collection.key(STATISTICS, text))
    assert manifest["language"] == "eng_Latn"
    assert manifest["model"] == collection.source.fingerprint
    assert manifest["text"] == text.digest
    assert manifest["settings"] == {"dtype": "float32", "block_tokens": 256}
    assert manifest["versions"]["torch"]
    assert manifest["blocks"] == len(text.blocks)


def test_a_table_is_the_totals_of_the_statistics(store, model, collection):
    with pytest.raises(InputError, match="None of these languages"):
        stored_table(store, collection, CODES)
    collect_languages(store, model, collection, CODES)
    table = stored_table(store, collection, CODES)
    expected = ActivationTable.of(stored_statistics(store, collection, CODES))
    assert table.languages == expected.languages
    assert (table.counts == expected.counts).all()
    assert (table.tokens == expected.tokens).all()
    np.testing.assert_allclose(table.means, expected.means)


def test_a_cancelled_run_goes_on_where_it_stopped(store, model, collection, monkeypatch):
    collect_languages(Store(store.root / "whole"), model, collection, CODES)
    monkeypatch.setattr("bridgex_core.activations.CPU_BATCH_TOKENS", 1)
    asked = iter(range(1000))
    with pytest.raises(Cancelled):
        collect_languages(store, model, collection, CODES, cancelled=lambda: next(asked) > 13)
    key = collection.key(FLUENCY, collection.corpus.text("eng_Latn"))
    finished = store.parts(FLUENCY, key)
    assert finished  # stopped among the blocks of the second result

    scored = []

    def spy(model, texts, *, skip=frozenset(), **more):
        scored.append(skip)
        return score_text(model, texts, skip=skip, **more)

    monkeypatch.setattr(collecting, "score_text", spy)
    collect_languages(store, model, collection, CODES)
    assert scored[0] == {int(name) for name in finished}
    whole = stored_fluency(Store(store.root / "whole"), collection, CODES)
    for code, fluency in stored_fluency(store, collection, CODES).items():
        np.testing.assert_allclose(fluency.bits, whole[code].bits)


def test_a_damaged_entry_is_computed_again(store, model, collection):
    collect_languages(store, model, collection, ["eng_Latn"])
    key = collection.key(STATISTICS, collection.corpus.text("eng_Latn"))
    (file,) = store.root.glob(f"{STATISTICS}/*/{key}/data.safetensors")
    before = stored_statistics(store, collection, ["eng_Latn"])["eng_Latn"]
    file.write_bytes(file.read_bytes()[:-7])
    assert missing(store, collection, ["eng_Latn"]) == ("eng_Latn",)
    collect_languages(store, model, collection, ["eng_Latn"])
    after = stored_statistics(store, collection, ["eng_Latn"])["eng_Latn"]
    assert (after.positive_counts == before.positive_counts).all()


def test_everything_that_matters_is_in_the_key(collection):
    from dataclasses import replace

    text, other = (collection.corpus.text(code) for code in CODES)
    keys = {
        collection.key(STATISTICS, text),
        collection.key(FLUENCY, text),
        collection.key(STATISTICS, other),
        replace(collection, dtype="bfloat16").key(STATISTICS, text),
        replace(collection, block_tokens=128).key(STATISTICS, text),
        replace(collection, source=replace(collection.source, fingerprint="x")).key(
            STATISTICS, text
        ),
        replace(collection, source=replace(collection.source, tokenizer_fingerprint="x")).key(
            STATISTICS, text
        ),
    }
    assert len(keys) == 7


def test_the_plan_names_device_format_and_memory(store, collection):
    told = plan(store, collection, CODES, device="cpu")
    assert told.languages == CODES
    assert told.needed > 0
    assert "2 languages" in told.sentence()
    assert "cpu in float32" in told.sentence()
    assert "GiB free" in told.sentence()


def test_too_little_memory_is_told_before_loading(collection, monkeypatch):
    monkeypatch.setattr("bridgex_core.machine.available_memory", lambda _device: 1000)
    with pytest.raises(InputError, match="needs about"):
        load(collection.source, device="cpu")
