"""``bridges``: bridge languages for a pair, ranked by one ranker or by all."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from bridgex_core.bridge_hsic import BridgeScores, Ranked
from bridgex_core.bridge_null import Calibrated
from bridgex_core.bridge_sets import BridgeSettings
from bridgex_core.bridges import ENGLISH, RANKERS, rank_by, verdict
from bridgex_core.cli.output import decimal, print_json, print_table, tell
from bridgex_core.cli.parser import add_common, add_layers, add_neuron_sets, add_seed, add_work
from bridgex_core.cli.probe import add_pair, add_words, probe_task
from bridgex_core.cli.workspace import (
    Workspace,
    asked_dtype,
    named_languages,
    open_workspace,
    reporting,
    stoppable,
)
from bridgex_core.errors import InputError
from bridgex_core.evidence import (
    Candidates,
    Recommendation,
    can_combine,
    combine,
    keep_scores,
    recommend,
)
from bridgex_core.languages import STUDY_LANGUAGES, Register
from bridgex_core.models import load_quietly
from bridgex_core.neurons import layer_band, set_size
from bridgex_core.probing import Probe
from bridgex_core.rankers import COMBINED
from bridgex_core.spectrum import PAPER, SpectrumSettings
from bridgex_core.store import open_store
from bridgex_core.study import BRIDGES

SIX, HIGH = "paper", "high"
ALL = "all"
_HIGH_CLASS = 4
_NOT_COMBINED = (
    "No bridge to another target was measured and ranked with this model: run `study`, and "
    "`bridges --ranker all` for its pairs."
)
_POOLED = {"auto": None, "yes": True, "no": False}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The pair, the candidates, the ranker and its settings, the model, the common options."""
    add_pair(parser)
    parser.add_argument(
        "--candidates",
        metavar="A,B,…",
        default=SIX,
        help="the bridges to rank; `paper` stands for its six (without source and target), `high` "
        "for all languages of the resource classes 4 and 5 (default: %(default)s)",
    )
    parser.add_argument(
        "--ranker",
        choices=(*RANKERS, COMBINED, ALL),
        default="hsic",
        help="what to rank by; `all` also compares the rankers (default: %(default)s)",
    )
    settings = parser.add_argument_group("settings of the HSIC rankers")
    add_layers(settings, BridgeSettings.band)
    settings.add_argument(
        "--pooled",
        choices=tuple(_POOLED),
        default="auto",
        help="take the neurons of all these layers together; auto: where a set has fewer than 5 "
        "in a layer (default: %(default)s)",
    )
    settings.add_argument(
        "--length", action="store_true", help="take out what the length of the prompts explains"
    )
    add_neuron_sets(settings, PAPER.selection, PAPER.top_rate)
    add_seed(settings)
    add_words(parser.add_argument_group("probe"))
    model = parser.add_argument_group("model")
    add_work(model)
    add_common(parser)


def run(args: argparse.Namespace) -> None:
    """Compute what is missing, and print the ranking."""
    began = time.monotonic()
    store = open_store(args.store)
    with reporting(args, store) as (report, cancelled):
        workspace = open_workspace(args)
        candidates = _candidates(args, workspace)
        if args.ranker == COMBINED and not can_combine(candidates):
            raise InputError(_NOT_COMBINED)
        rankers = tuple(RANKERS) if args.ranker in (ALL, COMBINED) else (args.ranker,)
        able, unable = _sorted_out(candidates, rankers, strict=args.ranker in RANKERS)
        needs = candidates.missing(able)
        if needs:
            tell(f"To compute first: {', '.join(needs)}.")
        load = cache(partial(load_quietly, workspace.source, device=args.device))
        with stoppable():
            candidates.complete(
                able, lambda dtype: load(dtype=dtype), report=report, cancelled=cancelled
            )
        found = _rank(args, candidates, able, unable)
    if args.json:
        print_json({**found.told(args), "seconds": round(time.monotonic() - began, 3)})
    else:
        found.print()


def _candidates(args: argparse.Namespace, workspace: Workspace) -> Candidates:
    """What is asked for, checked as far as that takes no computation."""
    if workspace.source.neurons:
        layer_band(workspace.source.layers, args.layers)
        set_size(workspace.source.neurons, args.top_rate)
    task = probe_task(args, workspace.register)
    pair = (task.source, task.target)
    bridges = _bridges(args.candidates, pair, workspace)
    dtype = asked_dtype(args, workspace.source)
    collection = workspace.working_collection(dtype, [*pair, *bridges], args.device)
    return Candidates(
        workspace.store,
        collection,
        task,
        bridges,
        answers_dtype=collection.dtype,
        company=STUDY_LANGUAGES,
        register=workspace.register,
    )


def _bridges(names: str, pair: tuple[str, str], workspace: Workspace) -> tuple[str, ...]:
    if names == SIX:
        return tuple(code for code in BRIDGES if code not in pair)
    if names == HIGH:
        there = set(workspace.corpus.languages()) - set(pair)
        return tuple(
            language.code
            for language in workspace.register
            if (language.resource_class or 0) >= _HIGH_CLASS and language.code in there
        )
    named = named_languages(names, "--candidates", workspace.register)
    return tuple(language.code for language in named)


def _sorted_out(
    candidates: Candidates, rankers: Sequence[str], *, strict: bool
) -> tuple[list[str], dict[str, str]]:
    """Rankers whose evidence is stored or can be computed, and why the others' cannot.

    ``strict`` raises the reason.
    """
    able, unable = [], {}
    for ranker in rankers:
        try:
            candidates.missing([ranker])
        except InputError as error:
            if strict:
                raise
            unable[ranker] = str(error)
        else:
            able.append(ranker)
    return able, unable


def _settings(args: argparse.Namespace) -> tuple[SpectrumSettings, BridgeSettings]:
    sets = SpectrumSettings(selection=args.selection, top_rate=args.top_rate)
    pooled = _POOLED[args.pooled]
    return sets, BridgeSettings(
        args.layers, pooled=pooled, regress_length=args.length, seed=args.seed
    )


def _rank(
    args: argparse.Namespace,
    candidates: Candidates,
    able: Sequence[str],
    never: Mapping[str, str],
) -> _Found:
    """The rankings that were asked for, and why others are not possible."""
    sets, settings = _settings(args)
    evidence = candidates.gather(able, sets=sets, settings=settings)
    rankings, unable = rank_by(evidence, able)
    if args.ranker in unable:
        raise InputError(unable[args.ranker])
    unable = {**never, **unable}
    comparable = (sets, settings) == (PAPER, BridgeSettings()) and not args.generated
    if args.ranker == ALL and comparable:
        keep_scores(candidates, candidates.table(rankings))
    if args.ranker in (ALL, COMBINED):
        combined = combine(candidates, rankings)
        if combined is None:
            unable[COMBINED] = _NOT_COMBINED
        else:
            rankings[COMBINED] = combined
    judges = [ranker for ranker in RANKERS if ranker != "english" or ENGLISH in evidence.bridges]
    recommendation = recommend(candidates, judges)
    chosen = args.ranker
    if chosen == ALL:
        preferred = [recommendation.ranker] if recommendation is not None else []
        chosen = next(name for name in (*preferred, "hsic", *rankings) if name in rankings)
    probe = candidates.probe() if evidence.probe is not None else None
    return _Found(candidates, rankings, chosen, unable, probe, recommendation)


@dataclass(frozen=True)
class _Found:
    """What came of it."""

    candidates: Candidates
    rankings: dict[str, Ranked]
    chosen: str
    unable: dict[str, str]
    probe: Probe | None
    recommendation: Recommendation | None

    @property
    def register(self) -> Register:
        return self.candidates.register

    def told(self, args: argparse.Namespace) -> dict[str, Any]:
        """As JSON."""
        ranked, probe = self.rankings[self.chosen], self.probe
        collection = self.candidates.statistics
        answer = {
            "source": self.candidates.task.source,
            "target": self.candidates.task.target,
            "model": collection.source.name,
            "corpus": collection.corpus.name,
            "dtype": collection.dtype,
            "settings": {
                "layers": args.layers,
                "pooled": _pooled(ranked),
                "length": args.length,
                "selection": args.selection,
                "top_rate": args.top_rate,
                "lexicon": args.lexicon,
                "known": args.known,
                "generated": args.generated,
                "seed": args.seed,
            },
            "ranker": self.chosen,
            "ranking": _rows(ranked),
            "verdict": verdict(ranked, self.register),
            "known": None if probe is None else int(probe.known.sum()),
            "words": None if probe is None else len(probe.known),
            "sentence": None if probe is None else probe.sentence(),
            "recommended": self._recommended(),
        }
        if args.ranker == ALL:
            answer["rankings"] = {
                name: {"ranking": _rows(each), "verdict": verdict(each, self.register)}
                for name, each in self.rankings.items()
            }
            answer["unable"] = self.unable
        return answer

    def _recommended(self) -> dict[str, Any] | None:
        if self.recommendation is None:
            return None
        return {
            "ranker": self.recommendation.ranker,
            "why": self.recommendation.sentence(),
            "quality": self.recommendation.quality.to_dict("records"),
        }

    def print(self) -> None:
        """For people."""
        ranked = self.rankings[self.chosen]
        rows = [
            (
                row["bridge"],
                self.register[row["bridge"]].name,
                decimal(row["score"], 4),
                f"{decimal(row['low'], 4)} to {decimal(row['high'], 4)}",
                decimal(row["first_share"], 2),
                row["reason"],
            )
            for row in ranked.frame().to_dict("records")
        ]
        print_table(("bridge", "", self.chosen, "95 % interval", "first", ""), rows)
        print(f"\n{verdict(ranked, self.register)}")
        if self.probe is not None:
            print(self.probe.sentence())
        others = [name for name in self.rankings if name != self.chosen]
        if others:
            print()
            print_table(
                ("ranker", "best first"),
                [(name, ", ".join(self.rankings[name].ranking)) for name in others],
            )
        if self.recommendation is not None:
            print(f"\n{self.recommendation.sentence()}")


def _rows(ranked: Ranked) -> list[dict[str, Any]]:
    """A ranking as JSON, best first."""
    chances = {}
    if isinstance(ranked, Calibrated):
        chances = dict(zip(ranked.bridges, ranked.p_values.tolist(), strict=True))
    return [
        {
            "bridge": row["bridge"],
            "score": row["score"],
            "interval": [row["low"], row["high"]] if len(ranked.subsamples) else None,
            "first_share": row["first_share"],
            **({"p_value": chances[row["bridge"]]} if chances else {}),
            **({"reason": row["reason"]} if row["reason"] else {}),
        }
        for row in ranked.frame().to_dict("records")
    ]


def _pooled(ranked: Ranked) -> bool | None:
    """Whether layers were pooled; None for a ranker without layers."""
    scored = ranked.plain if isinstance(ranked, Calibrated) else ranked
    return scored.pooled if isinstance(scored, BridgeScores) else None
