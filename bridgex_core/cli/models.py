"""``models``: what there is, and preparing one."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from bridgex_core.cli.output import print_json, print_table
from bridgex_core.cli.parser import add_common
from bridgex_core.embedded import EMBEDDED, EmbeddedModel
from bridgex_core.errors import InputError
from bridgex_core.model_sources import ModelSource, download, find_model
from bridgex_core.store import open_store


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """SPEC, --prepare and the common options."""
    parser.add_argument(
        "spec",
        nargs="?",
        metavar="SPEC",
        help="tell about this one: an embedded model, a folder, or a hub name organisation/model",
    )
    parser.add_argument(
        "--prepare",
        metavar="NAME",
        help="unpack an embedded model into the store, or fetch a hub model",
    )
    add_common(parser)


def run(args: argparse.Namespace) -> None:
    """Print the embedded models, or tell about one, or prepare one."""
    if args.spec and args.prepare:
        raise InputError("Give either a model to tell about or --prepare with its name, not both.")
    root = open_store(args.store).root
    if args.prepare:
        source = _prepare(args.prepare, root, quiet=args.json)
        if args.json:
            _show(source, as_json=True)
        else:
            print(f"{source.title} is ready in {source.path}.")
    elif args.spec:
        _show(find_model(args.spec, root), args.json)
    else:
        _list([model.source(root) for model in EMBEDDED.values()], args.json)


def _prepare(name: str, root: Path, *, quiet: bool) -> ModelSource:
    def say(step: str) -> None:
        if not quiet:
            print(step, flush=True)

    source = find_model(name, root)
    if source.installed:
        return source
    if name in EMBEDDED:
        source = EMBEDDED[name].prepare(root, say)
        say(_terms(EMBEDDED[name], root))
        return source
    say(f"Fetching {name} from the model hub")
    download(name)
    return find_model(name, root)


def _terms(model: EmbeddedModel, root: Path) -> str:
    """The licence in one sentence: its name, its address, and where the whole text lies."""
    files = [str(model.folder(root) / Path(name).name) for name in model.terms_files]
    text = f" Its text lies in {' and '.join(files)}." if files else ""
    return (
        f"{model.title} is under the {model.licence} ({model.licence_url}): using it means "
        f"agreeing to them.{text}"
    )


def _show(source: ModelSource, as_json: bool) -> None:
    details = _details(source)
    if as_json:
        print_json(details)
        return
    for key, value in details.items():
        if value not in (None, ""):
            print(f"{key.replace('_', ' ') + ':':<24}{value}")


def _list(sources: list[ModelSource], as_json: bool) -> None:
    if as_json:
        print_json([_details(source) for source in sources])
        return
    header = ("name", "title", "neurons", "parameters", "state", "licence")
    rows = [
        (
            source.name,
            source.title,
            f"{source.layers} × {source.width}",
            f"{source.parameters / 1e6:,.0f} M",
            "ready" if source.installed else "not prepared",
            f"{source.licence}, {source.licence_url}",
        )
        for source in sources
    ]
    print_table(header, rows)


def _details(source: ModelSource) -> dict[str, Any]:
    """What is known before loading; null where it is not."""
    return {
        "name": source.name,
        "title": source.title,
        "installed": source.installed,
        "path": str(source.path) if source.path else None,
        "model_type": source.model_type or None,
        "layers": source.layers or None,
        "width": source.width or None,
        "parameters": source.parameters or None,
        "fingerprint": source.fingerprint or None,
        "tokenizer_fingerprint": source.tokenizer_fingerprint or None,
        "licence": source.licence or None,
        "licence_url": source.licence_url or None,
        "how_to_get": None if source.installed else source.how_to_get,
    }
