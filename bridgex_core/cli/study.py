"""``study``: word translation for several pairs of languages, directly and through bridges."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

from bridgex_core.cli.backends import Results, add_backend, choose_backend
from bridgex_core.cli.evaluate import (
    PAPER,
    SAME_SEEDS,
    add_ranking,
    add_size,
    named_bridges,
    readable,
    table_rows,
)
from bridgex_core.cli.output import print_json, print_table
from bridgex_core.cli.parser import add_common, add_job, whole_number
from bridgex_core.cli.workspace import reporting
from bridgex_core.errors import InputError
from bridgex_core.findings import bridged, in_words
from bridgex_core.languages import Register
from bridgex_core.store import open_store
from bridgex_core.study import Study, study_table, to_latex
from bridgex_core.tasks import require_route
from bridgex_core.text_files import write_file
from bridgex_core.user_files import user_register
from bridgex_core.xicl import Route

ALL = "all"
MEASURES = ("accuracy", "mrr")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which pairs, where to write the table, and the common options."""
    parser.add_argument(
        "--pairs",
        metavar="A:B,…",
        default=ALL,
        help="pairs such as ind_Latn:heb_Hebr,eng_Latn:swh_Latn; `all` stands for the 15 of the "
        "study that ships (default: %(default)s)",
    )
    parser.add_argument(
        "--bridges",
        metavar="A,B,…",
        default=PAPER,
        help="bridges, for each pair those that are neither source nor target; `paper` stands for "
        "the paper's six (default: %(default)s)",
    )
    add_size(parser)
    parser.add_argument(
        "--shots",
        type=whole_number,
        default=Study.shots,
        metavar="N",
        help="demonstrations above every word (default: %(default)s)",
    )
    add_ranking(parser)
    parser.add_argument("--csv", metavar="FILE", help="write a row a pair and route")
    parser.add_argument(
        "--latex", metavar="FILE", help="write the gains as two tables, by accuracy and by rank"
    )
    add_backend(parser)
    add_job(parser)
    add_common(parser)


def run(args: argparse.Namespace) -> None:
    """Compute what is missing, and print or write a row a pair and route."""
    began = time.monotonic()
    store = open_store(args.store)
    with reporting(args, store) as (report, cancelled):
        register = user_register(store)
        study = _study(args, register)
        work = study.work(register)
        for task, route in work:
            require_route(task, route)
        results = Results(args, store, choose_backend(args, store))
        found = study.results(results.complete(work, report, cancelled), register)
    table = study_table(found, args.ranking.replace("-", " "))
    measures = [name for name in MEASURES if name in table]
    if args.csv:
        write_file(Path(args.csv), table.to_csv(index=False).encode())
    if args.latex:
        parts = [f"% {name}\n{to_latex(table, name)}" for name in measures]
        write_file(Path(args.latex), "\n".join(parts).encode())
    words = [in_words(bridged(table, name), name, register) for name in measures]
    if args.json:
        print_json(
            {
                "model": results.title,
                "items": study.items,
                "shots": study.shots,
                "seeds": study.seeds,
                "ranking": args.ranking,
                "no_ranks": results.no_scores,
                "rows": table_rows(table),
                "in_words": words,
                "seconds": round(time.monotonic() - began, 3),
            }
        )
        return
    print_table(*readable(table, "accuracy"))
    for sentence in words:
        print(f"\n{sentence}")


def _study(args: argparse.Namespace, register: Register) -> Study:
    """The study that ships, or the part of it that was asked for."""
    study = Study(items=args.items, shots=args.shots, seeds=args.seed)
    if args.pairs != ALL:
        pairs = tuple(_pair(text, register) for text in args.pairs.split(","))
        if len(set(pairs)) < len(pairs):
            raise InputError("--pairs names a pair twice.")
        study = replace(study, only=pairs)
    if args.bridges != PAPER:
        study = replace(study, bridges=named_bridges(args, register))
    if len(study.seeds) > 1 and not study.shots:
        raise InputError(SAME_SEEDS)
    return study


def _pair(text: str, register: Register) -> tuple[str, str]:
    source, colon, target = text.partition(":")
    if not colon:
        raise InputError(f"'{text}' is no pair: write it such as ind_Latn:heb_Hebr.")
    route = Route.of(register.resolve(source), register.resolve(target))
    return route.source.code, route.target.code
