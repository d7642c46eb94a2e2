"""``atlas detection``: the neurons of highest impact against the most active ones."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import cache, partial

from bridgex_core.cli.atlas_statistics import Stored, open_working
from bridgex_core.cli.output import count, decimal, print_json, print_table, tell
from bridgex_core.cli.parser import add_work
from bridgex_core.cli.workspace import (
    STUDY,
    Report,
    add_languages,
    reporting,
    require_installed,
    stoppable,
)
from bridgex_core.collection import available, collect_languages
from bridgex_core.detection import (
    Detection,
    collect_impacts,
    detect,
    stored_impacts,
    without_impacts,
)
from bridgex_core.models import load_quietly
from bridgex_core.neurons import set_size
from bridgex_core.progress import stage
from bridgex_core.spectrum import spectrum_of_sets
from bridgex_core.store import open_store


def add_detection(parser: argparse.ArgumentParser) -> None:
    """The options of ``atlas detection``."""
    add_languages(parser, default=STUDY)
    parser.add_argument(
        "--top-rate",
        type=float,
        default=0.01,
        metavar="SHARE",
        help="share of all neurons that each language gets, by impact and by activation "
        "probability (default: %(default)s)",
    )
    add_work(parser)


def run_detection(args: argparse.Namespace) -> None:
    """Record what is missing, and print how far the sets by impact and by activation agree."""
    store = open_store(args.store)
    with reporting(args, store) as (report, cancelled):
        stored = _opened(args)
        with stoppable():
            _complete(stored, args.device, report, cancelled)
        impacts = stored_impacts(store, stored.collection, stored.codes)
        found = detect(impacts, stored.table(), args.top_rate)
    if not args.json:
        _print(found, stored)
        return
    frame, layers = found.to_frame(), found.by_layer()
    shape = found.spearman.shape
    by_layer = layers.drop(columns=["language", "layer"])
    print_json(
        {
            **stored.head(),
            "settings": {"top_rate": args.top_rate},
            "languages": found.languages,
            "tokens": impacts.tokens,
            **{name: frame[name] for name in frame.columns.drop("language")},
            "layers": range(shape[1]),
            "by_layer": {name: by_layer[name].to_numpy().reshape(shape) for name in by_layer},
            "overlap": {
                "impact": spectrum_of_sets(found.impact).values,
                "active": spectrum_of_sets(found.active).values,
            },
        }
    )


def _opened(args: argparse.Namespace) -> Stored:
    """What is asked for; refused before a long computation if it would be refused after it."""
    stored = open_working(args, "Detection")
    if stored.collection.source.neurons:
        set_size(stored.collection.source.neurons, args.top_rate)
    return stored


def _complete(
    stored: Stored, device: str | None, report: Report, cancelled: Callable[[], bool] | None
) -> None:
    """Compute the missing statistics and impacts into the store."""
    store, collection = stored.workspace.store, stored.collection
    there = set(available(store, collection))
    lacking = {
        "statistics": [code for code in stored.codes if code not in there],
        "impacts": without_impacts(store, collection, stored.codes),
    }
    work = {"statistics": collect_languages, "impacts": collect_impacts}
    todo: dict[str, Sequence[str]] = {what: codes for what, codes in lacking.items() if codes}
    if not todo:
        return
    require_installed(collection.source)
    needs = [f"{what} of {count(len(codes), 'language')}" for what, codes in todo.items()]
    tell(f"To compute first: {', '.join(needs)}.")
    load = cache(partial(load_quietly, collection.source, collection.dtype, device))
    for number, (what, codes) in enumerate(todo.items()):
        told = stage(report, number, len(todo))
        work[what](store, load(), collection, codes, report=told, cancelled=cancelled)


def _print(found: Detection, stored: Stored) -> None:
    print_table(
        ("language", "neurons", "specific", "shared", "jaccard", "by chance", "spearman"),
        [
            (
                row["language"],
                *(f"{row[name]:,}" for name in ("neurons", "specific", "shared")),
                *(decimal(row[name]) for name in ("jaccard", "chance", "spearman")),
            )
            for row in found.to_frame().to_dict("records")
        ],
    )
    print(
        "\nNeurons of highest impact: in no other language's set, in all; Jaccard with the most "
        f"active ones; mean Spearman within layers. {stored.sentence()}"
    )
