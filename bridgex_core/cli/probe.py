"""``probe``: the activations of a pair's translation prompts, and which words the model knows."""

from __future__ import annotations

import argparse
import time
from functools import partial
from typing import Any

from bridgex_core.cli.output import print_json
from bridgex_core.cli.parser import (
    Arguments,
    add_common,
    add_device,
    add_dtype,
    add_job,
    add_model,
    whole_number,
)
from bridgex_core.cli.workspace import (
    asked_dtype,
    open_source,
    reporting,
    stoppable,
)
from bridgex_core.languages import Register
from bridgex_core.lexicons import CLDR
from bridgex_core.models import load_quietly, resolve_dtype
from bridgex_core.probing import KNOWN_RULES, PROBES, Probe, ProbeTask, probe_key, run_probe
from bridgex_core.store import open_store
from bridgex_core.study import model_identity
from bridgex_core.user_files import user_register


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The pair, its words, the model, and the common options."""
    add_pair(parser)
    add_words(parser)
    add_model(parser)
    add_dtype(parser)
    add_device(parser)
    add_job(parser)
    add_common(parser)


def add_pair(parser: Arguments) -> None:
    """--source and --target."""
    for name, what in (("source", "from"), ("target", "to")):
        parser.add_argument(
            f"--{name}", metavar="LANGUAGE", required=True, help=f"the language to translate {what}"
        )


def add_words(parser: Arguments) -> None:
    """--words, --lexicon, --known and --generated; `probe_task` reads these arguments."""
    parser.add_argument(
        "--words",
        type=whole_number,
        default=ProbeTask.words,
        metavar="N",
        help="how many words at most (default: %(default)s)",
    )
    parser.add_argument(
        "--lexicon",
        default=CLDR,
        metavar="SPEC",
        help="cldr, a file with a word and a translation a line, or a folder of such files "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--known",
        choices=KNOWN_RULES,
        default=ProbeTask.known,
        help="a word is known if the model writes a right translation, or if it ranks one among "
        "the first 5 %% of the candidates (default: %(default)s)",
    )
    parser.add_argument(
        "--generated",
        action="store_true",
        help="average the tokens that the model writes after a prompt in with the prompt's, as the "
        "released code does",
    )


def probe_task(args: argparse.Namespace, register: Register) -> ProbeTask:
    """What the arguments of `add_pair` and `add_words` ask for."""
    return ProbeTask(
        register.resolve(args.source).code,
        register.resolve(args.target).code,
        words=args.words,
        lexicon=args.lexicon,
        known=args.known,
        generated=args.generated,
        register=register,
    )


def run(args: argparse.Namespace) -> None:
    """Record the probe, unless it is stored, and print what it is."""
    began = time.monotonic()
    store = open_store(args.store)
    with reporting(args, store) as (report, cancelled):
        task = probe_task(args, user_register(store))
        source = open_source(args, store)
        dtype = resolve_dtype(asked_dtype(args, source), source, args.device)
        identity = model_identity(source, dtype)
        load = partial(load_quietly, source, dtype, args.device)
        with stoppable():
            probe = run_probe(store, task, identity, load, report=report, cancelled=cancelled)
    key = probe_key(task, identity)
    summary = {
        "model": source.name,
        "dtype": dtype,
        **_told(probe),
        "stored": f"{PROBES}/{key[:2]}/{key}",
        "seconds": round(time.monotonic() - began, 3),
    }
    if args.json:
        print_json(summary)
    else:
        print(probe.sentence())
        print(f"Stored in {store.root} as {summary['stored']}; {summary['seconds']:.1f} s.")


def _told(probe: Probe) -> dict[str, Any]:
    """What a probe is, as JSON."""
    task = probe.task
    answered = zip(task.pairs, probe.answers, probe.known.tolist(), strict=True)
    return {
        "source": task.source,
        "target": task.target,
        "rule": task.known,
        "words": len(probe.known),
        "known": int(probe.known.sum()),
        "enough": probe.enough,
        "sentence": probe.sentence(),
        "pairs": [
            {
                "word": pair.word,
                "accepted": [*pair.answers, *pair.keyword_answers],
                "answer": answer,
                "known": known,
            }
            for pair, answer, known in answered
        ],
    }
