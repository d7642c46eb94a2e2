"""Evaluations run and kept, and the study: several pairs of languages, directly and bridged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import pandas as pd

from .bli import Bli
from .decoding import Backend
from .errors import InputError
from .evaluation import RANKINGS, Evaluation, RouteResult, corrected
from .languages import Register
from .model_sources import ModelSource
from .progress import Advances, Progress, Snapshot
from .store import Store, entry_key, software_versions
from .xicl import Route

EVALUATIONS = "evaluations"
BRIDGES = ("eng_Latn", "deu_Latn", "fra_Latn", "ita_Latn", "por_Latn", "spa_Latn")
"""The paper's candidates."""
_PAIR = ("source", "target")
_LEVEL = 0.05  # of significance


class Task(Protocol):
    """Something to evaluate: items, a score, and how a route is run."""

    @property
    def name(self) -> str:
        """What it is called, such as ``bli``."""

    @property
    def measure(self) -> str:
        """What a score is, ``accuracy`` or ``chrF``."""

    def identity(self) -> dict[str, Any]:
        """Everything that results depend on, model and route aside."""

    def labels(self) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
        """What is asked, and what is accepted."""

    def steps(self, route: Route) -> int:
        """Units of progress of a route."""

    def evaluate(
        self, backend: Backend, route: Route, *, progress: Advances | None = None
    ) -> RouteResult:
        """Every item along a route."""


def model_identity(source: ModelSource, dtype: str) -> dict[str, Any]:
    """What results of a local model depend on."""
    return {
        "model": source.fingerprint,
        "tokenizer": source.tokenizer_fingerprint,
        "dtype": dtype,
    }


@dataclass(frozen=True)
class Evaluations:
    """The kept results of one backend.

    Attributes
    ----------
    store : where they are.
    identities : what they depend on, of :func:`model_identity` or of a server: the first is what
        is run, results of the others are taken as well.
    title : the backend's name, for people.
    """

    store: Store
    identities: tuple[Mapping[str, Any], ...]
    title: str

    @classmethod
    def of_model(cls, store: Store, source: ModelSource, dtype: str) -> Evaluations:
        """Of a local model, run in a number format; what is stored in the other counts too."""
        others = [name for name in ("bfloat16", "float32") if name != dtype]
        identities = [model_identity(source, name) for name in (dtype, *others)]
        return cls(store, tuple(identities), source.name)

    def uniform(self, work: Sequence[tuple[Task, Route]]) -> Evaluations:
        """The same of one identity alone, that which has most of some work.

        For results that are compared item by item: number formats must not differ between them.
        """
        held = [
            sum(self.store.has(EVALUATIONS, self.key(task, route, number)) for task, route in work)
            for number in range(len(self.identities))
        ]
        return replace(self, identities=(self.identities[held.index(max(held))],))

    def key(self, task: Task, route: Route, identity: int = 0) -> str:
        """Where the store keeps a task's result along a route."""
        whole = {**self.identities[identity], **task.identity(), "route": list(route.codes)}
        return entry_key(EVALUATIONS, **whole)

    def found(self, task: Task, route: Route) -> str | None:
        """The key of the result that :meth:`stored` gives; None if there is none."""
        keys = (self.key(task, route, identity) for identity in range(len(self.identities)))
        return next((key for key in keys if self.store.has(EVALUATIONS, key)), None)

    def stored(self, task: Task, route: Route) -> RouteResult | None:
        """A result that is kept; None if there is none."""
        for identity in range(len(self.identities)):
            entry = self.store.load(EVALUATIONS, self.key(task, route, identity))
            if entry is not None:
                return RouteResult.from_entry(entry.tensors, entry.manifest)
        return None

    def has(self, task: Task, route: Route) -> bool:
        """Whether a result is kept."""
        return self.found(task, route) is not None

    def keep(self, task: Task, route: Route, result: RouteResult) -> None:
        """Keep a result."""
        manifest = {
            **self.identities[0],
            **task.identity(),
            **result.texts(),
            "model_name": self.title,
            "measure": task.measure,
            "versions": software_versions(),
        }
        self.store.save(EVALUATIONS, self.key(task, route), result.tensors(), manifest)

    def evaluation(self, tasks: Sequence[Task], routes: Sequence[Route]) -> Evaluation | None:
        """What is kept of tasks that differ in their seed alone; None unless all of it is."""
        runs = [[self.stored(task, route) for task in tasks] for route in routes]
        whole = tuple(tuple(run for run in row if run is not None) for row in runs)
        if any(len(row) < len(tasks) for row in whole):
            return None
        return Evaluation(tasks[0].name, tasks[0].measure, *tasks[0].labels(), whole)

    def missing(self, tasks: Sequence[Task], routes: Sequence[Route]) -> list[tuple[Task, Route]]:
        """What is still to run."""
        return [(task, route) for task in tasks for route in routes if not self.has(task, route)]

    def run(
        self,
        work: Sequence[tuple[Task, Route]],
        load: Callable[[], Backend],
        *,
        report: Callable[[Snapshot], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> None:
        """Run what is missing of some work; every route is kept as soon as it is done.

        Parameters
        ----------
        work : tasks with a route each.
        load : gives the backend; called only if something is missing.

        Raises
        ------
        Cancelled
            ``cancelled`` answered True; finished routes are kept.
        """
        todo = [(task, route) for task, route in work if not self.has(task, route)]
        if not todo:
            return
        progress = Progress(sum(task.steps(route) for task, route in todo), report, cancelled)
        backend = load()
        for task, route in todo:
            self._run_one(task, route, backend, progress)

    def _run_one(self, task: Task, route: Route, backend: Backend, progress: Progress) -> None:
        def waiting() -> None:
            progress.advance(0.0, f"{route.label}: waiting for another process that runs it")

        with self.store.alone(f"{EVALUATIONS}-{self.key(task, route)}", waiting):
            if self.has(task, route):
                progress.skip(task.steps(route))
                return
            named = _Named(progress, f"{task.name}: {route.label}")
            self.keep(task, route, task.evaluate(backend, route, progress=named))


@dataclass(frozen=True)
class _Named:
    """A progress that says what is being done."""

    progress: Progress
    what: str

    def advance(self, amount: float, message: str = "") -> None:
        self.progress.advance(amount, message or self.what)


@dataclass(frozen=True)
class Study:
    """Word translation for several pairs of languages, directly and through bridges.

    Attributes
    ----------
    sources, targets, bridges : FLORES codes; every source with every target, and with each bridge
        that is neither of the two.
    items, shots, seeds : see :class:`bridgex_core.bli.Bli`; a run for every seed.
    only : these pairs of source and target instead of all.
    """

    sources: tuple[str, ...] = ("eng_Latn", "zho_Hans", "arb_Arab", "ind_Latn", "jpn_Jpan")
    targets: tuple[str, ...] = ("heb_Hebr", "tgl_Latn", "swh_Latn")
    bridges: tuple[str, ...] = BRIDGES
    items: int = 100
    shots: int = 4
    seeds: tuple[int, ...] = (0,)
    only: tuple[tuple[str, str], ...] = ()

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Every source with every other target, or ``only`` some."""
        return self.only or tuple((s, t) for s in self.sources for t in self.targets if s != t)

    def tasks(self, pair: tuple[str, str]) -> list[Bli]:
        """One a seed."""
        return [Bli(*pair, items=self.items, shots=self.shots, seed=seed) for seed in self.seeds]

    def routes(self, pair: tuple[str, str], register: Register) -> list[Route]:
        """The direct route first."""
        source, target = (register[code] for code in pair)
        through = [register[code] for code in self.bridges if code not in pair]
        return [Route.of(source, target), *(Route.of(source, target, b) for b in through)]

    def work(self, register: Register) -> list[tuple[Bli, Route]]:
        """Everything to run."""
        return [
            (task, route)
            for pair, tasks in ((pair, self.tasks(pair)) for pair in self.pairs)
            for route in self.routes(pair, register)
            for task in tasks
        ]

    def results(
        self, evaluations: Evaluations, register: Register
    ) -> dict[tuple[str, str], Evaluation]:
        """The pairs that are wholly there."""
        found = {
            pair: evaluations.evaluation(self.tasks(pair), self.routes(pair, register))
            for pair in self.pairs
        }
        return {pair: result for pair, result in found.items() if result is not None}


def is_plain(manifest: Mapping[str, Any]) -> bool:
    """Whether an evaluation is one of words kept apart, as the lexicon has them."""
    of_words = manifest.get("task") == Bli.name and bool(manifest.get("apart"))
    return of_words and "perturbation" not in manifest


def measured(store: Store, source: ModelSource) -> pd.DataFrame:
    """What is kept of a model's evaluations of unperturbed words, one row a pair and bridge.

    Columns: ``source``, ``target``, ``bridge`` ('' for direct), ``items``, ``accuracy``, ``mrr``
    (ranks by log-probability, summed), ``mrr_calibrated``; the mean over several evaluations.
    """
    rows = []
    for key, manifest in store.entries(EVALUATIONS):
        ours = manifest.get("model") == source.fingerprint
        if not (ours and is_plain(manifest)):
            continue
        entry = store.load(EVALUATIONS, key)
        if entry is not None:
            rows.append(_measured(RouteResult.from_entry(entry.tensors, entry.manifest)))
    places = ["source", "target", "bridge"]
    frame = pd.DataFrame(rows, columns=[*places, "items", "accuracy", *_RATES])
    return frame.groupby(places, as_index=False).mean()


_RATES = {"mrr": "summed", "mrr_calibrated": "calibrated"}


def _measured(result: RouteResult) -> dict[str, Any]:
    ranks = result.ranks
    return {
        "source": result.route[0],
        "target": result.route[-1],
        "bridge": result.bridge or "",
        "items": len(result.scores),
        "accuracy": float(result.scores.mean()),
        **{
            name: float((1 / ranks[ranking]).mean()) if ranking in ranks else float("nan")
            for name, ranking in _RATES.items()
        },
    }


def study_table(
    results: Mapping[tuple[str, str], Evaluation], ranking: str = RANKINGS[0]
) -> pd.DataFrame:
    """One row a pair and route: the columns of :meth:`Evaluation.table` and ``source``, ``target``.

    ``p_holm`` and ``mrr_p_holm`` are corrected over the tests of all pairs together.

    Raises
    ------
    InputError
        There is no result.
    """
    if not results:
        raise InputError("No pair of the study is computed yet: run the study first.")
    frames = []
    for (source, target), evaluation in results.items():
        frame = evaluation.table(ranking)
        frame.insert(0, "target", target)
        frame.insert(0, "source", source)
        frames.append(frame)
    return corrected(pd.concat(frames, ignore_index=True))


def to_latex(table: pd.DataFrame, measure: str = "accuracy") -> str:
    """A table for a paper, in points of 100: the direct routes, and what each bridge changes.

    A star marks changes that are significant at 5 % after Holm's correction over all tests.

    Parameters
    ----------
    table : of :func:`study_table`.
    measure : ``accuracy`` or ``mrr``.
    """
    prefix = "mrr_" if measure == "mrr" else ""
    direct = table[table["bridge"] == ""].set_index([*_PAIR])[measure]
    bridged = table[table["bridge"] != ""].set_index([*_PAIR, "bridge"])
    bridges = list(dict.fromkeys(bridged.index.get_level_values("bridge")))
    rows = []
    for pair, value in direct.items():
        row = [*map(_latex_code, pair), f"{100 * value:.1f}"]
        for bridge in bridges:
            there = (*pair, bridge) in bridged.index
            row.append(_latex_change(bridged.loc[(*pair, bridge)], prefix) if there else "--")
        rows.append(row)
    header = [*_PAIR, "direct", *map(_latex_code, bridges)]
    frame = pd.DataFrame(rows, columns=header)
    return str(frame.to_latex(index=False, column_format="ll" + "r" * (len(header) - 2)))


def _latex_code(code: str) -> str:
    return code.replace("_", r"\_")


def _latex_change(row: pd.Series, prefix: str) -> str:
    star = "^{*}" if row[f"{prefix}p_holm"] <= _LEVEL else ""
    return f"${100 * row[f'{prefix}difference']:+.1f}{star}$"
