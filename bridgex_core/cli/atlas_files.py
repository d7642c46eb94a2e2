"""``atlas import`` and ``atlas export``: neuron sets and activation statistics as files."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from bridgex_core.cli.atlas_statistics import (
    METHODS,
    add_lape_settings,
    add_statistics,
    language_sets,
    open_stored,
)
from bridgex_core.cli.output import count, print_json, print_table
from bridgex_core.cli.parser import whole_number
from bridgex_core.cli.workspace import named_languages
from bridgex_core.errors import InputError
from bridgex_core.neuron_files import (
    FORMATS,
    export_activations,
    export_sets,
    import_files,
    load_import,
    overlap_counts,
    save_import,
)
from bridgex_core.neurons import ActivationTable, NeuronSets
from bridgex_core.store import open_store
from bridgex_core.text_files import write_file
from bridgex_core.user_files import user_register

CONTENTS = ("sets", "activations")

# ---- Import ------------------------------------------------------------------------------------


def add_import(parser: argparse.ArgumentParser) -> None:
    """The options of ``atlas import``."""
    parser.add_argument(
        "files",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="a file of neuron sets (LAPE's .pth, .safetensors, .csv), or activation.* files of "
        "statistics, one a language",
    )
    parser.add_argument(
        "--languages",
        metavar="A,B,…",
        help="the languages of the files in their order; needed where the files do not name them",
    )
    parser.add_argument(
        "--name", required=True, metavar="NAME", help="the name to keep it under in the store"
    )
    for option, what in (("--layers", "layers"), ("--width", "neurons in a layer")):
        parser.add_argument(
            option,
            type=whole_number,
            metavar="N",
            help=f"how many {what} the model has (default: what the files tell, or need)",
        )


def run_import(args: argparse.Namespace) -> None:
    """Keep what the files hold, and print it."""
    store = open_store(args.store)
    register, codes = user_register(store), None
    if args.languages is not None:
        languages = named_languages(args.languages, "--languages", register)
        codes = [language.code for language in languages]
    found = import_files(args.files, codes, layers=args.layers, width=args.width)
    found.require_known_languages(register)
    kept = save_import(store, args.name, found)
    told = {
        field: kept[field]
        for field in ("name", "content", "languages", "layers", "width", "origin", "notes")
    }
    told |= _counts(found.result)
    if args.json:
        print_json(told)
    else:
        _print_import(told)


def _counts(result: NeuronSets | ActivationTable) -> dict[str, Any]:
    if isinstance(result, NeuronSets):
        return {"sizes": result.sizes, "overlap": overlap_counts(result), "tokens": None}
    return {"sizes": None, "overlap": None, "tokens": result.tokens}


def _print_import(told: dict[str, Any]) -> None:
    codes = told["languages"]
    if told["overlap"] is None:
        rows = [(code, f"{n:,}") for code, n in zip(codes, told["tokens"], strict=True)]
        print_table(("language", "tokens"), rows)
    else:
        rows = [
            (code, *(str(n).rjust(8) for n in row))
            for code, row in zip(codes, told["overlap"], strict=True)
        ]
        print_table(("shared neurons", *codes), rows)
    what = {"sets": "neuron sets", "activations": "activation statistics"}[told["content"]]
    print(
        f"\nKept as '{told['name']}': {what} of {count(len(codes), 'language')}, "
        f"{told['layers']} layers of {count(told['width'], 'neuron')}"
    )
    for note in told["notes"]:
        print(note)


# ---- Export ------------------------------------------------------------------------------------


def add_export(parser: argparse.ArgumentParser) -> None:
    """The options of ``atlas export``."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="an import of this name")
    parser.add_argument(
        "--languages",
        metavar="A,B,…",
        help="instead of an import, the neurons of these languages; `study` stands for the 15 of "
        "the paper, `all` for every language of the corpus",
    )
    parser.add_argument(
        "--content",
        choices=CONTENTS,
        help="neuron sets, or the activation statistics themselves (default: what the import "
        "holds; sets for --languages)",
    )
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default=FORMATS[0],
        help="LAPE's pth, or for sets also safetensors or csv (default: %(default)s)",
    )
    parser.add_argument(
        "--out",
        required=True,
        type=Path,
        metavar="FILE",
        help="the file to write; for statistics the folder of the files activation.CODE",
    )
    parser.add_argument(
        "--method",
        choices=METHODS,
        default=METHODS[0],
        help="whose neurons, with --languages: LAPE's, or the most active ones "
        "(default: %(default)s)",
    )
    add_lape_settings(parser)
    add_statistics(parser)


def run_export(args: argparse.Namespace) -> None:
    """Write the files, and print which."""
    if (args.name is None) == (args.languages is None):
        raise InputError("Name what to export: an import, or --languages.")
    result = _exported(args)
    if isinstance(result, NeuronSets):
        files = {args.out: export_sets(result, args.format)}
    elif args.format == "pth":
        # An import's unknown means stand at 0, and are not to be told as known.
        contents = export_activations(result, sums=bool(result.means.any()))
        files = {args.out / name: content for name, content in contents.items()}
    else:
        raise InputError("Activation statistics are written as pth only: give --format pth.")
    for path, content in files.items():
        write_file(path, content, parents=isinstance(result, ActivationTable))
    told = {
        "content": CONTENTS[isinstance(result, ActivationTable)],
        "languages": result.languages,
        "format": args.format,
        "files": [str(path) for path in files],
    }
    if args.json:
        print_json(told)
    else:
        print(f"Wrote {count(len(result.languages), 'language')} to {args.out}.")


def _exported(args: argparse.Namespace) -> NeuronSets | ActivationTable:
    """What is to be written."""
    if args.name is None:
        table = open_stored(args).table()
        return table if args.content == "activations" else language_sets(args, table)
    result = load_import(open_store(args.store), args.name).result
    holds = CONTENTS[isinstance(result, ActivationTable)]
    if args.content not in (None, holds):
        raise InputError(f"The import '{args.name}' holds {holds}, not {args.content}.")
    return result
