"""``collect``: statistics of languages, computed into the store."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any

from bridgex_core.cli.output import count, print_json, tell
from bridgex_core.cli.parser import add_common, add_work
from bridgex_core.cli.workspace import (
    Report,
    Workspace,
    add_languages,
    asked_dtype,
    chosen_languages,
    open_workspace,
    reporting,
    require_installed,
    stoppable,
)
from bridgex_core.collection import STATISTICS, Collection, collect_languages, missing, plan
from bridgex_core.models import load_quietly, resolve_dtype
from bridgex_core.store import Store, open_store


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--languages, what to collect with and where, and the common options."""
    add_languages(parser, default=None)
    add_work(parser)
    add_common(parser)


def run(args: argparse.Namespace) -> None:
    """Compute what is missing, and print what was done."""
    store = open_store(args.store)
    with reporting(args, store) as (report, cancelled):
        workspace = open_workspace(args)
        codes = [language.code for language in chosen_languages(args, workspace.register)]
        dtype = resolve_dtype(asked_dtype(args, workspace.source), workspace.source, args.device)
        collection = workspace.collection(dtype)
        summary = compute(workspace, collection, codes, args.device, report, cancelled)
    if args.json:
        print_json(summary)
    else:
        print(_sentence(summary))


def compute(
    workspace: Workspace,
    collection: Collection,
    codes: Sequence[str],
    device: str | None = None,
    report: Report | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> dict[str, Any]:
    """Compute the missing languages into the store, and say what was done.

    Raises
    ------
    Cancelled
        It was interrupted or asked to stop; what was finished is stored.
    """
    store = workspace.store
    todo = missing(store, collection, codes)
    began = time.monotonic()
    if todo:
        with stoppable():
            _collect(store, collection, todo, device, report, cancelled)
    return {
        "model": collection.source.name,
        "corpus": collection.corpus.name,
        "dtype": collection.dtype,
        "languages": codes,
        "computed": todo,
        "already_stored": [code for code in codes if code not in todo],
        "tokens": {code: _tokens(store, collection, code) for code in codes},
        "seconds": round(time.monotonic() - began, 3),
    }


def _collect(
    store: Store,
    collection: Collection,
    todo: Sequence[str],
    device: str | None,
    report: Report | None,
    cancelled: Callable[[], bool] | None,
) -> None:
    require_installed(collection.source)
    tell(plan(store, collection, todo, device).sentence())
    model = load_quietly(collection.source, collection.dtype, device)
    collect_languages(store, model, collection, todo, report=report, cancelled=cancelled)


def _tokens(store: Store, collection: Collection, code: str) -> int:
    key = collection.key(STATISTICS, collection.corpus.text(code))
    entry = store.load(STATISTICS, key, ["token_counts"])
    return 0 if entry is None else int(entry.tensors["token_counts"].sum())


def _sentence(summary: dict[str, Any]) -> str:
    computed, stored = summary["computed"], summary["already_stored"]
    done = f"Computed {count(len(computed), 'language')} in {summary['seconds']:.1f} s"
    tokens = count(sum(summary["tokens"].values()), "token")
    return f"{done}; {len(stored)} stored already; {tokens} in all, in {summary['dtype']}."
