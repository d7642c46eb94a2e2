"""Perplexity against transformers' own loss, and the matrix against one set at a time."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bridgex_core import lens
from bridgex_core.activations import BLOCK_TOKENS
from bridgex_core.collection import Collection
from bridgex_core.corpora import open_corpus, udhr
from bridgex_core.errors import Cancelled, InputError
from bridgex_core.interventions import Intervention, intervene, random_control
from bridgex_core.model_sources import find_model
from bridgex_core.models import Model, load
from bridgex_core.perplexity import (
    PERPLEXITIES,
    PerplexityChange,
    PerplexityPlan,
    collect_perplexity,
    perplexity,
    perplexity_matrix,
    stored_perplexity,
)
from bridgex_core.store import Store
from tests.test_activations import FAMILIES, LAYERS, WIDTH, build

TEXT = "All human beings are born free"


def own_loss(model, texts) -> tuple[float, int]:
    """Summed loss and predicted tokens, from transformers."""
    total, count = 0.0, 0
    for text in texts:
        ids = torch.tensor([[*model.bos, *model.encode(text)]])
        with torch.no_grad():
            total += model.network(input_ids=ids, labels=ids).loss.item() * (ids.shape[1] - 1)
        count += ids.shape[1] - 1
    return total, count


@pytest.mark.parametrize("bos", [1, None])
@pytest.mark.parametrize("name", FAMILIES)
def test_equals_transformers_own_loss(name, bos, monkeypatch):
    monkeypatch.setattr(lens, "WORDS", 13)
    model = build(name, bos)
    total, count = own_loss(model, [TEXT])
    assert perplexity(model, [TEXT]) == pytest.approx(np.exp(total / count), rel=1e-5)


def test_blocks_of_different_length_and_an_empty_one_count_by_token(tiny_model_folder, tmp_path):
    model = load(find_model(str(tiny_model_folder), tmp_path))
    texts = ["Watu wote", "", *udhr().text("swh_Latn").blocks[2:4]]
    texts[-1] = texts[-1][: BLOCK_TOKENS - 20]
    texts[-2] = texts[-2][: BLOCK_TOKENS - 20]
    total, count = own_loss(model, [text for text in texts if text])
    assert perplexity(model, texts) == pytest.approx(np.exp(total / count), rel=1e-5)


def test_only_the_first_tokens():
    model = build("llama")
    short, long = perplexity(model, [TEXT[:9], TEXT[9:14]]), perplexity(model, [TEXT])
    assert perplexity(model, [TEXT[:9], TEXT[9:]], tokens=14) == pytest.approx(short)
    assert short != pytest.approx(long)


def test_the_matrix_is_one_set_and_one_language_at_a_time():
    model = build("mistral")
    texts = {"eng_Latn": [TEXT, "a"], "swh_Latn": ["Watu wote wamezaliwa huru", "", "hadhi"]}
    rng = np.random.default_rng(0)
    masks = {name: rng.random((LAYERS, WIDTH)) < 0.2 for name in ("swh_Latn", "fin_Latn", "none")}
    masks["none"][:] = False
    sets = {name: Intervention(mask, "scale", -2.0) for name, mask in masks.items()}
    found = perplexity_matrix(model, texts, sets, seed=5)
    assert found.sets == ("swh_Latn", "fin_Latn", "none")
    assert found.languages == ("eng_Latn", "swh_Latn")
    for column, blocks in enumerate(texts.values()):
        assert found.plain[column] == pytest.approx(perplexity(model, blocks))
        assert found.tokens[column] == sum(map(len, blocks))
        for row, mask in enumerate(masks.values()):
            with intervene(model, Intervention(mask, "scale", -2.0)):
                assert found.changed[row, column] == pytest.approx(perplexity(model, blocks))
            with intervene(model, Intervention(random_control(mask, seed=5 + row), "scale", -2.0)):
                assert found.control[row, column] == pytest.approx(perplexity(model, blocks))
    assert (found.change[2] == 0).all()
    assert (found.control_change[2] == 0).all()
    assert np.abs(found.change[:2]).min() > 1e-6
    assert found.sizes.tolist() == [mask.sum() for mask in masks.values()]
    frame = found.to_frame()
    assert len(frame) == 6
    row = frame[(frame.set == "fin_Latn") & (frame.language == "swh_Latn")].iloc[0]
    assert (row.changed, row.control) == (found.changed[1, 1], found.control[1, 1])


def test_the_matrix_in_three_numbers():
    found = PerplexityChange(
        sets=("a", "b"),
        languages=("b", "a"),
        plain=np.array([2.0, 10.0]),
        changed=np.array([[4.0, 40.0], [18.0, 5.0]]),
        control=np.array([[2.0, 10.0], [4.0, 20.0]]),
        sizes=np.array([1, 1]),
        tokens=np.array([5, 5]),
    )
    factors = found.factors
    assert factors.own == pytest.approx((4 * 9) ** 0.5)  # b: 18/2, a: 40/10
    assert factors.others == pytest.approx((2 * 0.5) ** 0.5)
    assert factors.control == pytest.approx((1 * 1 * 2 * 2) ** 0.25)
    other = replace(found, sets=("c", "d")).factors
    assert np.isnan(other.own)


def test_progress_counts_every_pass():
    class Counter:
        total = 0.0

        def advance(self, amount, message=""):
            self.total += amount

    model, counter = build("llama"), Counter()
    none = Intervention(np.zeros((LAYERS, WIDTH), dtype=bool))
    perplexity_matrix(model, {"eng_Latn": [TEXT]}, {"a": none, "b": none}, progress=counter)
    assert counter.total == 5 * len(TEXT)


def test_nothing_to_predict():
    model = build("llama", None)
    some = {"a": Intervention(np.zeros((LAYERS, WIDTH), dtype=bool))}
    with pytest.raises(InputError, match="in eng_Latn"):
        perplexity_matrix(model, {"swh_Latn": ["two"], "eng_Latn": ["", "a"]}, some)
    with pytest.raises(InputError, match="no text at all"):
        perplexity_matrix(model, {}, some)
    with pytest.raises(InputError, match="no set of neurons"):
        perplexity_matrix(model, {"eng_Latn": ["two"]}, {})


# ---- Kept ----------------------------------------------------------------------------------------

CODES = ("swh_Latn", "eng_Latn")


class Loader:
    """Gives the model and counts how often it is asked for it."""

    def __init__(self, model: Model) -> None:
        self.model, self.asked = model, 0

    def __call__(self) -> Model:
        self.asked += 1
        return self.model


@pytest.fixture(scope="module")
def kept(tiny_model_folder: Path, folder_corpus: Path) -> tuple[Collection, Model]:
    source = find_model(str(tiny_model_folder), tiny_model_folder)
    return Collection(source, open_corpus(str(folder_corpus))), load(source)


def a_set(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((2, 64)) < 0.2


def plan(of: Collection, **change) -> PerplexityPlan:
    sets = {code: Intervention(a_set(seed)) for seed, code in enumerate(CODES)}
    settings = {"languages": CODES, "interventions": sets, "tokens": 40, "seed": 3}
    return PerplexityPlan(of, **{**settings, **change})


def keys(asked: PerplexityPlan) -> list[str]:
    return [run.key for run in asked.runs()]


def test_what_is_stored_is_the_matrix_to_the_bit(kept, tmp_path):
    of, model = kept
    store, asked, loader = Store(tmp_path), plan(of), Loader(model)
    assert stored_perplexity(store, asked) is None
    collect_perplexity(store, asked, loader)
    found = stored_perplexity(store, asked)
    texts = {code: of.corpus.text(code).blocks for code in CODES}
    fresh = perplexity_matrix(model, texts, asked.interventions, tokens=40, seed=3)
    for name in ("plain", "changed", "control", "sizes", "tokens"):
        np.testing.assert_array_equal(getattr(found, name), getattr(fresh, name), err_msg=name)
    assert (found.sets, found.languages) == (fresh.sets, fresh.languages)
    collect_perplexity(store, asked, loader)
    assert loader.asked == 1


def test_the_plain_pass_is_one_for_all_interventions(kept, tmp_path):
    of, model = kept
    store, tokens = Store(tmp_path), []
    collect_perplexity(store, plan(of), Loader(model))
    doubled = {code: Intervention(a_set(seed), "scale", 2.0) for seed, code in enumerate(CODES)}
    asked = plan(of, interventions=doubled)
    collect_perplexity(store, asked, Loader(model), report=lambda now: tokens.append(now.total))
    assert set(tokens) == {4 * 80}
    assert len(list(store.entries(PERPLEXITIES))) == 1 + 4 + 4
    assert (stored_perplexity(store, asked).plain == stored_perplexity(store, plan(of)).plain).all()


def test_a_cancelled_matrix_goes_on_where_it_stopped(kept, tmp_path):
    of, model = kept
    store, asked, loader = Store(tmp_path), plan(of), Loader(model)

    def done() -> int:
        return len(list(store.entries(PERPLEXITIES)))

    with pytest.raises(Cancelled):
        collect_perplexity(store, asked, loader, cancelled=lambda: done() == 1)
    assert [run.key for run in asked.runs() if store.has(PERPLEXITIES, run.key)] == keys(asked)[:1]
    assert stored_perplexity(store, asked) is None
    told = []
    collect_perplexity(store, asked, loader, report=told.append)
    assert told[0].total == 4 * 80
    assert "neurons of swh_Latn changed" in told[1].message
    assert stored_perplexity(store, asked) is not None


def test_every_part_of_the_identity_counts(kept, tmp_path):
    of, _ = kept
    other = Collection(of.source, of.corpus, "bfloat16")
    folder = tmp_path / "corpus"
    folder.mkdir()
    for code in CODES:
        (folder / f"{code}.txt").write_text("A line that is long enough.\n" * 10)
    zeroed = plan(of).interventions
    every = [
        plan(of),
        plan(other),
        plan(Collection(of.source, open_corpus(str(folder)))),
        plan(of, languages=CODES[::-1]),
        plan(of, languages=CODES[:1]),
        plan(of, tokens=41),
        plan(of, tokens=None),
    ]
    plain = [keys(each)[0] for each in every]
    assert len(set(plain)) == len(plain)
    changed = [
        {code: Intervention(each.neurons, "scale", 2.0) for code, each in zeroed.items()},
        {code: Intervention(each.neurons, "scale", 3.0) for code, each in zeroed.items()},
        {code: Intervention(~each.neurons) for code, each in zeroed.items()},
    ]
    every = [plan(of), *(plan(of, interventions=each) for each in changed)]
    assert len({keys(each)[1] for each in every}) == len(every)
    assert len({keys(each)[0] for each in every}) == 1
    drawn = [plan(of), plan(of, seed=4), plan(of, alive=a_set(9))]
    assert len({keys(each)[2] for each in drawn}) == len(drawn)
    assert len({keys(each)[1] for each in drawn}) == 1
    assert {run.identity["model"] for run in plan(of).runs()} == {of.source.fingerprint}
