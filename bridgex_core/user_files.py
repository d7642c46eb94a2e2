"""What a user brings along, kept in the store's folder: languages with their texts.

``{root}/languages.toml`` lists the languages, ``{root}/texts/{code}.txt`` holds their texts, and
both may be edited by hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .corpora import open_corpus
from .errors import InputError
from .language_files import check_table
from .languages import Language, Register, add_language, register
from .store import Store
from .text_files import decode

_TEXTS = "texts"


def languages_file(store: Store) -> Path:
    """The TOML file of the user's own languages; it need not exist."""
    return store.root / "languages.toml"


def user_register(store: Store) -> Register:
    """The bundled languages and the user's own.

    Raises
    ------
    InputError
        The TOML file breaks a rule.
    """
    return register(languages_file(store))


def keep_language(
    store: Store,
    *,
    code: str,
    name: str,
    autonym: str,
    script: str,
    text: bytes,
    family: str | None = None,
) -> Language:
    """Keep a new language and its text.

    Parameters
    ----------
    store : where to.
    code, name, autonym, script, family : see :class:`bridgex_core.languages.Language`.
    text : UTF-8, one sentence a line.

    Raises
    ------
    InputError
        A value breaks a rule, the code is taken, or the text is too short or not UTF-8; nothing is
        kept then.
    """
    path = store.root / _TEXTS / f"{code}.txt"
    given = {"code": code, "name": name, "autonym": autonym, "script": script, "text": str(path)}
    check_table(given, "The new language")  # before the code becomes part of a path
    if code in user_register(store):
        raise InputError(f"The register has a language with the code {code} already.")
    store.write_text(f"{_TEXTS}/{code}.txt", decode("The text", text))
    try:
        open_corpus(str(path.parent)).text(code)
        return add_language(
            languages_file(store),
            code=code,
            name=name,
            autonym=autonym,
            script=script,
            text=path,
            family=family,
        )
    except InputError:
        path.unlink(missing_ok=True)
        raise


def own_results(store: Store) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Kind, key and manifest of every stored result, the bundled ones left out."""
    own = Store(store.root)
    for kind in own.usage():
        for key, manifest in own.entries(kind):
            yield kind, key, manifest
