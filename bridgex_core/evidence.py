"""What the rankers of bridges stand on: read from the store, or computed into it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from . import collection as statistics
from .alignment import neuron_states
from .bli import Bli
from .bridge_hsic import Ranked
from .bridge_sets import BridgeSettings
from .bridges import ON_PROBE, ON_STATISTICS, RANKERS, Evidence, rank_by, require_route
from .candidates import LocalBackend
from .collection import collect_languages, stored_table
from .languages import Register
from .languages import register as bundled_register
from .lexicons import CLDR
from .models import Model
from .neurons import ActivationTable
from .probing import Probe, ProbeTask, run_probe, stored_probe
from .progress import Snapshot, stage
from .rankers import COMBINED, PLACE, left_out_scores, quality, recommended
from .spectrum import PAPER, SpectrumSettings
from .store import Store, entry_key, software_versions
from .study import Evaluations, Task, measured, model_identity
from .xicl import Route

SCORES = "bridge-scores"
COMPETENCE_WORDS = 40


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
        """What to measure for `competence`: both steps of every candidate's chain.

        A lexicon in a file is of one pair alone: the words are the bundled ones then.
        """
        spec = self.task.lexicon
        lexicon = spec if Path(spec).expanduser().is_dir() else CLDR
        source, target = self.task.source, self.task.target
        ends = [step for b in self.bridges for step in ((source, b), (b, target))]
        return [
            (
                Bli(
                    *step,
                    items=COMPETENCE_WORDS,
                    lexicon=lexicon,
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
        """The evidence of some rankers, as far as it is stored."""
        known = set(statistics.available(self.store, self.statistics))
        codes = [code for code in dict.fromkeys([*self.languages, *self.company]) if code in known]
        probe = self.probe() if set(rankers) & set(ON_PROBE) else None
        wants_states = "alignment" in rankers and self.statistics.corpus.parallel
        covered = [code for code in self.languages if code in known]
        return Evidence(
            self.task.source,
            self.task.target,
            self.bridges,
            stored_table(self.store, self.statistics, codes) if codes else _NOTHING,
            probe.used if probe is not None else None,
            neuron_states(self.store, self.statistics, covered) if wants_states else {},
            self.competence() if "competence" in rankers else {},
            sets,
            settings or BridgeSettings(),
        )

    def missing(self, rankers: Collection[str]) -> tuple[str, ...]:
        """What has to be computed for some rankers: `statistics`, `probe`, `competence`.

        Raises
        ------
        InputError
            It cannot be: a language has no text, or no words.
        """
        needs = []
        if set(rankers) & {*ON_STATISTICS, "alignment"}:
            texts = [self.statistics.corpus.text(code) for code in self.languages]
            kind = statistics.STATISTICS
            keys = [self.statistics.key(kind, text) for text in texts]
            if not all(self.store.has(kind, key) for key in keys):
                needs.append("statistics")
        if set(rankers) & set(ON_PROBE) and self.probe() is None:
            needs.append("probe")
        if "competence" in rankers:
            there = [self.evaluations.has(task, route) for task, route in self.steps()]
            if not all(there):
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
        InputError
            What :meth:`missing` raises, before anything is computed.
        Cancelled
            ``cancelled`` answered True; what was finished is kept.
        """
        needs = self.missing(rankers)
        for number, need in enumerate(needs):
            self._compute(need, load, stage(report, number, len(needs)), cancelled)

    def _compute(
        self,
        need: str,
        load: Callable[[str], Model],
        report: Callable[[Snapshot], None] | None,
        cancelled: Callable[[], bool] | None,
    ) -> None:
        dtype = self.statistics.dtype
        if need == "statistics":
            collect_languages(
                self.store,
                load(dtype),
                self.statistics,
                self.languages,
                report=report,
                cancelled=cancelled,
            )
        elif need == "probe":
            run_probe(
                self.store,
                self.task,
                self.identity,
                lambda: load(dtype),
                report=report,
                cancelled=cancelled,
            )
        else:
            self.evaluations.run(
                self.steps(),
                lambda: LocalBackend(load(self.answers_dtype)),
                report=report,
                cancelled=cancelled,
            )

    def scores(self, rankers: Sequence[str] = tuple(RANKERS)) -> pd.DataFrame:
        """One row a bridge: its place, and a score by every ranker that can rank them."""
        rankings, _ = rank_by(self.gather(rankers), rankers)
        return self.table(rankings)

    def table(self, rankings: Mapping[str, Ranked]) -> pd.DataFrame:
        """Rankings by ranker as the same table."""
        place = {"source": self.task.source, "target": self.task.target, "bridge": self.bridges}
        frame = pd.DataFrame(place)
        for ranker, ranked in rankings.items():
            frame[ranker] = ranked.scores
        return frame


_NOTHING = ActivationTable((), np.empty((0, 0, 0)), np.empty((0, 0, 0)), np.empty(0))


# ---- Kept scores, and what they say of the rankers -----------------------------------------------


def keep_scores(candidates: Candidates, frame: pd.DataFrame) -> None:
    """Keep a pair's scores of :meth:`Candidates.scores`, for comparisons over pairs.

    They replace kept ones of the same bridges and rankers.
    """
    task = candidates.task
    rankers = [name for name in frame if name not in PLACE]
    identity = {
        **candidates.identity,
        "source": task.source,
        "target": task.target,
        "bridges": list(candidates.bridges),
        "rankers": rankers,
    }
    key = entry_key(SCORES, **identity)
    candidates.store.delete(SCORES, key)
    candidates.store.save(
        SCORES,
        key,
        {name: frame[name].to_numpy(dtype=np.float64) for name in rankers},
        {
            **identity,
            "probe": {"words": task.words, "lexicon": task.lexicon, "known": task.known},
            "kept": datetime.now(UTC).isoformat(timespec="microseconds"),
            "versions": software_versions(),
        },
    )


def kept_scores(candidates: Candidates) -> pd.DataFrame:
    """The scores that are kept for this model, of all pairs.

    Of a pair and a ranker those that were kept last.
    """
    long = []
    for key, manifest in candidates.store.entries(SCORES):
        entry = None
        if manifest.get("model") == candidates.statistics.source.fingerprint:
            entry = candidates.store.load(SCORES, key)
        if entry is not None:
            place = {name: manifest[name] for name in ("source", "target")}
            place["kept"] = manifest.get("kept", manifest["created"])
            frame = pd.DataFrame({**place, "bridge": manifest["bridges"], **entry.tensors})
            long.append(frame.melt([*place, "bridge"], var_name="ranker"))
    if not long:
        return pd.DataFrame(columns=PLACE)
    every = pd.concat(long, ignore_index=True)
    last = every.groupby(["source", "target", "ranker"])["kept"].transform("max")
    wide = every[every["kept"] == last].pivot(index=PLACE, columns="ranker", values="value")
    return wide.rename_axis(columns=None).reset_index()


@dataclass(frozen=True)
class Recommendation:
    """Which ranker to go by, judged by the pairs that were measured.

    Attributes
    ----------
    ranker : the one of lowest regret.
    quality : of every ranker, see :func:`bridgex_core.rankers.quality`.
    """

    ranker: str
    quality: pd.DataFrame

    def sentence(self) -> str:
        """Why, for people."""
        own = self.quality.set_index("ranker").loc[self.ranker]
        pairs = int(own["pairs"])
        return (
            f"No ranker loses less than '{self.ranker}': over {pairs} measured "
            f"{'pair' if pairs == 1 else 'pairs'} its first choice is the best bridge in "
            f"{own['hits']:.0%}, and loses {own['regret']:.3f} of the mean reciprocal rank "
            f"({own['low']:.3f} to {own['high']:.3f})."
        )


def recommend(candidates: Candidates, rankers: Sequence[str]) -> Recommendation | None:
    """Which of some rankers does best on the pairs that were measured for this model.

    The combination is judged on pairs whose target its weights were not fitted on. None where no
    pair that all of them can judge was measured.
    """
    scores, gains = (
        kept_scores(candidates),
        measured(candidates.store, candidates.statistics.source),
    )
    names = [ranker for ranker in rankers if ranker in scores]
    if not names or gains.empty:
        return None
    parts = combinable(names)
    scores[COMBINED] = left_out_scores(scores, gains, parts) if parts else np.nan
    table = quality(scores, gains, [*names, COMBINED])
    best = recommended(table)
    return None if best is None else Recommendation(best, table)


def can_combine(candidates: Candidates) -> bool:
    """Whether pairs of other targets were measured and ranked with this model."""
    return not _of_other_targets(candidates)[0].empty


def combine(candidates: Candidates, rankings: Mapping[str, Ranked]) -> Ranked | None:
    """The pair's candidates by the combination of these rankings, fitted on other targets alone.

    None where it cannot be fitted to any of them.
    """
    others, gains = _of_other_targets(candidates)
    parts = combinable([ranker for ranker in rankings if ranker in others])
    if others.empty or not parts:
        return None
    own = candidates.table(rankings)
    scores = pd.concat([own, others], ignore_index=True)
    found = left_out_scores(scores, gains, parts).to_numpy()[: len(own)]
    return Ranked(candidates.bridges, found, np.empty((0, len(own))), {})


def _of_other_targets(candidates: Candidates) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Kept scores of pairs with other targets, and what was measured of these."""
    gains = measured(candidates.store, candidates.statistics.source).dropna(subset=["mrr"])
    scores = kept_scores(candidates)
    scores = scores[scores["target"] != candidates.task.target]
    return scores.merge(gains[PLACE], on=PLACE), gains


def combinable(rankers: Sequence[str]) -> list[str]:
    """Those that the combination weighs: all but chance."""
    return [ranker for ranker in rankers if ranker != "random"]
