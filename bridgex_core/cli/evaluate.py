"""``evaluate``: a task along several routes, item by item, tested against the direct one."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import Any

import pandas as pd

from bridgex_core.bli import Bli
from bridgex_core.cli.backends import Results, add_backend, choose_backend
from bridgex_core.cli.output import count, decimal, print_json, print_table
from bridgex_core.cli.parser import Arguments, add_common, add_job, whole_number
from bridgex_core.cli.robustness import add_perturb, print_drops, robustness
from bridgex_core.cli.workspace import reporting
from bridgex_core.errors import InputError
from bridgex_core.evaluation import RANKINGS, Evaluation
from bridgex_core.languages import Language, Register
from bridgex_core.lexicons import CLDR
from bridgex_core.prompts import ChainTemplate
from bridgex_core.robustness import Perturbed
from bridgex_core.store import open_store
from bridgex_core.study import BRIDGES
from bridgex_core.tasks import (
    TASKS,
    AnyTask,
    TaskTemplate,
    open_task,
    read_template,
    require_route,
)
from bridgex_core.user_files import user_register
from bridgex_core.xicl import Route

PAPER = "paper"
NONE = "none"
SAME_SEEDS = "Without demonstrations every seed gives the same: give one seed."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to evaluate, with what, and the common options."""
    parser.add_argument(
        "--task", choices=TASKS, default=TASKS[0], help="what to do (default: %(default)s)"
    )
    add_pair(parser)
    parser.add_argument(
        "--bridges",
        metavar="A,B,…",
        default=PAPER,
        help="bridges, one route each; `paper` stands for the paper's six without source and "
        "target, `none` for the direct route alone (default: %(default)s)",
    )
    add_size(parser)
    parser.add_argument(
        "--shots",
        type=whole_number,
        metavar="N",
        help="demonstrations above every item (default: 4 for bli, none for the others)",
    )
    parser.add_argument(
        "--data",
        metavar="PATH",
        help="the task's files, see docs/tasks.md (default: what ships with the product)",
    )
    parser.add_argument(
        "--lexicon",
        metavar="PATH",
        default=CLDR,
        help="the words of bli: cldr, or a file or folder of your own (default: %(default)s)",
    )
    parser.add_argument(
        "--template",
        metavar="TEXT|FILE",
        help="how a word is written down, such as '{language}: {text};'; for other tasks a JSON "
        "file with a text for every step",
    )
    add_ranking(parser)
    add_perturb(parser)
    add_backend(parser)
    add_job(parser)
    add_common(parser)


def add_pair(parser: Arguments) -> None:
    """--source and --target."""
    for name, what in (("source", "the items are in"), ("target", "the answers are to be in")):
        parser.add_argument(
            f"--{name}", metavar="LANGUAGE", required=True, help=f"the language that {what}"
        )


def add_size(parser: Arguments) -> None:
    """--items and --seed."""
    parser.add_argument(
        "--items",
        type=_at_least_one,
        default=100,
        metavar="N",
        help="how many items at most (default: %(default)s)",
    )
    parser.add_argument(
        "--seed",
        type=seeds,
        default=(0,),
        metavar="N[,N…]",
        help="seeds of the demonstrations, a run for each (default: 0)",
    )


def add_ranking(parser: Arguments) -> None:
    """--ranking."""
    parser.add_argument(
        "--ranking",
        choices=[name.replace(" ", "-") for name in RANKINGS],
        default=RANKINGS[0],
        help="candidates by log-probability, by that per token, or less that without the word "
        "(default: %(default)s)",
    )


def run(args: argparse.Namespace) -> None:
    """Compute what is missing, and print a row a route."""
    began = time.monotonic()
    store = open_store(args.store)
    with reporting(args, store) as (report, cancelled):
        register = user_register(store)
        tasks = opened_tasks(args, register)
        routes = chosen_routes(args, register)
        work = [(task, route) for route in routes for task in tasks]
        for task, route in work:
            require_route(task, route)
        forms = Perturbed.of(tasks, args.perturb)
        results = Results(args, store, choose_backend(args, store))
        if forms.tasks:
            work += forms.work(routes)
            results = results.uniform(work)
        kept = results.complete(work, report, cancelled)
        evaluation = kept.evaluation(tasks, routes)
    if evaluation is None:
        raise InputError("A result could not be kept in the store: see `models`, then try again.")
    ranking = args.ranking.replace("-", " ")
    table = evaluation.table(ranking)
    lost = robustness(forms, kept, routes, evaluation, ranking)
    if not args.json:
        _print(evaluation, table, results.title)
        print_drops(lost, forms, register)
        return
    print_json(
        {
            "task": evaluation.task,
            "measure": evaluation.measure,
            "model": results.title,
            "source": tasks[0].source,
            "target": tasks[0].target,
            "items": len(evaluation.items),
            "shots": tasks[0].shots,
            "seeds": args.seed,
            "ranking": args.ranking,
            "no_ranks": results.no_scores,
            "routes": [
                {**row, **_changed(evaluation, number)}
                for number, row in enumerate(table_rows(table))
            ],
            **({"robustness": lost, "unchanged_by": forms.idle} if args.perturb else {}),
            "seconds": round(time.monotonic() - began, 3),
        }
    )


def opened_tasks(args: argparse.Namespace, register: Register) -> list[AnyTask]:
    """One a seed.

    Raises
    ------
    InputError
        Several seeds where nothing is drawn, or what the task refuses.
    """
    tasks = [
        open_task(
            args.task,
            args.source,
            args.target,
            data=args.data,
            items=args.items,
            shots=args.shots,
            seed=seed,
            lexicon=args.lexicon,
            template=_template(args),
            register=register,
        )
        for seed in args.seed
    ]
    if len(tasks) > 1 and not tasks[0].shots:
        raise InputError(SAME_SEEDS)
    return tasks


def _template(args: argparse.Namespace) -> ChainTemplate | TaskTemplate | None:
    if args.template is None:
        return None
    return ChainTemplate(args.template) if args.task == Bli.name else read_template(args.template)


def chosen_routes(args: argparse.Namespace, register: Register) -> list[Route]:
    """The direct route, then one a bridge.

    Raises
    ------
    InputError
        An unknown language, or a bridge that is source or target.
    """
    source, target = (register.resolve(name) for name in (args.source, args.target))
    return [
        Route((source, *through, target))
        for through in [(), *((bridge,) for bridge in _bridges(args, register, (source, target)))]
    ]


def _bridges(
    args: argparse.Namespace, register: Register, ends: Sequence[Language]
) -> Sequence[Language]:
    if args.bridges == NONE:
        return ()
    if args.bridges == PAPER:
        return [register[code] for code in BRIDGES if register[code] not in ends]
    return [register[code] for code in named_bridges(args, register)]


def named_bridges(args: argparse.Namespace, register: Register) -> tuple[str, ...]:
    """The codes of the languages that --bridges names."""
    names = [name.strip() for name in args.bridges.split(",") if name.strip()]
    if not names:
        raise InputError("--bridges names no language: give codes such as eng_Latn,spa_Latn.")
    return tuple(language.code for language in register.resolve_all(names))


def _at_least_one(text: str) -> int:
    if whole_number(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return int(text)


def seeds(text: str) -> tuple[int, ...]:
    """The type of --seed."""
    found = tuple(whole_number(part.strip()) for part in text.split(","))
    if len(set(found)) < len(found):
        raise argparse.ArgumentTypeError(f"{text!r} names a seed twice")
    return found


def table_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table of results, as JSON has them: nothing where there is nothing."""
    rows: list[dict[str, Any]] = table.astype(object).where(table.notna(), None).to_dict("records")
    for row in rows:
        row["bridge"] = row["bridge"] or None
        row["route"] = row["route"].split()
        row |= {name: int(row[name]) for name in ("fixed", "broken") if row.get(name) is not None}
    return rows


def _changed(evaluation: Evaluation, route: int) -> dict[str, list[str]]:
    """The items that a bridge fixed and broke."""
    against = evaluation.compared(route)
    if against is None:
        return {}
    return {
        "fixed_items": [evaluation.items[item] for item in against.fixed],
        "broken_items": [evaluation.items[item] for item in against.broken],
    }


def _print(evaluation: Evaluation, table: pd.DataFrame, title: str) -> None:
    print(f"{evaluation.task}, {count(len(evaluation.items), 'item')}, {title}")
    print_table(*readable(table, evaluation.measure))


def readable(table: pd.DataFrame, measure: str) -> tuple[list[str], list[list[str]]]:
    """The header and the rows of a table of results, for people."""
    ranked, tested = "mrr" in table, "p_value" in table
    header = ["route", measure, "95 % interval", *(["MRR", "first"] if ranked else [])]
    header += ["change", "p (Holm)", "fixed", "broken"] if tested else []
    rows = []
    for row in table.to_dict("records"):
        cells = [row["route"].replace(" ", " → "), decimal(row[measure])]
        cells.append(f"{decimal(row['low'])} to {decimal(row['high'])}")
        cells += [decimal(row["mrr"]), decimal(row["first"])] if ranked else []
        if tested:
            cells += [decimal(row["difference"]), decimal(row["p_holm"])]
            cells += [decimal(row["fixed"], 0), decimal(row["broken"], 0)]
        rows.append(cells)
    return header, rows
