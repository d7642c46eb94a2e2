"""``atlas lens``: what each layer would say."""

from __future__ import annotations

import argparse
from typing import Any

from bridgex_core.cli.output import print_json, print_table
from bridgex_core.cli.parser import add_device, add_dtype, add_model, whole_number
from bridgex_core.cli.workspace import asked_dtype, named_languages, open_source
from bridgex_core.lens import Lens, logit_lens, share_by_layer
from bridgex_core.models import load_quietly, resolve_dtype
from bridgex_core.store import open_store
from bridgex_core.user_files import user_register


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
