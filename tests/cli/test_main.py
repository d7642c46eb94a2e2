"""The command line as a whole: usage, imports, processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bridgex_core import __version__, cli
from bridgex_core.store import Store

from .conftest import SIX

PROJECT = Path(__file__).resolve().parents[2]


def test_help_and_version(run):
    assert run("--version").out == f"BridgeX Explorer {__version__}\n"
    for words in (["--help"], *([command, "--help"] for command in cli.COMMANDS)):
        outcome = run(*words)
        assert outcome.code == 0
        assert outcome.out.startswith("usage: python -m bridgex_core")
        assert outcome.err == ""


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "COMMAND"),
        (["spectra"], "spectra"),
        (["--languages", "sw"], "COMMAND"),
        (["languages", "--nonsense"], "--nonsense"),
        (["languages", "--low"], "--low"),  # no abbreviations
        (["languages", "one", "two"], "two"),
        (["collect"], "--languages"),
        (["spectrum", "--metric", "cosine"], "cosine"),
        (["spectrum", "--metric"], "--metric"),
        (["spectrum", "--order", "size"], "size"),
        (["spectrum", "--selection", "best"], "best"),
        (["spectrum", "--ties", "toss"], "toss"),
        (["spectrum", "--seed", "-1"], "-1"),
        (["typology", "--kind", "lexical"], "lexical"),
        (["typology", "--top-rate", "1%"], "1%"),
        (["collect", "--languages", "sw", "--dtype", "float16"], "float16"),
        (["models", "gemma-3-270m", "--prepare", "smollm2-135m"], "--prepare"),
    ],
)
def test_bad_usage_is_one_line(refused, tmp_path, monkeypatch, words, expected):
    monkeypatch.setenv("BRIDGEX_STORE", str(tmp_path))
    assert expected in refused(*words)


def test_an_interrupt_anywhere_is_no_traceback(run, monkeypatch, tmp_path):
    monkeypatch.setattr(
        Store, "__init__", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt)
    )
    outcome = run("languages", "--store", tmp_path)
    assert (outcome.code, outcome.out, outcome.err) == (130, "", "bridgex: Stopped.\n")


def process(*words: object, **settings: object) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **settings,
    )


NO_TORCH = """
import sys
from bridgex_core.cli import main
for words in {commands!r}:
    assert main(words) == 0, words
    heavy = {{"torch", "transformers"}} & set(sys.modules)
    assert not heavy, (words, heavy)
"""


def test_commands_that_compute_nothing_do_without_torch(collected, tmp_path):
    words = [*collected.options, "--languages", SIX]
    commands = [
        ["languages", *collected.options],
        ["models", "--store", str(tmp_path)],
        ["models", str(collected.model), "--store", str(tmp_path)],
        ["spectrum", *words, "--graphml", str(tmp_path / "g"), "--html", str(tmp_path / "h")],
        ["typology", *words],
    ]
    ended = process("-c", NO_TORCH.format(commands=commands))
    assert ended.returncode == 0, ended.stderr


def test_a_command_imports_only_what_it_needs(tmp_path):
    script = (
        "import sys; from bridgex_core.cli import main; main(['models', '--store', sys.argv[1]]); "
        "print({'scipy', 'pandas', 'sklearn', 'plotly'} & set(sys.modules))"
    )
    assert process("-c", script, tmp_path).stdout.splitlines()[-1] == "set()"


def test_the_module_runs(tmp_path):
    listed = process("-m", "bridgex_core", "languages", "swahili", "--store", tmp_path, "--json")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert json.loads(listed.stdout)[0]["code"] == "swh_Latn"
    refused = process("-m", "bridgex_core", "spectrum", "--store", tmp_path, "--top-rate", "2")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert len(refused.stderr.splitlines()) == 1


def test_output_is_utf8_whatever_the_locale(tmp_path):
    words = ("-m", "bridgex_core", "languages", "--store", str(tmp_path))
    environment = os.environ | {"PYTHONIOENCODING": "latin-1", "PYTHONPATH": str(PROJECT)}
    ended = subprocess.run(
        [sys.executable, *words], cwd=tmp_path, env=environment, capture_output=True, check=True
    )
    assert "中文" in ended.stdout.decode("utf-8")


def test_a_reader_that_goes_away_is_no_traceback(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-m", "bridgex_core", "languages", "--json", "--store", str(tmp_path)],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        program.stdout.close()
        assert program.stderr.read() == ""
        assert program.wait(60) == 141


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, which Linux has")
def test_output_to_a_full_disk(tmp_path):
    with Path("/dev/full").open("wb") as file:
        ended = subprocess.run(
            [sys.executable, "-m", "bridgex_core", "models", "--store", str(tmp_path)],
            cwd=PROJECT,
            stdout=file,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert ended.returncode == 2
    assert ended.stderr == "bridgex: The disk is full: free some space, then try again.\n"
