"""``typology``: how a spectrum agrees with what linguists know of the languages."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from bridgex_core.cli.output import decimal, print_json, print_table
from bridgex_core.cli.parser import add_common
from bridgex_core.cli.spectrum import add_settings, measure
from bridgex_core.similarity import correlate
from bridgex_core.typology import TYPOLOGY_KINDS, typology_similarity

ALL = "all"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--kind, the settings of the spectrum, and the common options."""
    parser.add_argument(
        "--kind",
        choices=(*TYPOLOGY_KINDS, ALL),
        default=ALL,
        help="the similarity of URIEL+ to compare with (default: %(default)s)",
    )
    add_settings(parser)
    add_common(parser)


def run(args: argparse.Namespace) -> None:
    """Print Spearman's rho with its interval and the Mantel test, for each kind."""
    measured = measure(args)
    matrix = measured.matrix
    found = {
        kind: correlate(matrix.values, typology_similarity(kind, matrix.languages), seed=args.seed)
        for kind in (TYPOLOGY_KINDS if args.kind == ALL else (args.kind,))
    }
    if args.json:
        kinds = {kind: asdict(correlation) for kind, correlation in found.items()}
        print_json(
            {**measured.head(), "languages": matrix.languages, "seed": args.seed, "kinds": kinds}
        )
        return
    header = ("kind", "rho", "95 % interval", "Mantel p", "languages", "pairs")
    rows = [
        (
            kind,
            decimal(one.rho),
            f"{decimal(one.low)} to {decimal(one.high)}",
            decimal(one.p_value, 4),
            str(one.languages),
            str(one.pairs),
        )
        for kind, one in found.items()
    ]
    print_table(header, rows)
