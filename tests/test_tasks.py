"""Tasks of several steps: prompts letter by letter, demonstrations, scores, and every refusal."""

import json
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgex_core.bli import Bli
from bridgex_core.errors import InputError
from bridgex_core.languages import register
from bridgex_core.scoring import sentence_chrf
from bridgex_core.tasks import (
    INFERENCE,
    KINDS,
    READING,
    SUMMARY,
    TRANSLATION,
    FreeChain,
    Item,
    PromptStep,
    PromptTask,
    TaskTemplate,
    read_template,
    run_item,
    stream_item,
)
from bridgex_core.tasks.templates import fill
from bridgex_core.xicl import Route

from .dictionary_backend import Counted, DictionaryBackend, Scripted

R = register()
SW, FI, EN, ES = (R[code] for code in ("swh_Latn", "fin_Latn", "eng_Latn", "spa_Latn"))
DIRECT, ENGLISH = Route((SW, FI)), Route((SW, EN, FI))


READ = Item(
    {"passage": "Paka {a} analala.", "question": "Mitä {passage}?", "a": "koira", "b": "kissa",
     "c": "{step1}", "d": "hevonen"},
    "B",
)  # fmt: skip


def task(kind, *items: Item, source="swh_Latn", target="fin_Latn", **settings) -> PromptTask:
    template = settings.pop("template", kind.template)
    return PromptTask(kind, source, target, items, template, **settings)


def test_reading_letter_by_letter():
    one, backend = task(READING, READ), Scripted({"English:": " The cat sleeps. "}, {"cat": "B"})
    question = "Suomi: Mitä {passage}?\nA: koira\nB: kissa\nC: {step1}\nD: hevonen\nAnswer:"
    (direct,) = one.run(backend, DIRECT, [READ])
    assert [step.prompt for step in direct.steps] == [f"Kiswahili: Paka {{a}} analala.\n{question}"]
    assert direct.answer == "A"
    (through,) = one.run(backend, ENGLISH, [READ])
    assert [step.prompt for step in through.steps] == [
        "Kiswahili: Paka {a} analala.\nEnglish:",
        f"English: The cat sleeps.\n{question}",
    ]
    assert through.words == ("Paka {a} analala.", "The cat sleeps.", "B")
    assert [step.language for step in through.steps] == [EN, FI]
    assert through.steps[1].output.log_probabilities == (-1.0,)
    assert one.evaluate(backend, DIRECT).scores.tolist() == [0]
    assert one.evaluate(backend, ENGLISH).scores.tolist() == [1]


@pytest.mark.parametrize(
    ("written", "score"), [("B", 1), (" b) kissa", 1), ("kissa", 0), ("D", 0), ("", 0)]
)
def test_without_scores_the_letter_is_the_one_written(written, score):
    backend = Scripted({"Answer:": written}, no_scores="It can't.")
    one = task(READING, READ)
    assert one.evaluate(backend, DIRECT).scores.tolist() == [score]
    assert one.evaluate(backend, DIRECT).answers == ((written.strip(),),)


def test_inference_letter_by_letter():
    item = Item({"premise": "Mvua.", "hypothesis": "Sataa."}, "C")
    one, backend = task(INFERENCE, item), Scripted({"English:": "Rain."}, {"Rain": "C"})
    labels = "A: follows\nB: neither\nC: contradicts\nAnswer:"
    (direct,) = one.run(backend, DIRECT, [item])
    assert direct.steps[0].prompt == f"Kiswahili: Mvua.\nSuomi: Sataa.\n{labels}"
    (through,) = one.run(backend, ENGLISH, [item])
    assert through.steps[1].prompt == f"English: Rain.\nSuomi: Sataa.\n{labels}"
    assert [one.evaluate(backend, r).scores[0] for r in (DIRECT, ENGLISH)] == [0, 1]


def test_translation_letter_by_letter():
    item = Item({"text": "Paka analala."}, "Kissa nukkuu.")
    ends = {"Paka analala.\nSuomi:": "Koira.", "English:": "Cat.", "Cat.\nSuomi:": "Kissa nukkuu!"}
    one, backend, progress = task(TRANSLATION, item), Scripted(ends), Counted()
    (through,) = one.run(backend, ENGLISH, [item])
    assert [step.prompt for step in through.steps] == [
        "Kiswahili: Paka analala.\nEnglish:",
        "Kiswahili: Paka analala.\nEnglish: Cat.\nSuomi:",
    ]
    result = one.evaluate(backend, ENGLISH, progress=progress)
    np.testing.assert_allclose(
        result.scores, sentence_chrf(["Kissa nukkuu!"], ["Kissa nukkuu."]) / 100
    )
    assert result.answers == (("Cat.", "Kissa nukkuu!"),)
    assert progress.done == one.steps(ENGLISH) == 2
    assert one.evaluate(backend, DIRECT).answers == (("Koira.",),)
    assert one.measure == "chrF"


def test_a_summary_goes_through_four_steps():
    item = Item({"text": "Habari."}, "Uutinen.")
    one = task(SUMMARY, item)
    ends = {
        "Summary (English):": "S1", "Better summary (English):": "S2", "English: S2\nSuomi:": "S3",
        "Better (Suomi):": "Uutinen.",
    }  # fmt: skip
    (through,) = one.run(Scripted(ends), ENGLISH, [item])
    assert [step.prompt for step in through.steps] == [
        "Kiswahili: Habari.\nSummary (English):",
        "Kiswahili: Habari.\nSummary (English): S1\nBetter summary (English):",
        "English: S2\nSuomi:",
        "English: S2\nSuomi: S3\nBetter (Suomi):",
    ]
    assert [step.language for step in through.steps] == [EN, EN, FI, FI]
    assert one.evaluate(Scripted(ends), ENGLISH).scores.tolist() == [1.0]
    (direct,) = one.run(Scripted({"Summary (Kiswahili):": "M"}), DIRECT, [item])
    assert [step.language for step in direct.steps] == [SW, SW, FI, FI]
    assert direct.steps[0].prompt == "Kiswahili: Habari.\nSummary (Kiswahili):"
    assert one.steps(DIRECT) == one.steps(ENGLISH) == 4
    titles = [plan.title for plan in SUMMARY.plans(True)]
    assert titles == ["summarise", "improve", "translate", "refine"]


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("route", [DIRECT, ENGLISH], ids=["direct", "bridged"])
def test_a_stream_ends_where_a_run_does(kind, route):
    item = Item({name: f"the {name}" for name in (kind.text, *kind.fields)}, "A")
    one = task(kind, item)
    for why in (None, "It can't."):
        backend = Scripted({":": "some words"}, no_scores=why)
        grown = list(stream_item(backend, one, route, 0))
        assert grown[-1] == run_item(backend, one, route, 0)
        assert [len(chain.steps) for chain in grown] == sorted(len(c.steps) for c in grown)
        if not kind.letters:
            assert len(grown) > 5
            assert grown[0].answer == "s"


def test_items_of_word_translation_run_and_stream_alike():
    words = Bli("ind_Latn", "heb_Hebr", items=3, shots=1)
    route = Route.of(R["ind_Latn"], R["heb_Hebr"], EN)
    backend = DictionaryBackend({}, unknown="word")
    chain = run_item(backend, words, route, 1)
    assert chain.text == words.words[1].word
    assert chain.steps[0].prompt.count("\n") == 1
    assert list(stream_item(backend, words, route, 1))[-1] == chain


def test_a_passage_and_its_question_may_be_of_one_language():
    one = task(READING, READ, target="swh_Latn")
    route = Route((SW, EN, SW))
    (chain,) = one.run(Scripted({"English:": "cat"}, {"cat": "B"}), route, [READ])
    assert chain.steps[1].prompt.startswith("English: cat\nKiswahili: Mitä")
    assert one.evaluate(Scripted({}, {}), Route((SW, SW))).answers == (("A",),)
    with pytest.raises(InputError, match="between two languages"):
        task(TRANSLATION, target="swh_Latn")


# ---- Templates -----------------------------------------------------------------------------------


@given(st.text("{}ab", max_size=12), st.text("{}ab", max_size=12))
def test_texts_of_the_user_pass_untouched(one, other):
    assert fill("<{a}|{b}>", {"a": one, "b": other}) == f"<{one}|{other}>"


@pytest.mark.parametrize(
    ("direct", "bridged", "told"),
    [
        (("{text}",), None, None),
        (("{bridge} {text}",), None, r"Step 1 of the direct .* holds \{bridge\}"),
        (("{txt} {text}",), None, r"\{txt\}, which nothing fills: .*\{source\}, .*\{text\}"),
        (("{} {text}",), None, r"holds \{\}"),
        (("{ text } {text}",), None, r"holds \{ text \}"),
        (("{source}",), None, r"direct template of translation lacks \{text\}"),
        ((), None, "0 texts where the task has 1 steps"),
        (("{text}", "{text}"), None, "2 texts"),
        (None, ("{text}", "{text}"), r"Step 2 of the bridged .* lacks \{step1\}"),
        (None, ("{text} {step1}", "{step1}"), r"Step 1 .* holds \{step1\}"),
        (None, ("{text}", "{step1} {step2}"), r"Step 2 .* holds \{step2\}"),
        (None, ("{text} {passage}", "{step1}"), r"\{passage\}"),
        (None, ("a } b { {text}", "{step1}"), None),
    ],
)
def test_faults_of_templates_are_named(direct, bridged, told):
    own = TRANSLATION.template
    template = TaskTemplate(
        own.direct if direct is None else direct, own.bridged if bridged is None else bridged
    )
    if told is None:
        assert task(TRANSLATION, template=template).template == template
    else:
        with pytest.raises(InputError, match=told):
            task(TRANSLATION, template=template)


def test_every_template_that_ships_fits_its_task():
    for kind in KINDS.values():
        kind.check(kind.template)
        assert len(kind.direct) == len(kind.template.direct)


def test_a_template_of_ones_own_from_a_file(tmp_path):
    path = tmp_path / "mine.json"
    table = {"direct": ["{text}:"], "bridged": ["{text}!", "{step1}?"]}
    path.write_text(json.dumps(table), encoding="utf-8")
    found = read_template(path)
    assert found == TaskTemplate(("{text}:",), ("{text}!", "{step1}?"))
    (chain,) = task(TRANSLATION, template=found).run(
        Scripted({"!": "hi"}), ENGLISH, [Item({"text": "x"}, "")]
    )
    assert [step.prompt for step in chain.steps] == ["x!", "hi?"]
    for wrong in ("[]", "{", '{"direct": ["a"]}', '{"direct": "a", "bridged": []}', "[" * 99999,
                  '{"direct": [1], "bridged": []}'):  # fmt: skip
        path.write_text(wrong)
        with pytest.raises(InputError, match="mine.json has to be a JSON object"):
            read_template(path)
    with pytest.raises(InputError, match="can't be read"):
        read_template(tmp_path / "none.json")


# ---- Free chains ---------------------------------------------------------------------------------


def test_a_free_chain_of_many_steps():
    chain = FreeChain(
        SW,
        (
            PromptStep(SW, "{source}: {text}\nShort ({language}):"),
            PromptStep(EN, "{step1}\n{language}:"),
            PromptStep(ES, "{step2} / {text}\n{language}:"),
            PromptStep(ES, "{step3}\nBetter {language}:"),
        ),
    )
    ends = {"Short (Kiswahili):": "fupi", "English:": "{text}", "Better Español:": "d"}
    backend = Scripted(ends | {"Español:": "c"})
    (done,) = chain.run(backend, ["Hab{step2}ari"])
    assert [step.prompt for step in done.steps] == [
        "Kiswahili: Hab{step2}ari\nShort (Kiswahili):",
        "fupi\nEnglish:",
        "{text} / Hab{step2}ari\nEspañol:",
        "c\nBetter Español:",
    ]
    assert done.words == ("Hab{step2}ari", "fupi", "{text}", "c", "d")
    assert done.route == Route((SW, EN, ES))
    stream = chain.stream(backend, "Hab{step2}ari")
    assert isinstance(stream, Iterator)
    assert list(stream)[-1] == done


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ((), "at least one step"),
        ((PromptStep(SW, "{text}"),), "choose at least two"),
        ((PromptStep(EN, "{language}:"),), r"Step 1 lacks \{text\}"),
        ((PromptStep(EN, "{text}"), PromptStep(FI, "{step2}")), r"Step 2 holds \{step2\}"),
        ((PromptStep(EN, "{passage} {text}"),), r"holds \{passage\}"),
    ],
)
def test_free_chains_that_cannot_be(steps, told):
    with pytest.raises(InputError, match=told):
        FreeChain(SW, steps)


def test_a_free_chain_of_nothing():
    chain = FreeChain(SW, (PromptStep(EN, "{text}"),))
    with pytest.raises(InputError, match="no text"):
        chain.run(Scripted({}), [" "])
    with pytest.raises(InputError, match="no text"):
        chain.stream(Scripted({}), "")
