"""The prompts, letter by letter."""

from dataclasses import replace

import pytest

from bridgex_core.errors import InputError
from bridgex_core.languages import register
from bridgex_core.prompts import concept_prompt, name_in_prompts, probe_prompt, translation_prompt

ID, HE, EN = (register()[code] for code in ("ind_Latn", "heb_Hebr", "eng_Latn"))


def test_the_papers_templates():
    assert probe_prompt(ID, HE, "api") == 'Bahasa Indonesia:"api"→עברית:'
    assert concept_prompt(HE, " אש ") == 'עברית:"אש"'
    assert translation_prompt([ID, HE], ["api"]) == 'Bahasa Indonesia:"api"→עברית:"'
    assert (
        translation_prompt([ID, EN, HE], ["api", "fire"])
        == 'Bahasa Indonesia:"api"→English:"fire"→עברית:"'
    )


def test_english_stands_in_for_a_missing_name():
    assert name_in_prompts(replace(HE, autonym="")) == "Hebrew"


def test_an_empty_word_is_refused():
    with pytest.raises(InputError, match="empty"):
        probe_prompt(ID, HE, "  ")


def test_a_step_needs_its_words():
    with pytest.raises(ValueError, match="one word fewer"):
        translation_prompt([ID, HE], ["api", "fire"])
    with pytest.raises(ValueError, match="as many"):
        translation_prompt([ID, HE], ["api"], [["air"]])
