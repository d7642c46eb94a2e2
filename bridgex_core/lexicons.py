"""Bilingual lexicons: the bundled CLDR concepts, MUSE dictionaries, and files of one's own.

A lexicon gives the words of a source language with their accepted translations. Names and keywords
are kept apart: a concept's name is its translation, a keyword a looser one, accepted all the same.
"""

import hashlib
import json
import lzma
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache, cached_property
from pathlib import Path

import pandas as pd

from .errors import InputError
from .languages import Language, Register
from .languages import register as bundled_register
from .lexicon_files import Found, file_dictionary, folder_dictionary

CLDR = "cldr"
HELD_OUT_SHARE = 0.4
"""Of all concepts and words, the share that no probe ever holds."""

_CLDR_FILE = Path(__file__).parent / "data" / "lexicon.json.xz"


@dataclass(frozen=True)
class WordPair:
    """A word and what counts as its translation.

    Parameters
    ----------
    word : str
        In the source language, Unicode NFC.
    answers : tuple of str
        Accepted translations, best first, at least one.
    keyword_answers : tuple of str
        Looser translations that are accepted as well; none of them is in `answers`.
    concepts : tuple of str
        English names of the bundled concepts that the word names; more than one for a homonym,
        none for words from files.
    pivot : str or None
        Code of the language through which the pair was composed.
    """

    word: str
    answers: tuple[str, ...]
    keyword_answers: tuple[str, ...] = ()
    concepts: tuple[str, ...] = ()
    pivot: str | None = None


@dataclass(frozen=True)
class Lexicon:
    """Word pairs of two languages, every source word once.

    Parameters
    ----------
    source, target : str
        FLORES-200 codes.
    pairs : tuple of WordPair
        In the order of their origin.
    origin : str
        Where the words come from, for people.
    """

    source: str
    target: str
    pairs: tuple[WordPair, ...]
    origin: str

    @property
    def composed_through(self) -> str | None:
        """Code of the language through which the pairs were composed, or None."""
        return next((pair.pivot for pair in self.pairs if pair.pivot), None)

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hexadecimal) of languages and pairs: equal words, equal digest."""
        rows = [_values(pair) for pair in self.pairs]
        canonical = json.dumps([self.source, self.target, rows], separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def single_words(self) -> "Lexicon":
        """The pairs of single words; answers of several words, and pairs with no other, left out.

        Where a script puts no spaces between words, everything counts as a single word.
        """
        kept = [
            replace(
                pair,
                answers=tuple(filter(_is_single, pair.answers)),
                keyword_answers=tuple(filter(_is_single, pair.keyword_answers)),
            )
            for pair in self.pairs
            if _is_single(pair.word)
        ]
        return replace(self, pairs=tuple(pair for pair in kept if pair.answers))

    def to_frame(self) -> pd.DataFrame:
        """One row a word, a column for every field of WordPair; several texts joined by "; "."""
        rows = [
            ["; ".join(value) if isinstance(value, tuple) else value or "" for value in values]
            for values in map(_values, self.pairs)
        ]
        return pd.DataFrame(rows, columns=[field.name for field in fields(WordPair)])


@dataclass(frozen=True)
class ConceptTable:
    """What several languages call the concepts that all of them name.

    Parameters
    ----------
    languages : tuple of str
        FLORES-200 codes.
    concepts : tuple of str
        English names of the C concepts.
    words : tuple of tuple of str
        For each language its C names, in the order of `concepts`.
    """

    languages: tuple[str, ...]
    concepts: tuple[str, ...]
    words: tuple[tuple[str, ...], ...]

    def single_words(self) -> "ConceptTable":
        """The concepts that every language calls by a single word."""
        columns = enumerate(zip(*self.words, strict=True))
        return self._at([index for index, names in columns if all(map(_is_single, names))])

    def _at(self, kept: Sequence[int]) -> "ConceptTable":
        return ConceptTable(
            self.languages,
            tuple(self.concepts[index] for index in kept),
            tuple(tuple(names[index] for index in kept) for names in self.words),
        )


def open_lexicon(
    spec: str, source: str, target: str, *, register: Register | None = None
) -> Lexicon:
    """The lexicon from one language to another that `spec` names.

    Parameters
    ----------
    spec : str
        `cldr` for the bundled concepts, or the path of

        - a MUSE file: a word and a translation a line, with a space between them, or a tab on every
          line, and then words of several words too. A name such as ``he-en.txt`` says which way it
          goes; it is read backwards if need be;
        - a table (.csv, .tsv) whose header names two columns `source` and `target`, or by the
          languages;
        - a folder of MUSE files named so: the dictionary from source to target, else the reverse
          one read backwards, else two composed through a third language, English if it will do.
    source, target : str
        Two languages by any of their names.
    register : Register, optional
        Default: the bundled languages.

    Raises
    ------
    InputError
        Source and target are one language, a file is missing or breaks a rule (with its line), or
        there are no words.

    Examples
    --------
    >>> lexicon = open_lexicon("cldr", "spa_Latn", "swh_Latn")
    >>> next(pair.answers for pair in lexicon.pairs if pair.word == "perro")
    ('mbwa',)
    """
    register = register or bundled_register()
    start, end = register.resolve(source), register.resolve(target)
    if start.code == end.code:
        raise InputError(f"Source and target are both {_named(end)}: name two languages.")
    if spec == CLDR:
        return _cldr_lexicon(start, end, register)
    path = Path(spec).expanduser()
    if not path.exists():
        raise InputError(
            f"There is no lexicon {path}: name a file or a folder, or {CLDR} for the bundled one."
        )
    find = folder_dictionary if path.is_dir() else file_dictionary
    return _lexicon_of(find(path, start.code, end.code, register), start.code, end.code)


def concept_languages() -> tuple[str, ...]:
    """The codes of the languages that the bundled lexicon has words in, sorted."""
    return tuple(sorted(_concepts().names))


def concept_words(codes: Sequence[str], *, register: Register | None = None) -> ConceptTable:
    """What the languages call the bundled concepts that all of them name.

    Raises
    ------
    InputError
        A language is named twice or has no words, or they share no concept.

    >>> table = concept_words(["eng_Latn", "deu_Latn", "jpn_Jpan"])
    >>> [names[table.concepts.index("dog")] for names in table.words]
    ['dog', 'Hund', 'イヌ']
    """
    register = register or bundled_register()
    languages = register.resolve_all(codes)
    whole = ConceptTable(
        tuple(language.code for language in languages),
        tuple(_concepts().ids),
        tuple(tuple(_concept_names(language, register)) for language in languages),
    )
    shared = [i for i, names in enumerate(zip(*whole.words, strict=True)) if all(names)]
    if not shared:
        raise InputError(
            f"The bundled lexicon has no concept common to "
            f"{', '.join(map(_named, languages)) or 'no language at all'}: name others."
        )
    return whole._at(shared)


def split(lexicon: Lexicon, *, held_out: int, seed: int) -> tuple[Lexicon, Lexicon]:
    """The words to probe with, and at most `held_out` words that no probe ever sees.

    A hash of the seed and the concept (of a word from a file: the source word) puts two fifths of
    all concepts aside, whatever the languages and the other words are: what is held out of one pair
    of languages is never in the probe of another. A homonym of which only some concepts are aside
    is in neither part.

    >>> probe, rest = split(open_lexicon("cldr", "eng_Latn", "deu_Latn"), held_out=40, seed=0)
    >>> len(rest.pairs), len(probe.pairs) > 400
    (40, True)
    """
    probe, aside = [], []
    for pair in lexicon.pairs:
        places = [_place(key, seed) for key in pair.concepts or (pair.word,)]
        if min(places) >= HELD_OUT_SHARE:
            probe.append(pair)
        elif max(places) < HELD_OUT_SHARE:
            aside.append((min(places), pair))
    aside.sort(key=lambda placed: placed[0])
    chosen = tuple(pair for _, pair in aside[: max(0, held_out)])
    return replace(lexicon, pairs=tuple(probe)), replace(lexicon, pairs=chosen)


def _place(key: str, seed: int) -> float:
    """A number from 0 to 1 that the key and the seed determine."""
    digest = hashlib.sha256(f"{seed}\n{key}".encode()).digest()
    return int.from_bytes(digest[:6]) / 2**48


def _is_single(text: str) -> bool:
    return len(text.split()) == 1


def _values(pair: WordPair) -> list[str | tuple[str, ...] | None]:
    return [getattr(pair, field.name) for field in fields(pair)]


def _named(language: Language) -> str:
    return f"{language.name} ({language.code})"


def _lexicon_of(found: Found, source: str, target: str) -> Lexicon:
    pairs = (WordPair(word, answers, pivot=found.pivot) for word, answers in found.words.items())
    return Lexicon(source, target, tuple(pairs), found.origin)


@dataclass(frozen=True)
class _Concepts:
    """The bundled lexicon; a concept that a language has no name for has an empty one."""

    ids: Sequence[str]
    names: Mapping[str, Sequence[str]]
    keywords: Mapping[str, Sequence[Sequence[str]]]
    package: str


@cache
def _concepts() -> _Concepts:
    with lzma.open(_CLDR_FILE, "rt", encoding="utf-8") as file:
        document = json.load(file)
    return _Concepts(
        [name for name, _emoji in document["concepts"]],
        document["names"],
        document["keywords"],
        document["provenance"]["package"],
    )


def _concept_names(language: Language, register: Register) -> Sequence[str]:
    names = _concepts().names
    if language.code in names:
        return names[language.code]

    def remoteness(other: Language) -> tuple[bool, bool, float]:
        strange = other.branch != language.branch, other.family != language.family
        return *strange, _distance(language, other)

    near = sorted((other for other in register if other.code in names), key=remoteness)[:3]
    raise InputError(
        f"The bundled lexicon has no words in {_named(language)}: give a file of your own, or take "
        f"one of the nearest languages that it has, {', '.join(map(_named, near))}."
    )


def _distance(one: Language, other: Language) -> float:
    """In degrees on the map, which is good enough to name neighbours; infinite if unknown."""
    if one.latitude is None or one.longitude is None:
        return math.inf
    if other.latitude is None or other.longitude is None:
        return math.inf
    return math.dist((one.latitude, one.longitude), (other.latitude, other.longitude))


def _cldr_lexicon(source: Language, target: Language, register: Register) -> Lexicon:
    words, translations = (_concept_names(language, register) for language in (source, target))
    table = _concepts()
    by_word: dict[str, list[int]] = {}
    for index, word in enumerate(words):
        if word and translations[index]:
            by_word.setdefault(word, []).append(index)
    pairs = []
    for word, indices in by_word.items():
        answers = tuple(dict.fromkeys(translations[i] for i in indices))
        # No keyword is any concept's name: scripts/build_lexicon.py sees to that.
        further = tuple(dict.fromkeys(w for i in indices for w in table.keywords[target.code][i]))
        pairs.append(WordPair(word, answers, further, tuple(table.ids[i] for i in indices)))
    return Lexicon(source.code, target.code, tuple(pairs), f"Unicode CLDR, {table.package}")
