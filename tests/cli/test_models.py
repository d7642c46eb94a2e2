"""`models`, without a network and with a stand-in for a packed model."""

import dataclasses
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bridgex_core.embedded import EMBEDDED, EmbeddedModel


def test_models_lists_the_embedded_ones(run, tmp_path):
    found = run("models", "--store", tmp_path, "--json").json
    assert [one["name"] for one in found] == list(EMBEDDED)
    assert not any(one["installed"] for one in found)
    assert all(one["licence"] and one["licence_url"] and one["how_to_get"] for one in found)
    table = run("models", "--store", tmp_path).out.splitlines()
    assert len(table) == 1 + len(EMBEDDED)
    assert "18 × 2048" in table[1]


def test_models_tells_about_a_folder(run, place):
    found = run("models", place.model, "--store", place.store, "--json").json
    assert (found["model_type"], found["layers"], found["width"]) == ("llama", 2, 64)
    assert found["path"] == str(place.model)
    assert found["how_to_get"] is None
    text = run("models", place.model, "--store", place.store).out
    assert f"path:                   {place.model}\n" in text
    assert "how to get" not in text


@pytest.fixture
def pocket_model(tmp_path, tiny_model_folder, monkeypatch) -> EmbeddedModel:
    """An embedded model in a package of its own, whose conversion copies the tiny model."""
    package = tmp_path / "packages" / "pocket_model"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "packed.gguf").write_bytes(b"weights")
    (package / "TERMS.md").write_text("Be kind.")
    monkeypatch.syspath_prepend(str(package.parent))
    model = dataclasses.replace(
        EMBEDDED["smollm2-135m"],
        name="pocket",
        title="Pocket",
        package="pocket_model",
        parts=(("pocket_model", "packed.gguf"),),
        sha256=hashlib.sha256(b"weights").hexdigest(),
        terms_files=("TERMS.md",),
        licence="Kindness 1.0",
    )

    def convert(self: EmbeddedModel, packed: Path, target: Path, say: Callable[[str], None]):
        say("2/4 copying")
        shutil.copytree(tiny_model_folder, target, dirs_exist_ok=True)

    monkeypatch.setattr(EmbeddedModel, "_convert", convert)
    monkeypatch.setitem(EMBEDDED, "pocket", model)
    return model


def test_prepare_says_its_steps_and_the_terms_once(run, tmp_path, pocket_model):
    store = tmp_path / "store"
    first = run("models", "--prepare", "pocket", "--store", store)
    assert (first.code, first.err) == (0, "")
    assert first.out.index("1/4 ") < first.out.index("2/4 copying") < first.out.index("4/4 ")
    terms = store / "models" / "pocket" / "TERMS.md"
    assert f"Kindness 1.0 ({pocket_model.licence_url})" in first.out
    assert str(terms) in first.out
    assert terms.read_text() == "Be kind."

    again = run("models", "--prepare", "pocket", "--store", store)
    assert again.out.startswith("Pocket is ready in ")
    assert "1/4" not in again.out
    assert "agreeing" not in again.out


def test_prepare_as_json_prints_nothing_else(run, tmp_path, pocket_model):
    found = run("models", "--prepare", "pocket", "--store", tmp_path / "store", "--json").json
    assert (found["name"], found["installed"]) == ("pocket", True)


def test_prepare_fetches_a_hub_model(run, tmp_path, tiny_model_folder, monkeypatch):
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    fetched = []

    def snapshot_download(name: str, *, local_files_only: bool = False, **_: object) -> str:
        if not local_files_only:
            fetched.append(name)
        elif not fetched:
            raise LocalEntryNotFoundError("not here")
        return str(tiny_model_folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    found = run("models", "--prepare", "someone/tiny", "--store", tmp_path, "--json").json
    assert fetched == ["someone/tiny"]
    assert (found["name"], found["installed"], found["width"]) == ("someone/tiny", True, 64)


@pytest.fixture
def no_network(monkeypatch):
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    def snapshot_download(name: str, *, local_files_only: bool = False, **_: object) -> str:
        raise LocalEntryNotFoundError("not here") if local_files_only else ConnectionError("no")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)


def test_no_network_for_a_hub_model(refused, place, no_network):
    line = refused("models", "--prepare", "no/where", "--store", place.store, "--json")
    assert "cannot be reached" in line
    for command in ("collect", "spectrum", "languages"):
        words = [] if command == "languages" else ["--languages", "sw,en"]
        line = refused(command, *words, "--model", "no/where", "--store", place.store)
        assert "models --prepare no/where" in line
