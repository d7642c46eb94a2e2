"""The analyses of ``atlas`` that read stored statistics, and what all of them share."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

from bridgex_core.atlas import method_agreement
from bridgex_core.cli.imports import add_imported, open_imported
from bridgex_core.cli.output import count, decimal, print_json, print_table
from bridgex_core.cli.parser import (
    add_corpus,
    add_dtype,
    add_model,
)
from bridgex_core.cli.workspace import (
    STUDY,
    Workspace,
    add_languages,
    asked_dtype,
    chosen_languages,
    collect_command,
    open_workspace,
)
from bridgex_core.collection import Collection, available, stored_statistics, stored_table
from bridgex_core.depth_parts import depth_parts
from bridgex_core.errors import InputError
from bridgex_core.neuron_classes import (
    Classes,
    LanguageNeurons,
    classes_by_lape,
    classes_by_sets,
    classes_by_sharing,
    lape,
)
from bridgex_core.neurons import ActivationTable, NeuronSets, top_neurons

METHODS = ("lape", "membership")
"""Ways to a set of neurons for each language: LAPE's, or the most active ones."""


# ---- What the analyses share -------------------------------------------------------------------


@dataclass(frozen=True)
class Stored:
    """Languages, and where what is stored of them is.

    Attributes
    ----------
    workspace : the store, the register, the corpus, the model.
    collection : a model, a corpus and a number format.
    codes : the languages, in the order given.
    """

    workspace: Workspace
    collection: Collection
    codes: tuple[str, ...]

    def table(self) -> ActivationTable:
        """Totals of every neuron."""
        return stored_table(self.workspace.store, self.collection, self.codes)

    def head(self) -> dict[str, Any]:
        """What they are of, as JSON."""
        collection = self.collection
        return {
            "model": collection.source.name,
            "corpus": collection.corpus.name,
            "dtype": collection.dtype,
        }

    def sentence(self) -> str:
        """What they are of, for people."""
        collection = self.collection
        return f"{collection.source.title} in {collection.dtype}, {collection.corpus.title}"


def add_statistics(parser: argparse.ArgumentParser) -> None:
    """--model, --corpus and --dtype; `open_stored` reads these and --languages."""
    add_model(parser)
    add_corpus(parser)
    add_dtype(parser)


def add_lape_settings(parser: argparse.ArgumentParser) -> None:
    """--top-rate, --filter and --bar, by default the published ones."""
    for option, default, what in (
        ("--top-rate", 0.01, "share of all neurons that are selected"),
        ("--filter", 0.95, "percentile that LAPE's neurons must exceed in some language"),
        ("--bar", 0.95, "percentile that they must exceed in a language to belong to it"),
    ):
        parser.add_argument(
            option,
            type=float,
            default=default,
            metavar="SHARE",
            help=f"{what} (default: %(default)s)",
        )


def open_stored(args: argparse.Namespace) -> Stored:
    """The statistics of --languages.

    Raises
    ------
    InputError
        Some are not stored yet (with the command to run), or whatever else the options break.
    """
    workspace = open_workspace(args)
    codes = tuple(language.code for language in chosen_languages(args, workspace.register))
    collection = workspace.stored_collection(asked_dtype(args, workspace.source), codes)
    there = available(workspace.store, collection)
    lacking = [code for code in codes if code not in there]
    if lacking:
        dtype = collection.dtype if len(lacking) < len(codes) else args.dtype
        raise InputError(
            f"There are no statistics of {', '.join(lacking)} yet: run "
            f"`{collect_command(args, lacking, dtype)}`."
        )
    return Stored(workspace, collection, codes)


def open_working(args: argparse.Namespace, what: str) -> Stored:
    """The languages of --languages, whatever is stored of them; at least two.

    ``what`` is the analysis that compares them, as the beginning of a sentence.
    """
    workspace = open_workspace(args)
    codes = tuple(language.code for language in chosen_languages(args, workspace.register))
    if len(codes) < 2:
        raise InputError(f"{what} compares languages: name at least two.")
    dtype = asked_dtype(args, workspace.source)
    return Stored(workspace, workspace.working_collection(dtype, codes, args.device), codes)


def language_neurons(args: argparse.Namespace, table: ActivationTable) -> LanguageNeurons:
    """LAPE with the settings of `add_lape_settings`."""
    return lape(
        table,
        top_share=args.top_rate,
        filter_percentile=args.filter,
        bar_percentile=args.bar,
    )


def language_sets(args: argparse.Namespace, table: ActivationTable) -> NeuronSets:
    """Each language's neurons by --method."""
    if args.method == "lape":
        return language_neurons(args, table).sets
    return top_neurons(table, top_rate=args.top_rate)


# ---- Classes -----------------------------------------------------------------------------------


def add_lape(parser: argparse.ArgumentParser) -> None:
    """The options of ``atlas lape``."""
    add_languages(parser, default=STUDY)
    add_lape_settings(parser)
    add_imported(parser)
    add_statistics(parser)


def run_lape(args: argparse.Namespace) -> None:
    """Print LAPE's classes and the languages' neurons."""
    stored = open_stored(args) if args.imported is None else open_imported(args)
    neurons = language_neurons(args, stored.table())
    found = classes_by_lape(neurons)
    if args.json:
        print_json(
            {
                **stored.head(),
                "settings": _lape_settings(args),
                "selected": neurons.selected.sum(),
                "filter": neurons.filter,
                "bar": neurons.bar,
                **_classes(found),
            }
        )
    else:
        _print_classes(found, f"LAPE, top rate {args.top_rate:g}; {stored.sentence()}")


def _lape_settings(args: argparse.Namespace) -> dict[str, float]:
    """The settings of `add_lape_settings`, as JSON."""
    return {
        "top_rate": args.top_rate,
        "filter_percentile": args.filter,
        "bar_percentile": args.bar,
    }


def add_sharing(parser: argparse.ArgumentParser) -> None:
    """The options of ``atlas sharing``."""
    add_languages(parser, default=STUDY)
    _add_active_share(parser)
    add_statistics(parser)


def run_sharing(args: argparse.Namespace) -> None:
    """Print the classes by sharing."""
    stored = open_stored(args)
    found = _sharing(args, stored)
    if args.json:
        settings = {"active_share": args.active_share}
        print_json({**stored.head(), "settings": settings, **_classes(found)})
    else:
        _print_classes(found, f"Sharing over parallel inputs; {stored.sentence()}")


def _add_active_share(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--active-share",
        type=float,
        default=0.5,
        metavar="SHARE",
        help="for sharing: a neuron is active on an input when it is on more than this share of "
        "its tokens (default: %(default)s)",
    )


def _sharing(args: argparse.Namespace, stored: Stored) -> Classes:
    statistics = stored_statistics(stored.workspace.store, stored.collection, stored.codes)
    return classes_by_sharing(statistics, active_share=args.active_share)


def _classes(found: Classes) -> dict[str, Any]:
    by_layer = found.by_layer()
    return {
        "languages": found.languages,
        "sizes": found.masks.sum((1, 2)),
        "classes": {name: by_layer[name].sum() for name in found.names},
        "layers": range(len(by_layer)),
        "by_layer": {name: by_layer[name] for name in found.names},
        "parts": _parts(found),
    }


def _parts(found: Classes) -> dict[str, Any] | None:
    """The four parts of the depth; None for a model of fewer layers."""
    try:
        parts = depth_parts(found)
    except InputError:
        return None
    return {"layers": parts.parts, "explained": parts.explained}


def _print_classes(found: Classes, how: str) -> None:
    by_layer = found.by_layer()
    counts = enumerate(by_layer.to_numpy())
    rows = [(str(layer), *(f"{n:,}" for n in row)) for layer, row in counts]
    rows.append(("all", *(f"{by_layer[name].sum():,}" for name in found.names)))
    print_table(("layer", *found.names), rows)
    print()
    sizes = zip(found.languages, found.masks.sum((1, 2)), strict=True)
    print_table(("language", "neurons"), [(code, f"{size:,}") for code, size in sizes])
    print(f"\n{how}")


# ---- Agreement ---------------------------------------------------------------------------------


def add_agreement(parser: argparse.ArgumentParser) -> None:
    """The options of ``atlas agreement``."""
    add_languages(parser, default=STUDY)
    add_lape_settings(parser)
    _add_active_share(parser)
    add_statistics(parser)


def run_agreement(args: argparse.Namespace) -> None:
    """Print how far every two methods agree."""
    stored = open_stored(args)
    table = stored.table()
    methods = [
        classes_by_lape(language_neurons(args, table)),
        _sharing(args, stored),
        classes_by_sets(top_neurons(table, top_rate=args.top_rate)),
    ]
    found = method_agreement(methods)
    rows: list[dict[str, Any]] = found.to_dict("records")
    if args.json:
        print_json(
            {
                **stored.head(),
                "settings": {
                    **_lape_settings(args),
                    "active_share": args.active_share,
                },
                "languages": stored.codes,
                "methods": [each.method for each in methods],
                "agreement": rows,
            }
        )
        return
    print_table(
        ("methods", "class", "jaccard", "by chance", "both", "first", "second"),
        [
            (
                f"{row['first']}, {row['second']}",
                row["class"],
                decimal(row["jaccard"]),
                decimal(row["chance"]),
                *(f"{row[column]:,}" for column in ("both", "a", "b")),
            )
            for row in rows
        ],
    )
    print(f"\n{count(len(stored.codes), 'language')}; {stored.sentence()}")
