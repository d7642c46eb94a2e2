import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridgex_core.corpora import udhr
from bridgex_core.errors import InputError
from bridgex_core.task_files import (
    InferenceItem,
    ReadingItem,
    SummaryItem,
    TranslationItem,
    read_belebele,
    read_flores,
    read_summaries,
    read_xnli,
    udhr_reading,
    udhr_translation,
)


def belebele_row(code: str, link: str, number: int, **changes) -> dict:
    """A line with the fields that facebook/belebele has."""
    row = {
        "link": f"https://en.wikinews.org/wiki/{link}",
        "question_number": number,
        "flores_passage": f"{code} passage of {link}",
        "question": f"{code} question {number} of {link}",
        "mc_answer1": f"{code} one",
        "mc_answer2": f"{code} two",
        "mc_answer3": f"{code} three",
        "mc_answer4": f"{code} four",
        "correct_answer_num": "3",
        "dialect": code,
        "ds": "2023-05-03",
    }
    return {**row, **changes}


def write_rows(path: Path, rows) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def belebele(tmp_path):
    folder = tmp_path / "Belebele"
    folder.mkdir()
    for code, order in (("swh_Latn", (0, 1, 2)), ("eng_Latn", (2, 0, 1))):
        rows = [
            belebele_row(code, "A", 1),
            belebele_row(code, "A", 2, correct_answer_num=1),
            belebele_row(code, "B", 1),
        ]
        write_rows(folder / f"{code}.jsonl", [rows[k] for k in order])
    return folder


def test_belebele_in_one_language(belebele):
    items = read_belebele(belebele, "swh_Latn", "swh_Latn")
    path = belebele / "swh_Latn.jsonl"
    assert items[1] == ReadingItem(
        "swh_Latn passage of A",
        "swh_Latn question 2 of A",
        ("swh_Latn one", "swh_Latn two", "swh_Latn three", "swh_Latn four"),
        0,
        f"{path}, line 2",
    )
    assert [item.right for item in items] == [2, 0, 2]
    assert read_belebele(str(path), "swh_Latn", "swh_Latn") == items


def test_belebele_across_languages_matches_link_and_question(belebele):
    items = read_belebele(belebele, "eng_Latn", "swh_Latn")
    assert [(item.passage, item.question) for item in items] == [
        ("eng_Latn passage of A", "swh_Latn question 1 of A"),
        ("eng_Latn passage of A", "swh_Latn question 2 of A"),
        ("eng_Latn passage of B", "swh_Latn question 1 of B"),
    ]
    assert items[0].answers[0] == "swh_Latn one"


def test_belebele_passages_of_one_link_go_in_order(tmp_path):
    for code in ("swh_Latn", "eng_Latn"):
        rows = [belebele_row(code, "A", 1, flores_passage=f"{code} {k}") for k in (1, 2)]
        write_rows(tmp_path / f"{code}.jsonl", rows)
    items = read_belebele(tmp_path, "eng_Latn", "swh_Latn")
    assert [item.passage for item in items] == ["eng_Latn 1", "eng_Latn 2"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"link": "x", ', "line 2: the line is not JSON .*column"),
        ("[1, 2]", "line 2: the line is not a JSON object"),
        ("[" * 100_000, "line 2: the line is no item"),
        (belebele_row("swh_Latn", "A", 2, correct_answer_num="5"), "line 2: .*'5'.* 1, 2, 3, 4"),
        (belebele_row("swh_Latn", "A", 2, correct_answer_num=None), "line 2: .*correct_answer_num"),
        (belebele_row("swh_Latn", "A", 2, question=" "), "line 2: the field 'question' is missing"),
        (belebele_row("swh_Latn", "A", 2, mc_answer4=7), "line 2: the field 'mc_answer4'"),
        (belebele_row("swh_Latn", "A", 2, flores_passage=None), "line 2: .*'flores_passage'"),
        (belebele_row("swh_Latn", "A", [2]), "line 2: the field 'question_number'"),
        (belebele_row("fin_Latn", "A", 2), "line 2: the item is in fin_Latn, not in swh_Latn"),
        (
            json.dumps(belebele_row("swh_Latn", "A", 2)).replace("passage of", "\\ud800"),
            "line 2: the field 'flores_passage'",
        ),
    ],
)
def test_a_malformed_belebele_line_is_named(tmp_path, line, message):
    path = write_rows(tmp_path / "swh_Latn.jsonl", [belebele_row("swh_Latn", "A", 1), line])
    with pytest.raises(InputError, match=message) as caught:
        read_belebele(tmp_path, "swh_Latn", "swh_Latn")
    assert str(path) in str(caught.value)


def test_belebele_files_that_do_not_fit(belebele, tmp_path):
    with pytest.raises(InputError, match=r"fin_Latn\.jsonl can't be read"):
        read_belebele(belebele, "fin_Latn", "swh_Latn")
    write_rows(belebele / "eng_Latn.jsonl", [belebele_row("eng_Latn", "A", 1)])
    with pytest.raises(InputError, match=r"swh_Latn\.jsonl, line 2: the file of eng_Latn has no"):
        read_belebele(belebele, "eng_Latn", "swh_Latn")
    (tmp_path / "empty.jsonl").write_text("\n \n")
    with pytest.raises(InputError, match="is empty"):
        read_belebele(tmp_path / "empty.jsonl", "eng_Latn", "eng_Latn")
    (tmp_path / "latin.jsonl").write_bytes("{}\n é".encode("latin-1"))
    with pytest.raises(InputError, match=r"not UTF-8.*line 2"):
        read_belebele(tmp_path / "latin.jsonl", "eng_Latn", "eng_Latn")


# fmt: off
XNLI_COLUMNS = (
    "language", "gold_label", "sentence1_binary_parse", "sentence2_binary_parse",
    "sentence1_parse", "sentence2_parse", "sentence1", "sentence2", "promptID", "pairID", "genre",
    "label1", "label2", "label3", "label4", "label5",
    "sentence1_tokenized", "sentence2_tokenized", "match",
)
# fmt: on


def xnli_row(language: str, pair: str, label: str = "neutral", **changes) -> dict[str, str]:
    row = dict.fromkeys(XNLI_COLUMNS, "")
    row |= {"language": language, "gold_label": label, "pairID": pair, "promptID": "1"}
    row |= {
        "sentence1": f'{language} "premise {pair}',
        "sentence2": f"{language} hypothesis {pair}",
    }
    return row | changes


def write_xnli(path: Path, rows) -> Path:
    if path.suffix == ".jsonl":
        return write_rows(path, rows)
    lines = ["\t".join(XNLI_COLUMNS), *("\t".join(row.values()) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["xnli.dev.tsv", "xnli.dev.jsonl"])
def test_xnli_in_one_language_and_across(tmp_path, name):
    labels = ("neutral", "entailment", "contradiction")
    rows = [
        xnli_row(language, str(pair), label)
        for language in ("bg", "sw", "en")  # the register has no Bulgarian, and need not
        for pair, label in enumerate(labels, start=1)
    ]
    path = write_xnli(tmp_path / name, rows)
    first = 5 if name.endswith("tsv") else 4
    items = read_xnli(path, "swh_Latn", "swh_Latn")
    assert [item.label for item in items] == list(labels)
    assert items[0] == InferenceItem(
        'sw "premise 1', "sw hypothesis 1", "neutral", f"{path}, line {first}"
    )
    across = read_xnli(str(path), "eng_Latn", "swh_Latn")
    assert across[2].premise == 'en "premise 3'
    assert across[2].hypothesis == "sw hypothesis 3"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([xnli_row("sw", "1", "-")], "line 2: .*'gold_label' is '-'"),
        ([xnli_row("sw", "1"), xnli_row("sw", "1")], "line 3: the field 'pairID'"),
        ([xnli_row("sw", "")], "line 2: the field 'pairID'"),
        ([xnli_row("sw", "1", sentence2="")], "line 2: the field 'sentence2'"),
        ([xnli_row("", "1")], "line 2: the field 'language'"),
        ([xnli_row("en", "1")], "has nothing in swh_Latn; it has en"),
        ([xnli_row("sw", "1", genre="a\tb")], "line 2: 20 columns where the header has 19"),
    ],
)
def test_a_malformed_xnli_line_is_named(tmp_path, rows, message):
    path = write_xnli(tmp_path / "xnli.test.tsv", rows)
    with pytest.raises(InputError, match=message):
        read_xnli(path, "swh_Latn", "swh_Latn")


def test_xnli_needs_its_header_and_the_premise(tmp_path):
    (tmp_path / "x.tsv").write_text("sentence1\tsentence2\n")
    with pytest.raises(InputError, match="line 1: the header"):
        read_xnli(tmp_path / "x.tsv", "swh_Latn", "swh_Latn")
    (tmp_path / "x.tsv").write_text("")
    with pytest.raises(InputError, match="line 1: the header"):
        read_xnli(tmp_path / "x.tsv", "swh_Latn", "swh_Latn")
    path = write_xnli(tmp_path / "y.tsv", [xnli_row("sw", "1"), xnli_row("en", "2")])
    with pytest.raises(InputError, match="line 2: there is no eng_Latn premise with the pairID 1"):
        read_xnli(path, "eng_Latn", "swh_Latn")


@pytest.fixture
def flores(tmp_path):
    for split, count in (("dev", 2), ("devtest", 3)):
        (tmp_path / split).mkdir()
        for code in ("swh_Latn", "eng_Latn"):
            lines = "".join(f"{code} {split} {k}\n" for k in range(1, count + 1))
            (tmp_path / split / f"{code}.{split}").write_text(lines, encoding="utf-8")
    return tmp_path


def test_flores_pairs_lines(flores):
    items = read_flores(flores, "swh_Latn", "eng_Latn")
    assert len(items) == 3
    assert items[1] == TranslationItem(
        "swh_Latn devtest 2", "eng_Latn devtest 2", "devtest, line 2"
    )
    assert len(read_flores(str(flores), "eng_Latn", "swh_Latn", split="dev")) == 2


def test_flores_files_that_do_not_fit(flores):
    path = flores / "devtest" / "eng_Latn.devtest"
    path.write_text("one\n\nthree\n")
    with pytest.raises(InputError, match=r"eng_Latn\.devtest, line 2: the line is empty"):
        read_flores(flores, "swh_Latn", "eng_Latn")
    path.write_text("one\n")
    with pytest.raises(InputError, match="has 3 lines and .* 1: "):
        read_flores(flores, "swh_Latn", "eng_Latn")
    with pytest.raises(InputError, match=r"fin_Latn\.devtest can't be read"):
        read_flores(flores, "fin_Latn", "eng_Latn")
    for code in ("swh_Latn", "eng_Latn"):
        (flores / "devtest" / f"{code}.devtest").write_text("")
    with pytest.raises(InputError, match="are empty"):
        read_flores(flores, "swh_Latn", "eng_Latn")


def test_summaries(tmp_path):
    rows = [{"text": " Habari ndefu. ", "summary": "News.", "source_url": "x"}, ""]
    path = write_rows(tmp_path / "s.jsonl", rows)
    assert read_summaries(path) == (SummaryItem("Habari ndefu.", "News.", f"{path}, line 1"),)
    write_rows(path, [{"text": "a", "summary": "b"}, {"text": "a"}])
    with pytest.raises(InputError, match="line 2: the field 'summary'"):
        read_summaries(path)


@settings(max_examples=60)
@given(st.text(max_size=40))
def test_any_line_is_an_item_or_an_input_error(tmp_path_factory, line):
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    for name in (path, path.with_suffix(".tsv")):
        name.write_text(line, encoding="utf-8")
    for read in (
        lambda: read_summaries(path),
        lambda: read_belebele(path, "swh_Latn", "swh_Latn"),
        lambda: read_xnli(path, "swh_Latn", "swh_Latn"),
        lambda: read_xnli(path.with_suffix(".tsv"), "swh_Latn", "swh_Latn"),
    ):
        with pytest.raises(InputError):
            read()


PAIRS = [("ind_Latn", "heb_Hebr"), ("zho_Hans", "tgl_Latn"), ("swh_Latn", "eng_Latn")]
DOUBTFUL = [("lvs_Latn", "eng_Latn"), ("amh_Ethi", "ayr_Latn"), ("bod_Tibt", "mal_Mlym")]


@pytest.mark.parametrize(("source", "target"), PAIRS + DOUBTFUL)
def test_declaration_pairs_are_passages_of_one_place(source, target):
    items = udhr_translation(source, target)
    blocks = {code: udhr().text(code).blocks for code in (source, target)}
    assert 30 <= len(items) <= 70
    assert len({item.origin for item in items}) == len(items)
    lengths = [len(item.text) + len(item.translation) for item in items]
    assert lengths == sorted(lengths)
    seen = {0: set(), **{k: set() for k in range(1, 31)}}
    for item in items:
        place, _, part = item.origin.partition(", paragraph ")
        article = 0 if place == "preamble" else int(place.removeprefix("article "))
        both = [blocks[code][article].split("\n") for code in (source, target)]
        if part:
            assert [each[int(part) - 1] for each in both] == [item.text, item.translation]
            assert len(both[0]) == len(both[1])
        else:
            assert [" ".join(each) for each in both] == [item.text, item.translation]
        seen[article].add(part)
    assert all(seen[article] for article in range(1, 31))


def test_paragraphs_that_do_not_fit_in_length_stay_together():
    # Latvian has both articles in as many paragraphs as English, but split elsewhere
    origins = {item.origin for item in udhr_translation("lvs_Latn", "eng_Latn")}
    assert {"article 14", "article 26"} <= origins
    assert "article 29, paragraph 2" in origins


@pytest.mark.parametrize(("source", "target"), PAIRS + DOUBTFUL)
def test_declaration_reading_has_one_right_answer_of_four(source, target):
    items = udhr_reading(source, target, seed=1)
    passages = {item.origin: item for item in udhr_translation(source, target)}
    by_answer = {item.translation: item.origin for item in passages.values()}
    assert len(items) >= 30
    for item in items:
        assert item.passage == passages[item.origin].text
        assert item.answers[item.right] == passages[item.origin].translation
        assert len(set(item.answers)) == 4
        places = [by_answer[answer].partition(",")[0] for answer in item.answers]
        assert places.count(places[item.right]) == 1
        assert "preamble" not in places


def test_wrong_answers_are_the_nearest_in_length():
    items = udhr_reading("ind_Latn", "eng_Latn")
    texts = {item.origin: item.answers[item.right] for item in items}
    for item in items:
        own = item.origin.partition(",")[0]
        others = [t for origin, t in texts.items() if origin.partition(",")[0] != own]
        length = len(item.answers[item.right])
        gaps = [abs(len(a) - length) for k, a in enumerate(item.answers) if k != item.right]
        assert sorted(gaps) == sorted(abs(len(t) - length) for t in others)[:3]


def test_the_seed_places_the_right_answers_and_nothing_else():
    once, again, other = (udhr_reading("ind_Latn", "heb_Hebr", seed=seed) for seed in (3, 3, 4))
    assert once == again
    assert [item.right for item in once] != [item.right for item in other]
    assert [set(item.answers) for item in once] == [set(item.answers) for item in other]
    counts = [sum(item.right == place for item in once) for place in range(4)]
    assert min(counts) >= 4


@pytest.mark.parametrize("make", [udhr_reading, udhr_translation])
def test_declaration_sets_need_two_languages_that_it_has(make):
    with pytest.raises(InputError, match="name two languages"):
        make("eng_Latn", "eng_Latn")
    with pytest.raises(InputError, match="no text in xxx_Latn"):
        make("xxx_Latn", "eng_Latn")
