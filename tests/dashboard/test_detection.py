"""The Atlas's part on detection: what is stored, and the job for what is not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from bridgex_core import figures
from bridgex_core.detection import IMPACTS, Impacts, detect, rank_counts
from bridgex_core.languages import STUDY_LANGUAGES
from bridgex_core.spectrum import spectrum_of_sets
from bridgex_core.store import Store

from .driving import (
    LAYERS,
    STATS,
    WIDTH,
    Office,
    Open,
    calm,
    collection,
    job,
    link,
    table,
    words_of,
)

PAGE = "pages/atlas.py"
THREE = ("eng_Latn", "deu_Latn", "swh_Latn")
VALUES = {
    code: np.random.default_rng(k).random((LAYERS, WIDTH), dtype=np.float32)
    for k, code in enumerate(STUDY_LANGUAGES)
}


def record(root: Path, codes: tuple[str, ...]) -> None:
    store = Store(root)
    of = collection(store)
    for code in codes:
        text = of.corpus.text(code)
        tensors = {"impacts": VALUES[code], "tokens": np.array(STATS[code].tokens)}
        store.save(IMPACTS, of.key(IMPACTS, text), tensors, of.manifest(text))


def impacts(codes: tuple[str, ...]) -> Impacts:
    values = np.stack([VALUES[code] for code in codes])
    return Impacts(codes, values, np.array([STATS[code].tokens for code in codes]))


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Any]]:
    """The arguments of every figure, each time it was drawn."""
    calls: dict[str, list[Any]] = {}

    def spied(name: str) -> Callable[..., Any]:
        real = getattr(figures, name)

        def call(*args: Any, **options: Any) -> Any:
            calls.setdefault(name, []).append(args)
            return real(*args, **options)

        return call

    for name in ("impact_ranks", "impact_curve", "language_matrix"):
        monkeypatch.setattr(figures, name, spied(name))
    return calls


def detection(opened: Open, **view: str) -> AppTest:
    return calm(opened(PAGE, analysis="detection", **view))


def test_what_is_stored_is_shown(opened: Open, root: Path, seen: dict[str, list[Any]]) -> None:
    record(root, STUDY_LANGUAGES)
    app = detection(opened, of="deu_Latn")
    expected = detect(impacts(STUDY_LANGUAGES), table(), 0.01)
    place = STUDY_LANGUAGES.index("deu_Latn")
    counts = rank_counts(VALUES["deu_Latn"], table().probability[place])
    np.testing.assert_array_equal(seen["impact_ranks"][-1][0], counts)
    assert seen["impact_curve"][-1][0].equals(expected.curve("deu_Latn"))
    assert seen["impact_curve"][-1][1] == "German"
    both = (expected.impact, expected.active)
    for shown, sets in zip(seen["language_matrix"][-2:], both, strict=True):
        np.testing.assert_allclose(shown[0], spectrum_of_sets(sets).values)
    frame = app.dataframe[0].value
    assert list(frame["name"][:2]) == ["Chinese", "Japanese"]
    np.testing.assert_allclose(frame["jaccard"], expected.to_frame()["jaccard"])
    told = words_of(app)
    assert "No impacts are recorded" not in told
    layer, share = expected.fullest_layer
    assert f"{100 * share:.0f} % of the neurons of highest impact are in layer {layer}" in told
    assert f"All {LAYERS * WIDTH} neurons" in told
    assert link(app) == {"analysis": "detection", "of": "deu_Latn"}

    calm(app.select_slider(key="share_widget").set_value(0.05).run())
    assert (app.dataframe[0].value["neurons"] == 36).all()
    calm(app.selectbox(key="of_widget").select("swh_Latn").run())
    assert seen["impact_curve"][-1][1] == "Swahili"
    assert link(app) == {"analysis": "detection", "of": "swh_Latn", "share": "0.05"}


def test_those_that_are_recorded_are_compared_without_the_others(
    opened: Open, root: Path, seen: dict[str, list[Any]]
) -> None:
    record(root, THREE[:2])
    app = detection(opened, languages=",".join(THREE), of="swh_Latn")
    assert "No impacts are recorded of 1 language: Swahili." in words_of(app)
    assert "is not installed" in words_of(app)
    assert app.button(key="atlas_impacts").disabled
    expected = detect(impacts(THREE[:2]), table(THREE[:2]), 0.01)
    np.testing.assert_allclose(app.dataframe[0].value["spearman"], expected.to_frame()["spearman"])
    assert seen["language_matrix"][-1][0].shape == (2, 2)


def test_a_job_records_what_is_missing(
    opened: Open, office: Office, seen: dict[str, list[Any]]
) -> None:
    app = detection(opened, languages=",".join(THREE))
    assert not seen
    assert "No impacts are recorded of 3 languages: English, German and Swahili." in words_of(app)
    app.button(key="atlas_impacts").click().run()
    argv = [
        *("atlas", "detection", "--model", "gemma-3-270m", "--corpus", "udhr"),
        *("--dtype", "float32", "--languages", ",".join(THREE)),
    ]
    title = "Gemma 3 270M: impacts of 3 languages"
    assert office["calls"] == [("start", title, argv)]

    office["known"] = [job(argv=tuple(argv), title=title, message="impacts of deu_Latn")]
    calm(app.run())
    assert not any(button.key == "atlas_impacts" for button in app.button)
    assert app.button(key=f"cancel_{'0' * 16}")  # shown once, above

    office["known"] = [job("interrupted", argv=tuple(argv), title=title)]
    calm(app.run())
    assert "was interrupted at 40%: no impacts are recorded of 3 languages" in words_of(app)
    app.button(key=f"resume_{'0' * 16}").click().run()
    assert office["calls"][-1] == ("resume", "0" * 16)
