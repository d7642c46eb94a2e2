"""Chains against a dictionary."""

from itertools import pairwise

import pytest

from bridgex_core.decoding import Decoding
from bridgex_core.errors import InputError
from bridgex_core.languages import register
from bridgex_core.lexicons import Lexicon, WordPair
from bridgex_core.prompts import ChainTemplate
from bridgex_core.xicl import Chain, Demonstrations, Route, next_prompt, run, stream

from .dictionary_backend import Counted, DictionaryBackend

ID, HE, EN, ES = (register()[c] for c in ("ind_Latn", "heb_Hebr", "eng_Latn", "spa_Latn"))
ANSWERS = {
    ("api", "English"): "fire",
    ("air", "English"): " air ",  # a false friend
    ("api", "עברית"): "?",
    ("fire", "עברית"): "אש",
    ("air", "עברית"): "מים",
    ("fire", "Español"): "fuego",
    ("fuego", "עברית"): "אש!",
}


def test_a_direct_chain_is_one_call():
    backend = DictionaryBackend(ANSWERS)
    chains = run(backend, Route.of(ID, HE), ["api", "air"])
    assert [chain.answer for chain in chains] == ["?", "מים"]
    assert backend.calls == [['Bahasa Indonesia:"api"→עברית:"', 'Bahasa Indonesia:"air"→עברית:"']]
    assert chains[1].words == ("air", "מים")


def test_a_bridged_chain_reads_what_the_bridge_said_right_or_wrong():
    backend, progress = DictionaryBackend(ANSWERS), Counted()
    chains = run(backend, Route.of(ID, HE, EN), ["api", "air"], progress=progress)
    assert [chain.words for chain in chains] == [("api", "fire", "אש"), ("air", "air", "מים")]
    assert backend.calls[1] == [
        'Bahasa Indonesia:"api"→English:"fire"→עברית:"',
        'Bahasa Indonesia:"air"→English:"air"→עברית:"',
    ]
    assert [step.language for step in chains[0].steps] == [EN, HE]
    assert [step.prompt for step in chains[0].steps] == [call[0] for call in backend.calls]
    assert progress.done == 4


def test_any_number_of_languages():
    (chain,) = run(DictionaryBackend(ANSWERS), Route((ID, EN, ES, HE)), ["api"])
    assert chain.words == ("api", "fire", "fuego", "אש!")
    assert chain.steps[-1].prompt == (
        'Bahasa Indonesia:"api"→English:"fire"→Español:"fuego"→עברית:"'
    )


def test_demonstrations_reach_as_far_as_the_step():
    backend = DictionaryBackend(ANSWERS)
    run(backend, Route.of(ID, HE, EN), ["api"], examples=[[("kuda", "horse", "סוס")]])
    assert backend.calls == [
        ['Bahasa Indonesia:"kuda"→English:"horse"\nBahasa Indonesia:"api"→English:"'],
        [
            'Bahasa Indonesia:"kuda"→English:"horse"→עברית:"סוס"\n'
            'Bahasa Indonesia:"api"→English:"fire"→עברית:"'
        ],
    ]


def test_an_empty_answer_is_kept_and_the_chain_goes_on():
    (chain,) = run(DictionaryBackend({}, unknown=""), Route.of(ID, HE, EN), ["api"])
    assert chain.words == ("api", "", "")
    assert chain.steps[1].prompt == 'Bahasa Indonesia:"api"→English:""→עברית:"'


@pytest.mark.parametrize("languages", [(ID, HE), (ID, EN, HE), (ID, EN, ES, HE)])
def test_a_stream_ends_where_a_run_does(languages):
    backend, route = DictionaryBackend(ANSWERS), Route(languages)
    grown = list(stream(backend, route, "air"))
    assert grown[-1] == run(backend, route, ["air"])[0]
    assert len(grown) > len(languages)
    for before, after in pairwise(grown):
        assert len(before.steps) <= len(after.steps)
        assert before.steps[:-1] == after.steps[: len(before.steps) - 1]


def test_the_template_ends_an_answer():
    asked = []

    class Asked(DictionaryBackend):
        def generate(self, prompts, decoding, *, progress=None):
            asked.append(decoding)
            return [self.answer('x:"y"→z:"') for _ in prompts]

    run(Asked({}), Route.of(ID, HE), ["api"], template=ChainTemplate("{language} <{text}>"))
    run(Asked({}), Route.of(ID, HE), ["api"], decoding=Decoding(max_tokens=3))
    assert [each.stop for each in asked] == [(">", "\n"), ('"', "\n")]
    assert asked[1].max_tokens == 3


def test_routes_that_cannot_be():
    for languages in ((ID,), ()):
        with pytest.raises(InputError, match="at least two"):
            Route(languages)
    for languages in ((ID, ID, HE), (ID, HE, HE), (ID, EN, EN, HE), (ID, ID, ID)):
        with pytest.raises(InputError, match="comes twice"):
            Route(languages)
    with pytest.raises(InputError, match="both Indonesian"):
        Route.of(ID, ID)
    around = Route((ID, EN, ID))  # a passage through a bridge, its question as it is
    assert (around.bridges, around.codes[0]) == ((EN,), around.codes[2])


def test_an_empty_text_is_refused():
    with pytest.raises(InputError, match="empty"):
        run(DictionaryBackend(ANSWERS), Route.of(ID, HE), ["  "])
    with pytest.raises(InputError, match="empty"):
        next_prompt(Chain(Route.of(ID, HE), ""))


def lexicon(target: str, words: dict[str, str]) -> Lexicon:
    pairs = tuple(WordPair(word, (answer, "other")) for word, answer in words.items())
    return Lexicon("ind_Latn", target, pairs, "here")


LETTERS = {letter: letter.upper() for letter in "abcdefghijklm"}


def test_demonstrations_have_a_word_of_every_language():
    to_english = lexicon("eng_Latn", {"a": "A one", "b": "B", "d d": "D"})
    to_hebrew = lexicon("heb_Hebr", {"a": "1", "b": "2 2", "c": "3", "d d": "4", "e": "5"})
    direct = Demonstrations.of(Route.of(ID, HE), [to_hebrew])
    assert set(direct.rows) == {("a", "1"), ("b", "other"), ("c", "3"), ("e", "5")}
    bridged = Demonstrations.of(Route.of(ID, HE, EN), [to_english, to_hebrew])
    assert set(bridged.rows) == {("a", "A one", "1"), ("b", "B", "other")}


def test_the_seed_chooses_demonstrations_alike_for_every_bridge():
    to_hebrew = lexicon("heb_Hebr", LETTERS)
    direct = Demonstrations.of(Route.of(ID, HE), [to_hebrew])
    through = Demonstrations.of(Route.of(ID, HE, EN), [lexicon("eng_Latn", LETTERS), to_hebrew])
    for seed in range(5):
        words = [row[0] for row in direct.chosen(4, seed)]
        assert [row[0] for row in through.chosen(4, seed)] == words
        assert [row[0] for row in direct.chosen(3, seed)] == words[:3]
    assert len({direct.chosen(4, seed) for seed in range(20)}) > 10
    assert direct.chosen(0) == ()
    with pytest.raises(InputError, match=r"There are 13 words .* fewer than the 14"):
        direct.chosen(14)


def test_the_word_that_is_asked_is_no_demonstration():
    rows = Demonstrations(Route.of(ID, HE), (("Api", "אש"), ("air", "מים"))).without("api.").rows
    assert rows == (("air", "מים"),)


def test_the_nearest_demonstrations_by_hand(tiny_model_folder, tmp_path):
    import torch

    from bridgex_core.model_sources import find_model
    from bridgex_core.models import load

    model = load(find_model(str(tiny_model_folder), tmp_path), device="cpu")
    known = Demonstrations(Route.of(ID, HE), tuple((w, w) for w in ("kuda", "apa", "xyz", "apis")))
    table = model.network.get_input_embeddings().weight.detach()

    def mean(word):
        return table[[model.encode(letter)[0] for letter in word]].mean(0)

    order = sorted(
        (row[0] for row in known.rows),
        key=lambda word: float(torch.cosine_similarity(mean(word), mean("api"), dim=0)),
    )
    assert [row[0] for row in known.nearest(model, "api", 3)] == order[1:]
    assert known.nearest(model, "api", 0) == ()
    with pytest.raises(InputError, match="fewer"):
        known.nearest(model, "api", 5)
