"""Driving the pages without a browser: a small synthetic store, and what a page says."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from streamlit.testing.v1 import AppTest

from bridgex_core.activations import ActivationStats
from bridgex_core.collection import FLUENCY, STATISTICS, Collection
from bridgex_core.corpora import open_corpus
from bridgex_core.fluency import Fluency
from bridgex_core.jobs import Job
from bridgex_core.languages import STUDY_LANGUAGES, register
from bridgex_core.model_sources import find_model
from bridgex_core.neurons import ActivationTable
from bridgex_core.spectrum import DEFAULT, SpectrumSettings, spectrum
from bridgex_core.store import Store

Open = Callable[..., AppTest]
Drawn = dict[str, tuple[Any, ...]]
Office = dict[str, Any]

PROJECT = Path(__file__).parents[2]
LAYERS, WIDTH, BLOCKS = 18, 40, 6
STORED = (*STUDY_LANGUAGES, "hau_Latn", "yor_Latn")


def synthetic(codes: tuple[str, ...]) -> dict[str, ActivationStats]:
    """Statistics in which languages of a family are alike."""
    shared = np.random.default_rng(7).random((LAYERS, WIDTH))
    found = {}
    for number, code in enumerate(codes):
        family = np.random.default_rng(len(register()[code].family)).random((LAYERS, WIDTH))
        rng = np.random.default_rng(number)
        p = np.clip(0.4 * shared + 0.4 * family + 0.3 * rng.random((LAYERS, WIDTH)) - 0.05, 0, 1)
        tokens = rng.integers(60, 90, BLOCKS)
        counts = rng.binomial(tokens[:, None, None], p)
        found[code] = ActivationStats(counts, counts * p, tokens)
    return found


STATS = synthetic(STORED)


def collection(store: Store, dtype: str = "float32") -> Collection:
    return Collection(find_model(None, store.root), open_corpus("udhr"), dtype)


def save(store: Store, code: str, stats: ActivationStats, dtype: str = "float32") -> None:
    of = collection(store, dtype)
    text = of.corpus.text(code)
    sizes = np.array([len(block.encode()) for block in text.blocks])
    bits = sizes * np.linspace(1.0, 1.4, len(sizes)) * (1 + len(code) % 3)
    for kind, tensors in (
        (STATISTICS, stats.tensors()),
        (FLUENCY, Fluency(bits, sizes).tensors()),
    ):
        store.save(kind, of.key(kind, text), tensors, of.manifest(text, device="cpu"))


def alive(app: AppTest) -> AppTest:
    """The page, which shows no traceback."""
    assert not app.exception, [e.value for e in app.exception]
    return app


def calm(app: AppTest) -> AppTest:
    """The page, which shows no error either."""
    assert not alive(app).error, [e.value for e in app.error]
    return app


def words_of(app: AppTest) -> str:
    """Everything the page says, Markdown's escapes taken out."""
    parts = (
        *app.subheader, *app.header, *app.markdown, *app.caption, *app.info, *app.error,
        *app.warning, *app.success,
    )  # fmt: skip
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", "\n".join(str(part.value) for part in parts))


def link(app: AppTest) -> dict[str, str]:
    return {
        name: value if isinstance(value, str) else value[0]
        for name, value in app.query_params.items()
    }


def table(codes: tuple[str, ...] = STUDY_LANGUAGES) -> ActivationTable:
    return ActivationTable.of({code: STATS[code] for code in codes})


def expected(codes: tuple[str, ...] = STUDY_LANGUAGES, **change: Any) -> np.ndarray:
    """The matrix that the core gives, in the order of the codes."""
    return spectrum(table(codes), SpectrumSettings(**{**vars(DEFAULT), **change})).values


def shown(drawn: Drawn) -> tuple[tuple[str, ...], np.ndarray]:
    """Languages and values of the heatmap drawn last, the values in the study's order."""
    matrix = drawn["spectrum_heatmap"][0]
    index = [matrix.languages.index(code) for code in STUDY_LANGUAGES if code in matrix.languages]
    return matrix.languages, matrix.values[np.ix_(index, index)]


def submit(app: AppTest, label: str) -> AppTest:
    """The page after a button with this label."""
    return next(button for button in app.button if button.label == label).click().run()


def job(state: str = "running", **change: Any) -> Job:
    values: dict[str, Any] = {
        "id": "0" * 16,
        "title": "Gemma 3 270M: 1 language",
        "argv": (
            *("collect", "--model", "gemma-3-270m", "--corpus", "udhr"),
            *("--languages", "zul_Latn", "--dtype", "float32"),
        ),
        "state": state,
        "fraction": 0.4,
        "message": "activations of zul_Latn",
        "eta_seconds": 120.0,
        "started": "2026-01-01T00:00:00+00:00",
        "updated": "2026-01-01T00:00:10+00:00",
        "error": "",
    }
    return Job(**{**values, **change})
