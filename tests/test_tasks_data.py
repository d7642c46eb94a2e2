"""Tasks from their files: what is asked, what is shown, what is kept, and every refusal."""

import json
from dataclasses import replace

import pytest

from bridgex_core.bli import Bli
from bridgex_core.errors import InputError
from bridgex_core.languages import register
from bridgex_core.model_sources import ModelSource
from bridgex_core.prompts import ChainTemplate
from bridgex_core.store import Store
from bridgex_core.study import Evaluations
from bridgex_core.task_files import udhr_reading, udhr_translation
from bridgex_core.tasks import (
    TASKS,
    TRANSLATION,
    Item,
    PromptTask,
    TaskTemplate,
    open_task,
    require_route,
)
from bridgex_core.xicl import Route

from .dictionary_backend import Scripted

R = register()
SW, FI, EN, ES = (R[code] for code in ("swh_Latn", "fin_Latn", "eng_Latn", "spa_Latn"))
DIRECT, ENGLISH = Route((SW, FI)), Route((SW, EN, FI))


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
    one = PromptTask(TRANSLATION, "swh_Latn", "fin_Latn", (), TRANSLATION.template)
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
