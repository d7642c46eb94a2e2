"""Chains as files: nothing is lost, and foreign text stays text."""

import csv
import io
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgex_core.chain_files import to_csv, to_json, to_markdown
from bridgex_core.trials import Outcome, Trial, judge, stand
from tests.dictionary_backend import DictionaryBackend

EVIL = "```\n# <b>mbwa</b>|`` \u202e=1+1"


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    asked = Trial("perro", "spa_Latn", "swh_Latn", ("eng_Latn",))
    backend = DictionaryBackend({("perro", "English"): "dog", ("dog", "Kiswahili"): EVIL})
    findings = []
    for route in asked.routes:
        chain = list(asked.chains(route, (), backend))[-1]
        standing = stand(asked, chain, (), backend)
        others = tuple(backend.alternatives(chain.steps[-1].prompt, asked.decoding))
        findings.append(replace(judge(asked, chain), standing=standing, alternatives=others))
    return Outcome(asked, backend.title, tuple(findings), note="It was stopped.")


def test_json_holds_every_step(outcome):
    (told,) = json.loads(to_json([outcome]))
    direct, bridged = told["chains"]
    assert (told["text"], told["source"], told["target"]) == ("perro", "spa_Latn", "swh_Latn")
    assert told["template"] == {"link": '{language}:"{text}"', "arrow": "→"}
    assert told["note"] == "It was stopped."
    assert bridged["route"] == ["spa_Latn", "eng_Latn", "swh_Latn"]
    assert [step["output"] for step in bridged["steps"]] == ["dog", EVIL]
    assert [step["right"] for step in bridged["steps"]] == [True, False]
    assert bridged["broken_at_step"] == 2
    assert bridged["steps"][0]["prompt"] == 'Español:"perro"→English:"'
    assert bridged["steps"][0]["log_probability"] == -0.75
    assert set(direct["ranks"]) == {"candidates", "summed", "per token", "calibrated"}
    assert "mbwa" in told["accepted"]


def test_csv_has_a_row_a_step(outcome):
    rows = list(csv.DictReader(io.StringIO(to_csv([outcome, outcome]))))
    assert [(row["trial"], row["route"], row["step"]) for row in rows[:3]] == [
        ("1", "spa_Latn swh_Latn", "1"),
        ("1", "spa_Latn eng_Latn swh_Latn", "1"),
        ("1", "spa_Latn eng_Latn swh_Latn", "2"),
    ]
    assert len(rows) == 6
    assert rows[2]["output"] == EVIL
    assert [row["rank_summed"] == "" for row in rows[:3]] == [False, True, False]


def test_markdown_keeps_foreign_text_in_code(outcome):
    told = to_markdown([outcome])
    assert "\n# <b>" not in told
    assert 'Español:"perro"→English:"' in told
    ticks = "```` "
    assert f"Answer: {ticks}{' '.join(EVIL.split())} ````" in told


@given(st.text(alphabet="`~a\n #<>|", max_size=20))
def test_no_text_ends_its_fence(text):
    from bridgex_core.chain_files import _code, _fenced

    lines = _fenced(text).split("\n")
    assert lines[0].removesuffix("text") == lines[-1]
    assert lines[-1] not in (line.strip() for line in lines[1:-1])
    inside = _code(text).split(" ")[0].count("`")
    assert _code(text) == "(nothing)" or "`" * inside not in " ".join(text.split()) or inside == 1


def test_without_anything_the_files_are_empty():
    assert json.loads(to_json([])) == []
    assert to_csv([]).count("\n") == 1
    assert to_markdown([]) == ""
