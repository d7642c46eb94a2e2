"""Dictionaries in files: written here line by line, and MUSE's own against a naive reading."""

import os
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridgex_core.errors import InputError
from bridgex_core.lexicons import Lexicon, open_lexicon


def write(path: Path, text: str | bytes) -> str:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def words_of(lexicon: Lexicon) -> dict[str, tuple[str, ...]]:
    assert not any(pair.keyword_answers or pair.concepts for pair in lexicon.pairs)
    return {pair.word: pair.answers for pair in lexicon.pairs}


def open_file(path: str, source: str = "eng_Latn", target: str = "spa_Latn") -> Lexicon:
    return open_lexicon(path, source, target)


# MUSE files


def test_translations_of_a_word_are_grouped_in_order(tmp_path):
    path = write(tmp_path / "words.txt", "dog perro\ncat gato\ndog can\ndog perro\n")
    lexicon = open_file(path)
    assert words_of(lexicon) == {"dog": ("perro", "can"), "cat": ("gato",)}
    assert [pair.word for pair in lexicon.pairs] == ["dog", "cat"]
    assert path in lexicon.origin


def test_tabs_let_words_have_several_parts(tmp_path):
    path = write(tmp_path / "words.txt", "hot dog\tperrito caliente\ndog\tperro\n")
    assert words_of(open_file(path)) == {"hot dog": ("perrito caliente",), "dog": ("perro",)}


@pytest.mark.parametrize(
    "text",
    [
        "dog perro\r\ncat gato\r\n",
        "\ufeffdog perro\ncat gato",
        "\n  dog   perro \n\n\ncat gato\n \n",
        "dog\tperro\n\ncat \t gato\n",
    ],
)
def test_layout_does_not_matter(tmp_path, text):
    path = write(tmp_path / "words.txt", text)
    assert words_of(open_file(path)) == {"dog": ("perro",), "cat": ("gato",)}


def test_words_are_read_in_one_normal_form(tmp_path):
    path = write(tmp_path / "words.txt", "coffee café\ncoffee cafe\u0301\n")
    assert words_of(open_file(path)) == {"coffee": ("café",)}


word = st.text("abcdeéбを", min_size=1, max_size=3)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(word, word), min_size=1, max_size=40), sign=st.sampled_from(" \t"))
def test_grouping_keeps_every_row_and_nothing_else(tmp_path, rows, sign):
    path = write(tmp_path / "words.txt", "".join(f"{a}{sign}{b}\n" for a, b in rows))
    lexicon = open_file(path)
    assert {(w, a) for w, answers in words_of(lexicon).items() for a in answers} == set(rows)
    assert len(lexicon.pairs) == len({a for a, _ in rows})
    for pair in lexicon.pairs:
        firsts = [rows.index((pair.word, answer)) for answer in pair.answers]
        assert firsts == sorted(set(firsts))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dog perro\ncat\n", "line 2: only one column, 'cat': .* a space or a tab"),
        ("\n\ndog\n", "line 3: only one column"),
        ("dog\tperro\ncat gato\n", "line 2: only one column, 'cat gato': .* as on line 1"),
        ("dog perro\nhot dog\tperrito\n", "line 1: only one column, 'dog perro'.* as on line 2"),
        ("dog\tperro\n\tgato\n", "line 2: only one column, 'gato'"),
        ("dog perro\nhot dog perrito\n", "line 2: 3 words: .* put a tab"),
        ("dog\tperro\tcan\n", "line 1: 3 columns: .* one tab"),
        ("dog\t\tperro\n", "line 1: 3 columns"),
        ("", "is empty: give a word and a translation a line"),
        (" \n\t\n", "is empty"),
        (b"dog perro\ncaf\xe9 x\n", "not UTF-8 text: byte 0xe9 at offset 13"),
        ("dog perro\n".encode("utf-16"), "not UTF-8"),
        (b"dog perro\ncat\0 gato\n", "NUL byte at offset 13"),
    ],
)
def test_a_broken_file_is_told_with_its_place(tmp_path, text, message):
    path = write(tmp_path / "words.txt", text)
    with pytest.raises(InputError, match=message) as caught:
        open_file(path)
    assert path in str(caught.value)


def test_a_name_says_which_way_the_file_goes(tmp_path):
    path = write(tmp_path / "en-es.txt", "dog perro\nhound perro\n")
    assert words_of(open_file(path)) == {"dog": ("perro",), "hound": ("perro",)}
    backwards = open_file(path, "spa_Latn", "English")
    assert words_of(backwards) == {"perro": ("dog", "hound")}
    assert "read backwards" in backwards.origin
    with pytest.raises(
        InputError, match="from eng_Latn to spa_Latn, not from eng_Latn to heb_Hebr"
    ):
        open_file(path, "eng_Latn", "heb_Hebr")


# Tables


@pytest.mark.parametrize(
    "text",
    [
        "source,target\ndog,perro\ndog,can\n",
        "Source;TARGET\r\ndog;perro\r\ndog;can\r\n",
        "spa_Latn,English,notes\nperro,dog,\ncan,dog,rare\n",
        "\ufeffnotes\tes\ten\n\n\tperro\tdog\n\t\tdog\n".replace("\t\tdog", "\tcan\tdog"),
        '"en","Español"\n"dog","perro"\n"dog","can"\n',
        "source,target,en,es\nx,y,dog,perro\nx,z,dog,can\n",
    ],
)
def test_a_table_names_its_columns(tmp_path, text):
    path = write(tmp_path / "words.csv", text)
    assert words_of(open_file(path)) == {"dog": ("perro", "can")}


def test_a_table_may_hold_words_of_several_parts_and_signs(tmp_path):
    path = write(tmp_path / "words.csv", 'source,target\n"hot dog","perrito, caliente"\n')
    assert words_of(open_file(path)) == {"hot dog": ("perrito, caliente",)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("source,target\ndog,perro\ncat\n", "line 3: nothing in the column 'target'"),
        ("source,target\ndog,perro\n\n,gato\n", "line 4: nothing in the column 'source'"),
        ("dog,perro\ncat,gato\n", "header 'dog', 'perro': it must name .* eng_Latn and spa_Latn"),
        ("en,he\ndog,kelev\n", "header 'en', 'he'"),
        ("en,es,Spanish\ndog,perro,can\n", "two columns for spa_Latn"),
        ("source,target\n", "is empty: give a header"),
        ("", "is empty: give a header"),
        ('source,target\ndog,perro\n"cat,gato\n', "line 3: .*mend the quotes"),
        (b"source,target\ndog,\xff\n", "byte 0xff at offset 18"),
    ],
)
def test_a_broken_table_is_told_with_its_place(tmp_path, text, message):
    path = write(tmp_path / "words.csv", text)
    with pytest.raises(InputError, match=message) as caught:
        open_file(path)
    assert path in str(caught.value)


# Folders


def test_a_folder_prefers_the_direct_dictionary(tmp_path):
    write(tmp_path / "en-es.txt", "dog perro\n")
    write(tmp_path / "es-en.txt", "can dog\n")
    write(tmp_path / "en-fr.txt", "dog chien\n")
    write(tmp_path / "fr-es.txt", "chien chucho\n")
    direct = open_file(str(tmp_path))
    assert words_of(direct) == {"dog": ("perro",)}
    assert direct.composed_through is None


def test_a_folder_reads_the_reverse_dictionary_backwards(tmp_path):
    write(tmp_path / "es-en.txt", "perro dog\ncan dog\n")
    lexicon = open_file(str(tmp_path))
    assert words_of(lexicon) == {"dog": ("perro", "can")}
    assert "read backwards" in lexicon.origin
    assert lexicon.composed_through is None


@pytest.mark.parametrize("first_backwards", [False, True])
@pytest.mark.parametrize("second_backwards", [False, True])
def test_a_folder_composes_through_a_pivot(tmp_path, first_backwards, second_backwards):
    first = [("hund", "hound"), ("hund", "dog"), ("katze", "cat"), ("maus", "mouse")]
    second = [("hound", "sabueso"), ("hound", "perro"), ("dog", "perro"), ("cat", "gato")]
    for name, rows, backwards in (
        (("de", "en"), first, first_backwards),
        (("en", "es"), second, second_backwards),
    ):
        step = -1 if backwards else 1
        lines = (" ".join(row[::step]) + "\n" for row in rows)
        write(tmp_path / f"{'-'.join(name[::step])}.txt", "".join(lines))
    lexicon = open_file(str(tmp_path), "deu_Latn", "spa_Latn")
    # Both dog and hound lead to perro, so it comes before sabueso.
    assert words_of(lexicon) == {"hund": ("perro", "sabueso"), "katze": ("gato",)}
    assert {pair.pivot for pair in lexicon.pairs} == {lexicon.composed_through} == {"eng_Latn"}
    assert "composed through eng_Latn" in lexicon.origin


def test_the_pivot_is_english_or_else_the_first_in_the_alphabet(tmp_path):
    for pivot in ("fi", "cy"):
        write(tmp_path / f"de-{pivot}.txt", f"hund {pivot}\n")
        write(tmp_path / f"{pivot}-es.txt", f"{pivot} {pivot}\n")
    assert open_file(str(tmp_path), "de", "es").composed_through == "cym_Latn"
    write(tmp_path / "de-en.txt", "hund dog\n")
    assert open_file(str(tmp_path), "de", "es").composed_through == "cym_Latn"
    write(tmp_path / "es-en.txt", "perro dog\n")
    assert open_file(str(tmp_path), "de", "es").composed_through == "eng_Latn"


def test_a_folder_without_a_way_says_what_it_has(tmp_path):
    write(tmp_path / "readme-first.txt", "no dictionary at all")
    with pytest.raises(InputError, match="between eng_Latn and spa_Latn.* it has no dictionary"):
        open_file(str(tmp_path))
    write(tmp_path / "en-de.txt", "dog hund\n")
    with pytest.raises(InputError, match="nor two to compose; it has en-de.txt"):
        open_file(str(tmp_path))


def test_dictionaries_without_common_words(tmp_path):
    write(tmp_path / "de-en.txt", "hund dog\n")
    write(tmp_path / "en-es.txt", "cat gato\n")
    with pytest.raises(InputError, match="have no eng_Latn words in common"):
        open_file(str(tmp_path), "de", "es")


def test_a_broken_file_in_a_folder_is_told_with_its_line(tmp_path):
    write(tmp_path / "de-en.txt", "hund dog\nkatze\n")
    write(tmp_path / "en-es.txt", "cat gato\n")
    with pytest.raises(InputError, match=r"de-en\.txt, line 2: only one column"):
        open_file(str(tmp_path), "de", "es")


def test_two_files_of_one_direction(tmp_path):
    write(tmp_path / "en-es.txt", "dog perro\n")
    write(tmp_path / "eng-spa.txt", "dog can\n")
    with pytest.raises(InputError, match="both from eng_Latn to spa_Latn: take one out"):
        open_file(str(tmp_path))


# Real MUSE dictionaries


@pytest.fixture(scope="module")
def muse() -> Path:
    folder = os.environ.get("BRIDGEX_TEST_DATA")
    if not folder:
        pytest.skip("BRIDGEX_TEST_DATA does not name a folder with MUSE dictionaries")
    return Path(folder) / "muse"


def naive(path: Path) -> dict[str, set[str]]:
    words = defaultdict(set)
    for line in path.read_text(encoding="utf-8").splitlines():
        source, target = line.split()
        words[source].add(target)
    return words


@pytest.mark.parametrize("name", ["he", "id", "ja", "tl"])
def test_muse_dictionaries_are_read_whole(muse, name):
    expected = naive(muse / f"en-{name}.txt")
    for spec in (muse, muse / f"en-{name}.txt"):
        lexicon = open_lexicon(str(spec), "en", name)
        assert {word: set(answers) for word, answers in words_of(lexicon).items()} == expected


def test_muse_dictionaries_are_composed_through_english(muse):
    lexicon = open_lexicon(str(muse), "ind_Latn", "heb_Hebr")
    hebrew = naive(muse / "en-he.txt")
    expected = defaultdict(set)
    for english, indonesians in naive(muse / "en-id.txt").items():
        for indonesian in indonesians:
            expected[indonesian] |= hebrew.get(english, set())
    found = {word: set(answers) for word, answers in words_of(lexicon).items()}
    assert found == {word: answers for word, answers in expected.items() if answers}
    assert lexicon.composed_through == "eng_Latn"
    assert "כלב" in found["anjing"]
