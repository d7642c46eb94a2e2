"""``languages``: the register, and what is stored of it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bridgex_core.cli.output import count, print_json, print_table
from bridgex_core.cli.parser import add_common, add_corpus, add_model
from bridgex_core.cli.workspace import FIXED_DTYPES, Workspace, open_workspace
from bridgex_core.collection import missing
from bridgex_core.languages import Language


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """QUERY, --low-resource, --corpus, --model and the common options."""
    parser.add_argument(
        "query", nargs="?", default="", metavar="QUERY", help="a code, or a name or a part of one"
    )
    parser.add_argument(
        "--low-resource", action="store_true", help="only languages of the resource classes 0 to 2"
    )
    add_corpus(parser)
    add_model(parser)
    add_common(parser)


def run(args: argparse.Namespace) -> None:
    """Print the languages that answer the query, best first."""
    workspace = open_workspace(args)
    with_text = set(workspace.corpus.languages())
    rows = [
        _Row(language, language.code in with_text, _stored(workspace, language, with_text))
        for language in workspace.register.search(args.query)
        if language.is_low_resource or not args.low_resource
    ]
    if args.json:
        print_json([row.to_dict() for row in rows])
        return
    header = ("code", "name", "family", "script", "dir", "class", "text", "stored", "own name")
    print_table(header, [row.cells() for row in rows])
    texts = sum(row.in_corpus for row in rows)
    print(f"\n{count(len(rows), 'language')}, {texts} with a text in {workspace.corpus.title}")


def _stored(workspace: Workspace, language: Language, with_text: set[str]) -> tuple[str, ...]:
    """The number formats in which the language's statistics are stored."""
    if language.code not in with_text:
        return ()
    return tuple(
        dtype
        for dtype in FIXED_DTYPES
        if not missing(workspace.store, workspace.collection(dtype), [language.code])
    )


@dataclass(frozen=True)
class _Row:
    language: Language
    in_corpus: bool
    stored: Sequence[str]

    def to_dict(self) -> dict[str, Any]:
        language = self.language
        return {
            "code": language.code,
            "name": language.name,
            "autonym": language.autonym,
            "iso639_1": language.iso639_1,
            "iso639_3": language.iso639_3,
            "glottocode": language.glottocode,
            "aliases": language.aliases,
            "family": language.family,
            "branch": language.branch,
            "script": language.script,
            "script_name": language.script_name,
            "direction": language.direction,
            "latitude": language.latitude,
            "longitude": language.longitude,
            "resource_class": language.resource_class,
            "low_resource": language.is_low_resource,
            "uriel_resource": language.uriel_resource,
            "in_corpus": self.in_corpus,
            "stored": self.stored,
        }

    def cells(self) -> tuple[str, ...]:
        language = self.language
        known_class = language.resource_class is not None
        return (
            language.code,
            language.name,
            language.family,
            language.script_name,
            language.direction,
            str(language.resource_class) if known_class else "",
            "yes" if self.in_corpus else "",
            " ".join(self.stored),
            language.autonym,
        )
