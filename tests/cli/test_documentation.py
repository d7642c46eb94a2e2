"""docs/command-line.md says everything, and nothing wrong."""

import argparse
import re
import shlex
from pathlib import Path

import pytest

from bridgex_core import cli

PROJECT = Path(__file__).resolve().parents[2]


DOCUMENT = PROJECT / "docs" / "command-line.md"


def sections() -> dict[str, str]:
    """The text below each heading, up to the next one."""
    parts = re.split(r"\n###? ", DOCUMENT.read_text(encoding="utf-8"))[1:]
    return {part.partition("\n")[0].strip("`"): part for part in parts}


def arguments(
    parser: argparse.ArgumentParser, prefix: str = ""
) -> dict[str, list[argparse.Action]]:
    """The arguments of each command, and of each subcommand such as `atlas lape`."""
    found = {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, command in action.choices.items():
                found[prefix + name] = command._actions
                found |= arguments(command, f"{prefix}{name} ")
    return found


COMMANDS = arguments(cli.build_parser())


def names(action: argparse.Action) -> list[str]:
    """What an argument is called; of subcommands, what they are."""
    if isinstance(action, argparse._SubParsersAction):
        return list(action.choices)
    return [o for o in action.option_strings if o != "-h"] or [str(action.metavar)]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_documented(command):
    section = sections()[command] + sections()["For every command"]
    known = {name for action in COMMANDS[command] for name in names(action)}
    assert not [name for name in known if f"| `{name}" not in section]
    rows = [row for row in sections()[command].splitlines() if row.startswith("| `")]
    assert {row.split("`")[1].split()[0] for row in rows} <= known


@pytest.mark.parametrize("command", COMMANDS)
def test_documented_defaults_are_right(command):
    rows = [row for row in sections()[command].splitlines() if row.startswith("| `")]
    documented = {
        row.split("`")[1].split()[0]: row.split("Default: `")[1].split("`")[0]
        for row in rows
        if "Default: `" in row
    }
    for action in COMMANDS[command]:
        default = action.default
        written = ":".join(map(str, default)) if isinstance(default, tuple) else str(default)
        name = names(action)[0]
        if name in documented and default is not None:
            assert documented[name] == written
        elif name in documented:
            assert name == "--dtype"  # it depends on the model


def test_the_settings_of_a_spectrum_have_their_defaults_documented():
    table = sections()["spectrum"]
    for option in ("--metric", "--selection", "--top-rate", "--layers", "--ties", "--order"):
        (row,) = (row for row in table.splitlines() if row.startswith(f"| `{option}"))
        assert "Default: `" in row


def test_every_example_is_understood():
    text = DOCUMENT.read_text(encoding="utf-8").replace("\\\n", " ")
    examples = [line for line in text.splitlines() if line.startswith("python -m bridgex_core ")]
    assert len(examples) >= 2 * len(cli.COMMANDS)
    for example in examples:
        words = shlex.split(example)[3:]
        if words != ["--version"]:
            assert cli.build_parser().parse_args(words).command in cli.COMMANDS
