"""``atlas intervene`` and ``atlas translate``: what changed neurons do."""

from __future__ import annotations

import argparse
import time
from functools import partial
from typing import Any

from bridgex_core.atlas import SHARED, NamedSets
from bridgex_core.bli import Bli
from bridgex_core.candidates import LocalBackend
from bridgex_core.cli.atlas_statistics import (
    METHODS,
    Stored,
    add_lape_settings,
    add_statistics,
    open_stored,
)
from bridgex_core.cli.evaluate import add_pair
from bridgex_core.cli.output import count, decimal, print_json, print_table
from bridgex_core.cli.parser import Arguments, add_device, add_job, add_seed, whole_number
from bridgex_core.cli.workspace import (
    STUDY,
    add_languages,
    named_languages,
    reporting,
    stoppable,
)
from bridgex_core.effects import WordEffects, collect_word_effects, stored_word_effects
from bridgex_core.errors import InputError
from bridgex_core.interventions import ACTIONS, STRENGTHS, Intervention
from bridgex_core.models import load_quietly
from bridgex_core.neurons import ActivationTable
from bridgex_core.perplexity import (
    PerplexityChange,
    PerplexityPlan,
    collect_perplexity,
    stored_perplexity,
)
from bridgex_core.store import open_store
from bridgex_core.xicl import Route

_NOT_KEPT = "A result could not be kept in the store: see `models`, then try again."

# ---- What both share ---------------------------------------------------------------------------


def _add_change(parser: argparse.ArgumentParser) -> Arguments:
    """Whose neurons, and what is done to them; returns the group of the first."""
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
    return neurons


def _add_rest(parser: argparse.ArgumentParser) -> None:
    add_seed(parser)
    add_statistics(parser)
    add_device(parser)
    add_job(parser)


def _named_sets(args: argparse.Namespace, stored: Stored, table: ActivationTable) -> NamedSets:
    return NamedSets(stored.workspace.store, table, args.top_rate, args.filter, args.bar)


def _set_name(args: argparse.Namespace, code: str) -> str:
    """What `NamedSets` calls a language's set."""
    return f"{args.method}:{code}" if args.sets is None else f"import:{code}:{args.sets}"


def _intervention(
    args: argparse.Namespace, stored: Stored, sets: NamedSets, name: str
) -> Intervention:
    mask, mean = sets.mask(name), _mean(args, stored)
    if mean is None:
        return Intervention(mask, args.action, _strength(args))
    return Intervention.by_mean(mask, sets.table, mean, strength=_strength(args))


def _strength(args: argparse.Namespace) -> float:
    return float(STRENGTHS[args.action] if args.strength is None else args.strength)


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


def _settings(args: argparse.Namespace, stored: Stored) -> dict[str, Any]:
    return {
        "method": None if args.sets else args.method,
        "sets": args.sets,
        "top_rate": None if args.sets else args.top_rate,
        "action": args.action,
        "strength": None if args.action == "zero" else _strength(args),
        "mean": _mean(args, stored),
        "seed": args.seed,
    }


# ---- Perplexity --------------------------------------------------------------------------------


def add_intervene(parser: argparse.ArgumentParser) -> None:
    """The options of ``atlas intervene``."""
    add_languages(parser, default=None)
    parser.add_argument(
        "--texts",
        metavar="A,B,…",
        help="whose neurons are changed and whose text is read (default: all of --languages)",
    )
    _add_change(parser).add_argument(
        "--shared",
        action="store_true",
        help="one set instead: the neurons among the most active ones of every language",
    )
    parser.add_argument(
        "--tokens",
        type=whole_number,
        default=300,
        metavar="N",
        help="tokens of each language's text to read (default: %(default)s)",
    )
    _add_rest(parser)


def run_intervene(args: argparse.Namespace) -> None:
    """Print how perplexity moves with each language's neurons changed, and random ones."""
    began = time.monotonic()
    store = open_store(args.store)
    with reporting(args, store) as (report, cancelled):
        stored = open_stored(args)
        plan = _plan(args, stored)
        source, dtype = plan.collection.source, plan.collection.dtype
        load = partial(load_quietly, source, dtype, args.device)
        with stoppable():
            collect_perplexity(store, plan, load, report=report, cancelled=cancelled)
        found = stored_perplexity(store, plan)
        if found is None:
            raise InputError(_NOT_KEPT)
    if not args.json:
        _print_change(found, f"{args.action}; {stored.sentence()}")
        return
    print_json(
        {
            **stored.head(),
            "settings": {**_settings(args, stored), "tokens": args.tokens},
            "sets": found.sets,
            "sizes": found.sizes,
            "languages": found.languages,
            "tokens": found.tokens,
            "plain": found.plain,
            "changed": found.changed,
            "control": found.control,
            "change": found.change,
            "control_change": found.control_change,
            "factors": vars(found.factors),
            "seconds": round(time.monotonic() - began, 3),
        }
    )


def _plan(args: argparse.Namespace, stored: Stored) -> PerplexityPlan:
    if not args.tokens:
        raise InputError("Perplexity needs text: give at least one of --tokens.")
    codes = stored.codes
    if args.texts is not None:
        named = named_languages(args.texts, "--texts", stored.workspace.register)
        codes = tuple(language.code for language in named)
        if lacking := [code for code in codes if code not in stored.codes]:
            raise InputError(
                f"--texts names {', '.join(lacking)}, not among --languages: add it there."
            )
    sets = _named_sets(args, stored, stored.table())
    if args.shared and args.sets is not None:
        raise InputError("--shared is no set of an import: leave out --sets.")
    names = {SHARED: SHARED} if args.shared else {code: _set_name(args, code) for code in codes}
    changes = {key: _intervention(args, stored, sets, name) for key, name in names.items()}
    return PerplexityPlan(stored.collection, codes, changes, args.tokens, sets.alive, args.seed)


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


# ---- Word translation --------------------------------------------------------------------------


def add_translate(parser: argparse.ArgumentParser) -> None:
    """The options of ``atlas translate``."""
    add_pair(parser)
    which = _add_change(parser).add_mutually_exclusive_group(required=True)
    which.add_argument("--of", metavar="LANGUAGE", help="the language whose neurons are changed")
    which.add_argument(
        "--shared",
        action="store_true",
        help="instead, those among the most active ones of every one of --languages",
    )
    for option, default, what in (
        ("--items", 20, "words at most"),
        ("--shots", 4, "demonstrations above every word"),
    ):
        parser.add_argument(
            option,
            type=whole_number,
            default=default,
            metavar="N",
            help=f"{what} (default: %(default)s)",
        )
    add_languages(parser, default=STUDY)
    _add_rest(parser)


def run_translate(args: argparse.Namespace) -> None:
    """Print how words are translated without and with the neurons, and with random ones."""
    began = time.monotonic()
    store = open_store(args.store)
    with reporting(args, store) as (report, cancelled):
        stored = open_stored(args)
        asked, name = _asked(args, stored)

        def load() -> LocalBackend:
            return LocalBackend(load_quietly(asked.source, asked.dtype, args.device))

        with stoppable():
            collect_word_effects(store, asked, load, report=report, cancelled=cancelled)
        frame = stored_word_effects(store, asked)
        if frame is None:
            raise InputError(_NOT_KEPT)
    rows: list[dict[str, Any]] = frame.reset_index().to_dict("records")
    written = [*dict.fromkeys(asked.route.codes), "other"]
    if not args.json:
        _print_effects(rows, written, f"{name}: {count(asked.intervention.size, 'neuron')}")
        print(f"{args.action}; {stored.sentence()}")
        return
    for row in rows:
        row["written"] = {code: row.pop(code) for code in written}
    print_json(
        {
            **stored.head(),
            "settings": {**_settings(args, stored), "shots": args.shots},
            "source": asked.task.source,
            "target": asked.task.target,
            "set": name,
            "neurons": asked.intervention.size,
            "words": len(asked.task.words),
            "runs": rows,
            "seconds": round(time.monotonic() - began, 3),
        }
    )


def _asked(args: argparse.Namespace, stored: Stored) -> tuple[WordEffects, str]:
    """The three runs, and what the set is called."""
    if args.shared and args.sets is not None:
        raise InputError("--sets has a set for each language: give --of instead of --shared.")
    if not args.items:
        raise InputError("Translation needs words: give at least one of --items.")
    register = stored.workspace.register
    source, target = (register.resolve(name) for name in (args.source, args.target))
    route = Route.of(source, target)
    name = SHARED if args.shared else _set_name(args, register.resolve(args.of).code)
    sets = _named_sets(args, stored, stored.table())
    asked = WordEffects(
        stored.collection.source,
        stored.collection.dtype,
        Bli(
            source.code,
            target.code,
            items=args.items,
            shots=args.shots,
            seed=args.seed,
            register=register,
        ),
        route,
        _intervention(args, stored, sets, name),
        sets.alive,
        args.seed,
    )
    asked.runs()  # refuses a pair without words before a model is loaded
    return asked, name


def _print_effects(rows: list[dict[str, Any]], written: list[str], what: str) -> None:
    columns = ("accuracy", "mrr")
    print_table(
        ("run", "accuracy", "change", "mrr", "change", *written),
        [
            (
                row["run"],
                *(cell for name in columns for cell in (decimal(row[name]), _change(row, name))),
                *(decimal(row[code]) for code in written),
            )
            for row in rows
        ],
    )
    print(f"\n{count(rows[0]['words'], 'word')}; {what}; changes with 95 % intervals")


def _change(row: dict[str, Any], name: str) -> str:
    """A difference against the plain run with its interval; nothing in that run's own row."""
    if row["run"] == "plain":
        return ""
    value, low, high = (row[f"{name}_{part}"] for part in ("difference", "low", "high"))
    return f"{value:+.3f} ({low:+.3f} to {high:+.3f})"
