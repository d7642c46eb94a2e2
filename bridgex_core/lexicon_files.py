"""Bilingual dictionaries in files: MUSE dictionaries, tables with a header, folders of the former.

All become rows of a word and one translation, and then a dictionary: each word with its
translations, in the order of the file.
"""

import csv
import io
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import InputError
from .languages import Register
from .text_files import read_text, split_lines

TABLES = (".csv", ".tsv")
_HUB = "eng_Latn"  # the pivot where several would do: most dictionaries are made from or to English
_DELIMITERS = "\t;,"  # of a table, the first that its header has

Row = tuple[str, str]
Dictionary = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Found:
    """A dictionary, where it comes from (for people), and the code of its pivot, if any."""

    words: Dictionary
    origin: str
    pivot: str | None = None


def file_dictionary(path: Path, source: str, target: str, register: Register) -> Found:
    """The dictionary in one file, a table or MUSE's format, from one code to another.

    A MUSE file goes the way that its name says (``he-en.txt``), and is read backwards if need be;
    one whose name does not say so is taken to go from source to target.

    Raises
    ------
    InputError
        The file breaks a rule (with the line), is empty, or is named for other languages.
    """
    if path.suffix.lower() in TABLES:
        return Found(_grouped(_table_rows(path, source, target, register)), f"table {path}")
    way = _way(path, register)
    if way and set(way) != {source, target}:
        raise InputError(
            f"{path} is named as a dictionary from {way[0]} to {way[1]}, not from {source} to "
            f"{target}: choose those languages, or name the file otherwise."
        )
    return _directed({way or (source, target): path}, source, target)


def folder_dictionary(folder: Path, source: str, target: str, register: Register) -> Found:
    """The dictionary from one code to another in a folder of MUSE files named ``en-he.txt``.

    It is, in this order, the file from source to target; the one from target to source read
    backwards; two of either kind composed through a third language, English if it will do, else
    the first in the alphabet. A composed translation that more words of the pivot lead to comes
    first.

    Raises
    ------
    InputError
        There is no such dictionary, the two of the composition have no word in common, or a file
        breaks a rule.
    """
    files = _files(folder, register)
    ways = {frozenset(way) for way in files}
    if {source, target} in ways:
        return _directed(files, source, target)
    pivots = {
        pivot
        for way in files
        for pivot in way
        if frozenset((source, pivot)) in ways and frozenset((pivot, target)) in ways
    }
    if not pivots:
        names = sorted(path.name for path in files.values())
        there = f"{', '.join(names[:8])}{', …' if names[8:] else ''}" if names else "no dictionary"
        raise InputError(
            f"The folder {folder} has no dictionary between {source} and {target}, nor two to "
            f"compose; it has {there}: add one named by two language codes, such as en-he.txt."
        )
    pivot = min(pivots, key=lambda code: (code != _HUB, code))
    first, second = _directed(files, source, pivot), _directed(files, pivot, target)
    words = _composed(first.words, second.words)
    if not words:
        raise InputError(
            f"The {first.origin} and the {second.origin} have no {pivot} words in common: nothing "
            f"leads from {source} to {target}."
        )
    return Found(words, f"{first.origin} and {second.origin}, composed through {pivot}", pivot)


def _files(folder: Path, register: Register) -> dict[tuple[str, str], Path]:
    """The MUSE files of the folder by the languages in their names."""
    files: dict[tuple[str, str], Path] = {}
    for path in sorted(folder.glob("*-*.txt")):
        way = _way(path, register)
        if way in files:
            raise InputError(
                f"{files[way]} and {path.name} are both from {way[0]} to {way[1]}: take one out."
            )
        if way:
            files[way] = path
    return files


def _way(path: Path, register: Register) -> tuple[str, str] | None:
    """The two languages that the file's name names, or None."""
    names = path.stem.split("-")
    if len(names) != 2:
        return None
    try:
        source, target = (register.resolve(name).code for name in names)
    except InputError:
        return None
    return (source, target) if source != target else None


def _directed(files: Mapping[tuple[str, str], Path], source: str, target: str) -> Found:
    """The dictionary of the file from source to target, else of the reverse one."""
    if (source, target) in files:
        path = files[source, target]
        return Found(_grouped(_muse_rows(path)), f"dictionary {path}")
    path = files[target, source]
    rows = [(word, translation) for translation, word in _muse_rows(path)]
    return Found(_grouped(rows), f"dictionary {path} read backwards")


def _grouped(rows: Iterable[Row]) -> Dictionary:
    """Every word with its translations, each once, in order."""
    words: dict[str, dict[str, None]] = {}
    for word, translation in rows:
        words.setdefault(word, {})[translation] = None
    return {word: tuple(translations) for word, translations in words.items()}


def _composed(first: Dictionary, second: Dictionary) -> Dictionary:
    """From the words of `first` to the translations in `second` of their translations.

    >>> _composed({"Haus": ("house", "home")}, {"house": ("maison",), "home": ("foyer", "maison")})
    {'Haus': ('maison', 'foyer')}
    """
    words = {}
    for word, middles in first.items():
        led = Counter(answer for middle in middles for answer in second.get(middle, ()))
        if led:
            words[word] = tuple(answer for answer, _ in led.most_common())
    return words


def _muse_rows(path: Path) -> list[Row]:
    lines = split_lines(read_text(path))
    with_tab = next((number for number, line in enumerate(lines, start=1) if "\t" in line), None)
    rows = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        columns = [_plain(column) for column in line.split("\t" if with_tab else " ")]
        if not with_tab:
            columns = list(filter(None, columns))
        if len(columns) != 2 or not all(columns):
            raise InputError(f"{path}, line {number}: {_trouble(columns, with_tab)}.")
        rows.append((columns[0], columns[1]))
    if not rows:
        raise InputError(f"The lexicon {path} is empty: give a word and a translation a line.")
    return rows


def _trouble(columns: list[str], with_tab: int | None) -> str:
    """What is wrong with a line that is not a word and a translation."""
    if len(columns) > 2 and not with_tab:
        return (
            f"{len(columns)} words: where a word or a translation has several, put a tab between "
            "the two on every line of the file"
        )
    if len(columns) > 2:
        return f"{len(columns)} columns: give a word and a translation with one tab between them"
    found = f"only one column, {''.join(columns)!r}: give a word and a translation"
    if with_tab:
        return f"{found} with a tab between them, as on line {with_tab}"
    return f"{found} with a space or a tab between them"


def _table_rows(path: Path, source: str, target: str, register: Register) -> list[Row]:
    text = read_text(path)
    header_line = text.lstrip().partition("\n")[0]
    delimiter = next((sign for sign in _DELIMITERS if sign in header_line), ",")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        numbered = [(reader.line_num, [_plain(cell) for cell in row]) for row in reader]
    except csv.Error as error:
        raise InputError(
            f"{path}, line {reader.line_num}: {error}; mend the quotes in that line."
        ) from error
    filled = [(number, row) for number, row in numbered if any(row)]
    if len(filled) < 2:
        raise InputError(
            f"The lexicon {path} is empty: give a header and, below it, a word and a translation "
            "a line."
        )
    header, *body = (row for _, row in filled)
    columns = _columns(path, header, source, target, register)
    rows = []
    for (number, _), row in zip(filled[1:], body, strict=True):
        word, translation = (row[at] if at < len(row) else "" for at in columns)
        if not word or not translation:
            lacking = header[columns[1 if word else 0]]
            raise InputError(
                f"{path}, line {number}: nothing in the column {lacking!r}: give a word and a "
                "translation, or take the line out."
            )
        rows.append((word, translation))
    return rows


def _columns(
    path: Path, header: list[str], source: str, target: str, register: Register
) -> tuple[int, int]:
    """Where the words and where the translations stand in a table with the header."""

    def code(name: str) -> str:
        try:
            return register.resolve(name).code
        except InputError:
            return ""

    names = [name.casefold() for name in header]
    codes = [code(name) for name in header]
    for wanted, there in (((source, target), codes), (("source", "target"), names)):
        if set(wanted) <= set(there):
            for name in wanted:
                if there.count(name) > 1:
                    raise InputError(f"{path} has two columns for {name}: take one out.")
            return there.index(wanted[0]), there.index(wanted[1])
    raise InputError(
        f"{path} begins with the header {', '.join(map(repr, header))}: it must name the columns "
        f"'source' and 'target', or {source} and {target} by any of their names."
    )


def _plain(text: str) -> str:
    """The text in Unicode NFC with its white space folded."""
    return unicodedata.normalize("NFC", " ".join(text.split()))
