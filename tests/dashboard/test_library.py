"""The Library page."""

from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from bridgex_core.collection import STATISTICS
from bridgex_core.languages import STUDY_LANGUAGES, register
from bridgex_core.store import Store

from .driving import STORED, Office, Open, alive, calm, collection, job, link, submit, words_of

LIBRARY = "pages/library.py"


def test_models_with_terms_and_how_to_get_them(opened: Open) -> None:
    app = calm(opened(LIBRARY))
    told = words_of(app)
    assert "Gemma Terms of Use" in told
    assert "ai.google.dev/gemma/terms" in told
    assert {"make setup", "make smollm2"} <= {code.value for code in app.code}
    calm(app.button(key="choose_smollm2-135m").click().run())
    assert app.selectbox(key="model_widget").value == "smollm2-135m"
    assert link(app) == {"model": "smollm2-135m"}
    assert "30 layers × 1,536 neurons" in words_of(app)


def test_a_model_of_ones_own(opened: Open, tiny_model_folder: Path) -> None:
    app = opened(LIBRARY)
    box = next(one for one in app.text_input if one.label == "Your own model")
    box.set_value(str(tiny_model_folder))
    calm(submit(app, "Use this model"))
    assert app.selectbox(key="model_widget").value == str(tiny_model_folder)
    assert tiny_model_folder.name in app.selectbox(key="model_widget").options
    assert "2 layers × 64 neurons" in words_of(app)


@pytest.mark.parametrize(
    ("label", "button", "value", "sentence"),
    [
        ("Your own model", "Use this model", "/no/such/folder", "There is no model"),
        ("Your own corpus", "Use this corpus", "/no/such/folder", "There is no folder"),
    ],
)
def test_wrong_paths_get_a_sentence(
    opened: Open, label: str, button: str, value: str, sentence: str
) -> None:
    app = opened(LIBRARY)
    next(one for one in app.text_input if one.label == label).set_value(value)
    alive(submit(app, button))
    assert sentence in words_of(app)
    assert len(app.error) == 1


def test_a_hub_model_that_is_not_here(opened: Open) -> None:
    app = opened(LIBRARY)
    next(one for one in app.text_input if one.label == "Your own model").set_value("org/model")
    calm(submit(app, "Use this model"))
    assert "python -m bridgex_core models --prepare org/model" in words_of(app)


def test_a_corpus_of_ones_own(opened: Open, folder_corpus: Path) -> None:
    app = opened(LIBRARY)
    next(one for one in app.text_input if one.label == "Your own corpus").set_value(
        str(folder_corpus)
    )
    calm(submit(app, "Use this corpus"))
    assert app.selectbox(key="corpus_widget").value == f"folder:{folder_corpus}"
    assert len(app.multiselect(key="languages_widget").options) == 6
    assert link(app) == {"corpus": f"folder:{folder_corpus}"}
    calm(app.switch_page("pages/spectrum.py").run())
    assert "not computed yet" in words_of(app)


def test_the_register_is_searched(opened: Open) -> None:
    app = opened(LIBRARY)
    frame = next(one.value for one in app.dataframe if "Code" in one.value)
    assert len(frame) == len(register())
    assert frame["Computed"].sum() == len(STORED)
    calm(app.text_input(key="register_query").set_value("Kiswahili").run())
    frame = next(one.value for one in app.dataframe if "Code" in one.value)
    assert list(frame["Code"]) == ["swh_Latn"]
    calm(app.text_input(key="register_query").set_value("qqqqqq").run())


def fill(app: AppTest, **values: str) -> AppTest:
    labels = {
        "code": "Code",
        "script": "Script",
        "name": "Name in English",
        "autonym": "Name in the language",
        "family": "Family (optional)",
    }
    for key, value in values.items():
        if key == "text":
            app.text_area[0].set_value(value)
        else:
            next(one for one in app.text_input if one.label == labels[key]).set_value(value)
    return submit(app, "Add this language")


NYANKOLE = {
    "code": "nyn_Latn",
    "script": "Latn",
    "name": "Nyankole *x* <b>",
    "autonym": "Runyankore",
    "text": "\n".join(f"Omuntu wena azaarwa aine obugabe {n}." for n in range(30)),
}


def test_a_language_is_added_with_a_pasted_text(opened: Open, root: Path) -> None:
    app = calm(fill(opened(LIBRARY), **NYANKOLE))
    assert "nyn_Latn" in app.multiselect(key="languages_widget").value
    assert "Nyankole *x* <b> is added" in words_of(app)
    assert (root / "texts" / "nyn_Latn.txt").exists()
    calm(app.switch_page("pages/spectrum.py").run())
    assert "1 language not computed yet: Nyankole *x* <b>." in words_of(app).replace("**", "")


def test_a_language_is_added_with_a_file(opened: Open, root: Path) -> None:
    app = opened(LIBRARY)
    content = NYANKOLE["text"].encode()
    app.file_uploader(key="language_file").set_value(("x.txt", content, "text/plain"))
    calm(fill(app, **{**NYANKOLE, "text": "", "family": "Atlantic-Congo"}))
    assert (root / "texts" / "nyn_Latn.txt").read_bytes() == content


def test_a_language_that_breaks_a_rule(opened: Open) -> None:
    app = opened(LIBRARY)
    for change, sentence in (
        ({"code": "nyankole"}, "FLORES-200 code"),
        ({"code": "swh_Latn"}, "already"),
        ({"text": ""}, "empty"),
        ({"text": "Short."}, "too short"),
        ({"name": ""}, "name"),
    ):
        alive(fill(app, **{**NYANKOLE, **change}))
        assert len(app.error) == 1
        assert sentence in words_of(app)
        assert tuple(app.multiselect(key="languages_widget").value) == STUDY_LANGUAGES


def test_own_results_are_listed_and_deleted(opened: Open, root: Path) -> None:
    app = opened(LIBRARY)
    frame = next(one.value for one in app.dataframe if "Kind" in one.value)
    assert len(frame) == 2 * len(STORED)
    row = int(np.flatnonzero((frame["Language"] == "yor_Latn") & (frame["Kind"] == STATISTICS))[0])
    app.session_state["stored_results"] = {"selection": {"rows": [row], "columns": []}}
    app.run()
    calm(app.button(key="delete_results").click().run())
    store = Store(root)
    of = collection(store)
    key = of.key(STATISTICS, of.corpus.text("yor_Latn"))
    assert not store.has(STATISTICS, key)
    frame = next(one.value for one in app.dataframe if "Kind" in one.value)
    assert len(frame) == 2 * len(STORED) - 1


def test_the_jobs_are_listed(opened: Open, office: Office) -> None:
    office["known"] = [job("failed", error="No room."), job("done", id="1" * 16)]
    app = calm(opened(LIBRARY))
    assert "No room." in words_of(app)
    calm(app.button(key=f"Go on_{'0' * 16}").click().run())
    calm(app.button(key=f"Forget_{'1' * 16}").click().run())
    assert office["calls"] == [("resume", "0" * 16), ("forget", "1" * 16)]
    office["known"] = [job()]
    calm(app.run())
    calm(app.button(key=f"Cancel_{'0' * 16}").click().run())
    office["known"] = []
    calm(app.run())
    assert "No job has been started" in words_of(app)


def test_a_broken_languages_file_is_told(opened: Open, root: Path) -> None:
    (root / "languages.toml").write_text("[[language]\n", encoding="utf-8")
    app = alive(opened())
    assert "not valid TOML" in words_of(app)
