"""The command line: the abilities of the dashboard without a browser.

A command is a module of this package with ``add_arguments(parser)`` and ``run(args)``. Modules are
imported when their command is given, so that none waits for libraries that another one needs.
"""

from __future__ import annotations

import errno
import importlib
import os
import sys
from collections.abc import Collection, Sequence

from bridgex_core import __version__
from bridgex_core.cli.output import tell
from bridgex_core.cli.parser import Parser
from bridgex_core.errors import Cancelled, InputError

COMMANDS: dict[str, str] = {
    "languages": "the register of languages: names, scripts, resource classes, what is stored",
    "models": "models: what is embedded, what is prepared, and preparing one",
    "collect": "compute activation statistics of languages into the store",
    "spectrum": "the overlap of languages' neurons, from stored statistics",
    "typology": "how a spectrum agrees with what linguists know of the languages",
    "probe": "record what translation prompts of a pair do inside the model, and what it knows",
    "bridges": "bridge languages for a pair, ranked",
    "similarity": "HSIC similarity of languages: the same concepts, each in its own words",
    "try": "one word or sentence, directly and through bridges, with what is known of each answer",
    "evaluate": "a task along several routes, item by item, tested against the direct one",
    "study": "word translation for several pairs of languages, directly and through bridges",
    "atlas": "what the neurons do: classes, alignment, the lens, interventions, import and export",
}
"""Every command with one line about it."""

_MODULES = {"try": "chains"}  # where a command has another name than its module

EXIT_INPUT = 2
EXIT_STOPPED = 130  # as after SIGINT
EXIT_PIPE = 141  # as after SIGPIPE


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status.

    Parameters
    ----------
    argv : the words after the program's name; those of this process when left out.

    Returns
    -------
    0 on success; 2 on bad usage or input, told in one line on standard error; 130 when it was
    stopped; 141 when the reader of standard output went away.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        _run(words)
        print(end="", flush=True)
    except InputError as error:
        tell(str(error))
        return EXIT_INPUT
    except (Cancelled, KeyboardInterrupt) as error:
        tell(str(error) or "Stopped.")
        return EXIT_STOPPED
    except OSError as error:
        return _output_lost(error)
    return 0


def _output_lost(error: OSError) -> int:
    """What to do when standard output takes no more; other errors are bugs and go on."""
    if error.errno not in (errno.EPIPE, errno.ENOSPC, errno.EDQUOT):
        raise error
    # What is still buffered is written when the process ends, and would fail once more.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if error.errno == errno.EPIPE:
        return EXIT_PIPE
    tell("The disk is full: free some space, then try again.")
    return EXIT_INPUT


def _run(words: Sequence[str]) -> None:
    parser = build_parser(words[:1])
    try:
        args = parser.parse_args(words)
    except SystemExit:  # --help or --version, which have printed what was asked for
        return
    args.run(args)


def build_parser(commands: Collection[str] = tuple(COMMANDS)) -> Parser:
    """The whole parser; only these commands get their options, since that imports their modules."""
    parser = Parser(
        prog="python -m bridgex_core",
        description="What languages share inside a multilingual language model.",
        epilog="Every command has --help. See docs/command-line.md for examples.",
    )
    parser.add_argument("--version", action="version", version=f"BridgeX Explorer {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        command = subparsers.add_parser(
            name, help=summary, description=f"{summary[0].upper()}{summary[1:]}."
        )
        if name in commands:
            module = importlib.import_module(f"{__name__}.{_MODULES.get(name, name)}")
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    return parser
