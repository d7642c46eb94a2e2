"""``spectrum``: the overlap of languages' neurons, from stored statistics."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridgex_core.activations import ActivationStats
from bridgex_core.cli import collect
from bridgex_core.cli.imports import add_imported, open_imported
from bridgex_core.cli.output import decimal, print_json, print_table
from bridgex_core.cli.parser import (
    add_common,
    add_corpus,
    add_dtype,
    add_layers,
    add_model,
    add_neuron_sets,
    add_seed,
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
from bridgex_core.collection import Collection, missing, stored_statistics
from bridgex_core.errors import InputError
from bridgex_core.languages import Language
from bridgex_core.neurons import TIES, ActivationTable, NeuronSets, layer_band, set_size
from bridgex_core.progress import terminal_reporter
from bridgex_core.spectrum import (
    DEFAULT,
    METRICS,
    ORDERINGS,
    Ordering,
    OverlapMatrix,
    Reliability,
    SpectrumSettings,
    order_languages,
    spectrum,
    spectrum_of_sets,
    split_half,
)
from bridgex_core.store import open_store
from bridgex_core.text_files import write_file
from bridgex_core.user_files import user_register

GIVEN = "given"
HALVES = 2  # blocks that are kept of a language: totals and the split in halves need no more


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The settings, the order, the files to write, and the common options."""
    add_settings(parser)
    parser.add_argument(
        "--order",
        choices=(*ORDERINGS, GIVEN),
        default="clustering",
        help="order of the languages in every output (default: %(default)s)",
    )
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the matrix")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the heatmap as a page")
    parser.add_argument(
        "--graphml",
        type=Path,
        metavar="FILE",
        help="write the graph of the languages, cut at the highest threshold that connects them",
    )
    add_common(parser)


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Which statistics, and how a spectrum is read off them; `measure` reads these arguments."""
    add_languages(parser, default=STUDY)
    settings = parser.add_argument_group("settings")
    settings.add_argument(
        "--metric",
        choices=METRICS,
        default=DEFAULT.metric,
        help="what a cell is (default: %(default)s)",
    )
    add_neuron_sets(settings, DEFAULT.selection, DEFAULT.top_rate)
    add_layers(settings, DEFAULT.band)
    settings.add_argument(
        "--ties",
        choices=TIES,
        default=DEFAULT.ties,
        help="neurons at the threshold: break the tie by mean activation, or include them all "
        "(default: %(default)s)",
    )
    add_seed(settings)
    statistics = parser.add_argument_group("statistics")
    add_imported(statistics)
    add_model(statistics)
    add_corpus(statistics)
    add_dtype(statistics)
    statistics.add_argument(
        "--collect", action="store_true", help="compute what is not stored yet, then go on"
    )


def run(args: argparse.Namespace) -> None:
    """Print the matrix and write it to the files that were asked for."""
    measured = measure(args)
    ordering = (
        Ordering(tuple(range(len(measured.languages))))
        if args.order == GIVEN
        else order_languages(measured.matrix, measured.languages, args.order)
    )
    matrix = measured.matrix.reorder(ordering.order)
    if args.csv:
        write_file(args.csv, matrix.to_frame().to_csv().encode())
    if args.html:
        write_file(args.html, _page(measured, matrix, ordering))
    if args.graphml:
        write_file(args.graphml, _graph(matrix, args.seed))
    reliability = _reliability(measured)
    if args.json:
        print_json(
            {
                **measured.head(),
                "order": args.order,
                "languages": matrix.languages,
                "layers": matrix.layers,
                "values": matrix.values,
                "shared": matrix.shared,
                "sizes": matrix.sizes,
                "tokens": measured.tokens(matrix.languages),
                "reliability": None if reliability is None else vars(reliability),
            }
        )
    else:
        _print(measured, matrix, reliability)


@dataclass(frozen=True)
class Measured:
    """A spectrum with what it was computed from.

    Attributes
    ----------
    origin : the same as JSON; ``sentence`` for people.
    languages : in the order asked for.
    stats : their statistics; none of an import of neuron sets.
    matrix : the spectrum.
    """

    origin: Mapping[str, Any]
    sentence: str
    languages: tuple[Language, ...]
    stats: Mapping[str, ActivationStats]
    matrix: OverlapMatrix

    def tokens(self, codes: Sequence[str]) -> list[int] | None:
        """Tokens counted of each language, where that is known."""
        return [self.stats[code].tokens for code in codes] if self.stats else None

    def head(self) -> dict[str, Any]:
        """How it was made, as JSON."""
        settings = self.matrix.settings
        return {
            **self.origin,
            "settings": {
                "metric": settings.metric,
                "selection": settings.selection,
                "top_rate": settings.top_rate,
                "ties": settings.ties,
                "layers": settings.band,
            },
        }


def measure(args: argparse.Namespace) -> Measured:
    """The spectrum that the arguments of `add_settings` ask for.

    Raises
    ------
    InputError
        A setting out of range, or languages without statistics (with the command to run).
    """
    settings = SpectrumSettings(
        metric=args.metric,
        selection=args.selection,
        top_rate=args.top_rate,
        ties=args.ties,
        band=args.layers,
    )
    if args.imported is not None:
        return _measure_import(args, settings)
    workspace = open_workspace(args)
    languages = chosen_languages(args, workspace.register)
    _check(settings, languages, workspace)
    collection, stats = _statistics(args, workspace, [language.code for language in languages])
    origin = {
        "model": collection.source.name,
        "corpus": collection.corpus.name,
        "dtype": collection.dtype,
    }
    sentence = f"{collection.source.title} in {collection.dtype}, {collection.corpus.title}"
    matrix = spectrum(ActivationTable.of(stats), settings)
    return Measured(origin, sentence, languages, stats, matrix)


def _measure_import(args: argparse.Namespace, settings: SpectrumSettings) -> Measured:
    if args.collect:
        raise InputError("An import has no text to collect from: leave out --collect or --import.")
    found = open_imported(args)
    result, register = found.result, user_register(open_store(args.store))
    languages = tuple(register[code] for code in result.languages)
    if isinstance(result, NeuronSets):
        matrix = spectrum_of_sets(result, settings)
        return Measured(found.head(), found.sentence(), languages, {}, matrix)
    matrix = spectrum(result, settings)
    return Measured(found.head(), found.sentence(), languages, result.statistics(), matrix)


def _check(settings: SpectrumSettings, languages: Sequence[Language], workspace: Workspace) -> None:
    """Refuse before a long computation what would be refused after it."""
    if len(languages) < 2:
        raise InputError("A spectrum compares languages: name at least two.")
    if workspace.source.neurons:
        layer_band(workspace.source.layers, settings.band)
        set_size(workspace.source.neurons, settings.top_rate)


def _statistics(
    args: argparse.Namespace, workspace: Workspace, codes: Sequence[str]
) -> tuple[Collection, dict[str, ActivationStats]]:
    """Statistics of every language, collected first if that was asked for."""
    dtype = asked_dtype(args, workspace.source)
    collection = workspace.stored_collection(dtype, codes)
    if args.collect and missing(workspace.store, collection, codes):
        collection = workspace.working_collection(dtype, codes)
        collect.compute(workspace, collection, codes, report=terminal_reporter(sys.stderr))
    stats = {
        code: one.fold(HALVES)
        for wanted in codes  # one at a time, since whole they take much memory
        for code, one in stored_statistics(workspace.store, collection, [wanted]).items()
    }
    lacking = tuple(code for code in codes if code not in stats)
    if lacking:
        command = collect_command(args, lacking, collection.dtype if stats else args.dtype)
        raise InputError(
            f"There are no statistics of {', '.join(lacking)} yet: run `{command}`, or add "
            "--collect."
        )
    return collection, stats


def _reliability(measured: Measured) -> Reliability | None:
    """Split-half reliability; None where the texts cannot be halved."""
    if not measured.stats:
        return None
    try:
        return split_half(measured.stats, measured.matrix.settings)
    except InputError:
        return None


def _page(measured: Measured, matrix: OverlapMatrix, ordering: Ordering) -> bytes:
    """The heatmap as HTML."""
    from bridgex_core import figures

    languages = [measured.languages[i] for i in ordering.order]
    figure = figures.spectrum_heatmap(matrix, languages, tree=ordering.tree)
    return figures.to_html(figure, "BridgeX Explorer").encode()


def _graph(matrix: OverlapMatrix, seed: int) -> bytes:
    """The languages as GraphML."""
    from bridgex_core.language_graph import graphml, language_graph, suggested_threshold

    threshold = suggested_threshold(matrix.values)
    return graphml(language_graph(matrix.values, matrix.languages, threshold=threshold, seed=seed))


def _print(measured: Measured, matrix: OverlapMatrix, reliability: Reliability | None) -> None:
    places = 0 if matrix.settings.metric == "count" else 3
    rows = [
        (code, *(decimal(value, places).rjust(8) for value in row))
        for code, row in zip(matrix.languages, matrix.values, strict=True)
    ]
    print_table(("", *matrix.languages), rows)
    settings = matrix.settings
    chosen = f"{settings.selection} neurons, top rate {settings.top_rate:g}, "
    print(
        f"\n{settings.metric}, {chosen if measured.stats else ''}"
        f"layers {matrix.layers.start} to {matrix.layers.stop - 1}; {measured.sentence}"
    )
    if reliability is not None:
        print(
            f"Split-half reliability {decimal(reliability.rho)}; "
            f"{decimal(reliability.corrected)} for the whole text (Spearman-Brown)"
        )
