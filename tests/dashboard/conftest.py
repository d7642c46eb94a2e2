"""What the tests of the pages share."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from bridgex_core import figures, jobs
from bridgex_core.collection import Plan
from bridgex_core.model_sources import ModelSource, find_model
from bridgex_core.store import Store

from .driving import PROJECT, STATS, Drawn, Office, Open, save


@pytest.fixture(scope="session")
def filled_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = Store(tmp_path_factory.mktemp("filled"))
    for code, stats in STATS.items():
        save(store, code, stats)
    return store.root


@pytest.fixture
def root(filled_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A store of its own for each test, without the results that ship with the product."""
    folder = tmp_path / "store"
    shutil.copytree(filled_store, folder)
    monkeypatch.setenv("BRIDGEX_STORE", str(folder))
    monkeypatch.setattr("pages.parts.results.default_store", lambda: Store(folder))
    st.cache_resource.clear()
    st.cache_data.clear()
    yield folder
    st.cache_resource.clear()
    st.cache_data.clear()


@pytest.fixture
def opened(root: Path) -> Open:
    def open_page(page: str | None = None, **link: str) -> AppTest:
        app = AppTest.from_file(str(PROJECT / "app.py"), default_timeout=30)
        for name, value in link.items():
            app.query_params[name] = value
        app.run()
        return app.switch_page(page).run() if page else app

    return open_page


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Drawn:
    """The last arguments of every figure."""
    calls: Drawn = {}

    def spied(name: str) -> Callable[..., Any]:
        real = getattr(figures, name)

        def call(*args: Any, **options: Any) -> Any:
            calls[name] = (*args, options)
            return real(*args, **options)

        return call

    for name in (
        "spectrum_heatmap", "agreement_curve", "fluency_bars", "pair_layers", "graph_figure",
        "map_figure", "typology_scatter",
    ):  # fmt: skip
        monkeypatch.setattr(figures, name, spied(name))
    return calls


@pytest.fixture
def office(root: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    """Jobs that run nowhere: `known` is what the list holds, `calls` what the buttons asked for."""
    desk: Office = {"known": [], "calls": []}
    monkeypatch.setattr(jobs, "jobs", lambda store: tuple(desk["known"]))
    for name in ("start", "cancel", "resume", "forget"):
        monkeypatch.setattr(
            jobs, name, lambda store, *args, name=name: desk["calls"].append((name, *args))
        )
    prepared = ModelSource(**{**vars(find_model(None, root)), "path": root})
    monkeypatch.setattr("pages.parts.sidebar.find_model", lambda spec, root: prepared)
    plan = Plan(("zul_Latn",), "cpu", "float32", 3 << 30, 8 << 30, 10_000)
    monkeypatch.setattr("pages.parts.results.core_plan", lambda *args: plan)
    return desk
