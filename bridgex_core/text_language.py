"""Which script and which language a text is written in: lingua, or the script where that decides.

Lingua holds its models for as long as the process lives, about 13 MB a language, so detectors are
built for the languages that are asked for alone, when they are first needed.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Literal

import regex

from .errors import InputError
from .languages import Register
from .languages import register as bundled_register

if TYPE_CHECKING:
    import lingua

# fmt: off
SCRIPTS: dict[str, str] = {
    "Latn": "Latin", "Cyrl": "Cyrillic", "Hani": "Han", "Arab": "Arabic", "Deva": "Devanagari",
    "Hang": "Hangul", "Hira": "Hiragana", "Kana": "Katakana", "Grek": "Greek", "Hebr": "Hebrew",
    "Thai": "Thai", "Beng": "Bengali", "Taml": "Tamil", "Telu": "Telugu", "Mlym": "Malayalam",
    "Knda": "Kannada", "Gujr": "Gujarati", "Guru": "Gurmukhi", "Orya": "Odia", "Sinh": "Sinhala",
    "Mymr": "Myanmar", "Khmr": "Khmer", "Laoo": "Lao", "Tibt": "Tibetan", "Geor": "Georgian",
    "Armn": "Armenian", "Ethi": "Ethiopic", "Thaa": "Thaana", "Syrc": "Syriac", "Nkoo": "N'Ko",
    "Tfng": "Tifinagh", "Mong": "Mongolian", "Cher": "Cherokee", "Cans": "Canadian Aboriginal",
    "Bopo": "Bopomofo", "Olck": "Ol Chiki", "Mtei": "Meetei Mayek", "Java": "Javanese",
    "Zzzz": "another script", "Zyyy": "no letters",
}
# fmt: on
"""ISO 15924 codes of scripts and their names; the last two stand for all else."""

NO_LETTERS, OTHER_SCRIPT = "Zyyy", "Zzzz"
LEAD = 2.0
"""How many times more probable than the next the most probable language must be to be named.

Among the study's ten languages of Latin script, that names every article of the Declaration but one
and half of the bundled single words, 77 % of those rightly (57 % if every word had to be named).
"""

_MIXED = {  # codes of whole writing systems, and the scripts that they mix
    "Jpan": frozenset(("Hani", "Hira", "Kana")),
    "Kore": frozenset(("Hang", "Hani")),
    "Hans": frozenset(("Hani",)),
    "Hant": frozenset(("Hani",)),
}
# Old character sets hold what a writing system uses, so they tell who can have written a word in
# Han characters alone; lingua takes every such word for Chinese.
_HAN_CHARACTER_SETS = {"Hans": "gb2312", "Hant": "big5", "Jpan": "cp932"}
_SCRIPT = regex.compile(
    "|".join(rf"(?P<{s}>\p{{Script={s}}})" for s in SCRIPTS if s not in (NO_LETTERS, OTHER_SCRIPT))
)


@dataclass(frozen=True)
class TextLanguage:
    """What language a text is in, as far as it can be told.

    Attributes
    ----------
    code : FLORES code of one of the candidates, or None where it cannot be told.
    confidence : 0 to 1. From lingua, the language's share of probability among the candidates that
        write the text's script; from the script, the share of the letters in it; 0 without a code.
    decided_by : ``lingua``, ``script``, or None.
    script : ISO 15924 code of the text's commonest script, a key of :data:`SCRIPTS`.
    reason : why there is no code, as a sentence; empty where there is one.
    """

    code: str | None
    confidence: float
    decided_by: Literal["lingua", "script"] | None
    script: str
    reason: str = ""


def script_counts(text: str) -> Counter[str]:
    """Letters of a text by script; marks, digits, signs and what all scripts share do not count.

    >>> script_counts("日本の map, 3!")
    Counter({'Latn': 3, 'Hani': 2, 'Hira': 1})
    """
    return Counter(script for script in map(_character_script, text) if script)


def script_of(text: str) -> str:
    """The commonest script among a text's letters, the earliest of equals.

    >>> script_of("▁casa"), script_of("ქართული"), script_of("42")
    ('Latn', 'Geor', 'Zyyy')
    """
    counts = script_counts(text)
    return max(counts, key=counts.__getitem__) if counts else NO_LETTERS


def scripts_of(code: str) -> frozenset[str]:
    """The scripts that a language is written in, from its FLORES code.

    >>> sorted(scripts_of("jpn_Jpan")), sorted(scripts_of("swh_Latn"))
    (['Hani', 'Hira', 'Kana'], ['Latn'])
    """
    script = code.rpartition("_")[2]
    return _MIXED.get(script, frozenset((script,)))


def language_of(
    text: str, candidates: Sequence[str], *, register: Register | None = None
) -> TextLanguage:
    """Which of the candidates a text is written in.

    A candidate stays in question when it writes most of the text's letters. Where one is left, the
    script has decided; where lingua knows all that are left, lingua decides, if the first of them
    is :data:`LEAD` times as probable as the next; else there is no answer, but a reason.

    Name every language that the text may be in as a candidate: a text in a further language of the
    same script is taken for one of those that are named.

    Parameters
    ----------
    text : any length; short texts are often left open.
    candidates : FLORES codes.
    register : where names and other codes are looked up; the bundled languages by default.

    Raises
    ------
    InputError
        No candidate.

    >>> language_of("حقوق الإنسان", ["eng_Latn", "arb_Arab"]).decided_by
    'script'
    >>> language_of("casa", ["ita_Latn", "spa_Latn"]).reason
    'The text is too short or too plain to tell Spanish from Italian.'
    """
    if not candidates:
        raise InputError("Name at least one language that the text may be in.")
    register = bundled_register() if register is None else register
    script = script_of(text)
    counts = script_counts(text)
    if script == NO_LETTERS:
        return _unknown(script, "The text has no letters.")
    left = _writers(text, counts, dict.fromkeys(candidates))
    if not left:
        return _unknown(script, f"No candidate is written like this ({SCRIPTS[script]} script).")
    if len(left) == 1:
        return TextLanguage(left[0], _share(counts, left[0]), "script", script)
    names = {code: register[code].name if code in register else code for code in left}
    known = {code: _lingua_language(code, register) for code in left}
    foreign = [names[code] for code in left if known[code] is None]
    if foreign:
        return _unknown(script, f"Lingua does not know {_listed(foreign)}.")
    if len(set(known.values())) < len(left) or _han_alone(counts):
        return _unknown(script, f"The text does not tell {_listed(names.values(), 'from')}.")
    values = _confidences(text, frozenset(filter(None, known.values())))
    ranked = sorted(left, key=lambda code: -values[known[code]])
    first, second = (values[known[code]] for code in ranked[:2])
    if first < LEAD * second or first <= 0:
        pair = [names[code] for code in ranked[:2]]
        return _unknown(
            script, f"The text is too short or too plain to tell {_listed(pair, 'from')}."
        )
    return TextLanguage(ranked[0], first, "lingua", script)


def _unknown(script: str, reason: str) -> TextLanguage:
    return TextLanguage(None, 0.0, None, script, reason)


@lru_cache(maxsize=1 << 16)
def _character_script(character: str) -> str:
    """The script of a letter, or an empty text."""
    if not unicodedata.category(character).startswith("L"):
        return ""
    found = _SCRIPT.fullmatch(character)
    if found:
        return str(found.lastgroup)
    return "" if regex.fullmatch(r"\p{Script=Common}|\p{Script=Inherited}", character) else "Zzzz"


def _share(counts: Counter[str], code: str) -> float:
    """Share of the letters that a language's scripts write."""
    return sum(counts[script] for script in scripts_of(code)) / counts.total()


def _han_alone(counts: Counter[str]) -> bool:
    return set(counts) == {"Hani"}


def _writers(text: str, counts: Counter[str], candidates: Collection[str]) -> list[str]:
    """The candidates that write more than half of the letters and, of Han ones, every one."""
    left = [code for code in candidates if _share(counts, code) > 0.5]
    if not _han_alone(counts):
        return left
    letters = "".join(c for c in text if _character_script(c))
    able = [code for code in left if _can_write(code, letters)]
    return able or left


def _can_write(code: str, letters: str) -> bool:
    character_set = _HAN_CHARACTER_SETS.get(code.rpartition("_")[2])
    try:
        letters.encode(character_set or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _lingua_language(code: str, register: Register) -> lingua.Language | None:
    """Lingua's name for a language, or None."""
    return _lingua_table().get(register[code].iso639_1) if code in register else None


@cache
def _lingua_table() -> dict[str, lingua.Language]:
    import lingua

    return {language.iso_code_639_1.name.lower(): language for language in lingua.Language.all()}


@lru_cache(maxsize=64)
def _detector(languages: frozenset[lingua.Language]) -> lingua.LanguageDetector:
    import lingua

    return lingua.LanguageDetectorBuilder.from_languages(*languages).build()


def _confidences(text: str, languages: frozenset[lingua.Language]) -> dict[object, float]:
    values = _detector(languages).compute_language_confidence_values(text)
    # Lingua adds up in parallel: the last digits differ from time to time.
    return {value.language: round(value.value, 9) for value in values}


def _listed(names: Collection[str], conjunction: str = "and") -> str:
    *most, last = names
    return f"{', '.join(most)} {conjunction} {last}" if most else last
