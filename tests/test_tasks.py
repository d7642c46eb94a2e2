"""Tasks of several steps: prompts letter by letter, demonstrations, scores, and every refusal."""

import json
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgex_core.bli import Bli
from bridgex_core.decoding import Generated
from bridgex_core.errors import InputError
from bridgex_core.languages import register
from bridgex_core.model_sources import ModelSource
from bridgex_core.prompts import ChainTemplate
from bridgex_core.scoring import sentence_chrf
from bridgex_core.store import Store
from bridgex_core.study import Evaluations
from bridgex_core.task_files import udhr_reading, udhr_translation
from bridgex_core.tasks import (
    INFERENCE,
    KINDS,
    READING,
    SUMMARY,
    TASKS,
    TRANSLATION,
    FreeChain,
    Item,
    PromptStep,
    PromptTask,
    TaskTemplate,
    open_task,
    read_template,
    require_route,
    run_item,
    stream_item,
)
from bridgex_core.tasks.templates import fill
from bridgex_core.xicl import Route

from .dictionary_backend import Counted, DictionaryBackend

R = register()
SW, FI, EN, ES = (R[code] for code in ("swh_Latn", "fin_Latn", "eng_Latn", "spa_Latn"))
DIRECT, ENGLISH = Route((SW, FI)), Route((SW, EN, FI))


class Scripted(DictionaryBackend):
    """Answers by the end of the prompt, and prefers a letter by it too."""

    def __init__(self, ends: dict[str, str], letters: dict[str, str] | None = None, **settings):
        super().__init__({}, **settings)
        self.ends, self.letters = ends, letters or {}

    def answer(self, prompt: str) -> Generated:
        found = (text for end, text in self.ends.items() if prompt.endswith(end))
        return Generated(next(found, "nothing"), (-1.0,), "stop")

    def score(self, prompt: str, candidate: str) -> float:
        chosen = next((v for part, v in self.letters.items() if part in prompt), "A")
        assert candidate.startswith(" ")
        return -1.0 if candidate.strip() == chosen else -2.0


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


# ---- Data and demonstrations ---------------------------------------------------------------------


def test_the_sets_that_ship():
    reading = open_task("reading", "swh_Latn", "Finnish", items=10)
    assert isinstance(reading, PromptTask)
    assert (len(reading.items), reading.measure, reading.shots) == (10, "accuracy", 0)
    rows = {row.passage: row for row in udhr_reading("swh_Latn", "fin_Latn")}
    for item in reading.items:
        row = rows[item.fields["passage"]]
        assert item.gold == "ABCD"[row.right]
        assert [item.fields[name] for name in "abcd"] == list(row.answers)
        assert item.fields["question"] == "Which of these says the same?"
    everything = open_task("translation", "swh_Latn", "fin_Latn", items=1000)
    assert len(everything.items) == len(udhr_translation("swh_Latn", "fin_Latn"))
    assert everything.labels()[1][0] == (everything.items[0].gold,)


@pytest.mark.parametrize("name", ["reading", "translation"])
@pytest.mark.parametrize("seed", range(3))
def test_what_is_asked_is_never_shown(name, seed):
    one = open_task(name, "swh_Latn", "fin_Latn", items=30, shots=3, seed=seed)
    asked = {item.fields[one.kind.text] for item in one.items}
    assert len(one.items) == 30
    assert not asked & {item.fields[one.kind.text] for item in one.known}
    for route in (DIRECT, ENGLISH, Route((SW, ES, FI))):
        for step in one.prompts(route):
            assert step.above.count("\n\n") == 3
            assert not any(f": {text}\n" in step.above for text in asked)


def test_demonstrations_show_what_every_step_should_write():
    one = open_task("translation", "swh_Latn", "fin_Latn", items=20, shots=1)
    english = {item.text: item.translation for item in udhr_translation("swh_Latn", "eng_Latn")}
    first, second = one.prompts(ENGLISH)
    shown = next(item for item in one.known if item.fields["text"] in first.above)
    text = shown.fields["text"]
    assert first.above == f"Kiswahili: {text}\nEnglish: {english[text]}\n\n"
    assert second.above == (f"Kiswahili: {text}\nEnglish: {english[text]}\nSuomi: {shown.gold}\n\n")
    (chain,) = one.run(Scripted({}), DIRECT, [Item({"text": "x"}, "")])
    assert chain.steps[0].prompt.endswith("\n\nKiswahili: x\nSuomi:")
    assert {open_task("translation", "swh_Latn", "fin_Latn", items=20, shots=1, seed=s).prompts(
        DIRECT)[0].above for s in range(8)} > {one.prompts(DIRECT)[0].above}  # fmt: skip


def test_asking_for_everything_leaves_something_to_show():
    whole = len(udhr_translation("swh_Latn", "fin_Latn"))
    one = open_task("translation", "swh_Latn", "fin_Latn", items=1000, shots=5)
    assert (len(one.items), len(one.known)) == (whole - 5, 5)
    with pytest.raises(InputError, match="ask for fewer"):
        open_task("translation", "swh_Latn", "fin_Latn", shots=1000)
    many = open_task("translation", "swh_Latn", "fin_Latn", items=20, shots=whole - 20)
    with pytest.raises(InputError, match=r"items to demonstrate .* fewer than the"):
        require_route(replace(many, shots=whole), DIRECT)


def flores(folder, lines):
    for split in ("dev", "devtest"):
        (folder / split).mkdir()
        for code in ("swh_Latn", "fin_Latn", "eng_Latn"):
            text = "".join(f"{split} {code} {k}\n" for k in range(lines))
            (folder / split / f"{code}.{split}").write_text(text)
    return folder


def test_flores_is_shown_from_dev(tmp_path):
    folder = flores(tmp_path, 6)
    one = open_task("translation", "swh_Latn", "fin_Latn", data=folder, items=4, shots=2)
    assert all(item.gold.startswith("devtest fin_Latn") for item in one.items)
    assert len(one.known) == 6
    for line in one.prompts(ENGLISH)[1].above.split("\n\n")[:-1]:
        texts = [each.split(": ")[1] for each in line.split("\n")]
        assert [text[:-1] for text in texts] == ["dev swh_Latn ", "dev eng_Latn ", "dev fin_Latn "]
        assert len({text[-1] for text in texts}) == 1
    (folder / "dev" / "swh_Latn.dev").unlink()
    assert len(open_task("translation", "swh_Latn", "fin_Latn", data=folder).items) == 6
    with pytest.raises(InputError, match="swh_Latn.dev"):
        open_task("translation", "swh_Latn", "fin_Latn", data=folder, shots=1)


def belebele(folder, broken: str = ""):
    for code in ("swh_Latn", "fin_Latn", "eng_Latn"):
        rows = [
            {
                "link": f"l{k // 2}", "question_number": k % 2 + 1, "dialect": code,
                "flores_passage": f"{code} passage\n{k // 2}", "question": f"{code} q{k}",
                "correct_answer_num": str(k % 4 + 1), **{f"mc_answer{n}": f"{code} {n}" for n in
                (1, 2, 3, 4)},
            }
            for k in range(8)
        ]  # fmt: skip
        lines = [json.dumps(row) for row in rows]
        if code == "fin_Latn" and broken:
            lines[2] = broken
        (folder / f"{code}.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def test_belebele(tmp_path):
    one = open_task("reading", "swh_Latn", "fin_Latn", data=belebele(tmp_path), items=3, shots=1)
    assert len(one.items) == 3
    assert all(item.fields["passage"].startswith("swh_Latn passage ") for item in one.items)
    assert all("ABCD".index(item.gold) == int(item.fields["question"][-1]) % 4
               for item in one.items)  # fmt: skip
    first, second = one.prompts(ENGLISH)
    number = first.above.split("\n")[0][-1]
    assert first.above == (
        f"Kiswahili: swh_Latn passage {number}\nEnglish: eng_Latn passage {number}\n\n"
    )
    assert second.above.startswith(f"English: eng_Latn passage {number}\nSuomi: fin_Latn q")
    belebele(tmp_path, broken='{"link": 1}')
    with pytest.raises(InputError, match="fin_Latn.jsonl, line 3"):
        open_task("reading", "swh_Latn", "fin_Latn", data=tmp_path)


def test_xnli(tmp_path):
    path = tmp_path / "xnli.jsonl"
    rows = [
        {"language": code, "gold_label": label, "sentence1": f"{code} p{k}",
         "sentence2": f"{code} h{k}", "pairID": str(k)}
        for code in ("sw", "en", "fin_Latn")
        for k, label in enumerate(("neutral", "entailment", "contradiction", "neutral"))
    ]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    one = open_task("inference", "swh_Latn", "fin_Latn", data=path, items=3, shots=1)
    letters = {item.fields["premise"]: item.gold for item in (*one.items, *one.known)}
    assert letters == {"sw p0": "B", "sw p1": "A", "sw p2": "C", "sw p3": "B"}
    (shown,) = one.known
    number = shown.fields["premise"][-1]
    first, second = one.prompts(ENGLISH)
    assert first.above == f"Kiswahili: sw p{number}\nEnglish: en p{number}\n\n"
    assert second.above.startswith(f"English: en p{number}\nSuomi: fin_Latn h{number}\n")
    assert second.above.endswith(f"Answer: {shown.gold}\n\n")


def test_summaries(tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"text": "One\\ntwo", "summary": "Yksi"}\n')
    one = open_task("summary", "swh_Latn", "fin_Latn", data=path)
    assert one.items == (Item({"text": "One two"}, "Yksi", f"{path}, line 1"),)
    path.write_text(path.read_text() + '{"text": "Three", "summary": "Kolme"}\n')
    with pytest.raises(InputError, match="no demonstrations"):
        open_task("summary", "swh_Latn", "fin_Latn", data=path, shots=1, items=1)


@pytest.mark.parametrize("name", ["inference", "summary"])
def test_tasks_without_bundled_data_say_where_it_is(name):
    with pytest.raises(InputError, match=r"docs/tasks.md"):
        open_task(name, "swh_Latn", "fin_Latn")


def test_refusals():
    for settings, told in (
        ({"name": "poetry"}, "bli, reading, inference, translation, summary"),
        ({"items": 0}, "at least one"),
        ({"shots": -1}, "fewer than 0"),
        ({"source": "Klingonese"}, "No language"),
        ({"name": "bli", "data": "x"}, "takes a lexicon"),
        ({"target": "sw"}, "two languages"),
    ):
        with pytest.raises(InputError, match=told):
            open_task(**{"name": "translation", "source": "sw", "target": "fi", **settings})
    with pytest.raises(TypeError):
        open_task("bli", "sw", "fi", template=TRANSLATION.template)
    with pytest.raises(TypeError):
        open_task("reading", "sw", "fi", template=ChainTemplate())
    one = task(TRANSLATION)
    with pytest.raises(InputError, match="one bridge at most"):
        require_route(one, Route((SW, EN, ES, FI)))
    with pytest.raises(ValueError, match="not one of"):
        one.prompts(Route((EN, FI)))
    with pytest.raises(InputError, match="text is empty"):
        one.run(Scripted({}), DIRECT, [Item({"text": " "}, "")])


def test_names_open_tasks():
    assert TASKS == ("bli", "reading", "inference", "translation", "summary")
    words = open_task("bli", "id", "Hebrew", items=5)
    assert isinstance(words, Bli)
    assert (words.source, words.target, words.shots) == ("ind_Latn", "heb_Hebr", 4)
    assert open_task("bli", "id", "he", shots=0).shots == 0


def test_results_are_kept_and_resumed(tmp_path):
    one = open_task("reading", "swh_Latn", "fin_Latn", items=4)
    kept = Evaluations.of_model(Store(tmp_path), ModelSource.in_memory("llama", 2, 64), "float32")
    backend = Scripted({"English:": "The right to life"}, {"life": "C"})
    kept.run([(one, route) for route in (DIRECT, ENGLISH)], lambda: backend)
    again = open_task("reading", "swh_Latn", "fin_Latn", items=4)
    whole = kept.evaluation([again], [DIRECT, ENGLISH])
    assert (whole.task, whole.measure, len(whole.items)) == ("reading", "accuracy", 4)
    assert whole.runs[1][0].answers == (("The right to life", "C"),) * 4
    assert list(whole.table()["test"].iloc[1:]) == ["McNemar"]
    changed = [
        open_task("reading", "swh_Latn", "fin_Latn", items=5),
        open_task("translation", "swh_Latn", "fin_Latn", items=4),
        open_task("reading", "swh_Latn", "fin_Latn", items=4, shots=1),
        replace(one, template=TaskTemplate((one.template.direct[0] + " ",), one.template.bridged)),
    ]
    assert not any(kept.has(each, DIRECT) for each in changed)


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
