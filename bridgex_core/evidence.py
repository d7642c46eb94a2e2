"""What the rankers of bridges stand on: read from the store, or computed into it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from . import collection as statistics
from .alignment import neuron_states
from .bli import Bli
from .bridge_sets import BridgeSettings
from .bridges import ON_PROBE, RANKERS, Evidence, can_rank, rank, require_route
from .candidates import LocalBackend
from .collection import collect_languages, stored_table
from .languages import Register
from .languages import register as bundled_register
from .models import Model
from .probing import Probe, ProbeTask, run_probe, stored_probe
from .progress import Snapshot
from .rankers import PLACE
from .spectrum import PAPER, SpectrumSettings
from .store import Store, entry_key, software_versions
from .study import Evaluations, Task, model_identity
from .xicl import Route

SCORES = "bridge-scores"
COMPETENCE_WORDS = 40
_SELDOM = ("random", "english")  # known without any evidence


@dataclass(frozen=True)
class Candidates:
    """A pair of languages, candidate bridges, and where their evidence comes from.

    Attributes
    ----------
    store : where it is kept.
    statistics : the model, the corpus and the number format of statistics and probe.
    task : the pair and the words of its probe.
    bridges : FLORES codes.
    answers_dtype : the number format in which competence is measured, if it has to be.
    company : languages whose statistics the selection `distinctive` compares with, as far as they
        are stored.

    Raises
    ------
    InputError
        A bridge that cannot stand between the two.
    """

    store: Store
    statistics: statistics.Collection
    task: ProbeTask
    bridges: tuple[str, ...]
    answers_dtype: str = "float32"
    company: tuple[str, ...] = ()
    register: Register = field(default_factory=bundled_register, repr=False, compare=False)

    def __post_init__(self) -> None:
        require_route(self.task.source, self.task.target, self.bridges)

    @property
    def languages(self) -> tuple[str, ...]:
        """Source, target, and the candidates."""
        return (self.task.source, self.task.target, *self.bridges)

    @property
    def identity(self) -> dict[str, object]:
        """The model, as a probe depends on it."""
        return model_identity(self.statistics.source, self.statistics.dtype)

    @cached_property
    def evaluations(self) -> Evaluations:
        """Where competence is kept."""
        return Evaluations.of_model(self.store, self.statistics.source, self.answers_dtype)

    def probe(self) -> Probe | None:
        """The probe, if it is stored."""
        return stored_probe(self.store, self.task, self.identity)

    def steps(self) -> list[tuple[Task, Route]]:
        """What to measure for `competence`: both steps of every candidate's chain."""
        source, target = self.task.source, self.task.target
        ends = [step for b in self.bridges for step in ((source, b), (b, target))]
        return [
            (
                Bli(
                    *step,
                    items=COMPETENCE_WORDS,
                    lexicon=self.task.lexicon,
                    apart=False,
                    register=self.register,
                ),
                Route.of(*(self.register[code] for code in step)),
            )
            for step in ends
        ]

    def competence(self) -> dict[tuple[str, str], np.ndarray]:
        """Whether the gold word came first, by step, as far as it was measured."""
        found = {}
        for task, route in self.steps():
            result = self.evaluations.stored(task, route)
            if result is not None and "summed" in result.ranks:
                found[route.codes[0], route.codes[-1]] = (result.ranks["summed"] == 1).astype(float)
        return found

    def gather(
        self,
        rankers: Collection[str] = tuple(RANKERS),
        *,
        sets: SpectrumSettings = PAPER,
        settings: BridgeSettings | None = None,
    ) -> Evidence:
        """The evidence of some rankers, as far as it is stored.

        Raises
        ------
        InputError
            A language has no stored statistics.
        """
        known = statistics.available(self.store, self.statistics)
        codes = dict.fromkeys([*self.languages, *self.company])
        probe = self.probe() if set(rankers) & set(ON_PROBE) else None
        wants_states = "alignment" in rankers and self.statistics.corpus.parallel
        return Evidence(
            self.task.source,
            self.task.target,
            self.bridges,
            stored_table(self.store, self.statistics, [c for c in codes if c in known]),
            probe.used if probe is not None else None,
            neuron_states(self.store, self.statistics, self.languages) if wants_states else {},
            self.competence() if "competence" in rankers else {},
            sets,
            settings or BridgeSettings(),
        )

    def missing(self, rankers: Collection[str]) -> tuple[str, ...]:
        """What has to be computed for some rankers: `statistics`, `probe`, `competence`."""
        needs = []
        known = set(statistics.available(self.store, self.statistics))
        if set(rankers) - set(_SELDOM) - {"uriel", "competence"} and set(self.languages) - known:
            needs.append("statistics")
        if set(rankers) & set(ON_PROBE) and self.probe() is None:
            needs.append("probe")
        if "competence" in rankers and not all(
            self.evaluations.has(task, route) for task, route in self.steps()
        ):
            needs.append("competence")
        return tuple(needs)

    def complete(
        self,
        rankers: Collection[str],
        load: Callable[[str], Model],
        *,
        report: Callable[[Snapshot], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> None:
        """Compute what is missing into the store.

        Parameters
        ----------
        load : gives the model in a number format; called only for what is missing.

        Raises
        ------
        Cancelled
            ``cancelled`` answered True; what was finished is kept.
        """
        needs = self.missing(rankers)
        if "statistics" in needs:
            model = load(self.statistics.dtype)
            collect_languages(
                self.store,
                model,
                self.statistics,
                self.languages,
                report=report,
                cancelled=cancelled,
            )
        if "probe" in needs:
            run_probe(
                self.store,
                self.task,
                self.identity,
                lambda: load(self.statistics.dtype),
                report=report,
                cancelled=cancelled,
            )
        if "competence" in needs:
            self.evaluations.run(
                self.steps(),
                lambda: LocalBackend(load(self.answers_dtype)),
                report=report,
                cancelled=cancelled,
            )

    def scores(self, rankers: Sequence[str] = tuple(RANKERS)) -> pd.DataFrame:
        """One row a bridge: its place, and a score by every ranker that has its evidence."""
        evidence = self.gather(rankers)
        frame = pd.DataFrame(dict.fromkeys(PLACE, ""), index=range(len(self.bridges)))
        frame["source"], frame["target"] = self.task.source, self.task.target
        frame["bridge"] = self.bridges
        for ranker in rankers:
            if can_rank(evidence, ranker):
                frame[ranker] = rank(evidence, ranker).scores
        return frame


def keep_scores(candidates: Candidates, frame: pd.DataFrame) -> None:
    """Keep a pair's scores of :meth:`Candidates.scores`, for comparisons over pairs."""
    rankers = [name for name in frame if name not in PLACE]
    identity = {
        **candidates.identity,
        "source": candidates.task.source,
        "target": candidates.task.target,
        "bridges": list(candidates.bridges),
        "rankers": rankers,
        "probe": candidates.task.identity(),
    }
    candidates.store.save(
        SCORES,
        entry_key(SCORES, **identity),
        {name: frame[name].to_numpy(dtype=np.float64) for name in rankers},
        {**identity, "versions": software_versions()},
    )


def kept_scores(candidates: Candidates) -> pd.DataFrame:
    """The scores that are kept for this model, of all pairs; the latest of each."""
    frames = []
    for key, manifest in candidates.store.entries(SCORES):
        entry = None
        if manifest.get("model") == candidates.statistics.source.fingerprint:
            entry = candidates.store.load(SCORES, key)
        if entry is not None:
            frame = pd.DataFrame(dict(entry.tensors))
            frame.insert(0, "bridge", manifest["bridges"])
            frame.insert(0, "target", manifest["target"])
            frame.insert(0, "source", manifest["source"])
            frames.append((manifest["created"], frame))
    if not frames:
        return pd.DataFrame(columns=PLACE)
    newest = [frame for _, frame in sorted(frames, key=lambda dated: dated[0], reverse=True)]
    return pd.concat(newest).groupby(PLACE, as_index=False).first()
