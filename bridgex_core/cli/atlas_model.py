"""The analyses of ``atlas`` that run the model: the lens and interventions."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from bridgex_core.cli.atlas_statistics import (
    METHODS,
    Stored,
    add_lape_settings,
    add_statistics,
    language_sets,
    open_stored,
)
from bridgex_core.cli.output import decimal, print_json, print_table
from bridgex_core.cli.parser import add_device, add_dtype, add_model, add_seed, whole_number
from bridgex_core.cli.workspace import (
    add_languages,
    asked_dtype,
    named_languages,
    open_source,
    resolve_dtype,
)
from bridgex_core.errors import InputError
from bridgex_core.interventions import ACTIONS, Intervention
from bridgex_core.lens import Lens, logit_lens, share_by_layer
from bridgex_core.models import load_quietly
from bridgex_core.neuron_files import load_import
from bridgex_core.neurons import ActivationTable, NeuronSets
from bridgex_core.perplexity import PerplexityChange, perplexity_matrix
from bridgex_core.progress import Progress, terminal_reporter
from bridgex_core.store import open_store
from bridgex_core.user_files import user_register

STRENGTHS = {"zero": 1.0, "scale": 2.0, "replace": 1.0}
"""The strength of each action where none is given."""

# ---- The lens ----------------------------------------------------------------------------------


def add_lens(parser: argparse.ArgumentParser) -> None:
    """The options of ``atlas lens``."""
    parser.add_argument("--prompt", required=True, metavar="TEXT", help="what the model reads")
    parser.add_argument(
        "--top",
        type=whole_number,
        default=5,
        metavar="N",
        help="words kept of each layer (default: %(default)s)",
    )
    parser.add_argument(
        "--languages",
        metavar="A,B,…",
        help="languages that take part: a script that only one of them is written in counts as its",
    )
    add_model(parser)
    add_dtype(parser)
    add_device(parser)


def run_lens(args: argparse.Namespace) -> None:
    """Print what every layer would say after the prompt."""
    store = open_store(args.store)
    register = user_register(store)
    languages = named_languages(args.languages, "--languages", register) if args.languages else ()
    codes = [language.code for language in languages]
    source = open_source(args, store)
    dtype = resolve_dtype(asked_dtype(args, source), source, args.device)
    lens = logit_lens(load_quietly(source, dtype, args.device), args.prompt, top=args.top)
    if not args.json:
        _print_lens(lens, f"{source.title} in {dtype}")
        return
    print_json(
        {
            "model": source.name,
            "dtype": dtype,
            "prompt": lens.prompt,
            "languages": codes,
            "tokens": lens.tokens,
            "skipped": lens.skipped,
            "levels": [
                [_says(lens, level, place) for place in range(len(lens.tokens))]
                for level in range(lens.levels)
            ],
            "shares": share_by_layer(lens, codes).to_dict("records"),
        }
    )


def _says(lens: Lens, level: int, place: int) -> list[dict[str, Any]]:
    """The words of one level at one position, best first."""
    words = zip(
        lens.top_tokens[level, place],
        lens.probabilities[level, place],
        lens.scripts[level, place],
        strict=True,
    )
    return [
        {"token": token, "probability": probability, "script": script}
        for token, probability, script in words
    ]


def _print_lens(lens: Lens, how: str) -> None:
    rows = []
    for level in range(lens.levels):
        words = _says(lens, level, len(lens.tokens) - 1)
        told = (f"{word['token']!r} {word['probability']:.2f} {word['script']}" for word in words)
        rows.append((str(level), "  ".join(told)))
    print_table(("layer", "would say next"), rows)
    print(f"\nAfter the whole prompt; 0 is the embedding, the last what the model says; {how}")


# ---- Interventions -----------------------------------------------------------------------------


def add_intervene(parser: argparse.ArgumentParser) -> None:
    """The options of ``atlas intervene``."""
    add_languages(parser, default=None)
    neurons = parser.add_argument_group("neurons")
    neurons.add_argument(
        "--method",
        choices=METHODS,
        default=METHODS[0],
        help="whose neurons: LAPE's, or the most active ones (default: %(default)s)",
    )
    neurons.add_argument(
        "--sets", metavar="NAME", help="the neuron sets of this import instead, see `atlas import`"
    )
    add_lape_settings(parser)
    change = parser.add_argument_group("change")
    change.add_argument(
        "--action",
        choices=ACTIONS,
        default=ACTIONS[0],
        help="what is done to the neurons (default: %(default)s)",
    )
    change.add_argument(
        "--strength",
        type=float,
        metavar="X",
        help="the factor of scale (2 if left out), or how far replace goes (1, all of the way)",
    )
    change.add_argument(
        "--mean",
        metavar="LANGUAGE",
        help="whose mean activation replace puts in place (default: the first of --languages)",
    )
    parser.add_argument(
        "--tokens",
        type=whole_number,
        default=300,
        metavar="N",
        help="tokens of each language's text to read (default: %(default)s)",
    )
    add_seed(parser)
    add_statistics(parser)
    add_device(parser)


def run_intervene(args: argparse.Namespace) -> None:
    """Print how perplexity moves with each language's neurons changed, and random ones."""
    stored = open_stored(args)
    table = stored.table()
    sets = _sets(args, stored, table)
    strength = STRENGTHS[args.action] if args.strength is None else args.strength
    mean = _mean(args, stored)
    changes = {
        code: (
            Intervention.by_mean(mask, table, mean, strength=strength)
            if mean is not None
            else Intervention(mask, args.action, strength)
        )
        for code, mask in zip(sets.languages, sets.masks, strict=True)
    }
    began = time.monotonic()
    found = _matrix(args, stored, changes, np.any(table.counts > 0, axis=0))
    if not args.json:
        _print_change(found, f"{args.action}; {stored.sentence()}")
        return
    settings = {
        "method": None if args.sets else args.method,
        "sets": args.sets,
        "top_rate": None if args.sets else args.top_rate,
        "action": args.action,
        "strength": None if args.action == "zero" else strength,
        "mean": mean,
        "tokens": args.tokens,
        "seed": args.seed,
    }
    print_json(
        {
            **stored.head(),
            "settings": settings,
            "sets": found.sets,
            "sizes": found.sizes,
            "languages": found.languages,
            "tokens": found.tokens,
            "plain": found.plain,
            "changed": found.changed,
            "control": found.control,
            "change": found.change,
            "control_change": found.control_change,
            "seconds": round(time.monotonic() - began, 3),
        }
    )


def _sets(args: argparse.Namespace, stored: Stored, table: ActivationTable) -> NeuronSets:
    """The neurons to change, of each of the languages."""
    if args.sets is None:
        return language_sets(args, table)
    sets = load_import(stored.workspace.store, args.sets).result
    if not isinstance(sets, NeuronSets):
        raise InputError(f"The import '{args.sets}' holds activation statistics, no neuron sets.")
    lacking = [code for code in stored.codes if code not in sets.languages]
    if lacking:
        raise InputError(
            f"The import '{args.sets}' has no sets of {', '.join(lacking)}, only of "
            f"{', '.join(sets.languages)}."
        )
    rows = [sets.languages.index(code) for code in stored.codes]
    return NeuronSets(stored.codes, sets.masks[rows], sets.tied[rows], sets.tied_in[rows])


def _mean(args: argparse.Namespace, stored: Stored) -> str | None:
    """The language whose means replace the activations; None for other actions."""
    if args.action != "replace":
        if args.mean is not None:
            raise InputError("--mean says what is put in place: give --action replace with it.")
        return None
    if args.mean is None:
        return stored.codes[0]
    code = stored.workspace.register.resolve(args.mean).code
    if code not in stored.codes:
        raise InputError(f"--mean names {code}, which is not among --languages: add it there.")
    return code


def _matrix(
    args: argparse.Namespace,
    stored: Stored,
    changes: Mapping[str, Intervention],
    alive: np.ndarray,
) -> PerplexityChange:
    if not args.tokens:
        raise InputError("Perplexity needs text: give at least one of --tokens.")
    collection = stored.collection
    model = load_quietly(collection.source, collection.dtype, args.device)
    passes = 1 + 2 * len(changes)
    total = args.tokens * len(stored.codes) * passes
    return perplexity_matrix(
        model,
        {code: collection.corpus.text(code).blocks for code in stored.codes},
        changes,
        tokens=args.tokens,
        alive=alive,
        seed=args.seed,
        progress=Progress(total, terminal_reporter(sys.stderr)),
    )


def _print_change(found: PerplexityChange, how: str) -> None:
    print_table(
        ("perplexity", *found.languages), [("plain", *(decimal(x, 2) for x in found.plain))]
    )
    for title, values in (("change", found.change), ("random sets", found.control_change)):
        rows = [
            (f"{name} ({size:,})", *(f"{x:+.2f}" for x in row))
            for name, size, row in zip(found.sets, found.sizes, values, strict=True)
        ]
        print()
        print_table((title, *found.languages), rows)
    print(f"\nRows: whose neurons are changed (how many); columns: whose text is read; {how}")
