"""Every sort of bad input: exit status 2 and one line on standard error."""

from pathlib import Path

import pytest

from bridgex_core import cli
from bridgex_core.store import open_store

from .conftest import LINE, SIX, disk_full


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"Two.\nLines.\n", "too short"),
        ("Élan vital. ".encode("latin-1") * 40, "not UTF-8"),
        (LINE.encode("utf-16") * 4, "not UTF-8"),
        (None, "has no swh_Latn.txt"),
    ],
)
def test_bad_texts(refused, place, tmp_path, content, expected):
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "eng_Latn.txt").write_text(LINE * 5)
    if content is not None:
        (folder / "swh_Latn.txt").write_bytes(content)
    bad = [*place.options[:-1], folder, "--languages", "en,sw"]
    for command in ("collect", "spectrum", "typology"):
        line = refused(command, *bad)
        assert expected in line
        assert "swh_Latn" in line


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--top-rate", "0"], "top rate"),
        (["--top-rate", "2"], "top rate"),  # 200 %
        (["--top-rate", "-0.01"], "top rate"),
        (["--top-rate", "nan"], "top rate"),
        (["--top-rate", "inf"], "top rate"),
        (["--top-rate", "0.001"], "no neuron"),
        (["--top-rate", "many"], "'many'"),
        (["--layers", "0.6:0.9"], "holds no layer"),
        (["--layers", "1:0"], "1:0"),
        (["--layers", "0:2"], "0:2"),
        (["--layers", "0.5"], "'0.5'"),
        (["--layers", "a:b"], "'a:b'"),
        (["--layers", "nan:nan"], "'nan:nan'"),
        (["--languages", "sw"], "at least two"),
        (["--languages", ""], "names no language"),
        (["--languages", " , "], "names no language"),
        (["--languages", "sw,swh"], "given twice"),
        (["--languages", "sw,Kurdish"], "ckb_Arab"),
        (["--languages", "sw,Klingonese"], "No language is called 'Klingonese'"),
        (["--languages", "sw,fr"], "has no fra_Latn.txt"),
        (["--languages", "sw,two\nlines"], "two"),
        (["--languages", "sw,en", "--selection", "distinctive"], "three"),
        (["--model", "/no/such/model"], "/no/such/model"),
        (["--model", "nonsense"], "nonsense"),
        (["--corpus", "/no/such/corpus"], "/no/such/corpus"),
    ],
)
@pytest.mark.parametrize("command", ["spectrum", "typology"])
def test_bad_settings(refused, collected, command, words, expected):
    line = refused(command, *collected.options, "--languages", SIX, *words)
    assert expected in line


def test_a_bad_setting_is_told_before_anything_is_computed(refused, place):
    words = ["spectrum", *place.options, "--languages", "sw,en", "--collect"]
    for bad in (["--top-rate", "2"], ["--layers", "0.6:0.9"]):
        refused(*words, *bad)
    refused(*words[:-2], "sw", "--collect")
    assert open_store(place.store).usage() == {}


def test_too_few_languages_for_a_test(refused, collected):
    line = refused("typology", *collected.options, "--languages", "sw,en,de")
    assert "at least 4" in line


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--languages", "sw", "--model", "/no/such/model"], "/no/such/model"),
        (["--languages", "sw", "--model", "gemma-3-270m"], "not installed"),
        (["--languages", "sw", "--device", "abacus", "--dtype", "float32"], "abacus"),
        (["--languages", "sw", "--device", "abacus", "--dtype", "auto"], "abacus"),
        (["--languages", "sw", "--job", "0123456789abcdef"], "0123456789abcdef"),
        (["--languages", "sw", "--job", "../../etc"], "../../etc"),
    ],
)
def test_bad_collections(refused, place, words, expected):
    assert expected in refused("collect", *place.options, *words)


def test_a_folder_that_is_no_model(refused, place, tmp_path):
    assert "config.json" in refused("models", tmp_path, "--store", place.store)
    (tmp_path / "config.json").write_text("{")
    assert "not valid JSON" in refused("models", tmp_path, "--store", place.store)
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    words = ["collect", "--languages", "sw", "--model", tmp_path, "--store", place.store]
    assert "no weights" in refused(*words)


_PAIR = ["--source", "sw", "--target", "en"]
_REQUIRED = {
    "collect": ["--languages", "sw"],
    "probe": _PAIR,
    "bridges": _PAIR,
    "try": [*_PAIR, "--word", "mbwa"],
    "evaluate": _PAIR,
    "atlas": ["lape"],
}


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_a_store_that_cannot_be_one(refused, tmp_path, command):
    file = tmp_path / "file"
    file.write_text("")
    assert str(file) in refused(command, *_REQUIRED.get(command, []), "--store", file)


def test_a_broken_file_of_languages(refused, place):
    place.store.mkdir()
    (place.store / "languages.toml").write_text("[[language")
    assert "languages.toml" in refused("languages", "--store", place.store)


def test_a_disk_that_is_full_from_the_start(refused, place, monkeypatch):
    monkeypatch.setattr(Path, "mkdir", disk_full)
    line = refused("collect", *place.options, "--languages", "sw")
    assert "is full" in line


def test_a_disk_that_fills_up(run, place, monkeypatch):
    monkeypatch.setattr("bridgex_core.store.write_folder", disk_full)
    words = ["collect", *place.options, "--dtype", "float32", "--languages", "sw"]
    outcome = run(*words)
    assert (outcome.code, outcome.out) == (2, "")
    plan, error = outcome.err.splitlines()
    assert "GiB of memory" in plan
    assert error.startswith("bridgex: The disk of the store")
