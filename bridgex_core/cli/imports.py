"""Imports in the place of statistics computed here: `--import`."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from typing import Any

from bridgex_core.cli.parser import Arguments
from bridgex_core.cli.workspace import ALL, STUDY, named_languages
from bridgex_core.errors import InputError
from bridgex_core.languages import Register
from bridgex_core.neuron_files import load_import
from bridgex_core.neurons import ActivationTable, NeuronSets
from bridgex_core.store import open_store
from bridgex_core.user_files import user_register


@dataclass(frozen=True)
class Imported:
    """An import, or the part of it that --languages names."""

    name: str
    result: NeuronSets | ActivationTable

    def head(self) -> dict[str, Any]:
        """What it is, as JSON; model, corpus and number format are not known of it."""
        return {"import": self.name, "model": None, "corpus": None, "dtype": None}

    def sentence(self) -> str:
        """What it is, for people."""
        return f"imported as '{self.name}'"

    def table(self) -> ActivationTable:
        """Its statistics.

        Raises
        ------
        InputError
            It has neuron sets alone.
        """
        if isinstance(self.result, NeuronSets):
            raise InputError(
                f"The import '{self.name}' holds neuron sets, and this needs activation "
                "statistics: import the files activation.* instead."
            )
        return self.result


def add_imported(parser: Arguments) -> None:
    """--import."""
    parser.add_argument(
        "--import",
        dest="imported",
        metavar="NAME",
        help="read this import instead, see `atlas import`; `study` and `all` then stand for all "
        "of its languages, and model, corpus and number format do not count",
    )


def open_imported(args: argparse.Namespace) -> Imported:
    """The import that --import names, with the languages of --languages.

    Raises
    ------
    InputError
        There is no such import, or it lacks a language.
    """
    store = open_store(args.store)
    register, found = user_register(store), load_import(store, args.imported)
    found.require_known_languages(register)
    result = found.result
    rows = [result.languages.index(code) for code in _codes(args, register, result.languages)]
    codes = tuple(result.languages[row] for row in rows)
    if isinstance(result, NeuronSets):
        part = replace(
            result,
            languages=codes,
            masks=result.masks[rows],
            tied=result.tied[rows],
            tied_in=result.tied_in[rows],
        )
        return Imported(args.imported, part)
    table = ActivationTable(codes, result.counts[rows], result.means[rows], result.tokens[rows])
    return Imported(args.imported, table)


def _codes(args: argparse.Namespace, register: Register, there: tuple[str, ...]) -> tuple[str, ...]:
    if args.languages in (STUDY, ALL):
        return there
    languages = named_languages(args.languages, "--languages", register)
    codes = tuple(language.code for language in languages)
    lacking = [code for code in codes if code not in there]
    if lacking:
        raise InputError(
            f"The import '{args.imported}' has no {', '.join(lacking)}: it has {', '.join(there)}."
        )
    return codes
