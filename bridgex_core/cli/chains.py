"""``try``: one word or sentence, directly and through bridges."""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace

from bridgex_core.chain_files import to_json
from bridgex_core.cli.backends import add_backend, choose_backend, load_backend
from bridgex_core.cli.evaluate import add_pair, named_bridges
from bridgex_core.cli.output import decimal, print_json
from bridgex_core.cli.parser import add_common, add_seed, whole_number
from bridgex_core.decoding import Backend
from bridgex_core.endpoints import Endpoint
from bridgex_core.languages import Register
from bridgex_core.prompts import PAPER_TEMPLATE, ChainTemplate
from bridgex_core.store import open_store
from bridgex_core.trials import ALTERNATIVES, Finding, Outcome, Trial, judge, stand
from bridgex_core.user_files import user_register
from bridgex_core.xicl import Route
from bridgex_core.xicl import run as run_chains

_TEXT_TOKENS = 128


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to try, with what, and the common options."""
    add_pair(parser)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--word", metavar="WORD", help="a word of the source language")
    what.add_argument("--text", metavar="TEXT", help="a sentence of the source language")
    parser.add_argument(
        "--bridge",
        metavar="A,B,…",
        dest="bridges",
        help="bridges; a chain for each is run beside the direct one",
    )
    parser.add_argument(
        "--shots",
        type=whole_number,
        metavar="N",
        help="words translated above it, as demonstrations (default: 4 for a word, none for a "
        "text)",
    )
    add_seed(parser)
    parser.add_argument(
        "--template",
        metavar="TEXT",
        default=PAPER_TEMPLATE.link,
        help="how a word is written down (default: %(default)s)",
    )
    add_backend(parser)
    add_common(parser)


def run(args: argparse.Namespace) -> None:
    """Run every chain, and print what came of it."""
    began = time.monotonic()
    store = open_store(args.store)
    trial = _trial(args, user_register(store))
    routes = trial.routes
    chosen = choose_backend(args, store)
    backend: Backend = chosen if isinstance(chosen, Endpoint) else load_backend(args, chosen)
    findings = tuple(_found(trial, route, backend) for route in routes)
    outcome = Outcome(trial, backend.title, findings, no_scores=backend.no_scores or "")
    if args.json:
        told = json.loads(to_json([outcome]))[0]
        print_json({**told, "seconds": round(time.monotonic() - began, 3)})
        return
    for finding in findings:
        _print(finding)


def _trial(args: argparse.Namespace, register: Register) -> Trial:
    is_text = args.text is not None
    shots = args.shots if args.shots is not None else Trial.shots
    return Trial(
        args.text if is_text else args.word,
        register.resolve(args.source).code,
        register.resolve(args.target).code,
        named_bridges(args, register) if args.bridges is not None else (),
        shots=0 if is_text and args.shots is None else shots,
        seed=args.seed,
        template=ChainTemplate(args.template),
        max_tokens=_TEXT_TOKENS if is_text else Trial.max_tokens,
        register=register,
    )


def _found(trial: Trial, route: Route, backend: Backend) -> Finding:
    """A route's chain, and everything that is known of it."""
    examples = trial.examples(route, backend)
    (chain,) = run_chains(
        backend,
        route,
        [trial.text],
        examples=[examples],
        template=trial.template,
        decoding=trial.decoding,
    )
    others = backend.alternatives(chain.steps[-1].prompt, trial.decoding, ALTERNATIVES)
    return replace(
        judge(trial, chain),
        alternatives=tuple(others),
        standing=stand(trial, chain, examples, backend),
    )


def _print(finding: Finding) -> None:
    print(finding.chain.route.label)
    for step, written, right in zip(
        finding.chain.steps, finding.languages, finding.right, strict=True
    ):
        facts = [] if right is None else ["right" if right else "wrong"]
        if step.output.log_probability is not None:
            facts.append(f"log-probability {decimal(step.output.log_probability, 2)}")
        if written.code and written.code != step.language.code:
            facts.append(f"written in {written.code}")
        answer = step.answer or "(nothing)"
        print(f"  {step.language.code}  {answer}" + (f"  ({', '.join(facts)})" if facts else ""))
    if finding.alternatives:
        print(f"  other answers: {', '.join(each.text.strip() for each in finding.alternatives)}")
    if finding.standing is not None:
        ranks = (f"{rank} {name}" for name, rank in finding.standing.ranks.items())
        print(f"  rank of the gold word among {finding.standing.candidates}: {', '.join(ranks)}")
