"""Word translation: what is asked and shown, and its score against a dictionary."""

from dataclasses import replace

import numpy as np
import pytest

from bridgex_core.bli import CHOICES, Bli, scores_by_ranking
from bridgex_core.errors import InputError
from bridgex_core.evaluation import RANKINGS
from bridgex_core.languages import register
from bridgex_core.lexicons import open_lexicon
from bridgex_core.probing import ProbeTask
from bridgex_core.prompts import PAPER_TEMPLATE, ChainTemplate, name_in_prompts
from bridgex_core.store import entry_key
from bridgex_core.study import BRIDGES
from bridgex_core.xicl import Route, run

from .dictionary_backend import Counted, DictionaryBackend

R = register()
ID, HE, EN = (R[code] for code in ("ind_Latn", "heb_Hebr", "eng_Latn"))
TASK = Bli("ind_Latn", "heb_Hebr", items=60)
DIRECT, ENGLISH = Route.of(ID, HE), Route.of(ID, HE, EN)


def dictionary(**changes) -> DictionaryBackend:
    """Knows every other word directly, and every third through English."""
    answers = {}
    english = {p.word: p.answers[0] for p in open_lexicon("cldr", "ind_Latn", "eng_Latn").pairs}
    for number, pair in enumerate(TASK.words):
        if number % 2 == 0:
            answers[pair.word, name_in_prompts(HE)] = pair.answers[0]
        answers[pair.word, "English"] = english[pair.word]
        if number % 3 == 0:
            answers[english[pair.word], name_in_prompts(HE)] = pair.answers[-1] + "!"
    return DictionaryBackend(answers, **changes)


@pytest.mark.parametrize("pair", [("ind_Latn", "heb_Hebr"), ("zho_Hans", "swh_Latn")])
def test_what_is_asked_is_never_shown_nor_probed(pair):
    task = Bli(*pair)
    asked = {word.word for word in task.words}
    assert len(asked) == len(task.words) == 100
    routes = [Route.of(*(R[c] for c in pair))]
    routes += [Route.of(*(R[c] for c in pair), R[bridge]) for bridge in BRIDGES]
    for route in routes:
        shown = task.demonstrations(route).rows
        assert len(shown) > 100
        assert not asked & {row[0] for row in shown}
    probed = {word.word for word in ProbeTask(*pair, words=10_000).pairs}
    assert not asked & probed
    concepts = {c for word in task.words for c in word.concepts}
    assert not concepts & {c for w in ProbeTask(*pair, words=10_000).pairs for c in w.concepts}


def test_what_a_model_can_do_is_measured_on_other_words_than_what_is_evaluated():
    rest = Bli("ind_Latn", "heb_Hebr", items=40, apart=False)
    assert len(rest.words) == 40
    assert not {w.word for w in rest.words} & {w.word for w in Bli("ind_Latn", "heb_Hebr").words}
    assert not {w.word for w in rest.words} & {row[0] for row in rest.demonstrations(DIRECT).rows}


def test_words_and_demonstrations_depend_on_no_bridge():
    again = Bli("ind_Latn", "heb_Hebr", items=60)
    list(again.examples(Route.of(ID, HE, R["deu_Latn"])))
    assert again.words == TASK.words
    assert again.examples(ENGLISH) == TASK.examples(ENGLISH)
    assert [row[0] for row in TASK.examples(DIRECT)] == [row[0] for row in TASK.examples(ENGLISH)]
    assert all(len(row) == 3 for row in TASK.examples(ENGLISH))


def test_fewer_items_are_the_first_ones():
    assert Bli("ind_Latn", "heb_Hebr", items=7).words == TASK.words[:7]


def test_scores_against_the_dictionary():
    backend, progress = dictionary(), Counted()
    direct = TASK.evaluate(backend, DIRECT, progress=progress)
    for (hebrew,), pair, score in zip(direct.answers, TASK.words, direct.scores, strict=True):
        assert hebrew == backend.answers.get((pair.word, "עברית"), "???")
        assert score == (hebrew.removesuffix("!") in (*pair.answers, *pair.keyword_answers))
    assert direct.scores[::2].all()
    assert direct.scores[1::2].sum() < 5  # words that are the same in Indonesian and English
    assert progress.done == TASK.steps(DIRECT) == 120
    assert direct.route == ("ind_Latn", "heb_Hebr")
    through = TASK.evaluate(backend, ENGLISH)
    for (english, hebrew), accepted, score in zip(
        through.answers, TASK.labels()[1], through.scores, strict=True
    ):
        assert hebrew == backend.answers.get((english, "עברית"), "???")
        assert score == (hebrew.removesuffix("!") in accepted)
    assert 15 < through.scores.sum() < 35


def test_prompts_hold_the_demonstrations_letter_by_letter():
    backend = dictionary()
    TASK.evaluate(backend, DIRECT)
    shown = [f'Bahasa Indonesia:"{a}"→עברית:"{b}"' for a, b in TASK.examples(DIRECT)]
    assert len(shown) == 4
    for word, prompt in zip(TASK.labels()[0], backend.calls[0], strict=True):
        assert prompt == "\n".join([*shown, f'Bahasa Indonesia:"{word}"→עברית:"'])


def test_ranks_against_naive_ones():
    backend = dictionary()
    found = TASK.evaluate(backend, DIRECT).ranks
    assert list(found) == list(RANKINGS)
    prompts = backend.calls[0]
    prior = prompts[0].rpartition("\n")[0] + '\nBahasa Indonesia:""→עברית:"'
    for item, pair in enumerate(TASK.words):
        start = 0 if item < CHOICES else len(TASK.words) - CHOICES
        choices = {w.answers[0] for w in TASK.words[start : start + CHOICES]}
        assert choices == set(TASK.candidates_of(item))
        for name in RANKINGS:

            def score(candidate, name=name, prompt=prompts[item]):
                value = backend.score(prompt, candidate)
                if name == "per token":
                    return value / len(candidate)
                return value - (backend.score(prior, candidate) if name == "calibrated" else 0)

            accepted = choices & {*pair.answers, *pair.keyword_answers}
            best = max(map(score, accepted))
            assert found[name][item] == 1 + sum(score(c) >= best for c in choices - accepted)


def test_a_backend_without_scores_gives_no_ranks():
    progress = Counted()
    result = TASK.evaluate(dictionary(no_scores="It can't."), ENGLISH, progress=progress)
    assert result.ranks == {}
    assert progress.done == TASK.steps(ENGLISH) == 180


def test_candidates_come_in_parcels_of_fifty():
    assert len(TASK.candidates_of(0)) <= CHOICES
    answers = [word.answers[0] for word in TASK.words]
    assert TASK.candidates_of(49) == tuple(dict.fromkeys(answers[:50]))
    assert TASK.candidates_of(50) == TASK.candidates_of(59) == tuple(dict.fromkeys(answers[10:]))
    few = replace(TASK, items=3)
    assert few.candidates_of(2) == tuple(dict.fromkeys(answers[:3]))


def test_the_prior_is_taken_off():
    backend = dictionary()
    chains = run(backend, DIRECT, ["api"])
    scores = scores_by_ranking(backend, chains, ["a", "bb"], (), PAPER_TEMPLATE)
    bare = [backend.score('Bahasa Indonesia:""→עברית:"', word) for word in ("a", "bb")]
    np.testing.assert_allclose(scores["summed"] - scores["calibrated"], [bare])
    np.testing.assert_allclose(scores["summed"] / scores["per token"], [[1, 2]])


def test_the_identity_names_everything_that_results_depend_on():
    def key(task: Bli) -> str:
        return entry_key("evaluations", **task.identity())

    other = ChainTemplate("{language}: {text};")
    changed = [
        replace(TASK, items=59), replace(TASK, shots=3), replace(TASK, seed=1),
        replace(TASK, template=other), replace(TASK, apart=False),
        replace(TASK, source="eng_Latn"), replace(TASK, target="swh_Latn"),
    ]  # fmt: skip
    keys = {key(each) for each in (TASK, *changed)}
    assert len(keys) == 1 + len(changed)
    assert key(Bli("ind_Latn", "heb_Hebr", items=60)) == key(TASK)


def test_words_of_ones_own(tmp_path):
    lines = "".join(f"kata{k} word{k}\n" for k in range(100))
    (tmp_path / "id-en.txt").write_text(lines)
    task = Bli("ind_Latn", "eng_Latn", items=10, lexicon=str(tmp_path / "id-en.txt"))
    route = Route.of(ID, EN)
    assert len(task.words) == 10
    assert not {w.word for w in task.words} & {row[0] for row in task.demonstrations(route).rows}
    assert all(a[4:] == b[4:] for a, b in task.examples(route))


def test_too_little_to_work_with(tmp_path):
    (tmp_path / "id-en.txt").write_text("api fire\n")
    one = Bli("ind_Latn", "eng_Latn", lexicon=str(tmp_path / "id-en.txt"))
    with pytest.raises(InputError, match=r"no single word|fewer than the 4"):
        one.examples(Route.of(ID, EN))
    with pytest.raises(InputError, match="fewer than the 5000"):
        replace(TASK, shots=5000).examples(DIRECT)
    with pytest.raises(InputError, match="two languages"):
        Bli("ind_Latn", "ind_Latn").labels()
