import re
import unicodedata
from collections import Counter
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridgex_core.errors import InputError
from bridgex_core.languages import (
    RESOURCE_CLASS_NAMES,
    RTL_SCRIPTS,
    STUDY_LANGUAGES,
    Language,
    Register,
    add_language,
    register,
)

REGISTER = register()
# What Unicode calls the letters of a script, where that is not the script's name.
LETTERS = {
    "Hans": {"CJK"},
    "Jpan": {"CJK", "HIRAGANA", "KATAKANA"},
    "Mymr": {"MYANMAR"},
    "Orya": {"ORIYA"},
}
# A macrolanguage whose two members are both in the register has no default.
AMBIGUOUS = {"ku", "kur", "Kurdish", "کوردی", "Kurdî"}


def refusal(function, *arguments, **options) -> str:
    with pytest.raises(InputError) as error:
        function(*arguments, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def fold(name: str) -> str:
    """Letters, digits and spacing vowel signs alone: a cruder sameness than the register's."""
    text = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", name).casefold())
    return "".join(
        c for c in text if unicodedata.combining(c) == 0 and unicodedata.category(c)[0] in "LNM"
    )


def names_of(language: Language) -> list[str]:
    codes = (language.code, language.iso639_1, language.iso639_3, language.glottocode)
    return [n for n in (language.name, language.autonym, *language.aliases, *codes) if n]


# The bundled table


def test_the_register_keeps_its_promises():
    assert len(REGISTER) >= 85
    assert sum(language.is_low_resource for language in REGISTER) >= 50
    assert sum(bool(language.udhr) for language in REGISTER) >= 80
    assert sum(bool(language.cldr) for language in REGISTER) >= 80
    assert len({language.family for language in REGISTER}) >= 15
    assert len({language.script for language in REGISTER}) >= 20


def test_the_study_languages_come_in_the_studys_order():
    assert set(STUDY_LANGUAGES) <= set(REGISTER.codes)
    assert [REGISTER[code].iso639_1 for code in STUDY_LANGUAGES] == (
        ["zh", "ja", "ar", "he", "id", "tl", "fi", "hu", "sw", "en", "de", "fr", "it", "pt", "es"]
    )
    assert len({REGISTER[code].family for code in STUDY_LANGUAGES}) == 7
    assert all(REGISTER[code].udhr and REGISTER[code].cldr for code in STUDY_LANGUAGES)


def test_codes_are_well_formed_and_unique():
    for field, form in (
        ("code", r"[a-z]{3}_[A-Z][a-z]{3}"),
        ("iso639_3", r"[a-z]{3}"),
        ("glottocode", r"[a-z]{4}\d{4}"),
    ):
        values = [getattr(language, field) for language in REGISTER]
        assert all(re.fullmatch(form, value) for value in values)
        assert [value for value, count in Counter(values).items() if count > 1] == []
    assert all(re.fullmatch("([a-z]{2})?", language.iso639_1) for language in REGISTER)
    assert all(language.script == language.code[4:] for language in REGISTER)
    for field in ("udhr", "cldr"):
        values = Counter(filter(None, (getattr(language, field) for language in REGISTER)))
        assert max(values.values()) == 1


@pytest.mark.parametrize("language", REGISTER, ids=lambda language: language.code)
def test_every_row_is_complete_and_in_range(language):
    assert all((language.name, language.autonym, language.family, language.script_name))
    assert -90 <= language.latitude <= 90
    assert -180 <= language.longitude <= 180
    assert language.resource_class in RESOURCE_CLASS_NAMES
    assert language.uriel_resource in ("high", "medium", "low")
    assert language.direction == ("rtl" if language.script in RTL_SCRIPTS else "ltr")
    assert language.is_rtl == (language.script in ("Arab", "Hebr"))
    assert language.text is None


@pytest.mark.parametrize("language", REGISTER, ids=lambda language: language.code)
def test_the_autonym_is_in_the_script_of_the_language(language):
    letters = [c for c in language.autonym if c.isalpha() and unicodedata.category(c) != "Lm"]
    found = {unicodedata.name(c).split()[0] for c in letters}
    assert found <= LETTERS.get(language.script, {language.script_name.upper()})
    assert found


def test_resource_classes_are_those_of_joshi_et_al():
    # The paper's own examples for each class (its figure 1), and what its table adds.
    examples = {"quy_Latn": 1, "zul_Latn": 2, "ind_Latn": 3, "rus_Cyrl": 4, "jpn_Jpan": 5}
    examples |= {"ita_Latn": 4, "por_Latn": 4, "swh_Latn": 2, "shn_Mymr": 0, "yor_Latn": 2}
    assert {code: REGISTER[code].resource_class for code in examples} == examples
    assert RESOURCE_CLASS_NAMES[0] == "The Left-Behinds"
    assert RESOURCE_CLASS_NAMES[5] == "The Winners"


def test_places_and_families():
    assert REGISTER["swh_Latn"].family == "Atlantic-Congo"
    assert REGISTER["spa_Latn"].branch == "Romance"
    assert REGISTER["kat_Geor"].family == "Kartvelian"
    # South America is west of Greenwich; URIEL+ counts its longitudes from 0 to 360.
    assert -80 < REGISTER["quy_Latn"].longitude < -70


# Names


@pytest.mark.parametrize(
    ("name", "code"),
    [
        *((n, "swh_Latn") for n in ("sw", "swa", "swh", "Swahili", "Kiswahili")),
        *((n, "swh_Latn") for n in ("swh_Latn", "SWH-latn", "swh latn", "swah1253")),
        *((n, "zho_Hans") for n in ("zh", "zho", "chi", "cmn", "Chinese", "Mandarin", "中文")),
        *((n, "arb_Arab") for n in ("ar", "ara", "arb", "Arabic", "العربية", "ARB-arab")),
        *((n, "pes_Arab") for n in ("fa", "fas", "per", "Farsi", "فارسی")),
        *((n, "nob_Latn") for n in ("no", "nor", "nb", "Norwegian", "norsk bokmal")),
        ("iw", "heb_Hebr"),
        ("in", "ind_Latn"),
        ("ji", "ydd_Hebr"),
        ("fil", "tgl_Latn"),
        ("ekk", "est_Latn"),
        ("gug", "grn_Latn"),
        ("Panjabi", "pan_Guru"),
        ("  espanol ", "spa_Latn"),
        ("FRANÇAIS", "fra_Latn"),
        ("Yoruba", "yor_Latn"),
        ("Ede Yoruba", "yor_Latn"),
        ("avane'e", "grn_Latn"),
        ("o'zbekcha", "uzn_Latn"),
        ("ייִדיש", "ydd_Hebr"),
        ("יידיש", "ydd_Hebr"),
        ("msa", "zsm_Latn"),
    ],
)
def test_names_that_people_type(name, code):
    assert REGISTER.resolve(name).code == code


@pytest.mark.parametrize("language", REGISTER, ids=lambda language: language.code)
def test_every_name_leads_to_its_language(language):
    for name in set(names_of(language)) - AMBIGUOUS:
        for variant in (name, name.upper(), name.lower(), f" {name}\n"):
            assert REGISTER.resolve(variant) is language


@pytest.mark.parametrize("name", sorted(AMBIGUOUS & {"ku", "kur", "Kurdish"}))
def test_a_shared_name_is_refused_with_its_candidates(name):
    message = refusal(REGISTER.resolve, name)
    assert "ckb_Arab" in message
    assert "kmr_Latn" in message
    assert repr(name) in message


def test_a_code_shared_with_an_added_language_is_ambiguous_but_flores_codes_never_are():
    traditional = replace(
        REGISTER["zho_Hans"], code="zho_Hant", iso639_3="zho", aliases=("zho_Hans",)
    )
    both = Register((*REGISTER, traditional))
    for name in ("zho", "zh", "Chinese"):
        message = refusal(both.resolve, name)
        assert "zho_Hans" in message
        assert "zho_Hant" in message
    assert both.resolve("zho_Hans").code == "zho_Hans"


@pytest.mark.parametrize(
    ("typo", "meant"),
    [("Swahilli", "swh_Latn"), ("Portugese", "por_Latn"), ("swh_latin", "swh_Latn")],
)
def test_an_unknown_name_lists_the_three_nearest(typo, meant):
    message = refusal(REGISTER.resolve, typo)
    codes = re.findall(r"\((\w+)\)", message)
    assert len(set(codes)) == 3
    assert codes[0] == meant


@pytest.mark.parametrize("name", ["", "  ", "\u200f", "´"])
def test_an_empty_name_is_refused(name):
    assert "empty" in refusal(REGISTER.resolve, name) or name == "´"


def test_an_absurdly_long_name_is_refused_soon():
    refusal(REGISTER.resolve, "swahili" * 10_000)


ALL_NAMES = sorted({name for language in REGISTER for name in names_of(language)})
VARIED = st.sampled_from(ALL_NAMES).flatmap(
    lambda name: st.tuples(
        st.lists(st.sampled_from(["upper", "title", "lower", "swapcase"]), max_size=2),
        st.integers(0, len(name)),
        st.sampled_from(["", "", "\u0301", " ", "x", "-", "’"]),
    ).map(lambda how: vary(name, *how))
)


def vary(name: str, cases: list[str], at: int, inserted: str) -> str:
    for case in cases:
        name = getattr(name, case)()
    return name[:at] + inserted + name[at:]


@given(st.one_of(st.text(), VARIED))
@settings(max_examples=400, deadline=None)
def test_whatever_is_typed_is_matched_exactly_or_refused(name):
    try:
        language = REGISTER.resolve(name)
    except InputError:
        assert name.strip() not in {known for known in ALL_NAMES if known not in AMBIGUOUS}
    else:
        assert fold(name) in {fold(known) for known in names_of(language)}


def test_resolve_all_keeps_the_order_and_refuses_duplicates():
    found = REGISTER.resolve_all(iter(["sw", "Hebrew", "eng_Latn"]))
    assert [language.code for language in found] == ["swh_Latn", "heb_Hebr", "eng_Latn"]
    message = refusal(REGISTER.resolve_all, ["sw", "en", "Kiswahili"])
    assert "'sw'" in message
    assert "'Kiswahili'" in message
    assert REGISTER.resolve_all([]) == ()


def test_search_puts_the_best_first():
    def codes(query):
        return [language.code for language in REGISTER.search(query)]

    assert codes("Lao") == ["lao_Laoo"]
    assert codes("sw")[:3] == ["swh_Latn", "swe_Latn", "tsn_Latn"]  # whole, beginning, inside
    assert set(codes("kurd")) == {"ckb_Arab", "kmr_Latn"}
    assert codes("ESPAÑOL") == ["spa_Latn"]
    assert codes("spansih") == ["spa_Latn"]  # a misspelling, only where nothing else is found
    assert codes("हिन्") == ["hin_Deva"]
    assert codes("qqqqqq") == []
    assert codes(" ") == list(REGISTER.codes)


# The objects


def test_the_register_is_a_stable_collection():
    assert (
        [language.code for language in REGISTER] == list(REGISTER.codes) == sorted(REGISTER.codes)
    )
    assert "swh_Latn" in REGISTER
    assert "sw" not in REGISTER
    assert REGISTER["swh_Latn"] in tuple(REGISTER)
    with pytest.raises(KeyError):
        REGISTER["sw"]
    with pytest.raises(FrozenInstanceError):
        REGISTER["swh_Latn"].name = "x"
    assert register() is REGISTER
    refusal(Register, [REGISTER["swh_Latn"], REGISTER["swh_Latn"]])


def test_labels_name_a_language_twice_only_if_the_names_differ():
    assert REGISTER["heb_Hebr"].label == "Hebrew · עברית"
    assert REGISTER["afr_Latn"].label == "Afrikaans"


def test_low_resource_is_classes_0_to_2():
    kinds = [(c, replace(REGISTER["eng_Latn"], resource_class=c).is_low_resource) for c in range(6)]
    assert [c for c, low in kinds if low] == [0, 1, 2]
    assert not replace(REGISTER["eng_Latn"], resource_class=None).is_low_resource


# The user's own languages


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("Abantu bombi\n", encoding="utf-8")
    return path


def nyankole(text_file: Path, **changes) -> dict:
    given = {"code": "nyn_Latn", "name": "Nyankole", "autonym": "Runyankore", "script": "Latn"}
    return {**given, "text": text_file, **changes}


NAMES = [
    'The "quoted" \\ one',
    "two\nlines\tand a tab\r",
    "עברית 'אחרת'",
    "ދިވެހި",
    "emoji 🙂 and delete \x7f and bell \x07",
    "a = [1] # no comment",
    '"""a"""',
]


@pytest.mark.parametrize("name", NAMES)
def test_names_survive_the_file(tmp_path, text, name):
    path = tmp_path / "languages.toml"
    added = add_language(path, **nyankole(text, autonym=name, aliases=[name, "Runyankole"]))
    (*bundled, again) = register(path)
    assert again == added
    assert tuple(bundled) == tuple(REGISTER)
    assert (again.autonym, again.aliases) == (name, (name, "Runyankole"))


@given(name=st.text(min_size=1), latitude=st.floats(-90, 90), resource_class=st.integers(0, 5))
@settings(max_examples=100, deadline=None)
def test_any_accepted_value_survives_the_file(tmp_path_factory, name, latitude, resource_class):
    folder = tmp_path_factory.mktemp("own")
    (folder / "text.txt").write_text("x", encoding="utf-8")
    values = nyankole(
        folder / "text.txt", name=name, latitude=latitude, resource_class=resource_class
    )
    path = folder / "own.toml"
    try:
        added = add_language(path, **values)
    except InputError:
        assert not re.search(r"[^\W_]", name)  # only names without a letter or digit are refused
        assert not path.exists()
    else:
        again = register(path)["nyn_Latn"]
        assert again == added
        assert (again.name, again.latitude, again.resource_class) == (
            name,
            latitude,
            resource_class,
        )


def test_an_added_language_is_like_the_others(tmp_path, text):
    path = tmp_path / "new folder" / "languages.toml"
    given = nyankole(text, code="div_Thaa", script="Thaa", name="Dhivehi", autonym="ދިވެހި")
    language = add_language(path, **given)
    assert language.direction == "rtl"
    assert language.text == text
    assert language.script_name == "Thaa"
    found = register(path)
    assert len(found) == len(REGISTER) + 1
    assert [found.resolve(n) for n in ("dhivehi", "div", "DIV_THAA", "ދިވެހި")] == [language] * 4
    added = add_language(path, **nyankole(text, direction="ltr", family="Atlantic-Congo"))
    assert (added.script_name, added.family, added.is_rtl) == ("Latin", "Atlantic-Congo", False)
    assert register(path).codes[-2:] == ("div_Thaa", "nyn_Latn")


def test_what_the_file_held_stays(tmp_path, text):
    path = tmp_path / "languages.toml"
    before = (
        '# mine\n[[language]]\ncode = "nyn_Latn" # why\nname = "Nyankole"\n'
        'autonym = "Runyankore"\nscript = "Latn"\ntext = "sub/text.txt"\n'
    )
    path.write_text(before, encoding="utf-8")
    assert register(path)["nyn_Latn"].text == tmp_path / "sub" / "text.txt"
    add_language(path, **nyankole(text, code="xog_Latn", name="Soga", autonym="Lusoga"))
    assert path.read_text(encoding="utf-8").startswith(before)
    assert {"nyn_Latn", "xog_Latn"} <= set(register(path).codes)


def test_a_failed_write_leaves_the_file_as_it_was(tmp_path, text, monkeypatch):
    path = tmp_path / "own" / "languages.toml"
    add_language(path, **nyankole(text))
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    message = refusal(add_language, path, **nyankole(text, code="xog_Latn"))
    assert "No space left" in message
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["languages.toml"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"code": "nyn"}, "code"),
        ({"code": "NYN_latn"}, "code"),
        ({"code": "swh_Latn"}, "swh_Latn already"),
        ({"script": "Cyrl"}, "script"),
        ({"name": "  "}, "name"),
        ({"autonym": "\n"}, "autonym"),
        ({"autonym": "\ud800"}, "autonym"),
        ({"direction": "down"}, "direction"),
        ({"aliases": ["", "x"]}, "aliases"),
        ({"latitude": 91.0}, "latitude"),
        ({"longitude": float("nan")}, "longitude"),
        ({"resource_class": 6}, "resource_class"),
        ({"resource_class": True}, "resource_class"),
        ({"text": Path("nowhere.txt")}, "nowhere.txt"),
        ({"text": Path("a\0b")}, "text"),
        ({"text": Path()}, "can't be read"),
    ],
)
def test_a_language_that_breaks_a_rule_is_refused(tmp_path, text, changes, words):
    path = tmp_path / "languages.toml"
    assert words in refusal(add_language, path, **nyankole(text, **changes))
    assert not path.exists()


@pytest.mark.parametrize(
    ("content", "words"), [(b"", "empty"), (b" \n", "empty"), (b"ok\ncaf\xe9", "line 2")]
)
def test_a_text_must_be_utf8_and_hold_something(tmp_path, text, content, words):
    text.write_bytes(content)
    message = refusal(add_language, tmp_path / "languages.toml", **nyankole(text))
    assert words in message
    assert str(text) in message


def test_a_code_is_added_once(tmp_path, text):
    path = tmp_path / "languages.toml"
    add_language(path, **nyankole(text))
    assert "already" in refusal(add_language, path, **nyankole(text, name="Another"))


ROW = '[[language]]\ncode = "nyn_Latn"\nname = "N"\nautonym = "R"\nscript = "Latn"\ntext = "t"\n'


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (ROW + "name = \n", ["line 7"]),
        (ROW + 'family = "open', ["line 7", "mend"]),
        ("[[language]]\ncode = [", ["line 2"]),
        (ROW.encode() + b"# caf\xe9\n", ["UTF-8", "line 7"]),
        (ROW.replace('name = "N"\n', ""), ["language 1", "name"]),
        (ROW + ROW.replace("nyn_Latn", "xog_Latn").replace('"t"', "3"), ["language 2", "text"]),
        (ROW + "colour = 3\n", ["colour"]),
        (ROW + ROW, ["nyn_Latn", "already"]),
        (ROW.replace("nyn_Latn", "eng_Latn"), ["eng_Latn", "already"]),
        ('title = "x"\n' + ROW, ["nothing else"]),
        ("language = 3", ["[[language]]"]),
        ("language = [3]", ["[[language]]"]),
    ],
)
def test_a_broken_file_is_told_in_one_sentence(tmp_path, content, words):
    path = tmp_path / "languages.toml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    message = refusal(register, path)
    assert str(path) in message
    assert all(word in message for word in words), message


def test_a_missing_or_empty_file_adds_nothing(tmp_path):
    assert register(tmp_path / "none.toml") is REGISTER
    (tmp_path / "empty.toml").write_text("")
    assert register(tmp_path / "empty.toml").codes == REGISTER.codes
    assert "can't be read" in refusal(register, tmp_path)


def test_languages_written_inline_are_read_but_not_added_to(tmp_path, text):
    path = tmp_path / "languages.toml"
    row = 'code="nyn_Latn", name="N", autonym="R", script="Latn", text="t"'
    path.write_text(f"language = [{{{row}}}]\n")
    assert "nyn_Latn" in register(path)
    before = path.read_bytes()
    assert "[[language]]" in refusal(add_language, path, **nyankole(text, code="xog_Latn"))
    assert path.read_bytes() == before
