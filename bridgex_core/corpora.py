"""Parallel text: the bundled Declaration of Human Rights, FLORES-200's layout, own folders.

A corpus gives one :class:`Text` a language, cut into at most 32 blocks. In a parallel corpus block
k says the same in every language: an article of the Declaration, or a run of line numbers.
"""

import difflib
import hashlib
import json
import lzma
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise
from pathlib import Path
from typing import Protocol

from .errors import InputError
from .languages import Register
from .text_files import read_bytes, read_text, split_lines

MAX_BLOCKS = 32
FEWEST_LINES = 2
FEWEST_BYTES = 200

UDHR = "udhr"
_UDHR_FILE = Path(__file__).parent / "data" / "udhr.json.xz"
_CODE = re.compile(r"[a-z]{3}_[A-Z][a-z]{3}")


@dataclass(frozen=True)
class Text:
    """A text in one language, in blocks.

    Parameters
    ----------
    language : str
        FLORES-200 code.
    blocks : tuple of str
        1 to 32 blocks. A block may be empty, so that the others keep their places: an article that
        a translation lacks, or a run of blank lines.
    origin : str
        Where the text comes from, for people.

    Examples
    --------
    >>> text = Text("eng_Latn", ("Hello.", "Good bye."), "an example")
    >>> text.byte_count, text.digest[:8]
    (15, '01d3f313')
    """

    language: str
    blocks: tuple[str, ...]
    origin: str

    def __post_init__(self) -> None:
        if not 1 <= len(self.blocks) <= MAX_BLOCKS:
            raise ValueError(f"a text has 1 to {MAX_BLOCKS} blocks, not {len(self.blocks)}")

    @property
    def digest(self) -> str:
        """SHA-256 (hexadecimal) of the blocks as compact JSON: equal blocks, equal digest."""
        canonical = json.dumps(self.blocks, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    @property
    def byte_count(self) -> int:
        """UTF-8 bytes of the blocks together."""
        return sum(len(block.encode()) for block in self.blocks)


class Corpus(Protocol):
    """Texts by language."""

    @property
    def name(self) -> str:
        """Short id for links and manifests, which `open_corpus` takes: udhr, folder:/path, …"""

    @property
    def title(self) -> str:
        """For people."""

    @property
    def parallel(self) -> bool:
        """Whether block k says the same in every language (a language's own text aside)."""

    @property
    def unit(self) -> str:
        """What a block is made of: articles or lines."""

    def languages(self) -> tuple[str, ...]:
        """The codes of the languages that have a text, sorted."""

    def text(self, code: str) -> Text:
        """The language's text; InputError where there is none or it can't be used."""


@dataclass(frozen=True)
class _Declaration:
    """The bundled Universal Declaration of Human Rights: the preamble and 30 articles."""

    blocks: Mapping[str, Sequence[str]]
    package: str

    name = UDHR
    title = "Universal Declaration of Human Rights"
    parallel = True
    unit = "articles"

    def languages(self) -> tuple[str, ...]:
        return tuple(sorted(self.blocks))

    def text(self, code: str) -> Text:
        _check_code(code)
        if code not in self.blocks:
            raise InputError(
                f"The bundled {self.title} has no text in {code}; "
                f"it has {_nearest(code, self.languages())}."
            )
        return Text(code, tuple(self.blocks[code]), f"{self.title}, {self.package}")


@dataclass(frozen=True)
class _Files:
    """A folder with the text of every language in files of its own, one sentence a line."""

    layout: str
    folder: Path
    title: str
    patterns: tuple[str, ...]  # of a language's files, in the order in which they are read

    unit = "lines"

    @property
    def name(self) -> str:
        return f"{self.layout}:{self.folder}"

    @cached_property
    def parallel(self) -> bool:
        return len({self._line_counts(code) for code in self.languages()}) <= 1

    def languages(self) -> tuple[str, ...]:
        found = {
            path.stem
            for pattern in self.patterns
            for path in self.folder.glob(pattern.format("*"))
            if _CODE.fullmatch(path.stem)
        }
        return tuple(sorted(found))

    def text(self, code: str) -> Text:
        _check_code(code)
        files = self._files(code)
        if not files:
            raise InputError(
                f"The folder {self.folder} has no {self.patterns[0].format(code)}; "
                f"it has {_nearest(code, self.languages())}."
            )
        return _read_text(code, files, self.title)

    def _files(self, code: str) -> list[Path]:
        paths = (self.folder / pattern.format(code) for pattern in self.patterns)
        return [path for path in paths if path.is_file()]

    def _line_counts(self, code: str) -> tuple[int, ...]:
        """Lines in each of the language's files, 0 where it is lacking; any encoding will do."""
        paths = (self.folder / pattern.format(code) for pattern in self.patterns)
        return tuple(
            len(split_lines(read_bytes(p).decode("latin-1"))) if p.is_file() else 0 for p in paths
        )


@dataclass(frozen=True)
class _WithOwnTexts:
    """A corpus in which some languages have a text file of the user's own."""

    corpus: Corpus
    files: Mapping[str, Path]

    @property
    def name(self) -> str:
        return self.corpus.name

    @property
    def title(self) -> str:
        return self.corpus.title

    @property
    def parallel(self) -> bool:
        return self.corpus.parallel

    @property
    def unit(self) -> str:
        return self.corpus.unit

    def languages(self) -> tuple[str, ...]:
        return tuple(sorted({*self.corpus.languages(), *self.files}))

    def text(self, code: str) -> Text:
        if code in self.files:
            path = self.files[code]
            return _read_text(code, [path], f"user's file {path}")
        return self.corpus.text(code)


@cache
def udhr() -> Corpus:
    """The bundled Universal Declaration of Human Rights, 31 blocks a language, parallel.

    Examples
    --------
    >>> udhr().text("eng_Latn").blocks[3]
    'Everyone has the right to life, liberty and the security of person.'
    """
    with lzma.open(_UDHR_FILE, "rt", encoding="utf-8") as file:
        document = json.load(file)
    return _Declaration(document["texts"], document["provenance"]["package"])


def open_corpus(spec: str, *, register: Register | None = None) -> Corpus:
    """The corpus that `spec` names.

    Parameters
    ----------
    spec : str
        `udhr`, a folder, or a corpus's `name`. A folder with dev/ or devtest/ is read as FLORES-200
        (`dev/swh_Latn.dev`, `devtest/swh_Latn.devtest`, dev first), one with `swh_Latn.txt` and
        the like as one sentence a line. Lines go to at most 32 blocks by their number alone.
    register : Register, optional
        Its languages with a text file of their own are read from that file in every corpus; that
        text is not parallel to the others, whatever `Corpus.parallel` says.

    Raises
    ------
    InputError
        The folder is missing, or holds neither layout.
    """
    corpus = udhr() if spec == UDHR else _open_folder(spec)
    own = {language.code: language.text for language in register or () if language.text}
    return _WithOwnTexts(corpus, own) if own else corpus


def lines_to_blocks(lines: Sequence[str]) -> tuple[str, ...]:
    """Lines in order, in at most 32 blocks whose numbers of lines differ by one at most.

    The bounds depend on the number of lines alone, so that files that are parallel line by line
    are parallel block by block. Blank lines count, but are not kept.

    >>> lines_to_blocks(["one", "", "three"])
    ('one', '', 'three')
    """
    count = min(MAX_BLOCKS, len(lines))
    bounds = [len(lines) * k // count for k in range(count + 1)]
    runs = (lines[start:end] for start, end in pairwise(bounds))
    return tuple("\n".join(line.strip() for line in run if line.strip()) for run in runs)


def _open_folder(spec: str) -> _Files:
    folder = Path(re.sub("^(folder|flores):", "", spec)).expanduser().resolve()
    if not folder.is_dir():
        raise InputError(
            f"There is no folder {folder}; name a corpus's folder, or {UDHR} for the bundled one."
        )
    splits = tuple(f"{split}/{{}}.{split}" for split in ("dev", "devtest"))
    for corpus in (
        _Files("flores", folder, f"FLORES-200 in {folder}", splits),
        _Files("folder", folder, f"Folder {folder}", ("{}.txt",)),
    ):
        if corpus.languages():
            return corpus
    raise InputError(
        f"The folder {folder} holds no corpus: looked for dev/swh_Latn.dev, "
        "devtest/swh_Latn.devtest and swh_Latn.txt, or the same under other FLORES-200 codes."
    )


def _check_code(code: str) -> None:
    if not _CODE.fullmatch(code):
        raise InputError(f"{code!r} is not a FLORES-200 language code, such as swh_Latn.")


def _nearest(code: str, codes: Sequence[str], most: int = 5) -> str:
    near = difflib.get_close_matches(code, codes, n=most, cutoff=0)
    rest = len(codes) - len(near)
    return ", ".join(near) + (f" and {rest} more" if rest else "")


def _read_text(code: str, paths: Sequence[Path], origin: str) -> Text:
    names = " and ".join(str(path) for path in paths)
    lines = [line for path in paths for line in split_lines(read_text(path))]
    filled = [line for line in lines if line.strip()]
    if not filled:
        raise InputError(f"The text of {code} is empty: {names}.")
    text = Text(code, lines_to_blocks(lines), origin)
    if len(filled) < FEWEST_LINES or text.byte_count < FEWEST_BYTES:
        raise InputError(
            f"The text of {code} is too short ({len(filled)} lines, {text.byte_count} bytes in "
            f"{names}): at least {FEWEST_LINES} lines and {FEWEST_BYTES} bytes are needed."
        )
    return text
