"""`atlas`, each analysis on neurons that are known beforehand or on the tiny model."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from bridgex_core import jobs
from bridgex_core.activations import ActivationStats
from bridgex_core.cli.atlas import ANALYSES
from bridgex_core.collection import STATISTICS
from bridgex_core.store import open_store

from .conftest import ACTIVE, HAND_MADE, Place
from .test_main import NO_TORCH, process

THREE = ["--languages", "sw,en,de"]
PAIR = ["--languages", "sw,en", "--dtype", "float32"]
FOUR = ["--top-rate", str(4 / 128)]
SETS = "language,layer,neuron\nswh_Latn,0,1\nswh_Latn,1,5\neng_Latn,1,5\neng_Latn,1,63\n"


def never(*_: object, **__: object) -> None:
    raise AssertionError("it is stored")


@pytest.fixture
def sets(tmp_path) -> Path:
    """Neuron sets of the tiny model's shape."""
    path = tmp_path / "sets.csv"
    path.write_text(SETS)
    return path


# ---- From statistics ---------------------------------------------------------------------------


def test_lape_of_known_neurons(run, hand_made):
    """Six neurons are of one language; the first four of them, by position, are selected."""
    found = run("atlas", "lape", *hand_made.options, *THREE, *FOUR, "--json").json
    assert found["languages"] == list(HAND_MADE)
    assert found["sizes"] == [1, 1, 2]
    assert found["selected"] == 4
    assert (found["filter"], found["bar"]) == (0, 0)
    assert found["classes"] == {"specific": 4, "related": 0, "agnostic": 5, "inactive": 119}
    assert found["layers"] == [0, 1]
    assert found["by_layer"] == {
        "specific": [4, 0], "related": [0, 0], "agnostic": [2, 3], "inactive": [58, 61],
    }  # fmt: skip
    assert found["parts"] is None  # two layers
    assert found["settings"] == {
        "top_rate": 4 / 128, "filter_percentile": 0.95, "bar_percentile": 0.95,
    }  # fmt: skip
    assert (found["model"], found["dtype"]) == (str(hand_made.model), "float32")
    told = run("atlas", "lape", *hand_made.options, *THREE, *FOUR).out
    assert ["all", "4", "0", "5", "119"] in [line.split() for line in told.splitlines()]
    assert ["deu_Latn", "2"] in [line.split() for line in told.splitlines()]


def test_sharing_of_known_neurons(run, hand_made):
    found = run("atlas", "sharing", *hand_made.options, *THREE, "--json").json
    assert found["sizes"] == [4, 4, 4]
    assert list(found["classes"].values()) == [6, 3, 0, 119]
    assert found["by_layer"]["partial-shared"] == [2, 1]
    assert found["settings"] == {"active_share": 0.5}
    assert "Sharing over parallel inputs" in run("atlas", "sharing", *hand_made.options, *THREE).out


def test_agreement_of_known_neurons(run, hand_made):
    words = ["atlas", "agreement", *hand_made.options, *THREE, *FOUR]
    found = run(*words, "--json").json
    assert found["methods"] == ["lape", "sharing", "membership"]
    assert len(found["agreement"]) == 3 * 4
    specific = found["agreement"][0]
    assert (specific["first"], specific["second"]) == ("lape", "sharing")
    assert (specific["a"], specific["b"], specific["both"]) == (4, 6, 4)
    assert specific["jaccard"] == pytest.approx(4 / 6)
    agnostic = found["agreement"][-2]  # empty by sharing and by membership
    assert (agnostic["class"], agnostic["jaccard"]) == ("agnostic", None)
    assert "0.667" in run(*words).out


@pytest.fixture
def aligned(place: Place) -> Place:
    """In layer 0 blocks 0 to 2 each have a neuron of their own; block 3 and layer 1 have none."""
    store, collection = open_store(place.store), place.collection()
    for code in ("swh_Latn", "eng_Latn"):
        counts = np.zeros((4, 2, 64), dtype=np.int64)
        counts[[0, 1, 2], 0, [5, 6, 7]] = 10
        stats = ActivationStats(counts, counts / 2, np.full(4, 10))
        key = collection.key(STATISTICS, collection.corpus.text(code))
        store.save(STATISTICS, key, stats.tensors(), {})
    return place


def test_alignment_of_known_states(run, aligned):
    found = run("atlas", "alignment", *aligned.options, *PAIR, "--json").json
    assert found["measure"] == "states"
    assert found["values"] == [[[1, 0.75], [0.75, 1]], [[1, 0], [0, 1]]]
    assert found["pooled"] == [[1, 0.75], [0.75, 1]]
    assert found["blocks"] == [[4, 4], [4, 4]]
    assert [row["mean"] for row in found["by_layer"]] == [0.75, 0]
    second = run("atlas", "alignment", *aligned.options, *PAIR, "--layers", "0.5:1", "--json").json
    assert second["layers"] == [1]
    assert "neuron states, layers 0 to 1" in run("atlas", "alignment", *aligned.options, *PAIR).out


def test_hidden_states_are_recorded_once(run, place, monkeypatch):
    words = ["atlas", "alignment", *place.options, *PAIR, "--measure", "hidden", "--json"]
    found = run(*words).json
    values = np.array(found["values"])
    assert values.shape == (2, 2, 2)
    assert ((values >= 0) & (values <= 1)).all()
    np.testing.assert_allclose(found["pooled"], values.mean(0))

    monkeypatch.setattr("bridgex_core.cli.atlas_alignment.load_quietly", never)
    assert run(*words).json == found


def test_statistics_and_files_do_without_torch(collected, sets, tmp_path):
    words = [*collected.options, *THREE]
    store = ["--store", str(tmp_path / "store")]
    commands = [
        *(["atlas", name, *words] for name in ("lape", "sharing", "agreement", "alignment")),
        ["atlas", "import", str(sets), "--name", "mine", *store],
        ["atlas", "export", "mine", "--format", "csv", "--out", str(tmp_path / "a.csv"), *store],
    ]
    ended = process("-c", NO_TORCH.format(commands=commands))
    assert ended.returncode == 0, ended.stderr


# ---- With the model ----------------------------------------------------------------------------


def test_the_lens_ends_with_what_the_model_says(run, place):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    prompt = "mbwa: собака"
    words = ["atlas", "lens", *place.options[:4], "--prompt", prompt, "--dtype", "float32"]
    found = run(*words, "--languages", "sw,Russian", "--top", "3", "--json").json
    tokenizer = AutoTokenizer.from_pretrained(place.model)
    ids = [tokenizer.bos_token_id, *tokenizer(prompt, add_special_tokens=False)["input_ids"]]
    network = AutoModelForCausalLM.from_pretrained(place.model)
    with torch.inference_mode():
        expected = network(torch.tensor([ids])).logits[0].softmax(-1).topk(3)
    assert len(found["levels"]) == 2 + 1
    assert len(found["tokens"]) == len(ids)
    assert found["skipped"] == 1
    last = found["levels"][-1]
    assert [[word["token"] for word in place] for place in last] == [
        [tokenizer.decode([word]) for word in place] for place in expected.indices.tolist()
    ]
    np.testing.assert_allclose(
        [[word["probability"] for word in place] for place in last], expected.values, rtol=1e-4
    )
    assert found["languages"] == ["swh_Latn", "rus_Cyrl"]
    for level in range(3):
        shares = [row["share"] for row in found["shares"] if row["level"] == level]
        assert sum(shares) == pytest.approx(1, abs=1e-5)
    lines = run(*words).out.splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["0", "1", "2"]


def test_what_zeroing_does_and_scaling_by_one_does_not(run, collected):
    words = ["atlas", "intervene", *collected.options, *PAIR, "--top-rate", "0.1", "--bar", "0.5"]
    words += ["--tokens", "40", "--seed", "3"]
    found = run(*words, "--json").json
    assert found["sets"] == found["languages"] == ["swh_Latn", "eng_Latn"]
    assert found["tokens"] == [40, 40]
    assert 0 < min(found["sizes"]) <= 13
    plain, changed, control = (np.array(found[k]) for k in ("plain", "changed", "control"))
    assert (changed != plain).all()
    assert (control != changed).all()
    np.testing.assert_allclose(found["change"], changed - plain)
    np.testing.assert_allclose(found["control_change"], control - plain)
    assert found["settings"]["action"] == "zero"
    assert found["settings"]["strength"] is None
    same = run(*words, "--action", "scale", "--strength", "1", "--json").json
    assert same["plain"] == found["plain"]
    assert same["changed"] == same["control"] == [found["plain"]] * 2
    again = run(*words, "--json").json
    assert again["control"] == found["control"]
    assert "random sets" in run(*words).out


def test_means_and_sets_of_an_import(run, refused, place, sets):
    run("collect", *place.options, *PAIR, *THREE)
    assert run("atlas", "import", sets, "--name", "mine", *place.options[:2]).code == 0
    words = ["atlas", "intervene", *place.options, *PAIR, "--sets", "mine", "--tokens", "20"]
    first, other = (
        run(*words, "--action", "replace", *more, "--json").json for more in ([], ["--mean", "en"])
    )
    assert first["sizes"] == [2, 2]
    assert (first["settings"]["mean"], other["settings"]["mean"]) == ("swh_Latn", "eng_Latn")
    assert (first["settings"]["strength"], first["settings"]["method"]) == (1, None)
    assert first["changed"] != other["changed"]
    assert "has no set of deu_Latn" in refused(*words, *THREE)
    assert "--mean names deu_Latn" in refused(*words, "--action", "replace", "--mean", "de")
    assert "--action replace" in refused(*words, "--mean", "en")
    assert "not between -100 and 100" in refused(*words, "--action", "scale", "--strength", "nan")
    assert "at least one" in refused(*words, "--tokens", "0")
    assert "the names are: mine" in refused(*words, "--sets", "yours")


def test_a_perplexity_that_is_stored_needs_no_model(run, refused, collected, monkeypatch):
    words = ["atlas", "intervene", *collected.options, *THREE, "--top-rate", "0.1", "--bar", "0.5"]
    words += ["--tokens", "40", "--texts", "de,sw", "--json"]
    found = run(*words).json
    assert found["sets"] == found["languages"] == ["deu_Latn", "swh_Latn"]
    assert "--texts names fin_Latn" in refused(*words, "--texts", "sw,fi")
    monkeypatch.setattr("bridgex_core.cli.atlas_interventions.load_quietly", never)
    again = run(*words).json
    assert {**again, "seconds": 0} == {**found, "seconds": 0}


TRANSLATE = ["--source", "de", "--target", "sw", "--items", "8", "--shots", "1"]


def test_words_are_translated_with_neurons_changed(run, collected, monkeypatch):
    words = ["atlas", "translate", *collected.options, *THREE, *TRANSLATE, "--of", "sw"]
    words += ["--top-rate", "0.1", "--bar", "0.5", "--action", "scale", "--strength", "90"]
    found = run(*words, "--json").json
    assert (found["source"], found["target"], found["words"]) == ("deu_Latn", "swh_Latn", 8)
    assert (found["set"], found["settings"]["strength"]) == ("lape:swh_Latn", 90)
    plain, changed, control = found["runs"]
    assert [row["run"] for row in found["runs"]] == ["plain", "changed", "control"]
    assert plain["mrr_difference"] is None
    for row in (changed, control):
        assert row["mrr_difference"] == pytest.approx(row["mrr"] - plain["mrr"])
        assert row["mrr_low"] <= row["mrr_difference"] <= row["mrr_high"]
        assert sum(row["written"].values()) == pytest.approx(1)
    assert changed["mrr"] != plain["mrr"]
    same = run(*words, "--strength", "1", "--json").json
    assert [row["mrr"] for row in same["runs"]] == [plain["mrr"]] * 3
    assert same["runs"][1]["mrr_difference"] == 0
    monkeypatch.setattr("bridgex_core.cli.atlas_interventions.load_quietly", never)
    assert run(*words, "--json").json["runs"] == found["runs"]
    told = [line.split() for line in run(*words).out.splitlines()]
    assert told[0] == [
        "run",
        "accuracy",
        "change",
        "mrr",
        "change",
        "deu_Latn",
        "swh_Latn",
        "other",
    ]
    assert [line[0] for line in told[1:4]] == ["plain", "changed", "control"]


def test_which_sets_can_be_translated_with(run, refused, collected, sets):
    assert run("atlas", "import", sets, "--name", "mine", *collected.options[:2]).code == 0
    words = ["atlas", "translate", *collected.options, *THREE, *TRANSLATE, "--top-rate", "0.1"]
    words += ["--items", "2"]
    shared = run(*words, "--shared", "--json").json
    own = run(*words, "--sets", "mine", "--of", "sw", "--json").json
    assert (shared["set"], own["set"], own["neurons"]) == ("shared", "import:swh_Latn:mine", 2)
    assert own["runs"][0] == shared["runs"][0]
    most = run(*words, "--method", "membership", "--of", "sw", "--json").json
    assert (most["neurons"], most["settings"]["method"]) == (13, "membership")
    assert 0 < shared["neurons"] < 13
    assert "has no set of deu_Latn" in refused(*words, "--sets", "mine", "--of", "de")
    assert "give --of instead of --shared" in refused(*words, "--sets", "mine", "--shared")
    assert "language 'fin_Latn' is unknown" in refused(*words, "--of", "fi")
    assert "at least one of --items" in refused(*words, "--of", "sw", "--items", "0")
    assert "--of --shared" in refused(*words)


def test_long_work_reports_to_its_job(run, collected, monkeypatch):
    """Each as a job: started as the dashboard does, here without a process of its own."""
    store, names = open_store(collected.store), [*collected.options, *THREE]
    lape = ["--top-rate", "0.1", "--bar", "0.5"]
    commands = (
        ["intervene", *names, *lape, "--tokens", "20", "--texts", "sw"],
        ["translate", *names, *lape, *TRANSLATE, "--items", "2", "--of", "sw"],
        ["alignment", *names, "--measure", "hidden"],
    )
    monkeypatch.setattr(jobs, "_launch", lambda store, job, command: jobs._write(
        store, job, "job.json", **command, run="1", started=jobs._now()
    ))  # fmt: skip
    for command in commands:
        argv = ["atlas", *command]
        job = jobs.start(store, "work", argv)
        assert run(*argv, "--job", job.id).code == 0
        ended = jobs.job(store, job.id)
        assert (ended.state, ended.fraction) == ("done", 1)
        assert ended.message, command
    job = jobs.start(store, "work", ["atlas", *commands[0], "--tokens", "0"])
    assert run(*job.argv, "--job", job.id).code == 2
    assert "at least one of --tokens" in jobs.job(store, job.id).error


# ---- Files -------------------------------------------------------------------------------------


def test_sets_go_in_and_come_out(run, place, sets, tmp_path):
    store = place.options[:2]
    words = ["atlas", "import", sets, "--name", "mine", "--languages", "en,sw", *store]
    found = run(*words, "--layers", "3", "--width", "64", "--json").json
    assert found == {
        "name": "mine", "content": "sets", "languages": ["eng_Latn", "swh_Latn"], "layers": 3,
        "width": 64, "origin": ["sets.csv"], "notes": [], "sizes": [2, 2],
        "overlap": [[2, 1], [1, 2]], "tokens": None,
    }  # fmt: skip
    for form in ("pth", "safetensors", "csv"):
        out = tmp_path / f"again.{form}"
        told = run("atlas", "export", "mine", "--format", form, "--out", out, *store, "--json").json
        assert told["files"] == [str(out)]
        again = ["atlas", "import", out, "--name", form, *store, "--languages", "en,sw"]
        assert run(*again, "--json").json["overlap"] == found["overlap"]
    raw = torch.load(tmp_path / "again.pth", weights_only=True)
    assert [[layer.tolist() for layer in each] for each in raw] == [
        [[], [5, 63], []],
        [[1], [5], []],
    ]
    told = run(*words, "--layers", "3", "--width", "64").out
    assert "Kept as 'mine': neuron sets of 2 languages, 3 layers of 64 neurons" in told


def test_statistics_go_out_and_come_in(run, hand_made, tmp_path):
    folder = tmp_path / "dumps"
    words = ["atlas", "export", *hand_made.options, *THREE, "--out", folder]
    told = run(*words, "--content", "activations", "--json").json
    files = [folder / f"activation.{code}" for code in HAND_MADE]
    assert told["files"] == [str(file) for file in files]
    dump = torch.load(files[0], weights_only=True)
    assert dump["n"] == 40
    assert set(np.flatnonzero(dump["over_zero"])) == HAND_MADE["swh_Latn"]
    store = hand_made.options[:2]
    found = run("atlas", "import", *files, *THREE, "--name", "dumps", *store, "--json").json
    assert (found["content"], found["tokens"]) == ("activations", [40, 40, 40])
    assert (found["layers"], found["width"], found["overlap"]) == (2, 64, None)
    again = run("atlas", "export", "dumps", "--out", tmp_path / "again", *store, "--json").json
    assert len(again["files"]) == 3
    assert run("atlas", "import", *files, *THREE, "--name", "dumps", *store).code == 0


def test_lape_and_the_spectrum_of_an_import_are_those_of_its_origin(run, hand_made, tmp_path):
    words = ["atlas", "export", *hand_made.options, *THREE, "--out", tmp_path / "dumps"]
    assert run(*words, "--content", "activations").code == 0
    files = [tmp_path / "dumps" / f"activation.{code}" for code in HAND_MADE]
    store = hand_made.options[:2]
    assert run("atlas", "import", *files, *THREE, "--name", "dumps", *store).code == 0
    taken = ["--import", "dumps", *store]
    for command in (["atlas", "lape", *FOUR], ["spectrum", *ACTIVE, "--order", "given"]):
        own = run(*command, *hand_made.options, *THREE, "--json").json
        other = run(*command, *taken, "--json").json
        assert (other["import"], other["model"], other["corpus"]) == ("dumps", None, None)
        same = set(own) - {"model", "corpus", "dtype", "reliability"}
        assert {name: other[name] for name in same} == {name: own[name] for name in same}
        assert "imported as 'dumps'" in run(*command, *taken).out
    two = run("spectrum", *ACTIVE, *taken, "--languages", "en,de", "--json").json
    assert (sorted(two["languages"]), two["tokens"]) == (["deu_Latn", "eng_Latn"], [40, 40])
    refused = run("spectrum", *taken, "--languages", "en,fra_Latn")
    assert refused.code == 2
    assert "has no fra_Latn" in refused.err


def test_the_spectrum_of_imported_sets(run, hand_made, tmp_path):
    out = tmp_path / "sets.csv"
    words = ["atlas", "export", *hand_made.options, *THREE, *FOUR, "--method", "membership"]
    assert run(*words, "--format", "csv", "--out", out).code == 0
    store = hand_made.options[:2]
    shape = ["--layers", "2", "--width", "64"]
    assert run("atlas", "import", out, *THREE, *shape, "--name", "sets", *store).code == 0
    taken = ["--import", "sets", *store]
    own = run("spectrum", *hand_made.options, *ACTIVE, *THREE, "--order", "given", "--json").json
    found = run("spectrum", *taken, "--metric", "jaccard", "--order", "given", "--json").json
    for name in ("languages", "layers", "values", "shared", "sizes"):
        assert found[name] == own[name]
    assert (found["tokens"], found["reliability"]) == (None, None)
    refused = run("spectrum", *taken, "--metric", "centred")
    assert (refused.code, refused.out) == (2, "")
    assert "needs activation statistics" in refused.err
    assert "holds neuron sets" in run("atlas", "lape", *taken).err


def test_an_import_of_an_unknown_language_is_refused(refused, hand_made, tmp_path):
    path = tmp_path / "sets.csv"
    path.write_text("language,layer,neuron\nklingon,0,1\neng_Latn,0,1\n")
    store = hand_made.options[:2]
    assert "klingon, which the register" in refused("atlas", "import", path, "--name", "k", *store)
    assert "leave out --collect" in refused("spectrum", "--import", "k", "--collect", *store)


def test_neurons_of_languages_are_exported(run, hand_made, tmp_path):
    out = tmp_path / "neurons.csv"
    words = ["atlas", "export", *hand_made.options, *THREE, *FOUR, "--format", "csv", "--out", out]
    assert run(*words).code == 0
    rows = ["swh_Latn,0,0", "eng_Latn,0,3", "deu_Latn,0,10", "deu_Latn,0,11"]
    assert out.read_text().splitlines() == ["language,layer,neuron", *rows]
    assert run(*words, "--method", "membership").code == 0
    assert len(out.read_text().splitlines()) == 1 + 3 * 4


def test_the_real_sets_of_llama(run, tmp_path):
    folder = os.environ.get("BRIDGEX_TEST_DATA")
    if not folder:
        pytest.skip("BRIDGEX_TEST_DATA does not name a folder with LAPE's neuron sets")
    path = Path(folder) / "lape" / "LLaMA-2-7B.neuron.pth"
    codes = "eng_Latn,zho_Hans,fra_Latn,spa_Latn,vie_Latn,ind_Latn,jpn_Jpan"
    words = ["atlas", "import", path, "--languages", codes, "--name", "llama", "--store", tmp_path]
    found = run(*words, "--json").json
    assert found["languages"] == codes.split(",")
    assert (found["layers"], found["sizes"]) == (32, [95, 583, 1022, 838, 836, 1068, 582])
    assert found["overlap"][2][3] == found["overlap"][3][2] == 336
    assert found["overlap"][4][5] == 324
    assert found["overlap"][0][1] == 18


# ---- Bad input ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ANALYSES)
def test_every_analysis_has_help_and_json(run, name):
    outcome = run("atlas", name, "--help")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith(f"usage: python -m bridgex_core atlas {name}")
    assert "--json" in outcome.out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "ANALYSIS"),
        (["brain"], "brain"),
        (["lape", *THREE, "--top-rate", "2"], "top rate"),
        (["lape", *THREE, "--top-rate", "nan"], "top rate"),
        (["lape", *THREE, "--filter", "2"], "percentile"),
        (["lape", *THREE, "--filter", "x"], "--filter"),
        (["lape", "--languages", "sw"], "at least two"),
        (["lape", "--languages", "sw,Klingonese"], "Klingonese"),
        (["sharing", *THREE, "--active-share", "1"], "active share"),
        (["agreement", "--languages", "sw"], "at least two"),
        (["alignment", "--languages", "sw"], "at least two"),
        (["alignment", "--languages", "sw", "--measure", "hidden"], "at least two"),
        (["alignment", *THREE, "--layers", "0.6:0.9"], "holds no layer"),
        (["alignment", *THREE, "--layers", "1:0", "--measure", "hidden"], "1:0"),
        (["alignment", *THREE, "--measure", "tokens"], "tokens"),
        (["lens", "--prompt", ""], "prompt is empty"),
        (["lens", "--prompt", "a", "--top", "0"], "1 to 100"),
        (["lens"], "--prompt"),
        (["intervene"], "--languages"),
        (["intervene", *THREE, "--action", "remove"], "remove"),
        (["import", "/no/such.pth", "--name", "a"], "/no/such.pth"),
        (["import", "/no/such.pth"], "--name"),
        (["export", "nothing", "--out", "a"], "No import is named 'nothing'"),
        (["export", "--out", "a"], "an import, or --languages"),
        (["export", "a", *THREE, "--out", "a"], "an import, or --languages"),
        (["export", *THREE, "--out", "/no/such/folder/a"], "can't be written"),
        (["export", *THREE, "--out", "a", "--content", "activations", "--format", "csv"], "pth"),
    ],
)
def test_bad_input(refused, collected, words, expected):
    fewer = {"lens": 4, "import": 2}  # the lens reads no corpus, an import needs the store alone
    options = collected.options[: fewer.get(words[0], 6)] if len(words) > 1 else []
    assert expected in refused("atlas", *words, *options)


def test_statistics_that_are_not_there(refused, place):
    for name in ("lape", "sharing", "agreement", "alignment", "intervene"):
        line = refused("atlas", name, *place.options, *PAIR)
        assert "no statistics of swh_Latn, eng_Latn yet: run `python -m bridgex_core" in line
        assert "collect --languages swh_Latn,eng_Latn" in line


def test_an_import_holds_what_it_holds(run, refused, place, sets):
    store = place.options[:2]
    run("atlas", "import", sets, "--name", "mine", *store)
    line = refused("atlas", "export", "mine", "--content", "activations", "--out", "a", *store)
    assert "holds sets, not activations" in line
    sets.write_text(SETS + "swh_Latn,0,9\n")
    assert "another import named 'mine'" in refused(
        "atlas", "import", sets, "--name", "mine", *store
    )
