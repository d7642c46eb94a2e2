"""Texts as hurried people and careless tools write them: what was meant, in other letters.

Pure functions of their arguments: a hash of the seed and the text decides what is drawn. Letters
are graphemes (Unicode's extended clusters), so that none loses its vowel sign or accent by a typo.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import regex

from .errors import InputError

if TYPE_CHECKING:
    import uroman

PERTURBATIONS = ("typos", "case", "diacritics", "transliteration", "distractors")
"""Names of all perturbations."""

_WORDS_A_TYPO, _WORDS_A_DISTRACTION = 5, 10
_PIECE = 4
"""So many letters count as a word where no spaces part words."""

_SPACELESS = frozenset(("Hans", "Hant", "Jpan", "Khmr", "Laoo", "Mymr", "Thai", "Tibt"))
_DOTTED_I = frozenset(("aze", "azj", "crh", "tur"))  # ISO 639-3: the capital of their i is İ

_GRAPHEME = regex.compile(r"\X")
_LETTER = regex.compile(r"\p{L}")
_SPACE = regex.compile(r"[\s፡]")  # Ge'ez may part words by a sign
_WORD = regex.compile(r"[\p{L}\p{N}](?:[^\s፡]*[\p{L}\p{M}\p{N}])?")
_STRETCH = regex.compile(r"[\p{L}\p{N}][\p{L}\p{M}\p{N}་]*")  # Tibetan's sign parts syllables

# Vowel signs of other scripts are letters to their readers. So are some that Unicode takes apart:
# they have keys of their own, and no one writes them bare.
_MARKED = regex.compile(
    r"(?V1)([[\p{Latin}\p{Greek}\p{Cyrillic}\p{Arabic}\p{Hebrew}\p{Syriac}]&&\p{L}])(\p{Mn}+)"
)
_WHOLE_LETTERS = frozenset("йЙїЇўЎѓЃќЌ" + "آأإؤئۀۂۓ")


def perturb(
    text: str, kind: str, language: str, *, seed: int = 0, distractors: Sequence[str] = ()
) -> str:
    """A text, perturbed; as it was where there is nothing to change.

    - ``typos``: in about one word in five, at least one, two neighbouring letters are swapped, one
      is doubled, or one is left out (of a word of three letters or more). The first and the last
      letter of words of more than three stay.
    - ``case``: capitals. Many scripts have none.
    - ``diacritics``: combining marks are taken off the letters of the Latin, Greek, Cyrillic,
      Arabic, Hebrew and Syriac scripts. What Unicode does not take apart stays (đ, ł, ø), so do й,
      ї, ў, ѓ, ќ and the Arabic letters with hamza or madda.
    - ``transliteration``: Latin letters by uroman (Hermjakob et al. 2018); nothing changes for
      languages of Latin script. It reads Han characters as Mandarin, in Japanese too.
    - ``distractors``: behind about one word in ten, at least one, two other words in brackets.

    Parameters
    ----------
    text : any text.
    kind : one of :data:`PERTURBATIONS`.
    language : FLORES code; its script decides how words are parted.
    seed : of what is drawn.
    distractors : unrelated words of the language; those that the text holds are left out.

    Raises
    ------
    InputError
        There is no such perturbation, or fewer than two words to distract with.

    >>> perturb("Café crème", "diacritics", "fra_Latn"), perturb("кот", "case", "rus_Cyrl")
    ('Cafe creme', 'КОТ')
    >>> perturb("kucing", "distractors", "ind_Latn", distractors=["meja", "kucing", "lampu"])
    'kucing (lampu, meja)'
    """
    require_perturbation(kind)
    if kind == "distractors":
        return _distracted(text, language, seed, distractors)
    return _typed(text, language, seed) if kind == "typos" else _REWRITTEN[kind](text, language)


def require_perturbation(kind: str) -> None:
    """Refuse what is no perturbation.

    Raises
    ------
    InputError
        It is none of :data:`PERTURBATIONS`.
    """
    if kind not in PERTURBATIONS:
        raise InputError(
            f"There is no perturbation '{kind}': there are {', '.join(PERTURBATIONS)}."
        )


def named_perturbations(text: str) -> tuple[str, ...]:
    """Perturbations named with commas.

    Raises
    ------
    InputError
        One is none, or is named twice.

    >>> named_perturbations("typos,case")
    ('typos', 'case')
    """
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    for name in names:
        require_perturbation(name)
    if len(set(names)) < len(names):
        raise InputError(f"'{text}' names a perturbation twice.")
    return names


def distracting_words(text: str, language: str) -> list[str]:
    """The words of a text that others can be distracted with: those of four letters or more.

    Where no spaces part words, the first four letters of every stretch without punctuation.

    >>> distracting_words("Alle Menschen sind frei, auch du.", "deu_Latn")
    ['Alle', 'Menschen', 'sind', 'frei', 'auch']
    """
    split = (_GRAPHEME.findall(word) for word in _ends_of_words(language).findall(text))
    return ["".join(word[: _most(language)]) for word in split if len(word) >= _PIECE]


def identity(kind: str, texts: Sequence[str]) -> dict[str, Any]:
    """What results depend on beside their clean items; nothing where these are not perturbed."""
    if not kind:
        return {}
    digest = hashlib.sha256(json.dumps(list(texts)).encode()).hexdigest()
    return {"perturbation": {"kind": kind, "texts": digest}}


# ---- Typos -------------------------------------------------------------------------------------


def _typed(text: str, language: str, seed: int) -> str:
    letters = _GRAPHEME.findall(text)
    words = [word for word in _letters_of_words(letters, language) if len(word) > 1]
    words.sort(key=lambda word: _draw(seed, text, f"word {word[0]}"))
    for word in words[: max(1, round(len(words) / _WORDS_A_TYPO))]:
        _mistype(letters, word, _draw(seed, text, f"typo {word[0]}"))
    return "".join(letters)


def _letters_of_words(letters: Sequence[str], language: str) -> list[list[int]]:
    """For every word the places of its letters; points and digits have none."""
    most = _most(language)
    words: list[list[int]] = [[]]
    for place, letter in enumerate(letters):
        if _SPACE.match(letter) or len(words[-1]) == most:
            words.append([])
        if _LETTER.match(letter):
            words[-1].append(place)
    return words


def _mistype(letters: list[str], word: Sequence[int], draw: int) -> None:
    """One typo in a word of at least two letters, which always shows."""
    inner = word[1:-1] if len(word) > 3 else word
    swaps = [(i, j) for i, j in pairwise(inner) if j == i + 1 and letters[i] != letters[j]]
    ways = ["double", *(["swap"] if swaps else []), *(["leave out"] if len(word) > 2 else [])]
    draw, way = divmod(draw, len(ways))
    if ways[way] == "swap":
        i, j = swaps[draw % len(swaps)]
        letters[i], letters[j] = letters[j], letters[i]
    else:
        letters[inner[draw % len(inner)]] *= 2 if ways[way] == "double" else 0


# ---- The same in other letters -----------------------------------------------------------------


def _upper(text: str, language: str) -> str:
    dotted = language.partition("_")[0] in _DOTTED_I
    return (text.replace("i", "İ") if dotted else text).upper()


def _bare(text: str, _language: str) -> str:
    apart = unicodedata.normalize("NFD", text)
    bare = _MARKED.sub(lambda found: found[1] + _kept(found[1], found[2]), apart)
    return text if bare == apart else unicodedata.normalize("NFC", bare)


def _kept(letter: str, marks: str) -> str:
    return "".join(m for m in marks if unicodedata.normalize("NFC", letter + m) in _WHOLE_LETTERS)


def _romanised(text: str, language: str) -> str:
    if _script(language) == "Latn":
        return text
    found = _romanizer().romanize_string(text, lcode=language.partition("_")[0])
    return str(found) if found.strip() else text


@cache
def _romanizer() -> uroman.Uroman:
    import uroman  # reads its tables for seconds

    return uroman.Uroman()


_REWRITTEN: dict[str, Callable[[str, str], str]] = {
    "case": _upper,
    "diacritics": _bare,
    "transliteration": _romanised,
}


# ---- Distractors -------------------------------------------------------------------------------


def _distracted(text: str, language: str, seed: int, distractors: Sequence[str]) -> str:
    here = text.casefold()
    others = [word for word in dict.fromkeys(distractors) if word.casefold() not in here]
    if len(others) < 2:
        raise InputError(
            "There are fewer than two other words to distract with: give more items or a larger "
            "lexicon, or leave the distractors out."
        )
    ends = [found.end() for found in _ends_of_words(language).finditer(text)]
    words = sum(len(word) > 0 for word in _letters_of_words(_GRAPHEME.findall(text), language))
    ends.sort(key=lambda end: _draw(seed, text, f"place {end}"))
    for end in sorted(ends[: max(1, round(words / _WORDS_A_DISTRACTION))], reverse=True):
        draw, first = divmod(_draw(seed, text, f"words {end}"), len(others))
        second = (first + 1 + draw % (len(others) - 1)) % len(others)
        text = f"{text[:end]} ({others[first]}, {others[second]}){text[end:]}"
    return text


# ---- Words and chance --------------------------------------------------------------------------


def _script(language: str) -> str:
    return language.rpartition("_")[2]


def _most(language: str) -> int | None:
    """The most letters of a word; None where spaces tell."""
    return _PIECE if _script(language) in _SPACELESS else None


def _ends_of_words(language: str) -> regex.Pattern[str]:
    """What finds the stretches of letters that end where a word ends."""
    return _WORD if _most(language) is None else _STRETCH


def _draw(seed: int, text: str, what: str) -> int:
    """A large number that no one chooses."""
    return int.from_bytes(hashlib.sha256(f"{seed}\n{what}\n{text}".encode()).digest()[:12])
