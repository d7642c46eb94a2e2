"""Answers → right or wrong, or a chrF score (METHOD of BridgeX-ICL: a normalised exact match).

Two texts match if they are the same after :func:`normalise`, which forgets what does not make
another word: case, points, punctuation, invisible characters. Letters stay, and so do the
combining marks that are letters in their script: vowel signs, viramas, tone marks.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import cache

import numpy as np

from .errors import InputError

_ACUTE = {0xB4: "'"}  # typed for an apostrophe; NFKC would make a space and an accent of it
_APOSTROPHES = frozenset("'`’‘‛′ʼʻʽ՚׳ꞌ")
_SEPARATORS = frozenset("/\\\u0f0b፡")  # and all dashes; Tibetan and Ge'ez part syllables and words
_MYANMAR_WORDS = frozenset("၌၍၎၏")  # letters, which Unicode counts among the punctuation

# Malayalam: a consonant, virama and joiner is how a final consonant was written before Unicode 5.1.
_CHILLU = re.compile("([ണനരലളക])\u0d4d\u200d")
_CHILLU_LETTERS = dict(zip("ണനരലളക", "ൺൻർൽൾൿ", strict=True))

# Hebrew points and cantillation; Arabic harakat and the signs of the Quran; combining marks that
# show nothing (the grapheme joiner, variation selectors).
_OPTIONAL_MARKS = re.compile(
    "[\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\ufb1e"
    "\u0610-\u061a\u064b-\u0652\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed"
    "\u034f\ufe00-\ufe0f\U000e0100-\U000e01ef]"
)
_TATWEEL = "\u0640"


def normalise(text: str) -> str:
    """A text as answers are compared, in every script; twice the same as once.

    - Unicode NFKC and case folding. Turkish İ and ı become i, whose capital may be either.
    - Hebrew points and cantillation, Arabic harakat and tatweel are removed, also where a language
      needs them (Yiddish), because they are mostly left out in print.
    - Invisible characters are removed, the joiners among them (as in Unicode's NFKC_Casefold);
      Malayalam's older final consonants become the letters of today first.
    - Dashes, slashes, and the marks between syllables or words (Tibetan, Ge'ez) become spaces,
      other punctuation is removed. An apostrophe of any form stays, as ', inside a word, where it
      may be a letter.
    - White space is collapsed.

    >>> normalise('  "Straße!" '), normalise("ng’ombe"), normalise("שָׁלוֹם"), normalise("हिन्दी।")
    ('strasse', "ng'ombe", 'שלום', 'हिन्दी')
    """
    text = _CHILLU.sub(lambda found: _CHILLU_LETTERS[found[1]], text).translate(_ACUTE)
    text = _decomposed(_decomposed(text).casefold())
    words = "".join(map(_comparable, text)).split()
    bare = (re.sub("''+", "", word).strip("'") for word in words)
    text = _decomposed(" ".join(filter(None, bare)))
    return unicodedata.normalize("NFKC", re.sub("i\u0307+", "i", text))


def is_right(answer: str, accepted: Sequence[str]) -> bool:
    """Whether the answer is any of the accepted texts, after :func:`normalise`.

    >>> is_right(" Mbwa.", ["mbwa", "jibwa"]), is_right("", [""])
    (True, False)
    """
    given = normalise(answer)
    return bool(given) and any(given == normalise(text) for text in accepted)


def first_line(text: str) -> str:
    """What counts of an answer: the text before the first newline, without white space around it.

    >>> first_line(" mbwa \\nnothing else")
    'mbwa'
    """
    return text.partition("\n")[0].strip()


def chosen_letter(answer: str, letters: str = "ABCD") -> str | None:
    """The letter that an answer to a multiple-choice question begins with, or None.

    It must stand alone or before punctuation: "A dog" chooses nothing.

    >>> [chosen_letter(text) for text in ("B", "(c) it rains", "A dog", "None")]
    ['B', 'C', None, None]
    """
    found = re.match(rf"\W*([{re.escape(letters)}])\s*(?:$|[^\w\s])", answer, re.IGNORECASE)
    return found[1].upper() if found else None


def chrf(hypotheses: Sequence[str], references: Sequence[str]) -> float:
    """chrF of a corpus by sacrebleu (character n-grams to 6, beta 2), 0 to 100.

    Parameters
    ----------
    hypotheses, references : as many texts, at least one.

    Raises
    ------
    InputError
        There is no text.
    ValueError
        There are not as many of both.

    >>> chrf(["a cat", "a dog"], ["a cat", "a dog"])
    100.0
    """
    from sacrebleu.metrics import CHRF

    _check(hypotheses, references)
    return float(CHRF().corpus_score(hypotheses, [references]).score)


def sentence_chrf(hypotheses: Sequence[str], references: Sequence[str]) -> np.ndarray:
    """chrF of each text by itself, float64 (n,), 0 to 100; see :func:`chrf`."""
    from sacrebleu.metrics import CHRF

    _check(hypotheses, references)
    metric = CHRF()
    pairs = zip(hypotheses, references, strict=True)
    return np.array([metric.sentence_score(text, [reference]).score for text, reference in pairs])


def _check(hypotheses: Sequence[str], references: Sequence[str]) -> None:
    if len(hypotheses) != len(references):
        raise ValueError(f"{len(hypotheses)} hypotheses do not fit {len(references)} references")
    if not hypotheses:
        raise InputError("There is no translation to score.")


def _decomposed(text: str) -> str:
    return unicodedata.normalize("NFKD", text)


@cache
def _comparable(char: str) -> str:
    """What a character of a decomposed, folded text becomes."""
    category = unicodedata.category(char)
    if char in _APOSTROPHES:
        return "'"
    if char == "ı":
        return "i"
    if char.isspace() or char in _SEPARATORS or category in ("Pd", "Pc"):
        return " "
    if char in _MYANMAR_WORDS:
        return char
    dropped = category[0] == "P" or category in ("Cc", "Cf") or char == _TATWEEL
    return "" if dropped or _OPTIONAL_MARKS.match(char) else char
