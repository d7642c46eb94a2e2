"""What interventions do to what a model writes."""

from pathlib import Path

import numpy as np
import pytest

from bridgex_core.bli import Bli
from bridgex_core.candidates import LocalBackend
from bridgex_core.decoding import Decoding
from bridgex_core.effects import RUNS, answers, word_effects
from bridgex_core.interventions import Intervention, intervene, random_control
from bridgex_core.languages import register
from bridgex_core.model_sources import find_model
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
