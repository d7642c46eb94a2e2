"""``evaluate --perturb``: the same items with typos and the like, and what each route loses."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from bridgex_core.cli.output import decimal, print_table
from bridgex_core.cli.parser import Arguments
from bridgex_core.errors import InputError
from bridgex_core.evaluation import Evaluation
from bridgex_core.findings import MEASURES
from bridgex_core.languages import Register
from bridgex_core.perturbations import PERTURBATIONS, named_perturbations
from bridgex_core.robustness import Perturbed, drops
from bridgex_core.study import Evaluations
from bridgex_core.xicl import Route

ALL = "all"


def add_perturb(parser: Arguments) -> None:
    """--perturb."""
    parser.add_argument(
        "--perturb",
        type=_perturbations,
        default=(),
        metavar="A,B,…",
        help=f"the same once more on perturbed items, and what each route loses: "
        f"{', '.join(PERTURBATIONS)}; `all` for all of them (default: none)",
    )


def _perturbations(text: str) -> tuple[str, ...]:
    try:
        return PERTURBATIONS if text == ALL else named_perturbations(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def robustness(
    forms: Perturbed,
    kept: Evaluations,
    routes: Sequence[Route],
    clean: Evaluation,
    ranking: str,
) -> list[dict[str, Any]]:
    """The drops by the task's own measure, then by ranks where there are any."""
    found = {kind: kept.evaluation(tasks, routes) for kind, tasks in forms.tasks.items()}
    whole = {kind: evaluation for kind, evaluation in found.items() if evaluation is not None}
    rows: list[dict[str, Any]] = []
    for measure, by in ((clean.measure, None), ("mrr", ranking)):
        table = drops(clean, whole, forms.changed, ranking=by).astype(object)
        for row in table.where(table.notna(), None).to_dict("records"):
            ends = {"bridge": row["bridge"] or None, "route": row["route"].split()}
            rows.append({"measure": measure, **row, **ends})
    return rows


def print_drops(rows: Sequence[dict[str, Any]], forms: Perturbed, register: Register) -> None:
    """A table a measure, and what changes nothing."""
    for measure in dict.fromkeys(row["measure"] for row in rows):
        print(f"\nDrop in {MEASURES[measure]}, over the {forms.noun}s that change")
        header = ["perturbation", "route", f"{forms.noun}s", "clean", "perturbed", "drop"]
        header += ["95 % interval", "p (Holm)", "against direct", "95 % interval"]
        print_table(header, [_cells(row) for row in rows if row["measure"] == measure])
    if told := forms.idle_in_words(register):
        print(f"\n{told}")


def _cells(row: dict[str, Any]) -> list[str]:
    against = ["", ""]
    if row["against_direct"] is not None:
        ends = (row["against_low"], row["against_high"])
        against = [decimal(row["against_direct"]), " to ".join(map(decimal, ends))]
    return [
        row["perturbation"],
        " → ".join(row["route"]),
        str(row["items"]),
        *(decimal(row[name]) for name in ("clean", "perturbed", "drop")),
        f"{decimal(row['low'])} to {decimal(row['high'])}",
        decimal(row["p_holm"]),
        *against,
    ]
