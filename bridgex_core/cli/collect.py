"""``collect``: statistics of languages, computed into the store."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from bridgex_core.cli.output import count, print_json, tell
from bridgex_core.cli.parser import add_common, add_corpus, add_dtype, add_model
from bridgex_core.cli.workspace import (
    Workspace,
    add_languages,
    asked_dtype,
    chosen_languages,
    open_workspace,
)
from bridgex_core.collection import STATISTICS, Collection, collect_languages, missing, plan
from bridgex_core.errors import Cancelled, InputError
from bridgex_core.jobs import job_reporter, run_as_job
from bridgex_core.model_sources import ModelSource
from bridgex_core.progress import Snapshot, terminal_reporter
from bridgex_core.store import Store, open_store

Report = Callable[[Snapshot], None]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--languages, what to collect with and where, and the common options."""
    add_languages(parser, default=None)
    add_model(parser)
    add_corpus(parser)
    add_dtype(parser)
    parser.add_argument(
        "--device", metavar="NAME", help="cpu, cuda, cuda:1 (default: the fastest there is)"
    )
    parser.add_argument(
        "--job", metavar="ID", help="report to this job of the store (the dashboard gives it)"
    )
    add_common(parser)


def run(args: argparse.Namespace) -> None:
    """Compute what is missing, and print what was done."""
    store = open_store(args.store)
    with run_as_job(store, args.job) if args.job else contextlib.nullcontext():
        report, cancelled = (
            job_reporter(store, args.job) if args.job else (terminal_reporter(sys.stderr), None)
        )
        workspace = open_workspace(args)
        codes = [language.code for language in chosen_languages(args, workspace.register)]
        dtype = resolve_dtype(asked_dtype(args, workspace.source), workspace.source, args.device)
        collection = workspace.collection(dtype)
        summary = compute(workspace, collection, codes, args.device, report, cancelled)
    if args.json:
        print_json(summary)
    else:
        print(_sentence(summary))


def resolve_dtype(dtype: str, source: ModelSource, device: str | None) -> str:
    """``auto`` as what this machine is faster in; results are stored under the true format."""
    if dtype != "auto":
        return dtype
    from bridgex_core import machine

    return machine.choose_dtype(machine.resolve_device(device), source.parameters)


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
        with _stoppable():
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
    source = collection.source
    if not source.installed:
        raise InputError(f"{source.title} is not installed. {source.how_to_get}")
    tell(plan(store, collection, todo, device).sentence())
    from transformers.utils import logging

    from bridgex_core import models

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    model = models.load(source, dtype=collection.dtype, device=device)
    collect_languages(store, model, collection, todo, report=report, cancelled=cancelled)


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """Ctrl-C, or a job's wish to stop, told as what it means here."""
    try:
        yield
    except (KeyboardInterrupt, Cancelled):
        raise Cancelled(
            "Stopped: the blocks that were finished are stored, and the same command goes on from "
            "there."
        ) from None


def _tokens(store: Store, collection: Collection, code: str) -> int:
    key = collection.key(STATISTICS, collection.corpus.text(code))
    entry = store.load(STATISTICS, key, ["token_counts"])
    return 0 if entry is None else int(entry.tensors["token_counts"].sum())


def _sentence(summary: dict[str, Any]) -> str:
    computed, stored = summary["computed"], summary["already_stored"]
    done = f"Computed {count(len(computed), 'language')} in {summary['seconds']:.1f} s"
    tokens = count(sum(summary["tokens"].values()), "token")
    return f"{done}; {len(stored)} stored already; {tokens} in all, in {summary['dtype']}."
