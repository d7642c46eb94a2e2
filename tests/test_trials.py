"""Trials: what is asked, and what is known of what comes of it."""

import pytest
import torch

from bridgex_core.decoding import Generated
from bridgex_core.errors import InputError
from bridgex_core.languages import register
from bridgex_core.lexicons import concept_languages
from bridgex_core.model_sources import find_model
from bridgex_core.prompts import ChainTemplate
from bridgex_core.scoring import normalise
from bridgex_core.tasks import FreeChain, PromptStep, open_task
from bridgex_core.trials import FreeTrial, ItemTrial, Trial, judge, open_backend, stand
from bridgex_core.xicl import Chain, Route, Step
from tests.dictionary_backend import DictionaryBackend, Scripted

SPA, ENG, SWH = (register()[code] for code in ("spa_Latn", "eng_Latn", "swh_Latn"))
TO_SWAHILI = {("perro", "Kiswahili"): "mbwa", ("perro", "English"): "dog"}


def trial(**change) -> Trial:
    return Trial(**{"text": "perro", "source": "spa_Latn", "target": "swh_Latn", **change})


def written(route: Route, *answers: str) -> Chain:
    steps = zip(route.languages[1:], answers, strict=False)
    return Chain(route, "perro", tuple(Step(one, "…", Generated(text)) for one, text in steps))


@pytest.mark.parametrize("text", ["", "  "])
def test_an_empty_text_is_refused(text):
    with pytest.raises(InputError, match="no text"):
        trial(text=text)


def test_a_bridge_that_is_an_end_is_refused():
    with pytest.raises(InputError, match="comes twice"):
        trial(bridges=("swh_Latn",)).routes  # noqa: B018


def test_a_chain_a_bridge_or_one_through_all():
    bridges = ("eng_Latn", "fra_Latn")
    apart = [route.codes[1:-1] for route in trial(bridges=bridges).routes]
    together = [route.codes[1:-1] for route in trial(bridges=bridges, together=True).routes]
    assert apart == [(), ("eng_Latn",), ("fra_Latn",)]
    assert together == [(), bridges]
    assert len(trial(together=True).routes) == 1


def test_no_demonstration_gives_the_answer_away():
    known = trial(text="anything", shots=0)._task.demonstrations(Route.of(SPA, SWH))
    word = known.rows[0][0]
    asked = trial(text=word.upper(), shots=len(known.rows) - 1)
    shown = [row[0] for row in asked.examples(asked.routes[0], DictionaryBackend({}))]
    assert len(shown) == len(known.rows) - 1
    assert word not in shown
    assert trial(shots=0).examples(Route.of(SPA, SWH), DictionaryBackend({})) == ()


def test_words_without_a_lexicon_can_be_asked_without_demonstrations():
    known = concept_languages()
    wordless = next(code for code in register().codes if code not in known)
    asked = trial(target=wordless)
    with pytest.raises(InputError, match="Or ask without demonstrations"):
        asked.examples(asked.routes[0], DictionaryBackend({}))
    assert asked.accepted(wordless) == ()


def test_nearest_words_of_a_server_are_refused():
    asked = trial(nearest=True)
    with pytest.raises(InputError, match="a server does not give"):
        asked.examples(asked.routes[0], DictionaryBackend({}))


def test_where_a_chain_broke():
    asked = trial(bridges=("eng_Latn",))
    direct, bridged = asked.routes
    found = judge(asked, written(bridged, "dog", "mbwa"))
    assert (found.right, found.broken_at) == ((True, True), None)
    assert judge(asked, written(bridged, "cat", "paka")).broken_at == 0
    assert judge(asked, written(bridged, "cat", "mbwa")).broken_at == 0
    assert judge(asked, written(bridged, "dog", "paka")).broken_at == 1
    assert judge(asked, written(direct, "")).broken_at == 0
    half = judge(asked, written(bridged, "dog"), finished=False)
    assert (half.finished, half.broken_at) == (False, None)


def test_an_answer_in_another_language_breaks_a_chain_that_nothing_else_judges():
    asked = trial(text="una palabra que falta", target="heb_Hebr", bridges=("arb_Arab",))
    found = judge(asked, written(asked.routes[1], "كلمة ناقصة", "كلمة ناقصة"))
    assert found.right == (None, None)
    assert [one.code for one in found.languages] == ["arb_Arab", "arb_Arab"]
    assert found.broken_at == 1


def test_ranks_against_sorting():
    asked = trial()
    backend = DictionaryBackend(TO_SWAHILI)
    (chain,) = list(asked.chains(asked.routes[0], (), backend))[-1:]
    found = stand(asked, chain, (), backend)
    assert found is not None
    scores = {word: backend.score(chain.steps[-1].prompt, word) for word in asked.candidates}
    ordered = sorted(asked.candidates, key=lambda word: -scores[word])
    accepted = {normalise(answer) for answer in asked.accepted("swh_Latn")}
    first = next(k for k, word in enumerate(ordered, 1) if normalise(word) in accepted)
    assert "mbwa" in asked.candidates
    assert (found.ranks["summed"], found.candidates) == (first, len(asked.candidates))
    assert found.first["summed"] == tuple(ordered[:3])
    bare = {word: backend.score('Español:""→Kiswahili:"', word) for word in asked.candidates}
    added = sorted(asked.candidates, key=lambda word: bare[word] - scores[word])
    assert found.first["calibrated"] == tuple(added[:3])


def test_no_ranks_without_gold_or_scores():
    backend = DictionaryBackend(TO_SWAHILI, no_scores="It gives none.")
    chain = written(trial().routes[0], "mbwa")
    assert stand(trial(), chain, (), backend) is None
    unknown = trial(text="zzz")
    assert stand(unknown, chain, (), DictionaryBackend({})) is None


def test_sampling_and_template_are_passed_on():
    asked = trial(template=ChainTemplate("{language} = {text};"), max_tokens=3, temperature=0.7)
    assert asked.decoding.stop == (";", "\n")
    assert (asked.decoding.max_tokens, asked.decoding.temperature) == (3, 0.7)
    with pytest.raises(InputError, match="temperature"):
        trial(temperature=-1)


def test_an_item_of_a_task():
    task = open_task("translation", "spa_Latn", "eng_Latn", items=2)
    asked = ItemTrial(task, task.items[0], ("fra_Latn",))
    backend = Scripted({"English:": task.items[0].gold, "Français:": "Tout le monde"})
    direct, bridged = (list(asked.chains(route, (), backend))[-1] for route in asked.routes)
    assert judge(asked, direct).score == pytest.approx(1)
    assert judge(asked, bridged).right == (None, None)
    assert judge(asked, direct, finished=False).score is None
    assert asked.steps(asked.routes[1]) == 2


def test_an_item_with_letters():
    task = open_task("reading", "spa_Latn", "eng_Latn", items=2)
    item = task.items[0]
    asked = ItemTrial(task, item)
    for letter in "ABCD":
        chain = Chain(asked.routes[0], asked.text, (Step(ENG, "…", Generated(letter)),))
        found = judge(asked, chain)
        assert found.right == (letter == item.gold,)
        assert found.languages[0].code is None


def test_a_chain_of_ones_own():
    steps = (PromptStep(ENG, "{text}\n{language}:"), PromptStep(SWH, "{step1}\n{language}:"))
    asked = FreeTrial("perro", FreeChain(SPA, steps))
    backend = Scripted({"English:": "dog", "Kiswahili:": "mbwa"})
    chain = list(asked.chains(asked.routes[0], (), backend))[-1]
    assert chain.words == ("perro", "dog", "mbwa")
    assert (asked.source, asked.target, asked.bridges) == ("spa_Latn", "swh_Latn", ("eng_Latn",))
    assert judge(asked, chain).right == (None, None)


def test_a_model_is_opened_quietly(tiny_model_folder, capfd):
    backend = open_backend(find_model(str(tiny_model_folder), tiny_model_folder), "float32")
    assert backend.model.dtype == torch.float32
    assert backend.no_scores is None
    assert capfd.readouterr() == ("", "")
