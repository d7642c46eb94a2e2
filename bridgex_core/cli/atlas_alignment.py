"""``atlas alignment``: how alike parallel text looks inside the model."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from bridgex_core.alignment import (
    MEASURES,
    AlignmentMatrix,
    alignment_matrix,
    collect_states,
    neuron_states,
    stored_states,
)
from bridgex_core.atlas import alignment_by_layer
from bridgex_core.cli.atlas_statistics import (
    Stored,
    add_statistics,
    open_stored,
    open_working,
)
from bridgex_core.cli.output import decimal, print_json, print_table
from bridgex_core.cli.parser import add_device, add_job, add_layers
from bridgex_core.cli.workspace import (
    STUDY,
    Report,
    add_languages,
    reporting,
    stoppable,
)
from bridgex_core.models import load_quietly
from bridgex_core.neurons import layer_band
from bridgex_core.store import open_store


def add_alignment(parser: argparse.ArgumentParser) -> None:
    """The options of ``atlas alignment``."""
    add_languages(parser, default=STUDY)
    parser.add_argument(
        "--measure",
        choices=MEASURES,
        default=MEASURES[0],
        help="compare neuron states, from stored statistics, or hidden states, which are recorded "
        "first where they are not stored (default: %(default)s)",
    )
    add_layers(parser, (0.0, 1.0))
    add_statistics(parser)
    add_device(parser)
    add_job(parser)


def run_alignment(args: argparse.Namespace) -> None:
    """Print the alignment of every two languages, all layers together, and by layer."""
    with reporting(args, open_store(args.store)) as (report, cancelled):
        stored = _open_states(args) if args.measure == "hidden" else open_stored(args)
        found = _alignment(args, stored, report, cancelled)
    by_layer = alignment_by_layer(found)
    if args.json:
        print_json(
            {
                **stored.head(),
                "measure": found.measure,
                "languages": found.languages,
                "layers": found.layers,
                "values": found.values,
                "pooled": found.pooled,
                "blocks": found.blocks,
                "chance": found.chance,
                "by_layer": by_layer.to_dict("records"),
            }
        )
        return
    rows = zip(found.languages, found.pooled, strict=True)
    print_table(
        ("", *found.languages),
        [(code, *(decimal(value).rjust(8) for value in row)) for code, row in rows],
    )
    print()
    print_table(
        ("layer", "mean", "by chance"),
        [
            (str(layer), decimal(mean), decimal(chance))
            for layer, mean, chance in zip(
                by_layer["layer"], by_layer["mean"], by_layer["chance"], strict=True
            )
        ],
    )
    what = {"states": "neuron states", "hidden": "hidden states"}[found.measure]
    print(
        f"\nShare of blocks aligned, {what}, layers {found.layers.start} to "
        f"{found.layers.stop - 1} together; {stored.sentence()}"
    )


def _open_states(args: argparse.Namespace) -> Stored:
    """The languages whose hidden states are asked for, which need no statistics."""
    stored = open_working(args, "Alignment")
    if stored.collection.source.layers:
        layer_band(stored.collection.source.layers, args.layers)
    return stored


def _alignment(
    args: argparse.Namespace,
    stored: Stored,
    report: Report,
    cancelled: Callable[[], bool] | None,
) -> AlignmentMatrix:
    store, collection, codes = stored.workspace.store, stored.collection, stored.codes
    if args.measure == "states":
        states = neuron_states(store, collection, codes)
        return alignment_matrix(states, args.measure, args.layers)
    if len(stored_states(store, collection, codes)) < len(codes):
        model = load_quietly(collection.source, collection.dtype, args.device)
        with stoppable():
            collect_states(store, model, collection, codes, report=report, cancelled=cancelled)
    states = stored_states(store, collection, codes)
    return alignment_matrix(states, args.measure, args.layers)
