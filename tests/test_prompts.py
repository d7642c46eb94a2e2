"""The prompts, letter by letter."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgex_core.errors import InputError
from bridgex_core.languages import register
from bridgex_core.prompts import (
    PAPER_TEMPLATE,
    ChainTemplate,
    concept_prompt,
    name_in_prompts,
    probe_prompt,
    translation_prompt,
    wordless_prompt,
)

ID, HE, EN = (register()[code] for code in ("ind_Latn", "heb_Hebr", "eng_Latn"))


def test_the_papers_templates():
    assert probe_prompt(ID, HE, "api") == 'Bahasa Indonesia:"api"→עברית:'
    assert concept_prompt(HE, " אש ") == 'עברית:"אש"'
    assert translation_prompt([ID, HE], ["api"]) == 'Bahasa Indonesia:"api"→עברית:"'
    assert (
        translation_prompt([ID, EN, HE], ["api", "fire"])
        == 'Bahasa Indonesia:"api"→English:"fire"→עברית:"'
    )


def test_demonstrations_stand_above_a_chain_each_on_a_line():
    examples = [("air", "water", "מים"), ("kuda", "horse", "סוס")]
    assert translation_prompt([ID, EN, HE], [" api ", " fire"], examples) == (
        'Bahasa Indonesia:"air"→English:"water"→עברית:"מים"\n'
        'Bahasa Indonesia:"kuda"→English:"horse"→עברית:"סוס"\n'
        'Bahasa Indonesia:"api"→English:"fire"→עברית:"'
    )


def test_the_prior_has_the_demonstrations_and_no_word():
    assert wordless_prompt([ID, EN, HE], [("air", "water", "מים")]) == (
        'Bahasa Indonesia:"air"→English:"water"→עברית:"מים"\nBahasa Indonesia:""→English:""→עברית:"'
    )


def test_an_empty_answer_of_the_model_stays_in_the_chain():
    prompt = translation_prompt([ID, EN, HE], ["api", ""])
    assert prompt == 'Bahasa Indonesia:"api"→English:""→עברית:"'


def test_a_template_of_ones_own():
    template = ChainTemplate("{language} says {text}.", " so ")
    assert template.stops == (".", "\n")
    assert translation_prompt([ID, HE], ["api"], [("air", "מים")], template) == (
        "Bahasa Indonesia says air. so עברית says מים.\nBahasa Indonesia says api. so עברית says "
    )
    assert ChainTemplate("{language}={text}", " | ").stops == ("|", "\n")
    assert ChainTemplate("{language}={text}", "\n").stops == ("\n",)
    assert PAPER_TEMPLATE.stops == ('"', "\n")


@pytest.mark.parametrize("word", ["{language}", "{text}", "{}", "{0}", "a}b{"])
def test_braces_of_the_user_mean_nothing(word):
    assert translation_prompt([ID, HE], [word]) == f'Bahasa Indonesia:"{word}"→עברית:"'


@given(st.lists(st.text("ab{}", min_size=1), min_size=3, max_size=3))
def test_what_a_step_wrote_is_what_the_next_one_reads(words):
    whole = translation_prompt([ID, EN, HE], words[:2])
    assert whole.startswith(translation_prompt([ID, EN], words[:1]) + words[1])


@pytest.mark.parametrize(
    ("link", "arrow", "told"),
    [
        ('{language}:"text"', "→", r"\{text\}"),
        ('language:"{text}"', "→", r"\{language\}"),
        ("{text}{text}{language}", "→", r"\{text\}"),
        ("{text} in {language}", "→", "before"),
        ('{language}:"{text}"', "", "between"),
    ],
)
def test_a_template_that_lacks_something(link, arrow, told):
    with pytest.raises(InputError, match=told):
        ChainTemplate(link, arrow)


def test_english_stands_in_for_a_missing_name():
    assert name_in_prompts(replace(HE, autonym="")) == "Hebrew"


def test_an_empty_word_is_refused():
    for make in (lambda: probe_prompt(ID, HE, "  "), lambda: translation_prompt([ID, HE], [" "])):
        with pytest.raises(InputError, match="empty"):
            make()


def test_a_step_needs_its_words():
    with pytest.raises(ValueError, match="one word fewer"):
        translation_prompt([ID, HE], ["api", "fire"])
    with pytest.raises(ValueError, match="as many"):
        translation_prompt([ID, HE], ["api"], [["air"]])
