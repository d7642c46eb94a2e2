"""Prompts, all in one place: every language is named in its own language and script.

The templates are those of BridgeX-ICL (arXiv 2508.17078).
"""

from __future__ import annotations

from collections.abc import Sequence

from .errors import InputError
from .languages import Language


def name_in_prompts(language: Language) -> str:
    """The language's name for itself; its English name where the register has no other.

    >>> from bridgex_core.languages import register
    >>> name_in_prompts(register()["deu_Latn"])
    'Deutsch'
    """
    return language.autonym or language.name


def probe_prompt(source: Language, target: Language, word: str) -> str:
    """The prompt whose activations make the probe: ``{source}:"{word}"→{target}:``.

    >>> from bridgex_core.languages import register
    >>> probe_prompt(register()["fra_Latn"], register()["spa_Latn"], "chien")
    'Français:"chien"→Español:'
    """
    return f'{name_in_prompts(source)}:"{_word(word)}"→{name_in_prompts(target)}:'


def concept_prompt(language: Language, word: str) -> str:
    """A word in its own language alone: ``{language}:"{word}"``."""
    return f'{name_in_prompts(language)}:"{_word(word)}"'


def translation_prompt(
    route: Sequence[Language],
    words: Sequence[str],
    examples: Sequence[Sequence[str]] = (),
) -> str:
    """One step of a chain, ready for the model to write the next word.

    Parameters
    ----------
    route : the languages of the chain so far and the one to write next, at least two.
    words : the words of the chain so far, one fewer than languages.
    examples : demonstrations above it, each with a word for every language of the route.

    >>> from bridgex_core.languages import register
    >>> fr, es, de = (register()[code] for code in ("fra_Latn", "spa_Latn", "deu_Latn"))
    >>> print(translation_prompt([fr, de, es], ["chien", "Hund"], [["eau", "Wasser", "agua"]]))
    Français:"eau"→Deutsch:"Wasser"→Español:"agua"
    Français:"chien"→Deutsch:"Hund"→Español:"
    """
    if len(words) != len(route) - 1 or any(len(example) != len(route) for example in examples):
        raise ValueError("a step has one word fewer than languages, a demonstration as many")
    lines = [_chain(route, example) for example in examples]
    return "\n".join([*lines, f'{_chain(route, words)}→{name_in_prompts(route[-1])}:"'])


def _chain(route: Sequence[Language], words: Sequence[str]) -> str:
    return "→".join(
        f'{name_in_prompts(language)}:"{_word(word)}"'
        for language, word in zip(route, words, strict=False)
    )


def _word(word: str) -> str:
    if not word.strip():
        raise InputError("The word to translate is empty: type one, or take one from the lexicon.")
    return word.strip()
