"""The Spectrum and the Atlas on what was imported, without a model."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from bridgex_core.neuron_classes import lape
from bridgex_core.neuron_files import IMPORTED, Import, overlap_counts, save_import
from bridgex_core.neurons import top_neurons
from bridgex_core.spectrum import DEFAULT, SET_METRICS, spectrum, spectrum_of_sets
from bridgex_core.store import Store

from .driving import Drawn, Open, calm, link, submit, table, words_of

CODES = ("eng_Latn", "deu_Latn", "swh_Latn", "hau_Latn")
TABLE = table(CODES)
SETS = top_neurons(TABLE, top_rate=0.05)


@pytest.fixture(autouse=True)
def imports(root: Path) -> None:
    store = Store(root)
    save_import(store, "sets", Import(SETS, ("model.pth",), "a" * 64))
    save_import(store, "dumps", Import(TABLE, ("activation.en", "activation.de"), "b" * 64))


def matrix(drawn: Drawn) -> np.ndarray:
    """The values of the heatmap drawn last, in the order of the import's languages."""
    found = drawn["spectrum_heatmap"][0]
    index = [found.languages.index(code) for code in CODES]
    return found.values[np.ix_(index, index)]


def test_the_spectrum_of_imported_statistics(opened: Open, drawn: Drawn) -> None:
    app = calm(opened())
    calm(app.selectbox(key="drawn_from_widget").select("dumps").run())
    np.testing.assert_allclose(matrix(drawn), spectrum(TABLE, DEFAULT).values)
    said = words_of(app)
    assert "dumps, imported from activation.en and activation.de; 18 layers" in said
    assert "Split-half" not in said
    assert link(app) == {"drawn_from": "dumps"}
    calm(app.selectbox(key="metric_widget").select("jaccard").run())
    np.testing.assert_allclose(
        matrix(drawn), spectrum(TABLE, replace(DEFAULT, metric="jaccard")).values
    )
    for view, figure in (("graph", "graph_figure"), ("map", "map_figure")):
        calm(app.segmented_control(key="view_widget").set_value(view).run())
        assert figure in drawn
    calm(app.selectbox(key="pair_0").select("eng_Latn").run())
    calm(app.selectbox(key="pair_1").select("deu_Latn").run())
    assert "no parts of a text" in words_of(app)
    calm(app.selectbox(key="selection_widget").select("active").run())
    assert "probability_a" in app.dataframe[0].value


def test_the_spectrum_of_imported_sets(opened: Open, drawn: Drawn) -> None:
    app = calm(opened(drawn_from="sets", pair="eng_Latn,deu_Latn"))
    np.testing.assert_allclose(matrix(drawn), spectrum_of_sets(SETS).values)
    assert app.selectbox(key="metric_widget").value == SET_METRICS[0]
    assert "rate_widget" not in {slider.key for slider in app.select_slider}
    said = words_of(app)
    assert "of sets of 36 neurons, in all 18 layers of sets, imported from model.pth" in said
    shared = int(overlap_counts(SETS)[0, 1])
    assert len(app.dataframe[0].value) == shared
    assert list(app.dataframe[0].value) == ["layer", "neuron"]
    calm(app.selectbox(key="metric_widget").select("count").run())
    np.testing.assert_array_equal(matrix(drawn), overlap_counts(SETS))
    calm(app.selectbox(key="drawn_from_widget").select("").run())
    assert "drawn_from" not in link(app)
    assert "Split-half" in " ".join(metric.label for metric in app.metric)


def test_an_import_that_is_gone_is_told(opened: Open, drawn: Drawn) -> None:
    app = calm(opened(drawn_from="lost"))
    assert "is not there" in app.warning[0].value
    assert len(drawn["spectrum_heatmap"][0].languages) == 15


def files(opened: Open, name: str) -> AppTest:
    return calm(opened("pages/atlas.py", analysis="files", imported=name))


def test_imported_statistics_have_classes_by_two_methods(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bridgex_core import figures

    seen = []
    real = figures.language_matrix
    monkeypatch.setattr(
        figures, "language_matrix", lambda *a, **k: (seen.append(a[0]), real(*a, **k))[1]
    )
    app = files(opened, "dumps")
    np.testing.assert_array_equal(seen[-1], overlap_counts(lape(TABLE).sets))
    calm(app.segmented_control(key="method_widget").set_value("membership").run())
    np.testing.assert_array_equal(seen[-1], overlap_counts(top_neurons(TABLE, top_rate=0.01)))


def test_from_the_import_to_its_spectrum(opened: Open, drawn: Drawn) -> None:
    app = submit(files(opened, "sets"), "Open on the Spectrum")
    assert link(app)["drawn_from"] == "sets"
    app = calm(app.switch_page("pages/spectrum.py").run())
    np.testing.assert_allclose(matrix(drawn), spectrum_of_sets(SETS).values)


def test_an_import_that_was_made_anew_under_its_name_is_drawn_anew(
    opened: Open, drawn: Drawn, root: Path
) -> None:
    app = calm(opened(drawn_from="sets"))
    assert drawn["spectrum_heatmap"][0].layers == range(18)
    store = Store(root)
    for key, manifest in store.entries(IMPORTED):
        if manifest["name"] == "sets":
            store.delete(IMPORTED, key)
    part = replace(SETS, masks=SETS.masks[:, :3])
    save_import(store, "sets", Import(part, ("model.pth",), "a" * 64))
    calm(app.run())
    assert drawn["spectrum_heatmap"][0].layers == range(3)


def test_an_import_of_an_unknown_language_is_one_sentence(opened: Open, root: Path) -> None:
    strange = replace(SETS, languages=("klingon", *SETS.languages[1:]))
    save_import(Store(root), "strange", Import(strange, ("k.csv",), "c" * 64))
    app = opened(drawn_from="strange")
    assert not app.exception
    assert "klingon, which the register of languages lacks" in words_of(app)
    app = opened("pages/atlas.py", analysis="files", imported="strange")
    assert not app.exception
    assert "klingon, which the register of languages lacks" in words_of(app)
    calm(app.button(key="delete_import").click().run())


def test_layers_of_an_import_that_is_deeper_than_the_model(
    opened: Open, drawn: Drawn, root
) -> None:
    deep = replace(SETS, masks=np.repeat(SETS.masks, 2, axis=1))
    save_import(Store(root), "deep", Import(deep, ("d.pth",), "d" * 64))
    calm(opened(drawn_from="deep", layers="0.083:0.112"))
    assert drawn["spectrum_heatmap"][0].layers == range(3, 5)


def test_deleting_one_import_leaves_another_on_the_spectrum(opened: Open, root: Path) -> None:
    app = calm(opened("pages/atlas.py", analysis="files", imported="sets", drawn_from="dumps"))
    calm(app.button(key="delete_import").click().run())
    assert link(app)["drawn_from"] == "dumps"
