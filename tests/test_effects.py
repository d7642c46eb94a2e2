"""What interventions do to what a model writes."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bridgex_core.bli import Bli
from bridgex_core.candidates import LocalBackend
from bridgex_core.decoding import Decoding
from bridgex_core.effects import (
    EFFECTS,
    RUNS,
    WordEffects,
    answers,
    collect_word_effects,
    stored_word_effects,
    word_effects,
)
from bridgex_core.errors import Cancelled
from bridgex_core.interventions import Intervention, intervene, random_control
from bridgex_core.languages import register
from bridgex_core.model_sources import find_model
from bridgex_core.store import Store
from bridgex_core.trials import open_backend
from bridgex_core.xicl import Route

PROMPT, CODES = 'English:"dog"→Kiswahili:"', ("eng_Latn", "swh_Latn")


@pytest.fixture(scope="module")
def backend(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> LocalBackend:
    root = tmp_path_factory.mktemp("store")
    return open_backend(find_model(str(tiny_model_folder), root), "float32")


def some(count: int = 20) -> np.ndarray:
    mask = np.zeros((2, 64), dtype=bool)
    mask[1, :count] = True
    return mask


def test_answers_are_those_of_three_separate_runs(backend: LocalBackend) -> None:
    change = Intervention(some(), "scale", 30.0)
    found = answers(backend, PROMPT, change, languages=CODES, seed=3)
    assert tuple(found.outputs) == tuple(found.languages) == RUNS
    assert found.neurons == 20
    control = Intervention(random_control(some(), seed=3), "scale", 30.0)
    assert found.outputs["plain"] == backend.generate([PROMPT], Decoding())[0]
    for run, own in (("changed", change), ("control", control)):
        with intervene(backend.model, own):
            assert found.outputs[run] == backend.generate([PROMPT], Decoding())[0]
    assert found.outputs["changed"] != found.outputs["plain"]


def test_scaling_by_one_and_an_empty_set_change_no_answer(backend: LocalBackend) -> None:
    for change in (Intervention(some(), "scale", 1.0), Intervention(some(0))):
        found = answers(backend, PROMPT, change, languages=CODES)
        assert found.outputs["changed"] == found.outputs["plain"] == found.outputs["control"]


def test_word_effects_judge_every_run(backend: LocalBackend) -> None:
    source, target = (register()[code] for code in CODES)
    route, task = Route.of(source, target), Bli(*CODES, items=3, shots=1)
    frame = word_effects(backend, task, route, Intervention(some(), "scale", 30.0))
    assert tuple(frame.index) == RUNS
    plain = task.evaluate(backend, route)
    assert frame.loc["plain", "accuracy"] == plain.scores.mean()
    assert frame.loc["plain", "mrr"] == pytest.approx((1 / plain.ranks["summed"]).mean())
    assert frame.loc["changed", "mrr"] != frame.loc["plain", "mrr"]
    np.testing.assert_allclose(frame[[*CODES, "other"]].sum(axis=1), 1)
    assert (frame["words"] == 3).all()
    changed = frame.loc["changed"]
    assert frame.loc["plain", ["mrr_difference", "accuracy_low"]].isna().all()
    assert changed["mrr_difference"] == pytest.approx(changed["mrr"] - frame.loc["plain", "mrr"])
    assert changed["mrr_low"] <= changed["mrr_difference"] <= changed["mrr_high"]
    assert changed["mrr_low"] < changed["mrr_high"]


# ---- Kept ----------------------------------------------------------------------------------------


def asked(tiny_model_folder: Path, **change: object) -> WordEffects:
    source, target = (register()[code] for code in CODES)
    settings = {
        "source": find_model(str(tiny_model_folder), tiny_model_folder),
        "dtype": "float32",
        "task": Bli(*CODES, items=3, shots=1),
        "route": Route.of(source, target),
        "intervention": Intervention(some(), "scale", 30.0),
    }
    return WordEffects(**{**settings, **change})  # type: ignore[arg-type]


def test_what_is_stored_is_what_was_measured(
    backend: LocalBackend, tiny_model_folder: Path, tmp_path: Path
) -> None:
    store, work, totals = Store(tmp_path), asked(tiny_model_folder), []
    assert stored_word_effects(store, work) is None
    collect_word_effects(store, work, lambda: backend)
    fresh = word_effects(backend, work.task, work.route, work.intervention)
    pd.testing.assert_frame_equal(stored_word_effects(store, work), fresh, check_exact=True)

    def never() -> LocalBackend:
        raise AssertionError("it is stored")

    collect_word_effects(store, work, never)
    other = asked(tiny_model_folder, intervention=Intervention(some()))
    collect_word_effects(store, other, lambda: backend, report=lambda now: totals.append(now.total))
    assert set(totals) == {2 * work.task.steps(work.route)}  # the plain run is there
    assert len(list(store.entries(EFFECTS))) == 5


def test_cancelled_words_go_on_where_they_stopped(
    backend: LocalBackend, tiny_model_folder: Path, tmp_path: Path
) -> None:
    store, work = Store(tmp_path), asked(tiny_model_folder)
    with pytest.raises(Cancelled):
        collect_word_effects(
            store, work, lambda: backend, cancelled=lambda: any(store.entries(EFFECTS))
        )
    first, *rest = work.runs()
    entry = store.load(EFFECTS, first.key)
    assert entry is not None
    assert not any(store.has(EFFECTS, run.key) for run in rest)
    totals = []
    collect_word_effects(store, work, lambda: backend, report=lambda now: totals.append(now.total))
    assert set(totals) == {2 * work.task.steps(work.route)}
    assert store.manifest(EFFECTS, first.key) == entry.manifest
    assert stored_word_effects(store, work) is not None


def test_every_part_of_the_identity_counts(tiny_model_folder: Path) -> None:
    target, source = (register()[code] for code in CODES)
    every = [
        {},
        {"dtype": "bfloat16"},
        {"task": Bli(*CODES, items=4, shots=1)},
        {"task": Bli(*CODES, items=3, shots=2)},
        {"task": Bli(*CODES[::-1], items=3, shots=1), "route": Route.of(source, target)},
    ]
    plain = {asked(tiny_model_folder, **change).runs()[0].key for change in every}
    assert len(plain) == len(every)
    changed = [{}, {"intervention": Intervention(some())}, {"intervention": Intervention(some(9))}]
    for run, different in ((0, 1), (1, 3), (2, 3)):
        keys = {asked(tiny_model_folder, **change).runs()[run].key for change in changed}
        assert len(keys) == different
    drawn = [asked(tiny_model_folder, seed=seed).runs() for seed in (0, 1)]
    assert drawn[0][1].key == drawn[1][1].key
    assert drawn[0][2].key != drawn[1][2].key
