"""Prompts, all in one place: every language is named in its own language and script.

The templates are those of BridgeX-ICL (arXiv 2508.17078).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True)
class ChainTemplate:
    """How the words of a chain are written down.

    Attributes
    ----------
    link : a word with its language, ``{language}`` before ``{text}``, each once.
    arrow : what stands between two words of a chain.

    Raises
    ------
    InputError
        A placeholder is missing, there twice, or in the wrong order.

    >>> ChainTemplate("{language} = {text};").stops
    (';', '\\n')
    """

    link: str = '{language}:"{text}"'
    arrow: str = "→"

    def __post_init__(self) -> None:
        for name in ("{language}", "{text}"):
            if self.link.count(name) != 1:
                raise InputError(
                    f"The template '{self.link}' has to hold {name} exactly once, such as "
                    '{language}:"{text}".'
                )
        if self.link.index("{text}") < self.link.index("{language}"):
            raise InputError(
                f"The template '{self.link}' has to name the {{language}} before the {{text}}."
            )
        if not self.arrow:
            raise InputError("The template needs something between two words, such as →.")

    @property
    def stops(self) -> tuple[str, ...]:
        """Texts that end an answer: what follows a word in the template, and a new line."""
        after = self.link.split("{text}")[1].strip() or self.arrow.strip()
        return (after, "\n") if after else ("\n",)

    def closed(self, language: Language, word: str) -> str:
        """A word with its language."""
        before, after = self.link.split("{text}")
        return before.replace("{language}", name_in_prompts(language)) + word + after

    def opened(self, language: Language) -> str:
        """The same up to the word, which is for the model to write."""
        before = self.link.split("{text}")[0]
        return before.replace("{language}", name_in_prompts(language))


PAPER_TEMPLATE = ChainTemplate()


def translation_prompt(
    route: Sequence[Language],
    words: Sequence[str],
    examples: Sequence[Sequence[str]] = (),
    template: ChainTemplate = PAPER_TEMPLATE,
) -> str:
    """One step of a chain, ready for the model to write the next word.

    Parameters
    ----------
    route : the languages of the chain so far and the one to write next, at least two.
    words : the words of the chain so far, one fewer than languages; those that the model wrote may
        be empty.
    examples : demonstrations above it, each with a word for every language of the route.
    template : how a chain is written down.

    >>> from bridgex_core.languages import register
    >>> fr, es, de = (register()[code] for code in ("fra_Latn", "spa_Latn", "deu_Latn"))
    >>> print(translation_prompt([fr, de, es], ["chien", "Hund"], [["eau", "Wasser", "agua"]]))
    Français:"eau"→Deutsch:"Wasser"→Español:"agua"
    Français:"chien"→Deutsch:"Hund"→Español:"
    """
    if len(words) != len(route) - 1:
        raise ValueError("a step has one word fewer than languages")
    return _laid_out(route, [_word(words[0]), *words[1:]], examples, template)


def wordless_prompt(
    route: Sequence[Language],
    examples: Sequence[Sequence[str]] = (),
    template: ChainTemplate = PAPER_TEMPLATE,
) -> str:
    """The same prompt without any word to translate: what the model would write anyway.

    >>> from bridgex_core.languages import register
    >>> wordless_prompt([register()[code] for code in ("fra_Latn", "spa_Latn")])
    'Français:""→Español:"'
    """
    return _laid_out(route, [""] * (len(route) - 1), examples, template)


def _laid_out(
    route: Sequence[Language],
    words: Sequence[str],
    examples: Sequence[Sequence[str]],
    template: ChainTemplate,
) -> str:
    if any(len(example) != len(route) for example in examples):
        raise ValueError("a demonstration has as many words as the route has languages")
    chains = [[*map(template.closed, route, map(_word, example))] for example in examples]
    begun = [*map(template.closed, route, [word.strip() for word in words])]
    chains.append([*begun, template.opened(route[-1])])
    return "\n".join(map(template.arrow.join, chains))


def _word(word: str) -> str:
    if not word.strip():
        raise InputError("The word to translate is empty: type one, or take one from the lexicon.")
    return word.strip()
