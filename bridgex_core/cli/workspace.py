"""What commands work on: the store, the register, a corpus, a model, and statistics of them."""

from __future__ import annotations

import argparse
import contextlib
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bridgex_core.collection import Collection, missing
from bridgex_core.corpora import UDHR, Corpus, open_corpus
from bridgex_core.embedded import EMBEDDED
from bridgex_core.errors import Cancelled, InputError
from bridgex_core.jobs import job_reporter, run_as_job
from bridgex_core.languages import STUDY_LANGUAGES, Language, Register
from bridgex_core.model_sources import ModelSource, find_model
from bridgex_core.models import DTYPES, resolve_dtype
from bridgex_core.progress import Snapshot, terminal_reporter
from bridgex_core.store import Store, open_store
from bridgex_core.user_files import user_register

Report = Callable[[Snapshot], None]

STUDY = "study"
ALL = "all"
FIXED_DTYPES = tuple(dtype for dtype in DTYPES if dtype != "auto")


@dataclass(frozen=True)
class Workspace:
    """The things that --store, --corpus and --model name.

    Attributes
    ----------
    store : where results are.
    register : the bundled languages and the user's own.
    corpus : the texts.
    source : the model.
    """

    store: Store
    register: Register
    corpus: Corpus
    source: ModelSource

    def collection(self, dtype: str) -> Collection:
        """The statistics of this model on this corpus in a number format."""
        return Collection(self.source, self.corpus, dtype)

    def working_collection(
        self, dtype: str, codes: Sequence[str], device: str | None = None
    ) -> Collection:
        """The same; for ``auto``, where none is stored, in what this machine is faster in."""
        if dtype != "auto":
            return self.collection(dtype)
        with_text = set(self.corpus.languages()) & set(codes)
        stored = self.stored_collection(dtype, sorted(with_text))
        if len(missing(self.store, stored, with_text)) == len(with_text):
            return self.collection(resolve_dtype(dtype, self.source, device))
        return stored

    def stored_collection(self, dtype: str, codes: Sequence[str]) -> Collection:
        """The same; for ``auto`` in the format in which most of the languages are stored."""
        formats = FIXED_DTYPES if dtype == "auto" else (dtype,)
        return min(
            (self.collection(name) for name in formats),
            key=lambda one: len(missing(self.store, one, codes)),
        )


def open_workspace(args: argparse.Namespace) -> Workspace:
    """The workspace of a command's arguments.

    Raises
    ------
    InputError
        A store, corpus or model that is not there, or a hub model that was never fetched.
    """
    store = open_store(args.store)
    languages = user_register(store)
    source = open_source(args, store)
    return Workspace(store, languages, open_corpus(args.corpus, register=languages), source)


def open_source(args: argparse.Namespace, store: Store) -> ModelSource:
    """The model that --model names, not loaded.

    Raises
    ------
    InputError
        It is not there, or a hub model that was never fetched.
    """
    source = find_model(args.model, store.root)
    if not source.fingerprint:
        raise InputError(f"The model {source.title} is not on this machine. {source.how_to_get}")
    return source


def chosen_languages(args: argparse.Namespace, languages: Register) -> tuple[Language, ...]:
    """The languages of --languages, resolved, in the order given."""
    if args.languages == STUDY:
        return tuple(languages[code] for code in STUDY_LANGUAGES)
    if args.languages == ALL:
        there = open_corpus(args.corpus, register=languages).languages()
        return tuple(languages[code] for code in there if code in languages)
    return named_languages(args.languages, "--languages", languages)


def named_languages(text: str, option: str, languages: Register) -> tuple[Language, ...]:
    """The languages that an option's text names, with commas between them."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise InputError(f"{option} names no language: give codes such as swh_Latn,eng_Latn.")
    return languages.resolve_all(names)


def add_languages(parser: argparse.ArgumentParser, *, default: str | None) -> None:
    """--languages, which must be given where there is no default."""
    parser.add_argument(
        "--languages",
        metavar="A,B,…",
        required=default is None,
        default=default,
        help="FLORES-200 codes or names, with commas between them; `study` stands for the 15 "
        "languages of the paper, `all` for every language of the corpus"
        + (" (default: %(default)s)" if default else ""),
    )


def asked_dtype(args: argparse.Namespace, source: ModelSource) -> str:
    """--dtype, or what it is where it was left out."""
    return args.dtype or ("float32" if source.name in EMBEDDED else "auto")


def require_installed(source: ModelSource) -> None:
    """Refuse what needs a model that is not here."""
    if not source.installed:
        raise InputError(f"{source.title} is not installed. {source.how_to_get}")


@contextlib.contextmanager
def reporting(
    args: argparse.Namespace, store: Store
) -> Iterator[tuple[Report, Callable[[], bool] | None]]:
    """Around long work: its ``report`` and ``cancelled``, those of --job or of a terminal."""
    if not args.job:
        yield terminal_reporter(sys.stderr), None
        return
    with run_as_job(store, args.job):
        yield job_reporter(store, args.job)


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Ctrl-C, or a job's wish to stop, told as what it means here."""
    try:
        yield
    except (KeyboardInterrupt, Cancelled):
        raise Cancelled(
            "Stopped: what was finished is stored, and the same command goes on from there."
        ) from None


def collect_command(args: argparse.Namespace, codes: Sequence[str], dtype: str | None) -> str:
    """The command that computes the statistics of these languages."""
    options = {
        "--languages": ",".join(codes),
        "--model": args.model,
        "--corpus": args.corpus if args.corpus != UDHR else None,
        "--dtype": dtype,
        "--store": args.store,
    }
    words = [word for name, value in options.items() if value for word in (name, value)]
    return shlex.join(["python", "-m", "bridgex_core", "collect", *words])
