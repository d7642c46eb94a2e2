"""Finding models, locating neurons, and every way in which that can fail."""

import json
import shutil
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from bridgex_core import embedded, machine, model_sources, models
from bridgex_core.embedded import DEFAULT_MODEL, EMBEDDED
from bridgex_core.errors import InputError
from bridgex_core.model_sources import find_model


def test_a_folder_is_described_without_loading_it(tiny_model_folder, tmp_path):
    source = find_model(str(tiny_model_folder), tmp_path)
    assert source.installed
    assert (source.model_type, source.layers, source.width) == ("llama", 2, 64)
    network = models.load(source).network
    assert source.parameters == sum(p.numel() for p in network.parameters())
    assert source.weight_bytes("bfloat16") * 2 == source.weight_bytes("float32")


def test_the_fingerprint_follows_the_weights_not_the_place(tiny_model_folder, tmp_path):
    first = find_model(str(tiny_model_folder), tmp_path)
    copy = tmp_path / "copy"
    shutil.copytree(tiny_model_folder, copy)
    assert find_model(str(copy), tmp_path).fingerprint == first.fingerprint
    weights = copy / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(bytes(data))
    changed = find_model(str(copy), tmp_path)
    assert changed.fingerprint != first.fingerprint
    assert changed.tokenizer_fingerprint == first.tokenizer_fingerprint


@pytest.mark.parametrize(
    "name", ["no/such/folder/here", "./missing", "nonsense", "/nowhere/at/all"]
)
def test_a_name_that_is_nothing(name, tmp_path):
    with pytest.raises(InputError, match="There is no model"):
        find_model(name, tmp_path)


def test_folders_that_are_no_model(tmp_path):
    with pytest.raises(InputError, match="holds no config.json"):
        find_model(str(tmp_path), tmp_path)
    (tmp_path / "config.json").write_text("{not json")
    with pytest.raises(InputError, match="not valid JSON"):
        find_model(str(tmp_path), tmp_path)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(InputError, match="not a model configuration"):
        find_model(str(tmp_path), tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(InputError, match="no weights"):
        find_model(str(tmp_path), tmp_path)


def test_a_hub_name_that_was_never_fetched_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    source = find_model("organisation/some-model-of-theirs", tmp_path)
    assert not source.installed
    with pytest.raises(InputError, match="--prepare organisation/some-model-of-theirs"):
        models.load(source)


def test_no_network_is_told_in_one_sentence(monkeypatch):
    def unreachable(*_args, **_more):
        raise OSError("network is unreachable")

    monkeypatch.setattr("huggingface_hub.snapshot_download", unreachable)
    with pytest.raises(InputError, match="cannot be reached from here") as told:
        model_sources.download("organisation/some-model-of-theirs")
    assert "\n" not in str(told.value)


def test_an_unknown_architecture_names_what_was_looked_for():
    network = nn.Module()
    network.config = SimpleNamespace(model_type="hyena")
    with pytest.raises(InputError, match="'hyena' is unknown.*activation module.*llama"):
        models.locate_neurons(network)


def test_a_known_name_with_another_inside_names_the_paths():
    network = nn.Module()
    network.config = SimpleNamespace(model_type="llama")
    with pytest.raises(InputError, match=r"model.layers\[i\].mlp.act_fn"):
        models.locate_neurons(network)


def test_a_shared_activation_module_is_refused(tiny_model_folder, tmp_path):
    network = models.load(find_model(str(tiny_model_folder), tmp_path)).network
    network.model.layers[1].mlp.act_fn = network.model.layers[0].mlp.act_fn
    with pytest.raises(InputError, match="shares one activation module"):
        models.locate_neurons(network)


def test_damaged_weights_and_unknown_dtypes_and_devices(tiny_model_folder, tmp_path):
    source = find_model(str(tiny_model_folder), tmp_path)
    with pytest.raises(InputError, match="float32, bfloat16, auto"):
        models.load(source, dtype="float8")
    with pytest.raises(InputError, match="device 'tpu'"):
        models.load(source, device="tpu")
    broken = tmp_path / "broken"
    shutil.copytree(tiny_model_folder, broken)
    (broken / "config.json").write_text(json.dumps({"model_type": "no-such-type"}))
    with pytest.raises(InputError, match="could not be loaded"):
        models.load(find_model(str(broken), tmp_path))


@pytest.mark.parametrize("keep", [4, 100, -64])
def test_truncated_weights_are_told_in_one_sentence(tiny_model_folder, tmp_path, keep):
    broken = tmp_path / "broken"
    shutil.copytree(tiny_model_folder, broken)
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:keep])
    with pytest.raises(InputError, match="damaged|could not be loaded") as told:
        models.load(find_model(str(broken), tmp_path))
    assert "\n" not in str(told.value)


def test_dtypes(tiny_model_folder, tmp_path):
    source = find_model(str(tiny_model_folder), tmp_path)
    assert models.load(source, dtype="bfloat16").dtype == torch.bfloat16
    assert models.load(source, dtype="auto").dtype_name in ("float32", "bfloat16")


def test_the_faster_dtype_is_measured_and_must_fit(monkeypatch):
    cpu = torch.device("cpu")
    rates = {torch.float32: 100.0, torch.bfloat16: 300.0}
    monkeypatch.setattr(machine, "matmul_rate", lambda _device, dtype: rates[dtype])
    assert machine.choose_dtype(cpu) == "bfloat16"
    rates[torch.bfloat16] = 110.0
    assert machine.choose_dtype(cpu) == "float32"
    assert machine.choose_dtype(cpu, parameters=10**15) == "bfloat16"
    assert machine.matmul_rate(cpu, torch.float32) > 0


class TestEmbedded:
    def test_what_is_not_prepared_says_the_command(self, tmp_path):
        for name, command in ((DEFAULT_MODEL, "make app"), ("smollm2-135m", "make smollm2")):
            source = find_model(name, tmp_path)
            assert not source.installed
            assert command in source.how_to_get
            with pytest.raises(InputError, match=command):
                models.load(source)

    def test_the_default_model_is_gemma(self, tmp_path):
        source = find_model(None, tmp_path)
        assert (source.name, source.layers, source.width) == ("gemma-3-270m", 18, 2048)
        assert source.licence_url == "https://ai.google.dev/gemma/terms"

    def test_a_missing_package_says_the_command(self, tmp_path):
        from dataclasses import replace

        absent = replace(EMBEDDED[DEFAULT_MODEL], parts=(("no_such_package", "file"),))
        with pytest.raises(InputError, match="not installed"):
            absent.prepare(tmp_path)

    def test_a_damaged_file_is_refused_and_leaves_nothing(self, tmp_path, monkeypatch):
        part = tmp_path / "part"
        part.write_bytes(b"not the model")
        monkeypatch.setattr(embedded.EmbeddedModel, "part_paths", lambda _self: [part])
        with pytest.raises(InputError, match="sha256"):
            EMBEDDED[DEFAULT_MODEL].prepare(tmp_path / "store")
        assert [p.suffix for p in (tmp_path / "store" / "models").iterdir()] == [".lock"]

    def test_a_full_disk_is_told(self, tmp_path, monkeypatch):
        def full(*_args, **_more):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(embedded.EmbeddedModel, "_join", full)
        with pytest.raises(InputError, match="No space left.*--store or BRIDGEX_STORE"):
            EMBEDDED[DEFAULT_MODEL].prepare(tmp_path / "store")

    def test_a_truncated_model_is_not_taken_for_prepared(self, tmp_path):
        model = EMBEDDED[DEFAULT_MODEL]
        folder = model.folder(tmp_path)
        folder.mkdir(parents=True)
        (folder / "model.safetensors").write_bytes(b"12345")
        record = {"fingerprint": model.fingerprint, "files": {"model.safetensors": 5}}
        (folder / "prepared.json").write_text(json.dumps(record))
        assert model.is_prepared(tmp_path)
        (folder / "model.safetensors").write_bytes(b"123")
        assert not model.is_prepared(tmp_path)
