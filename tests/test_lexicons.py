"""Lexicons: the bundled concepts against what dictionaries say, the split against its promises."""

import itertools
import json
import lzma
import re
import string
import unicodedata
from collections import Counter
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgex_core import lexicons
from bridgex_core.errors import InputError
from bridgex_core.languages import STUDY_LANGUAGES, register
from bridgex_core.lexicons import (
    Lexicon,
    WordPair,
    concept_languages,
    concept_words,
    open_lexicon,
    split,
)

DATA = Path(lexicons.__file__).parent / "data"
CODES = concept_languages()

# The same six things in one dictionary after another.
KNOWN_WORDS = {
    "eng_Latn": ("dog", "fire", "bird", "tooth", "key", "sun"),
    "spa_Latn": ("perro", "fuego", "pájaro", "diente", "llave", "sol"),
    "fra_Latn": ("chien", "feu", "oiseau", "dent", "clé", "soleil"),
    "deu_Latn": ("Hund", "Feuer", "Vogel", "Zahn", "Schlüssel", "Sonne"),
    "ita_Latn": ("cane", "fuoco", "uccello", "dente", "chiave", "sole"),
    "swh_Latn": ("mbwa", "moto", "ndege", "jino", "ufunguo", "jua"),
    "ind_Latn": ("anjing", "api", "burung", "gigi", "kunci", "matahari"),
    "tgl_Latn": ("aso", "apoy", "ibon", "ngipin", "susi", "araw"),
    "fin_Latn": ("koira", "tuli", "lintu", "hammas", "avain", "aurinko"),
    "hun_Latn": ("kutya", "tűz", "madár", "fog", "kulcs", "nap"),
    "heb_Hebr": ("כלב", "אש", "ציפור", "שן", "מפתח", "שמש"),
    "rus_Cyrl": ("собака", "огонь", "птица", "зуб", "ключ", "солнце"),
    "hin_Deva": ("कुत्ता", "आग", "चिड़िया", "दाँत", "चाबी", "सूर्य"),
}


@pytest.fixture(scope="module")
def document() -> dict:
    with lzma.open(DATA / "lexicon.json.xz", "rt", encoding="utf-8") as file:
        return json.load(file)


@pytest.fixture(scope="module")
def names(document: dict) -> dict[str, dict[str, str]]:
    """What each language calls each concept that it has a name for."""
    ids = [name for name, _ in document["concepts"]]
    return {
        code: {concept: own for concept, own in zip(ids, row, strict=True) if own}
        for code, row in document["names"].items()
    }


def pairs_of(lexicon: Lexicon) -> dict[str, WordPair]:
    words = {pair.word: pair for pair in lexicon.pairs}
    assert len(words) == len(lexicon.pairs), "a source word stands twice"
    return words


# The bundled concepts


def test_there_are_as_many_languages_and_concepts_as_promised(document, names):
    assert len(names) >= 80
    assert set(names) == set(CODES) <= set(register().codes)
    assert set(STUDY_LANGUAGES) <= set(names)
    assert len({name for name, _ in document["concepts"]}) == len(document["concepts"]) >= 800
    assert min(map(len, names.values())) >= 500
    assert (DATA / "lexicon.json.xz").stat().st_size < 1_500_000


def test_every_pair_of_study_languages_has_words_to_probe_with():
    counts = {
        pair: len(open_lexicon("cldr", *pair).single_words().pairs)
        for pair in itertools.permutations(STUDY_LANGUAGES, 2)
    }
    assert min(counts.values()) >= 250, min(counts, key=counts.__getitem__)


def test_the_licence_and_the_way_back_to_the_source_are_told(document):
    told = (DATA / "SOURCES-lexicon.md").read_text(encoding="utf-8")
    assert document["provenance"]["sha256"] in told
    assert "UNICODE LICENSE V3" in told
    notice = (DATA.parent.parent / "NOTICE").read_text(encoding="utf-8")
    assert "cldr-annotations-full" in notice
    assert "Unicode-3.0" in notice


@pytest.mark.parametrize("code", KNOWN_WORDS)
def test_names_are_what_dictionaries_say(names, code):
    found = tuple(names[code][concept] for concept in KNOWN_WORDS["eng_Latn"])
    assert found == KNOWN_WORDS[code]


@pytest.mark.parametrize(
    ("source", "target"), [("spa_Latn", "swh_Latn"), ("heb_Hebr", "deu_Latn"), ("sw", "Finnish")]
)
def test_a_lexicon_translates_names_by_names(source, target):
    lexicon = open_lexicon("cldr", source, target)
    words = pairs_of(lexicon)
    for word, answer in zip(KNOWN_WORDS[lexicon.source], KNOWN_WORDS[lexicon.target], strict=True):
        assert words[word].answers == (answer,)
        assert words[word].pivot is None
    assert lexicon.composed_through is None


@pytest.mark.parametrize("source", STUDY_LANGUAGES)
def test_tool_does_not_translate_fire(names, source):
    if source == "eng_Latn":
        pair = pairs_of(open_lexicon("cldr", "eng_Latn", "deu_Latn"))["fire"]
        assert not {"Werkzeug", "Tool"} & {*pair.answers, *pair.keyword_answers}
        return
    pair = pairs_of(open_lexicon("cldr", source, "eng_Latn"))[names[source]["fire"]]
    assert pair.answers == ("fire",)
    assert "flame" in pair.keyword_answers
    assert not {"tool", "hot"} & set(pair.keyword_answers)


def test_keywords_are_of_two_concepts_at_most_and_no_others_name(document):
    for code, row in document["keywords"].items():
        named = {name.casefold() for name in document["names"][code]}
        found = Counter(word.casefold() for words in row for word in set(words))
        assert max(found.values()) <= 2, code
        assert not found.keys() & named, code


def test_concepts_are_things_and_no_signs(document):
    sign = re.compile(
        r"\b(face|button|arrow|flag|square|circle|sign|symbol|keycap|clock$|o’clock|with|tone|hair)\b"
    )
    things = {
        "mantelpiece clock",
        "alarm clock",
        "timer clock",
        "stop sign",
        "hair pick",
        "bow and arrow",
    }
    flags_tones_keycaps = [range(0x1F1E6, 0x1F200), range(0x1F3FB, 0x1F400), range(0x20E3, 0x20E4)]
    for name, emoji in document["concepts"]:
        assert not sign.search(name) or name in things, name
        assert not any(ord(sign) in span for sign in emoji for span in flags_tones_keycaps), name
        gendered = {"\u2640", "\u2642"} & set(emoji)
        assert not gendered or name in {"merman", "mermaid"}, name
    for zodiac in ("Aries", "Leo", "comma", "plus", "dollar"):
        assert zodiac not in dict(document["concepts"])


def test_names_are_plain_text(names):
    for code, own in names.items():
        for concept, name in own.items():
            where = f"{concept} in {code}: {name!r}"
            assert name == " ".join(unicodedata.normalize("NFC", name).split()), where
            assert not re.search(r"[()（）:;,،、/\"“”«»↑\d]", name), where
            assert len(name.split()) <= 4, where


def test_names_are_in_the_script_of_their_language(names):
    for code, own in names.items():
        latin = register()[code].script == "Latn"
        for name in own.values():
            letters = [char for char in name if char.isalpha()]
            share = sum("LATIN" in unicodedata.name(char) for char in letters) / len(letters)
            assert (share > 0.5) if latin else (share <= 0.5), (code, name)


def test_copies_of_english_are_few(names):
    """Indo-European languages share words with English; elsewhere only international ones stay."""
    english = names["eng_Latn"]
    for code, own in names.items():
        same = {c for c, name in own.items() if name.casefold() == english[c].casefold()}
        language = register()[code]
        if language.script != "Latn":
            assert not same, code
        elif language.family != "Indo-European":
            assert len(same) < 0.15 * len(own), code
            assert not same & {"hedgehog", "umbrella", "screwdriver", "peacock", "drum"}, code


def test_no_animal_is_called_by_its_face(names):
    assert "bear" not in names["rus_Cyrl"]  # морда медведя
    assert "lion" not in names["swe_Latn"]  # lejonansikte
    assert names["spa_Latn"]["lion"] == "león"
    assert names["zho_Hans"]["owl"] == "猫头鹰"  # has the sign for head, and is no head


def test_capitals_are_those_of_the_language(names):
    assert names["yor_Latn"]["dog"] == "ajá"
    small = {
        code: sum(name[0].islower() for name in own.values()) / len(own)
        for code, own in names.items()
        if register()[code].script in {"Latn", "Cyrl", "Grek"}
    }
    assert small.pop("deu_Latn") < 0.2
    assert min(small.values()) > 0.9


def test_a_homonym_has_the_translations_of_all_its_concepts():
    pair = pairs_of(open_lexicon("cldr", "swh_Latn", "fra_Latn"))["tai"]
    assert pair.concepts == ("eagle", "necktie")
    assert pair.answers == ("aigle", "cravate")


@pytest.mark.parametrize(("source", "target"), [("swh_Latn", "ben_Beng"), ("isl_Latn", "hin_Deva")])
def test_answers_and_keywords_come_from_the_words_concepts(document, names, source, target):
    """Both have homonyms. Each name pair of the table is an answer, and nothing else is."""
    ids = [name for name, _ in document["concepts"]]
    expected = {(names[source][c], names[target][c]) for c in names[source] if c in names[target]}
    lexicon = open_lexicon("cldr", source, target)
    assert {(p.word, a) for p in lexicon.pairs for a in p.answers} == expected
    for pair in lexicon.pairs:
        words = {w for c in pair.concepts for w in document["keywords"][target][ids.index(c)]}
        assert set(pair.keyword_answers) == words - set(pair.answers)
        assert len(set(pair.keyword_answers)) == len(pair.keyword_answers)


# Concepts that several languages share


def test_concept_words_are_the_names_that_all_languages_have(names):
    codes = ("swh_Latn", "heb_Hebr", "tgl_Latn")
    table = concept_words(codes)
    expected = [c for c in names["eng_Latn"] if all(c in names[code] for code in codes)]
    assert table.languages == codes
    assert list(table.concepts) == expected
    for code, words in zip(codes, table.words, strict=True):
        assert list(words) == [names[code][c] for c in expected]


def test_the_study_languages_share_single_words():
    table = concept_words(STUDY_LANGUAGES).single_words()
    assert len(table.concepts) >= 150
    assert all(len(words) == len(table.concepts) for words in table.words)
    assert not any(" " in word for words in table.words for word in words)
    assert {"dog", "bird", "fire"} <= set(table.concepts)


def test_concept_words_of_the_same_language_twice_or_of_none():
    with pytest.raises(InputError, match="given twice"):
        concept_words(["eng_Latn", "English"])
    with pytest.raises(InputError, match="no words in Tibetan"):
        concept_words(["eng_Latn", "bod_Tibt"])


# Bad input


@pytest.mark.parametrize("spec", ["cldr", "/nowhere"])
def test_source_and_target_must_differ(spec):
    with pytest.raises(InputError, match=r"both Swahili \(swh_Latn\): name two languages"):
        open_lexicon(spec, "swh_Latn", "Kiswahili")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("sun_Latn", r"no words in Sundanese \(sun_Latn\).*Javanese.*Malay"),
        (
            "kmr_Latn",
            "Northern Kurdish.*Persian.*Pashto.*Tajik",
        ),  # Iranian, if farther than Turkish
    ],
)
def test_a_language_without_words_is_told_its_nearest(code, message):
    for way in ((code, "eng_Latn"), ("eng_Latn", code)):
        with pytest.raises(InputError, match=message):
            open_lexicon("cldr", *way)


def test_an_unknown_lexicon_is_told():
    with pytest.raises(InputError, match=r"There is no lexicon /nowhere/x\.txt: .* or cldr"):
        open_lexicon("/nowhere/x.txt", "eng_Latn", "heb_Hebr")


# What a lexicon can do


def example(*pairs: WordPair) -> Lexicon:
    return Lexicon("eng_Latn", "spa_Latn", pairs, "an example")


def test_single_words_leave_out_answers_and_pairs_of_several():
    lexicon = example(
        WordPair("dog", ("perro", "can de casa"), ("chucho", "mejor amigo"), ("dog",)),
        WordPair("hot dog", ("perrito",)),
        WordPair("plane", ("avión de línea",), ("avión",)),
    )
    assert lexicon.single_words().pairs == (WordPair("dog", ("perro",), ("chucho",), ("dog",)),)


def test_a_frame_has_a_row_a_word():
    pair = WordPair("dog", ("perro", "can"), ("chucho",), ("dog",), "fra_Latn")
    frame = example(pair).to_frame()
    assert frame.to_dict("records") == [
        {
            "word": "dog",
            "answers": "perro; can",
            "keyword_answers": "chucho",
            "concepts": "dog",
            "pivot": "fra_Latn",
        }
    ]
    assert list(example().to_frame().columns) == list(frame.columns)


def test_the_digest_tells_words_and_languages_apart_and_nothing_else():
    lexicon = example(WordPair("dog", ("perro",)))
    assert lexicon.digest == replace(lexicon, origin="elsewhere").digest
    others = [
        replace(lexicon, target="por_Latn"),
        replace(lexicon, source="deu_Latn"),
        example(),
        example(WordPair("dog", ("perro", "can"))),
        example(WordPair("dog", ("perro",), ("can",))),
        example(WordPair("dog", ("perro",), pivot="fra_Latn")),
    ]
    assert len({other.digest for other in [lexicon, *others]}) == len(others) + 1


# The split

keys = st.text(min_size=1, max_size=6)
word_sets = st.sets(keys, max_size=60)


def of_concepts(concepts: set[str], language: str) -> Lexicon:
    pairs = (WordPair(f"{language} {c}", ("x",), concepts=(c,)) for c in sorted(concepts))
    return Lexicon(language, "spa_Latn", tuple(pairs), "an example")


def concepts_in(lexicon: Lexicon) -> set[str]:
    return {concept for pair in lexicon.pairs for concept in pair.concepts}


@given(word_sets, st.integers(0, 30), st.integers())
def test_the_parts_are_disjoint_and_as_large_as_asked(concepts, held_out, seed):
    lexicon = of_concepts(concepts, "a")
    probe, rest = split(lexicon, held_out=held_out, seed=seed)
    assert not concepts_in(probe) & concepts_in(rest)
    assert concepts_in(probe) | concepts_in(rest) <= concepts
    assert len(rest.pairs) <= held_out
    everything = split(lexicon, held_out=1000, seed=seed)[1]
    assert concepts_in(probe) | concepts_in(everything) == concepts
    assert len(rest.pairs) == min(held_out, len(everything.pairs))
    assert list(probe.pairs) == [pair for pair in lexicon.pairs if pair in probe.pairs]


@given(word_sets, word_sets, st.integers(0, 30), st.integers())
def test_the_split_is_the_same_for_every_pair_of_languages(some, others, held_out, seed):
    """What one pair holds out is never in the probe of another; added words move no word."""
    probe, rest = split(of_concepts(some, "a"), held_out=held_out, seed=seed)
    other_probe, other_rest = split(of_concepts(some | others, "b"), held_out=held_out, seed=seed)
    assert concepts_in(probe) == concepts_in(other_probe) & some
    assert not concepts_in(rest) & concepts_in(other_probe)
    assert not concepts_in(other_rest) & concepts_in(probe)


@given(st.sets(keys, min_size=1, max_size=40), st.integers())
def test_words_of_files_are_split_by_the_word(words, seed):
    lexicon = example(*(WordPair(word, (word,)) for word in sorted(words)))
    other = replace(example(*(WordPair(w, ("y", "z")) for w in sorted(words))), target="heb_Hebr")
    parts = split(lexicon, held_out=9, seed=seed), split(other, held_out=9, seed=seed)
    for one, same in zip(*parts, strict=True):
        assert [pair.word for pair in one.pairs] == [pair.word for pair in same.pairs]


def test_two_fifths_are_put_aside_and_another_seed_puts_another():
    lexicon = of_concepts({str(number) for number in range(5000)}, "a")
    first, second = (split(lexicon, held_out=5000, seed=seed)[1] for seed in (0, 1))
    assert len(first.pairs) / 5000 == pytest.approx(0.4, abs=0.03)
    both = len(concepts_in(first) & concepts_in(second)) / 5000
    assert both == pytest.approx(0.16, abs=0.02)


def test_a_homonym_on_both_sides_is_in_neither_part():
    sides = of_concepts({str(number) for number in range(50)}, "a")
    probe, rest = (concepts_in(part) for part in split(sides, held_out=50, seed=0))
    inside, outside = min(probe), min(rest)
    homonym = WordPair("both", ("x",), concepts=(inside, outside))
    twice = WordPair("twice", ("x",), concepts=(outside, max(rest)))
    parts = split(example(homonym, twice), held_out=50, seed=0)
    assert [part.pairs for part in parts] == [(), (twice,)]


def test_what_is_put_aside_is_the_same_in_every_version():
    """Stored results rely on it: letters below two fifths by the SHA-256 of "7", newline."""
    places = {
        letter: int(sha256(f"7\n{letter}".encode()).hexdigest(), 16) / 2**256
        for letter in string.ascii_lowercase
    }
    aside = sorted((place, letter) for letter, place in places.items() if place < 0.4)
    probe, rest = split(of_concepts(set(places), "a"), held_out=2, seed=7)
    assert [pair.concepts[0] for pair in rest.pairs] == [letter for _, letter in aside[:2]]
    assert concepts_in(probe) == set(places) - {letter for _, letter in aside}
