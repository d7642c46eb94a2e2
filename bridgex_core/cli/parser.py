"""Arguments that commands have in common."""

from __future__ import annotations

import argparse
import math
from typing import Any, NoReturn

from bridgex_core.corpora import UDHR
from bridgex_core.embedded import DEFAULT_MODEL
from bridgex_core.errors import InputError
from bridgex_core.models import DTYPES
from bridgex_core.neurons import SELECTIONS

Arguments = argparse._ActionsContainer
"""A parser or a group of its arguments."""


class Parser(argparse.ArgumentParser):
    """A parser that tells a usage error in one line, and takes no abbreviated options."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **settings})

    def error(self, message: str) -> NoReturn:
        """Raise an InputError, which `main` prints."""
        sentence = f"{message[0].upper()}{message[1:]}".rstrip(".")
        raise InputError(f"{sentence}; see `{self.prog} --help`.")


def add_common(parser: Arguments) -> None:
    """--store and --json, which every command has."""
    group = parser.add_argument_group("common")
    group.add_argument(
        "--store",
        metavar="DIR",
        help="where models and results are kept (default: BRIDGEX_STORE, else cache/)",
    )
    group.add_argument("--json", action="store_true", help="print the result as JSON")


def add_seed(parser: Arguments) -> None:
    """--seed, where something is drawn at random."""
    parser.add_argument(
        "--seed",
        type=whole_number,
        default=0,
        metavar="N",
        help="seed of everything random (default: %(default)s)",
    )


def add_model(parser: Arguments) -> None:
    """--model."""
    parser.add_argument(
        "--model",
        metavar="NAME|PATH|HUB",
        help="an embedded model, a folder, or a hub name organisation/model "
        f"(default: {DEFAULT_MODEL})",
    )


def add_corpus(parser: Arguments) -> None:
    """--corpus."""
    parser.add_argument(
        "--corpus",
        metavar="SPEC",
        default=UDHR,
        help="udhr, or a folder with swh_Latn.txt and the like or in FLORES-200's layout "
        "(default: %(default)s)",
    )


def add_dtype(parser: Arguments) -> None:
    """--dtype."""
    parser.add_argument(
        "--dtype",
        choices=DTYPES,
        help="number format of the model's computation (default: float32 for embedded models, "
        "else auto: what this machine is faster in, or what is stored already)",
    )


def add_device(parser: Arguments) -> None:
    """--device."""
    parser.add_argument(
        "--device", metavar="NAME", help="cpu, cuda, cuda:1 (default: the fastest there is)"
    )


def add_work(parser: Arguments) -> None:
    """Of a command that computes: the model and the corpus, how, where, and for which job."""
    add_model(parser)
    add_corpus(parser)
    add_dtype(parser)
    add_device(parser)
    add_job(parser)


def add_job(parser: Arguments) -> None:
    """--job, where a command can be long work."""
    parser.add_argument(
        "--job", metavar="ID", help="report to this job of the store (the dashboard gives it)"
    )


def add_layers(parser: Arguments, default: tuple[float, float]) -> None:
    """--layers."""
    parser.add_argument(
        "--layers",
        type=_band,
        default=default,
        metavar="LOW:HIGH",
        help=f"layers to compare, as fractions of the depth (default: {default[0]}:{default[1]})",
    )


def add_neuron_sets(parser: Arguments, selection: str, top_rate: float) -> None:
    """--selection and --top-rate, with these defaults."""
    parser.add_argument(
        "--selection",
        choices=SELECTIONS,
        default=selection,
        help="whether a language's neurons are the most active, as in the paper, or the most "
        "active relative to the other languages (default: %(default)s)",
    )
    parser.add_argument(
        "--top-rate",
        type=_share,
        default=top_rate,
        metavar="SHARE",
        help="share of all neurons that each language gets (default: %(default)s)",
    )


def whole_number(text: str) -> int:
    """The type of options that count something, or seed it."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 0 or more")
    return int(text)


def _share(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number such as 0.01, which is 1 %"
        ) from None


def _band(text: str) -> tuple[float, float]:
    low, _, high = text.partition(":")
    try:
        band = float(low), float(high)
    except ValueError:
        band = math.nan, math.nan
    if math.isnan(sum(band)):
        raise argparse.ArgumentTypeError(f"{text!r} is not two fractions such as 0.3:0.7")
    return band
