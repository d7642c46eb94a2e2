"""Perturbed texts: what changes, what never does, in many scripts."""

import unicodedata

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from bridgex_core.errors import InputError
from bridgex_core.perturbations import (
    PERTURBATIONS,
    distracting_words,
    identity,
    named_perturbations,
    perturb,
)

OTHERS = ["meja", "lampu", "gunung", "sungai"]
SCRIPTS = {
    "eng_Latn": "abcdefghXY",
    "hin_Deva": "कखगिीुे्मन",
    "arb_Arab": "بتثجَُِّأئ",
    "heb_Hebr": "אבגדָּשׁ",
    "tha_Thai": "กขคงิีุ่้",
    "zho_Hans": "大象自由女神像人类",
    "kor_Hang": "가나다라마바",
}


def graphemes(text: str) -> list[str]:
    return regex.findall(r"\X", text)


@st.composite
def words(draw: st.DrawFn, spaced: bool = True) -> tuple[str, str]:
    """A language, and a text of which every word begins with a letter that nothing joins."""
    code = draw(st.sampled_from([c for c in SCRIPTS if not spaced or c[-4:] not in NO_SPACES]))
    letters = [each for each in SCRIPTS[code] if regex.match(r"\p{L}", each)]
    word = st.tuples(
        st.sampled_from(letters), st.text(alphabet=SCRIPTS[code], min_size=3, max_size=7)
    ).map("".join)
    return code, " ".join(draw(st.lists(word, min_size=1, max_size=9)))


NO_SPACES = ("Hans", "Thai")


@given(words(spaced=False), st.sampled_from(PERTURBATIONS), st.integers(0, 5))
def test_the_same_arguments_give_the_same_text(given_, kind, seed):
    code, text = given_
    if kind != "transliteration":
        first = perturb(text, kind, code, seed=seed, distractors=OTHERS)
        assert perturb(text, kind, code, seed=seed, distractors=OTHERS) == first


@given(words())
@settings(max_examples=200)
def test_a_typo_changes_a_word_and_no_grapheme(given_):
    code, text = given_
    after = perturb(text, "typos", code)
    before = text.split(" ")
    assert len(after.split(" ")) == len(before)
    changed = [(a, b) for a, b in zip(before, after.split(" "), strict=True) if a != b]
    can_change = [word for word in before if len(graphemes(word)) > 1]
    assert len(changed) == (max(1, round(len(can_change) / 5)) if can_change else 0)
    for old, new in changed:
        a, b = graphemes(old), graphemes(new)
        if len(a) > 3:
            assert (a[0], a[-1]) == (b[0], b[-1])
        swapped = [[*a[:i], a[i + 1], a[i], *a[i + 2 :]] for i in range(len(a) - 1)]
        doubled = [a[: i + 1] + a[i:] for i in range(len(a))]
        left_out = [a[:i] + a[i + 1 :] for i in range(len(a)) if len(a) > 2]
        assert new in map("".join, [*swapped, *doubled, *left_out])


@pytest.mark.parametrize("text", ["id", "大象", "自由女神像", "हिन्दी", "ab1", "สวัสดี"])
def test_short_words_change_whatever_the_seed(text):
    code = "zho_Hans" if "大" in text or "自" in text else "eng_Latn"
    found = {perturb(text, "typos", code, seed=seed) for seed in range(30)}
    assert text not in found
    assert len(found) > 1


def test_what_has_no_second_letter_has_no_typo():
    for text in ("a", "猫", "7", "...", "", "a 1 b"):
        assert perturb(text, "typos", "zho_Hans") == perturb(text, "typos", "eng_Latn") == text


def test_a_text_without_spaces_gets_several_typos():
    text = "人人有资格享有本宣言所载的一切权利和自由不分种族肤色性别语言宗教政治或其他见解" * 2
    differ = 0
    for seed in range(10):
        after = perturb(text, "typos", "zho_Hans", seed=seed)
        assert abs(len(after) - len(text)) <= 4
        differ += after[: len(text) // 2] != text[: len(text) // 2]
    assert differ > 3


def test_no_letter_loses_its_vowel_sign():
    text = "हिन्दी नमस्ते दुनिया किताब"
    for seed in range(20):
        after = perturb(text, "typos", "hin_Deva", seed=seed)
        assert set(graphemes(after)) <= set(graphemes(text))


def test_case():
    assert perturb("straße, Hund", "case", "deu_Latn") == "STRASSE, HUND"
    assert perturb("istiyor ışık", "case", "tur_Latn") == "İSTİYOR IŞIK"
    for text, code in (("مدرسة", "arb_Arab"), ("学校", "zho_Hans"), ("हिन्दी", "hin_Deva")):
        assert perturb(text, "case", code) == text


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ("Café naïve Šťastný", "Cafe naive Stastny"),
        ("Tiếng Việt ơ đ ł ø", "Tieng Viet o đ ł ø"),
        ("Ελλάδα ΐ", "Ελλαδα ι"),
        ("ёлка йод їжак ќе", "елка йод їжак ќе"),
        ("مُدَرِّسٌ أآإؤئ قرءان", "مدرس أآإؤئ قرءان"),
        ("أَنا", "أنا"),
        ("שָׁלוֹם", "שלום"),
        ("हिन्दी", "हिन्दी"),
        ("ที่นี่", "ที่นี่"),
        ("がぎ パ", "がぎ パ"),
        ("가나", "가나"),
        ("plain", "plain"),
    ],
)
def test_diacritics(text, bare):
    for form in ("NFC", "NFD"):
        given_ = unicodedata.normalize(form, text)
        expected = given_ if bare == text else bare  # nothing to remove: not even normalised
        assert perturb(given_, "diacritics", "und_Zzzz") == expected


def test_transliteration():
    assert perturb("Привет", "transliteration", "rus_Cyrl") == "Privet"
    assert perturb("שלום", "transliteration", "heb_Hebr").isascii()
    assert perturb("猫", "transliteration", "zho_Hans") == "mao"
    assert perturb("Ćevapi привет", "transliteration", "bos_Latn") == "Ćevapi привет"
    assert perturb(" ", "transliteration", "rus_Cyrl") == " "


def test_distractors_stand_in_brackets_behind_words():
    assert regex.fullmatch(
        r"kucing \((?:(\w+), (?!\1)\w+)\)",
        perturb("kucing", "distractors", "ind_Latn", distractors=OTHERS),
    )
    text = " ".join(f"kata{number}," for number in range(40))
    after = perturb(text, "distractors", "ind_Latn", distractors=OTHERS)
    brackets = regex.findall(r"kata\d+ \((\w+), (\w+)\),", after)
    assert len(brackets) == 4
    assert all(a != b and {a, b} <= set(OTHERS) for a, b in brackets)
    assert regex.sub(r" \(.*?\)", "", after) == text


def test_no_distractor_is_in_the_text():
    for seed in range(20):
        after = perturb(
            "Meja besar", "distractors", "ind_Latn", seed=seed, distractors=["meja", *OTHERS]
        )
        assert after.casefold().count("meja") == 1
    with pytest.raises(InputError, match="fewer than two other words"):
        perturb("meja", "distractors", "ind_Latn", distractors=["meja", "lampu"])


def test_distractors_in_a_script_without_spaces_stand_at_points():
    text = "人人有资格享有本宣言，不分种族、肤色。"
    after = perturb(text, "distractors", "zho_Hans", distractors=["学校", "老师"])
    where = after.index(" (")
    assert after[:where].endswith(("宣言", "种族", "肤色"))
    assert perturb("།", "distractors", "bod_Tibt", distractors=OTHERS) == "།"


def test_words_to_distract_with():
    assert distracting_words("An old house, (built) 1999!", "eng_Latn") == [
        "house",
        "built",
        "1999",
    ]
    assert distracting_words("人人有资格享有本宣言，不分种族、肤色。", "zho_Hans") == [
        "人人有资",
        "不分种族",
    ]


def test_names():
    assert named_perturbations(" case,typos") == ("case", "typos")
    assert named_perturbations("") == ()
    for text in ("nonsense", "typos,typos"):
        with pytest.raises(InputError):
            named_perturbations(text)
    with pytest.raises(InputError, match="there are typos, case"):
        perturb("a", "upper", "eng_Latn")


def test_the_identity_is_of_kind_and_content():
    assert identity("", ["a"]) == {}
    found = [identity("typos", ["a"]), identity("case", ["a"]), identity("typos", ["b"])]
    assert len({str(each) for each in found}) == 3
    assert found[0] == identity("typos", ["a"])
