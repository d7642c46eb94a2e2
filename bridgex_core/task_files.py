"""Evaluation items: read from the user's files, or made from the bundled Declaration.

Every task goes from a source language to a target language. Where a line breaks a rule, the error
names the file and the line. docs/tasks.md tells where to get the files.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .corpora import udhr
from .errors import InputError
from .languages import register
from .text_files import read_text, split_lines

ANSWERS = 4
LABELS = ("entailment", "neutral", "contradiction")
"""What XNLI calls its labels."""

_HALF_CHARACTER = re.compile("[\ud800-\udfff]")  # which JSON can name, and UTF-8 can't hold
_MOST_STRETCH = 2.0  # of a paragraph's length against what its article's language leads to expect


@dataclass(frozen=True)
class ReadingItem:
    """A passage and a question with four answers.

    Attributes
    ----------
    passage : in the source language.
    question, answers : in the target language; the question is empty where the task itself asks it.
    right : index of the right answer, 0 to 3.
    origin : where it comes from, for people.
    """

    passage: str
    question: str
    answers: tuple[str, ...]
    right: int
    origin: str


@dataclass(frozen=True)
class InferenceItem:
    """Does the premise (source language) say that the hypothesis (target language) holds?

    Attributes
    ----------
    premise, hypothesis : the texts.
    label : one of :data:`LABELS`.
    origin : where it comes from, for people.
    """

    premise: str
    hypothesis: str
    label: str
    origin: str


@dataclass(frozen=True)
class TranslationItem:
    """A text (source language), its translation (target language), and where it comes from."""

    text: str
    translation: str
    origin: str


@dataclass(frozen=True)
class SummaryItem:
    """A text (source language), its summary (target language), and where it comes from."""

    text: str
    summary: str
    origin: str


def read_belebele(path: str | Path, source: str, target: str) -> tuple[ReadingItem, ...]:
    """Belebele: the passages of one language, questions and answers of another.

    Items are matched by ``link`` and ``question_number``, in the order of the target's file; of
    several with the same, the first goes with the first.

    Parameters
    ----------
    path : the folder with ``swh_Latn.jsonl`` and the like; with one language, also its file.
    source, target : FLORES-200 codes, as in the field ``dialect``; they may be the same.

    Raises
    ------
    InputError
        A file is missing, is in another language, breaks a rule, or lacks a passage of the other.
    """
    questions = list(_belebele_rows(path, target))
    passages: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in reversed(questions if source == target else list(_belebele_rows(path, source))):
        passages[_question(row)].append(row.text("flores_passage"))
    items = []
    for row in questions:
        found = passages[_question(row)]
        if not found:
            raise InputError(
                f"{row.where}: the file of {source} has no passage with this link and question "
                "number: take both files from one release of Belebele."
            )
        answers = tuple(row.text(f"mc_answer{number}") for number in range(1, ANSWERS + 1))
        right = row.choice("correct_answer_num", [str(n) for n in range(1, ANSWERS + 1)])
        items.append(
            ReadingItem(found.pop(), row.text("question"), answers, int(right) - 1, row.where)
        )
    return tuple(items)


def read_xnli(path: str | Path, source: str, target: str) -> tuple[InferenceItem, ...]:
    """XNLI: the premises of one language, the hypotheses of another, matched by ``pairID``.

    Parameters
    ----------
    path : ``xnli.dev.tsv``, ``xnli.test.jsonl`` or the like; anything but .jsonl is read as a
        table with tabs and a header.
    source, target : FLORES-200 codes; they may be the same.

    Raises
    ------
    InputError
        The file can't be read, breaks a rule, or has nothing in one of the languages.
    """
    path = Path(path).expanduser()
    rows = list(_json_rows(path) if path.suffix.lower() == ".jsonl" else _tab_rows(path))
    premises = _in_language(rows, source, path)
    items = []
    for pair, row in _in_language(rows, target, path).items():
        if pair not in premises:
            raise InputError(f"{row.where}: there is no {source} premise with the pairID {pair}.")
        label = row.choice("gold_label", LABELS)
        premise, hypothesis = premises[pair].text("sentence1"), row.text("sentence2")
        items.append(InferenceItem(premise, hypothesis, label, row.where))
    return tuple(items)


def read_flores(
    folder: str | Path, source: str, target: str, *, split: str = "devtest"
) -> tuple[TranslationItem, ...]:
    """Sentence pairs of a folder in FLORES-200's layout: ``devtest/swh_Latn.devtest``.

    Parameters
    ----------
    folder : with the folders dev and devtest.
    source, target : FLORES-200 codes.
    split : ``devtest`` to measure on, ``dev`` for demonstrations.

    Raises
    ------
    InputError
        A file is missing, empty or not UTF-8, has an empty line, or more lines than the other.
    """
    files = [Path(folder).expanduser() / split / f"{code}.{split}" for code in (source, target)]
    texts = [split_lines(read_text(path)) for path in files]
    for path, lines in zip(files, texts, strict=True):
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                raise InputError(
                    f"{path}, line {number}: the line is empty; every line holds a sentence."
                )
    if len(texts[0]) != len(texts[1]):
        raise InputError(
            f"{files[0]} has {len(texts[0])} lines and {files[1]} {len(texts[1])}: take both from "
            "one release, line k has to say the same in both."
        )
    if not texts[0]:
        raise InputError(f"The files {files[0]} and {files[1]} are empty.")
    pairs = enumerate(zip(*texts, strict=True), start=1)
    return tuple(
        TranslationItem(text.strip(), other.strip(), f"{split}, line {number}")
        for number, (text, other) in pairs
    )


def read_summaries(path: str | Path) -> tuple[SummaryItem, ...]:
    """JSON Lines with the fields ``text`` and ``summary``, as in XL-Sum and CrossSum.

    Raises
    ------
    InputError
        The file can't be read, is empty, or breaks a rule.
    """
    rows = _json_rows(Path(path).expanduser())
    return tuple(SummaryItem(row.text("text"), row.text("summary"), row.where) for row in rows)


def udhr_translation(source: str, target: str) -> tuple[TranslationItem, ...]:
    """Parallel passages of the bundled Declaration, short ones first.

    A passage is a paragraph where both languages have as many in the article and their lengths fit,
    else the whole article. Most models have read these texts: compare routes, not models.

    Raises
    ------
    InputError
        Source and target are one language, or the Declaration lacks one.

    >>> udhr_translation("deu_Latn", "eng_Latn")[0].translation
    'Everyone has the right to a nationality.'
    """
    pairs = [
        TranslationItem(passage.source, passage.target, passage.origin)
        for passage in _passages(source, target)
    ]
    return tuple(sorted(pairs, key=lambda item: len(item.text) + len(item.translation)))


def udhr_reading(source: str, target: str, *, seed: int = 0) -> tuple[ReadingItem, ...]:
    """Which of four statements says what the passage says? Made from the bundled Declaration.

    The passage is a paragraph of an article in the source language; one answer is the same
    paragraph in the target language, the three others are those of other articles that are nearest
    to it in length. So it asks whether a passage is recognised across languages, not whether what
    follows from it is understood. The question is empty. Most models have read these texts: compare
    routes, not models.

    Parameters
    ----------
    source, target : FLORES-200 codes, two languages.
    seed : of the places of the right answers.

    Raises
    ------
    InputError
        See :func:`udhr_translation`.

    >>> item = udhr_reading("fra_Latn", "eng_Latn")[3]
    >>> item.origin, item.passage[:27], item.answers[item.right][:30]
    ('article 3', 'Tout individu a droit à la ', 'Everyone has the right to life')
    """
    passages = [passage for passage in _passages(source, target) if passage.article > 0]
    places = np.random.default_rng(seed).integers(ANSWERS, size=len(passages))
    items = []
    for passage, place in zip(passages, places.tolist(), strict=True):
        others = [each for each in passages if each.article != passage.article]
        others.sort(key=lambda each: abs(len(each.target) - len(passage.target)))
        answers = [each.target for each in others[: ANSWERS - 1]]
        answers.insert(place, passage.target)
        items.append(ReadingItem(passage.source, "", tuple(answers), place, passage.origin))
    return tuple(items)


class _Passage(NamedTuple):
    article: int  # 0 is the preamble
    source: str
    target: str
    origin: str


def _passages(source: str, target: str) -> list[_Passage]:
    """The Declaration in two languages, by paragraphs where they run parallel, else by articles."""
    if source == target:
        raise InputError(f"Source and target are both {source}: name two languages.")
    sides = [udhr().text(code).blocks for code in (source, target)]
    scale = sum(map(len, sides[1])) / sum(map(len, sides[0]))
    found = []
    for article, blocks in enumerate(zip(*sides, strict=True)):
        if not all(blocks):
            continue
        name = f"article {article}" if article else "preamble"
        paragraphs = list(zip(*(block.split("\n") for block in blocks), strict=False))
        if len({block.count("\n") for block in blocks}) > 1 or not all(
            1 / _MOST_STRETCH <= len(other) / len(text) / scale <= _MOST_STRETCH
            for text, other in paragraphs
        ):
            paragraphs = [(" ".join(blocks[0].split("\n")), " ".join(blocks[1].split("\n")))]
        for number, (text, other) in enumerate(paragraphs, start=1):
            part = f", paragraph {number}" if len(paragraphs) > 1 else ""
            found.append(_Passage(article, text, other, f"{name}{part}"))
    return found


@dataclass(frozen=True)
class _Row:
    """The fields of one line of a file, and which line it is."""

    fields: Mapping[str, Any]
    where: str

    def text(self, name: str) -> str:
        """A field that has to hold text."""
        value = self.fields.get(name)
        if not isinstance(value, str) or not value.strip() or _HALF_CHARACTER.search(value):
            raise InputError(f"{self.where}: the field {name!r} is missing or holds no text.")
        return value.strip()

    def choice(self, name: str, choices: Sequence[str]) -> str:
        """A field that has to hold one of some values; a number is read as its digits."""
        value = str(self.fields.get(name, "")).strip()
        if value not in choices:
            raise InputError(
                f"{self.where}: the field {name!r} is {value!r}, it has to be one of "
                f"{', '.join(choices)}."
            )
        return value


def _belebele_rows(path: str | Path, code: str) -> Iterator[_Row]:
    path = Path(path).expanduser()
    for row in _json_rows(path / f"{code}.jsonl" if path.is_dir() else path):
        if (dialect := row.text("dialect")) != code:
            raise InputError(
                f"{row.where}: the item is in {dialect}, not in {code}: choose that language, or "
                f"name the folder that has {code}.jsonl."
            )
        yield row


def _question(row: _Row) -> tuple[str, str]:
    return row.text("link"), row.choice("question_number", ("1", "2"))


def _in_language(rows: Sequence[_Row], code: str, path: Path) -> dict[str, _Row]:
    """XNLI's rows in one language by pairID; the others need not be in the register."""
    names = {row.text("language") for row in rows}
    ours = {name for name in names if _code(name) == code}
    if not ours:
        raise InputError(f"{path} has nothing in {code}; it has {', '.join(sorted(names))}.")
    found: dict[str, _Row] = {}
    for row in rows:
        if row.text("language") in ours:
            pair = str(row.fields.get("pairID", "")).strip()
            if not pair or pair in found:
                raise InputError(
                    f"{row.where}: the field 'pairID' is missing or was there before; every pair "
                    "of sentences has its own."
                )
            found[pair] = row
    return found


def _code(name: str) -> str:
    """XNLI names languages as in ISO 639-1; a FLORES-200 code is left as it is."""
    try:
        return register().resolve(name).code
    except InputError:
        return name


def _json_rows(path: Path) -> Iterator[_Row]:
    """The objects of a JSON Lines file; blank lines don't count."""
    filled = False
    for number, line in enumerate(split_lines(read_text(path)), start=1):
        if not line.strip():
            continue
        filled = True
        where = f"{path}, line {number}"
        try:
            fields = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(
                f"{where}: the line is not JSON ({error.msg} at column {error.colno})."
            ) from error
        except (ValueError, RecursionError) as error:  # a number of 5000 digits, deep brackets
            raise InputError(f"{where}: the line is no item: {error}.") from error
        if not isinstance(fields, dict):
            raise InputError(f"{where}: the line is not a JSON object with named fields.")
        yield _Row(fields, where)
    if not filled:
        raise InputError(f"The file {path} is empty: it has to hold a JSON object a line.")


def _tab_rows(path: Path) -> Iterator[_Row]:
    """The lines of a table with tabs and a header; quotes mean nothing, as XNLI has them."""
    header, *lines = split_lines(read_text(path)) or [""]
    names = header.split("\t")
    if not {"language", "gold_label", "sentence1", "sentence2", "pairID"} <= set(names):
        raise InputError(
            f"{path}, line 1: the header has to name the columns language, gold_label, sentence1, "
            "sentence2 and pairID, with tabs between them."
        )
    for number, line in enumerate(lines, start=2):
        if not line.strip():
            continue
        cells = line.split("\t")
        where = f"{path}, line {number}"
        if len(cells) != len(names):
            raise InputError(
                f"{where}: {len(cells)} columns where the header has {len(names)}: mend the tabs "
                "in that line."
            )
        yield _Row(dict(zip(names, cells, strict=True)), where)
