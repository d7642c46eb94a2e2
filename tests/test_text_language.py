"""Scripts of characters, and languages of texts: what is told and what is left open."""

import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgex_core.corpora import udhr
from bridgex_core.errors import InputError
from bridgex_core.languages import STUDY_LANGUAGES, register
from bridgex_core.text_language import (
    SCRIPTS,
    language_of,
    script_counts,
    script_of,
    scripts_of,
)


def test_the_declaration_is_found_in_its_own_language():
    """Three articles of each study language, against all fifteen: none wrong, hardly any open."""
    named = 0
    for code in STUDY_LANGUAGES:
        for article in (1, 5, 18):
            found = language_of(udhr().text(code).blocks[article], STUDY_LANGUAGES)
            assert found.code in (code, None), (code, article, found)
            assert 0 <= found.confidence <= 1
            named += found.code is not None
    assert named >= 43


def test_every_language_of_the_register_is_written_in_its_script():
    for language in register():
        if language.code in udhr().languages():
            text = udhr().text(language.code).blocks[1]
            assert script_of(text) in scripts_of(language.code), language.code
            alone = language_of(text, [language.code])
            assert (alone.code, alone.decided_by) == (language.code, "script")


@pytest.mark.parametrize(
    ("text", "candidates", "code", "decided_by"),
    [
        ("חתול", ("eng_Latn", "heb_Hebr"), "heb_Hebr", "script"),
        ("the house is big", ("eng_Latn", "heb_Hebr", "ind_Latn"), "eng_Latn", "lingua"),
        ("rumah saya besar", ("eng_Latn", "heb_Hebr", "ind_Latn"), "ind_Latn", "lingua"),
        ("これは猫です", ("zho_Hans", "jpn_Jpan"), "jpn_Jpan", "script"),
        ("这是", ("zho_Hans", "jpn_Jpan"), "zho_Hans", "script"),  # 这 is in no Japanese set
        ("天気", ("zho_Hans", "jpn_Jpan"), "jpn_Jpan", "script"),  # 気 is in no Chinese set
        ("हिन्दी भाषा में लिखा", ("hin_Deva", "eng_Latn"), "hin_Deva", "script"),
    ],
)
def test_what_can_be_told(text, candidates, code, decided_by):
    found = language_of(text, candidates)
    assert (found.code, found.decided_by, found.reason) == (code, decided_by, "")


@pytest.mark.parametrize(
    ("text", "candidates", "reason"),
    [
        ("1234 …", ("eng_Latn",), "no letters"),
        ("", ("eng_Latn", "spa_Latn"), "no letters"),
        ("ไทย", ("eng_Latn", "heb_Hebr"), r"No candidate .* \(Thai script\)"),
        ("猫", ("zho_Hans", "jpn_Jpan"), "does not tell"),
        ("ndi nyumba", ("eng_Latn", "jav_Latn"), "Lingua does not know Javanese"),
        ("casa", ("spa_Latn", "por_Latn", "eng_Latn"), "too short"),
        ("سلام", ("arb_Arab", "ckb_Arab", "pbt_Arab"), "know Central Kurdish and .*Pashto"),
    ],
)
def test_what_is_left_open_has_a_reason(text, candidates, reason):
    found = language_of(text, candidates)
    assert (found.code, found.confidence, found.decided_by) == (None, 0.0, None)
    assert re.search(reason, found.reason)


def test_a_code_outside_the_register_is_known_by_its_script_alone():
    assert language_of("Здраво свете", ["xyz_Cyrl", "eng_Latn"]).code == "xyz_Cyrl"
    assert "does not know xyz_Latn" in language_of("hello", ["xyz_Latn", "eng_Latn"]).reason
    with pytest.raises(InputError, match="at least one language"):
        language_of("hello", [])


@given(st.text(max_size=40))
def test_any_text_is_taken(text):
    counts = script_counts(text)
    assert set(counts) <= set(SCRIPTS)
    assert script_of(text) in SCRIPTS
    found = language_of(text, ["eng_Latn", "arb_Arab", "jpn_Jpan"])
    assert (found.code is None) == bool(found.reason)
    assert (found.code is None) == (found.decided_by is None)


def test_marks_and_signs_carry_no_script():
    assert script_of("e\u0301") == "Latn"
    assert script_counts("ー・、。") == {}  # what Hiragana and Katakana share
    assert script_of("ᚠᚢᚦ") == "Zzzz"


def test_lingua_is_loaded_only_when_it_is_asked():
    code = (
        "import sys; from bridgex_core.text_language import language_of; "
        "language_of('חתול', ['eng_Latn', 'heb_Hebr']); print('lingua' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
