"""``similarity``: the HSIC similarity of languages, concept by concept."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path

from bridgex_core.bridge_sets import BAND
from bridgex_core.cli.output import count, decimal, print_json, print_table, tell
from bridgex_core.cli.parser import add_common, add_layers, add_neuron_sets, add_seed, add_work
from bridgex_core.cli.workspace import (
    STUDY,
    Report,
    Workspace,
    add_languages,
    asked_dtype,
    chosen_languages,
    open_workspace,
    reporting,
    stoppable,
)
from bridgex_core.collection import Collection, collect_languages, missing, stored_table
from bridgex_core.concepts import (
    CONCEPTS,
    ConceptProbe,
    ConceptSimilarity,
    concept_similarity,
    keep_similarity,
    record_concepts,
    stored_concepts,
    stored_similarity,
)
from bridgex_core.errors import InputError
from bridgex_core.language_graph import graphml, language_graph, suggested_threshold
from bridgex_core.models import load_quietly
from bridgex_core.neurons import layer_band, set_size
from bridgex_core.progress import stage
from bridgex_core.spectrum import PAPER, SpectrumSettings, select
from bridgex_core.store import Store, open_store
from bridgex_core.text_files import write_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The languages, the settings, the files to write, the model, and the common options."""
    add_languages(parser, default=STUDY)
    add_layers(parser, BAND)
    add_neuron_sets(parser, PAPER.selection, PAPER.top_rate)
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the matrix")
    parser.add_argument(
        "--graphml",
        type=Path,
        metavar="FILE",
        help="write the graph of the languages, cut at the highest threshold that connects them",
    )
    add_seed(parser)
    add_work(parser)
    add_common(parser)


def run(args: argparse.Namespace) -> None:
    """Record what is missing, print the matrix and write it to the files that were asked for."""
    store = open_store(args.store)
    with reporting(args, store) as (report, cancelled):
        workspace = open_workspace(args)
        codes = [language.code for language in chosen_languages(args, workspace.register)]
        _check(args, codes, workspace)
        dtype = asked_dtype(args, workspace.source)
        collection = workspace.working_collection(dtype, codes, args.device)
        probe = ConceptProbe(collection.source, collection.dtype, register=workspace.register)
        for code in codes:
            probe.prompts(code)  # refuses a language without words before anything is computed
        with stoppable():
            _complete(workspace, collection, probe, codes, args.device, report, cancelled)
        found = _similarity(args, store, collection, probe, codes)
    if args.csv:
        write_file(args.csv, found.to_frame().to_csv().encode())
    if args.graphml:
        threshold = suggested_threshold(found.values)
        graph = language_graph(found.values, codes, threshold=threshold, seed=args.seed)
        write_file(args.graphml, graphml(graph))
    if args.json:
        print_json(
            {
                "model": collection.source.name,
                "corpus": collection.corpus.name,
                "dtype": collection.dtype,
                "settings": {"selection": args.selection, "top_rate": args.top_rate},
                "languages": found.languages,
                "layers": found.layers,
                "values": found.values,
                "concepts": found.concepts,
                "neurons": found.neurons,
            }
        )
    else:
        _print(found, collection)


def _check(args: argparse.Namespace, codes: Sequence[str], workspace: Workspace) -> None:
    """Refuse before a long computation what would be refused after it."""
    if len(codes) < 2:
        raise InputError("A similarity compares languages: name at least two.")
    if workspace.source.neurons:
        layer_band(workspace.source.layers, args.layers)
        set_size(workspace.source.neurons, args.top_rate)


def _complete(
    workspace: Workspace,
    collection: Collection,
    probe: ConceptProbe,
    codes: Sequence[str],
    device: str | None,
    report: Report,
    cancelled: Callable[[], bool] | None,
) -> None:
    """Compute the missing statistics and concept activations into the store."""
    store = workspace.store
    load = cache(partial(load_quietly, collection.source, collection.dtype, device))
    unread = missing(store, collection, codes)
    unnamed = [code for code in codes if not store.has(CONCEPTS, probe.key(code))]
    needs = {"statistics": unread, "concepts": unnamed}
    lacking = [f"{need} of {count(len(of), 'language')}" for need, of in needs.items() if of]
    if lacking:
        tell(f"To compute first: {', '.join(lacking)}.")
    if unread:
        told = stage(report, 0, len(lacking))
        collect_languages(store, load(), collection, unread, report=told, cancelled=cancelled)
    if unnamed:
        told = stage(report, len(lacking) - 1, len(lacking))
        record_concepts(store, load(), probe, unnamed, report=told, cancelled=cancelled)


def _similarity(
    args: argparse.Namespace,
    store: Store,
    collection: Collection,
    probe: ConceptProbe,
    codes: Sequence[str],
) -> ConceptSimilarity:
    """The matrix: kept by the paper's neuron sets, else computed."""
    sets = SpectrumSettings(selection=args.selection, top_rate=args.top_rate)
    corpus = collection.corpus.name
    if sets == PAPER:
        kept = stored_similarity(store, probe, codes, args.layers, corpus=corpus)
        if kept is not None:
            return kept
    table = stored_table(store, collection, codes)
    found = concept_similarity(stored_concepts(store, probe, select(table, sets)), args.layers)
    if sets == PAPER:
        keep_similarity(store, probe, found, corpus=corpus)
    return found


def _print(found: ConceptSimilarity, collection: Collection) -> None:
    rows = [
        (code, *(decimal(value).rjust(8) for value in row))
        for code, row in zip(found.languages, found.values, strict=True)
    ]
    print_table(("", *found.languages), rows)
    print(
        f"\nHSIC similarity (CKA), layers {found.layers.start} to {found.layers.stop - 1}; "
        f"{collection.source.title} in {collection.dtype}, {collection.corpus.title}"
    )
