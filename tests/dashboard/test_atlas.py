"""The Atlas page: its analyses, by statistics alone and with a tiny model."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from bridgex_core import figures, jobs
from bridgex_core.alignment import SentenceStates, alignment_matrix
from bridgex_core.candidates import LocalBackend
from bridgex_core.cli import main
from bridgex_core.collection import Collection, collect_languages, stored_table
from bridgex_core.corpora import open_corpus
from bridgex_core.languages import STUDY_LANGUAGES
from bridgex_core.model_sources import find_model
from bridgex_core.neuron_classes import (
    classes_by_lape,
    classes_by_sets,
    classes_by_sharing,
    intersections,
    lape,
)
from bridgex_core.neuron_files import IMPORTED, Import, export_sets, save_import
from bridgex_core.neurons import top_neurons
from bridgex_core.store import Store
from bridgex_core.trials import open_backend
from pages.parts.state import ANALYSES

from ..conftest import CORPUS_LANGUAGES
from .driving import (
    LAYERS,
    PROJECT,
    STATS,
    WIDTH,
    Office,
    Open,
    calm,
    job,
    link,
    table,
    words_of,
)

PAGE = "pages/atlas.py"
FIGURES = (
    "class_layers", "upset", "neuron_bars", "alignment_curve", "language_matrix", "lens_grid",
    "lens_shares", "perplexity_matrix", "pitfall_points", "shaded_sentence",
)  # fmt: skip


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[Any, ...]]:
    """The last arguments of every figure of the Atlas."""
    calls: dict[str, tuple[Any, ...]] = {}

    def spied(name: str) -> Callable[..., Any]:
        real = getattr(figures, name)

        def call(*args: Any, **options: Any) -> Any:
            calls[name] = (*args, options)
            return real(*args, **options)

        return call

    for name in FIGURES:
        monkeypatch.setattr(figures, name, spied(name))
    return calls


def atlas(opened: Open, **view: str) -> AppTest:
    return calm(opened(PAGE, **view))


# ---- By statistics alone -----------------------------------------------------------------------


def test_the_page_opens_with_the_classes_and_needs_no_torch(root: Path) -> None:
    script = (
        "import sys\n"
        "from streamlit.testing.v1 import AppTest\n"
        f"app = AppTest.from_file({str(PROJECT / 'app.py')!r}, default_timeout=120).run()\n"
        f"app.switch_page({PAGE!r}).run()\n"
        "assert not app.exception and len(app.get('plotly_chart')) == 2\n"
        "assert 'torch' not in sys.modules and 'transformers' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=PROJECT, check=True)


def test_classes_by_every_method(opened: Open, seen: dict[str, Any]) -> None:
    app = atlas(opened)
    stats = {code: STATS[code] for code in STUDY_LANGUAGES}
    for method, expected in (
        ("lape", classes_by_lape(lape(table()))),
        ("sharing", classes_by_sharing(stats)),
        ("membership", classes_by_sets(top_neurons(table()))),
    ):
        calm(app.segmented_control(key="method_widget").set_value(method).run())
        assert seen["class_layers"][0].equals(expected.by_layer())
        bars = intersections(expected.masks, STUDY_LANGUAGES, at_most=20)
        assert seen["upset"][0].equals(bars)
    assert link(app) == {"method": "membership"}
    told = words_of(app)
    assert "The fourth part adds" in told
    assert "15 languages" in told
    assert "float32" in told
    agreement = app.dataframe[0].value
    assert len(agreement) == 12
    assert agreement["jaccard"].between(0, 1).all()


def test_the_share_of_neurons_redraws(opened: Open, seen: dict[str, Any]) -> None:
    app = atlas(opened)
    calm(app.select_slider(key="share_widget").set_value(0.05).run())
    assert seen["class_layers"][0].equals(classes_by_lape(lape(table(), top_share=0.05)).by_layer())
    assert link(app) == {"share": "0.05"}


def test_a_link_restores_every_analysis(opened: Open) -> None:
    wanted = {
        "neuron": {"neuron": "3:7", "of": "deu_Latn"},
        "alignment": {"layer": "4", "pair": "deu_Latn,eng_Latn"},
        "interventions": {
            "neurons": "shared", "action": "scale", "strength": "5", "words": "50",
            "texts": "deu_Latn,fin_Latn", "tokens": "100",
        },
        "thought": {"prompt": "one two", "through": "deu_Latn"},
    }  # fmt: skip
    for analysis, fields in wanted.items():
        app = opened(analysis=analysis, **fields)
        calm(app.switch_page(PAGE).run())
        assert link(app) == {"analysis": analysis, **fields}, analysis


def test_every_analysis_is_drawn_without_a_model(opened: Open) -> None:
    app = atlas(opened)
    for analysis in ANALYSES:
        calm(app.segmented_control(key="analysis_widget").set_value(analysis).run())
        assert link(app).get("analysis", ANALYSES[0]) == analysis
        assert not any(label in words_of(app) for label in ("Traceback", "nan", "NaN")), analysis


def test_a_neuron_and_its_neighbours(opened: Open, seen: dict[str, Any]) -> None:
    app = atlas(opened, analysis="neuron", neuron="3:7")
    languages, probability = seen["neuron_bars"][:2]
    assert [one.code for one in languages] == list(STUDY_LANGUAGES)
    np.testing.assert_allclose(probability, table().probability[:, 3, 7])
    assert app.number_input(key="neuron_0").value == 3
    calm(app.number_input(key="neuron_1").set_value(8).run())
    np.testing.assert_allclose(seen["neuron_bars"][1], table().probability[:, 3, 8])
    assert link(app)["neuron"] == "3:8"
    assert "By LAPE it belongs to" in words_of(app)
    assert len(app.dataframe[-1].value) == 10


def test_the_first_neuron_shown_is_the_most_specific(opened: Open, seen: dict[str, Any]) -> None:
    atlas(opened, analysis="neuron", of="fin_Latn")
    found = lape(table())
    own = found.masks[STUDY_LANGUAGES.index("fin_Latn")]
    layer, neuron = np.unravel_index(np.where(own, found.entropy, np.inf).argmin(), own.shape)
    np.testing.assert_allclose(seen["neuron_bars"][1], table().probability[:, layer, neuron])


def test_a_neuron_that_the_model_lacks_is_told(opened: Open) -> None:
    app = opened(analysis="neuron", neuron="99:1")
    calm(app.switch_page(PAGE).run())
    assert "no neuron 1 in layer 99" in app.warning[0].value
    assert "neuron" not in link(app)


def test_alignment_of_neuron_states(opened: Open, seen: dict[str, Any]) -> None:
    app = atlas(opened, analysis="alignment")
    expected = alignment_matrix({c: SentenceStates.of(STATS[c]) for c in STUDY_LANGUAGES})
    np.testing.assert_allclose(seen["language_matrix"][0], expected.pooled)
    calm(app.selectbox(key="layer_widget").select(5).run())
    np.testing.assert_allclose(seen["language_matrix"][0], expected.values[5])
    assert "16.7 %" in words_of(app)  # one of six blocks
    assert "pair" not in seen["alignment_curve"][0]
    calm(app.selectbox(key="pair_widget").select(("jpn_Jpan", "deu_Latn")).run())
    assert seen["alignment_curve"][1] == "Japanese – German"


def test_too_few_languages(opened: Open) -> None:
    app = atlas(opened, languages="deu_Latn")
    assert "at least two" in words_of(app)
    calm(app.segmented_control(key="analysis_widget").set_value("files").run())
    assert app.get("file_uploader")


def test_pitfalls_without_evaluations_say_what_they_need(opened: Open) -> None:
    assert "evaluations of word translation" in words_of(atlas(opened, analysis="pitfalls"))


# ---- Files -------------------------------------------------------------------------------------


def test_an_import_from_upload_to_deletion(opened: Open, root: Path, seen: dict[str, Any]) -> None:
    codes = ("eng_Latn", "deu_Latn", "swh_Latn")
    sets = top_neurons(table(codes), top_rate=0.05)
    app = atlas(opened, analysis="files")
    app.file_uploader[0].upload("sets.pth", export_sets(sets, "pth"))
    app.text_input[0].set_value("mine")
    app.text_input[1].set_value("English, deu_Latn, swh_Latn")
    app.number_input[0].set_value(LAYERS)
    app.number_input[1].set_value(WIDTH)
    calm(next(b for b in app.button if b.label == "Import").click().run())
    counts = (sets.masks[:, None] & sets.masks[None]).sum((2, 3))
    np.testing.assert_array_equal(seen["language_matrix"][0], counts)
    assert "mine is imported" in words_of(app)
    assert link(app)["imported"] == "mine"
    assert list(app.dataframe[0].value["name"]) == ["mine"]
    assert len(app.get("download_button")) >= 9

    calm(app.segmented_control(key="analysis_widget").set_value("interventions").run())
    assert "mine: swh_Latn" in app.selectbox(key="neurons_widget").options
    calm(app.segmented_control(key="analysis_widget").set_value("files").run())
    calm(app.button(key="delete_import").click().run())
    assert not list(Store(root).entries(IMPORTED))
    assert "imported" not in link(app)


def test_a_refused_upload_is_one_sentence(opened: Open, root: Path) -> None:
    app = atlas(opened, analysis="files")
    app.file_uploader[0].upload("evil.pth", b"cos\nsystem\n(S'true'\ntR.")
    app.text_input[0].set_value("evil")
    app.text_input[1].set_value("eng_Latn")
    next(b for b in app.button if b.label == "Import").click().run()
    assert not app.exception
    assert "The file evil.pth can't be read" in words_of(app)
    assert not list(Store(root).entries(IMPORTED))


# ---- With the model ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tiny(
    tiny_model_folder: Path, folder_corpus: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[LocalBackend, Store, Collection]]:
    """The tiny model, loaded once, with its statistics of the small corpus."""
    store = Store(tmp_path_factory.mktemp("tiny-store"))
    source = find_model(str(tiny_model_folder), store.root)
    of = Collection(source, open_corpus(str(folder_corpus)), "float32")
    backend = open_backend(source, "float32")
    collect_languages(store, backend.model, of, CORPUS_LANGUAGES)
    return backend, store, of


@pytest.fixture
def modelled(
    root: Path,
    opened: Open,
    tiny: tuple[LocalBackend, Store, Collection],
    monkeypatch: pytest.MonkeyPatch,
) -> Open:
    backend, store, of = tiny
    monkeypatch.setattr("pages.parts.results.default_store", lambda: store)
    monkeypatch.setattr("pages.parts.loaded.open_backend", lambda *args: backend)

    def open_page(analysis: str, **view: str) -> AppTest:
        about = {
            "model": of.source.name,
            "corpus": of.corpus.name,
            "languages": ",".join(CORPUS_LANGUAGES),
            "analysis": analysis,
        }
        return calm(opened(PAGE, **about, **view))

    return open_page


def test_what_drives_a_neuron(modelled: Open, seen: dict[str, Any]) -> None:
    app = modelled("neuron", neuron="1:3", of="swh_Latn")
    assert "shaded_sentence" not in seen
    calm(app.button(key="atlas_drivers").click().run())
    sentence, highest = seen["shaded_sentence"][:2]
    assert highest >= sentence.highest
    assert "in Swahili" in words_of(app)
    assert not any(button.key == "atlas_drivers" for button in app.button)
    calm(app.number_input(key="neuron_1").set_value(4).run())
    assert app.button(key="atlas_drivers")


def test_language_of_thought_follows_the_prompt(modelled: Open, seen: dict[str, Any]) -> None:
    app = modelled("thought", source="deu_Latn", target="swh_Latn")
    assert app.text_area(key="prompt_widget").value.startswith("Deutsch:")
    assert "English" in app.text_area(key="bridged_widget").value
    assert "lens_grid" not in seen
    calm(app.button(key="atlas_lens").click().run())
    assert len(app.get("plotly_chart")) == 4
    calm(app.text_area(key="bridged_widget").set_value("Habari").run())
    assert seen["lens_grid"][0].prompt == "Habari"
    assert seen["lens_grid"][0].levels == 3
    assert link(app)["bridged"] == "Habari"


def test_interventions_run_beside_a_random_set(modelled: Open, seen: dict[str, Any]) -> None:
    app = modelled(
        "interventions", share="0.1", action="scale", strength="9", source="deu_Latn",
        target="swh_Latn", neurons="lape:fin_Latn",
    )  # fmt: skip
    calm(app.button(key="atlas_answer").click().run())
    answers = app.dataframe[0].value
    assert list(answers["run"]) == ["Unchanged", "Set changed", "Random set changed"]
    calm(app.selectbox(key="neurons_widget").select("lape:deu_Latn").run())
    assert len(app.dataframe[0].value) == 3  # the model is there: no button any more
    calm(app.selectbox(key="action_widget").select("replace").run())
    assert link(app)["strength"] == "1"
    assert app.selectbox(key="like_widget").value == CORPUS_LANGUAGES[0]
    assert not any(button.key == "atlas_answer" for button in app.button)


# ---- Jobs --------------------------------------------------------------------------------------


@pytest.fixture
def desk(modelled: Open, monkeypatch: pytest.MonkeyPatch) -> Office:
    """Jobs that run nowhere: `known` is what the list holds, `calls` what the buttons asked for.

    The page itself has no model.
    """
    calls: Office = {"known": [], "calls": []}
    monkeypatch.setattr("pages.parts.loaded.open_backend", None)
    monkeypatch.setattr(jobs, "jobs", lambda store: tuple(calls["known"]))
    for name in ("start", "resume"):
        monkeypatch.setattr(
            jobs, name, lambda store, *args, name=name: calls["calls"].append((name, *args))
        )
    return calls


def ran(argv: list[str], store: Store, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What a job's command answers."""
    assert main([*argv, "--store", str(store.root), "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def asked_for(app: AppTest, key: str, desk: Office) -> list[str]:
    """The command that a button starts."""
    calm(app.button(key=key).click().run())
    name, title, argv = desk["calls"][-1]
    assert name == "start"
    assert title.startswith("tiny-model")
    return list(argv)


PLACE = {"share": "0.1", "source": "deu_Latn", "target": "swh_Latn", "neurons": "lape:deu_Latn"}


def test_word_translation_is_a_job_whose_result_stays(
    modelled: Open,
    desk: Office,
    tiny: tuple[LocalBackend, Store, Collection],
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, store, of = tiny
    view = {**PLACE, "action": "scale", "strength": "9", "words": "3"}
    argv = asked_for(modelled("interventions", **view), "atlas_translation", desk)
    assert argv == [
        *("atlas", "translate", "--model", of.source.name, "--corpus", of.corpus.name),
        *("--dtype", "float32", "--languages", ",".join(CORPUS_LANGUAGES), "--top-rate", "0.1"),
        *("--action", "scale", "--strength=9.0", "--of", "deu_Latn"),
        *("--source", "deu_Latn", "--target", "swh_Latn", "--items", "3"),
    ]
    desk["known"] = [job("cancelled", argv=tuple(argv))]
    app = modelled("interventions", **view)
    assert "was cancelled at 40%: not computed for this choice yet" in words_of(app)
    calm(next(button for button in app.button if button.label == "Go on").click().run())
    assert desk["calls"][-1] == ("resume", "0" * 16)
    desk["known"] = [job(argv=tuple(argv))]
    calm(app.run())  # it stands above, and the part is drawn anew with it
    assert len(app.get("progress")) == 1
    assert "being computed, see above" in words_of(app)
    desk["known"] = []

    found = ran(argv, store, capsys)
    app = modelled("interventions", **view)
    table = app.dataframe[0].value
    assert list(table["run"]) == ["Unchanged", "Set changed", "Random set changed"]
    for row, run in zip(table.to_dict("records"), found["runs"], strict=True):
        assert (row["accuracy"], row["mrr"], row["words"]) == (run["accuracy"], run["mrr"], 3)
    shown, run = table["rank"][1], found["runs"][1]
    low, high = (f"{run[name]:+.3f}".replace("-", "−") for name in ("mrr_low", "mrr_high"))
    assert shown.endswith(f"({low} to {high})".replace("+0.000", "0.000"))
    assert table["rank"][0] == ""
    assert "3 words of the bundled lexicon" in words_of(app)
    assert "few words show large effects only" in words_of(app)
    assert link(app)["words"] == "3"
    assert "atlas_translation" not in [button.key for button in app.button]


def test_perplexity_is_a_job_whose_result_stays(
    modelled: Open,
    desk: Office,
    seen: dict[str, Any],
    tiny: tuple[LocalBackend, Store, Collection],
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, store, _ = tiny
    app = modelled("interventions", **PLACE)
    assert app.multiselect(key="texts_widget").value == list(CORPUS_LANGUAGES)
    app.multiselect(key="texts_widget").set_value(["swh_Latn", "fin_Latn"]).run()
    app.selectbox(key="action_widget").select("replace").run()
    app.selectbox(key="like_widget").select("hun_Latn").run()
    app = calm(app.number_input(key="tokens_widget").set_value(40).run())
    argv = asked_for(app, "atlas_perplexity", desk)
    assert argv[:2] == ["atlas", "intervene"]
    assert argv[-11:] == [
        *("--top-rate", "0.1", "--action", "replace", "--strength=1.0", "--mean", "hun_Latn"),
        *("--texts", "fin_Latn,swh_Latn", "--tokens", "40"),
    ]
    assert "perplexity_matrix" not in seen
    found = ran(argv, store, capsys)
    view = link(app)
    assert (view["texts"], view["tokens"]) == ("swh_Latn,fin_Latn", "40")
    about = ("analysis", "model", "corpus", "languages")
    app = modelled("interventions", **{name: view[name] for name in view if name not in about})
    change = seen["perplexity_matrix"][0]
    assert change.sets == change.languages == ("fin_Latn", "swh_Latn")
    assert change.changed.tolist() == found["changed"]
    assert change.control.tolist() == found["control"]
    assert "40 tokens predicted a language" in words_of(app)
    assert not any(button.key == "atlas_perplexity" for button in app.button)


def test_sets_of_an_import_are_changed_by_jobs_too(
    modelled: Open,
    desk: Office,
    seen: dict[str, Any],
    tiny: tuple[LocalBackend, Store, Collection],
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, store, of = tiny
    sets = top_neurons(stored_table(store, of, CORPUS_LANGUAGES[:2]), top_rate=0.05)
    save_import(store, "my sets", Import(sets, ("a.csv",), "0" * 64, ()))
    app = modelled(
        "interventions", neurons="import:eng_Latn:my sets", tokens="40", source="deu_Latn",
        target="swh_Latn", words="2",
    )  # fmt: skip
    assert app.multiselect(key="texts_widget").options == ["German", "English"]
    argv = asked_for(app, "atlas_perplexity", desk)
    assert "--sets=my sets" in argv
    found = ran(argv, store, capsys)
    calm(app.run())
    assert seen["perplexity_matrix"][0].changed.tolist() == found["changed"]
    assert found["sizes"] == [6, 6]
    assert asked_for(app, "atlas_translation", desk)[-8:-6] == ["--of", "eng_Latn"]
    app = modelled("interventions", neurons="shared", share="0.1", source="deu_Latn", words="2")
    assert "--shared" in asked_for(app, "atlas_translation", desk)
    argv = asked_for(app, "atlas_perplexity", desk)
    assert "--shared" in argv
    ran([*argv, "--tokens", "40"], store, capsys)
    app = modelled(
        "interventions", neurons="shared", share="0.1", source="deu_Latn", words="2", tokens="40"
    )
    change = seen["perplexity_matrix"][0]
    assert (change.sets, len(change.languages)) == (("shared",), len(CORPUS_LANGUAGES))
    assert "With the neurons that all share changed" in words_of(app)


def test_hidden_states_are_a_job(
    modelled: Open,
    desk: Office,
    seen: dict[str, Any],
    tiny: tuple[LocalBackend, Store, Collection],
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, store, of = tiny
    app = modelled("alignment", measure="hidden")
    assert "No hidden states are recorded of 6 languages" in words_of(app)
    argv = asked_for(app, "atlas_hidden", desk)
    assert argv == [
        *("atlas", "alignment", "--measure", "hidden", "--model", of.source.name),
        *("--corpus", of.corpus.name, "--dtype", "float32"),
        *("--languages", ",".join(CORPUS_LANGUAGES)),
    ]
    assert "language_matrix" not in seen
    found = ran(argv, store, capsys)
    calm(app.run())
    assert seen["language_matrix"][0].tolist() == found["pooled"]
    assert "No hidden states" not in words_of(app)


def test_a_shallow_model_has_no_four_parts(modelled: Open) -> None:
    assert "four layers" in words_of(modelled("classes"))
