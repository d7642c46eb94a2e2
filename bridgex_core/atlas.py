"""What the Atlas asks of several engines at once: do the methods agree, which neurons stand out,
what does the model get wrong only in some languages; and files that come through a browser."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from .alignment import AlignmentMatrix
from .bli import Bli
from .errors import InputError
from .evaluation import RouteResult
from .languages import Language, Register
from .languages import register as bundled_register
from .lexicons import concept_words
from .model_sources import ModelSource
from .neuron_classes import (
    AGNOSTIC,
    Classes,
    LanguageNeurons,
    agreement,
    classes_by_sets,
    lape,
)
from .neuron_files import import_files, load_import, save_import
from .neurons import ActivationTable, NeuronSets, require_known, top_neurons
from .prompts import ChainTemplate, translation_prompt
from .store import Store
from .study import EVALUATIONS, is_plain

REFERENCE = "eng_Latn"
"""The language that pitfalls are told against."""
_WORD = "dog"


def method_agreement(every: Sequence[Classes]) -> pd.DataFrame:
    """How far every two of several methods agree, class by class.

    Columns ``first``, ``second`` (methods), ``class``, ``a``, ``b``, ``both`` (neurons),
    ``jaccard`` and ``chance``: the Jaccard index of two classes of these sizes that had nothing to
    do with each other, so that large classes do not seem to agree by their size alone.
    """
    frames = []
    for a, b in combinations(every, 2):
        frame = agreement(a, b).reset_index()
        both = frame["a"] * frame["b"] / a.labels.size
        frame["chance"] = both / (frame["a"] + frame["b"] - both)
        frame.insert(0, "second", b.method)
        frame.insert(0, "first", a.method)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def most_specific(
    neurons: LanguageNeurons, table: ActivationTable, language: str, *, count: int = 100
) -> pd.DataFrame:
    """The language's neurons by LAPE, lowest entropy first, ties by position.

    Columns ``layer``, ``neuron``, ``languages`` (how many it belongs to), ``entropy`` (nats),
    ``probability`` (in the language) and ``highest_elsewhere`` (in any other).
    """
    require_known(language, neurons.languages, "language")
    k = neurons.languages.index(language)
    layers, index = np.nonzero(neurons.masks[k])
    order = np.argsort(neurons.entropy[layers, index], kind="stable")[:count]
    layers, index = layers[order], index[order]
    probability = table.probability[:, layers, index]
    return pd.DataFrame(
        {
            "layer": layers,
            "neuron": index,
            "languages": neurons.masks[:, layers, index].sum(0),
            "entropy": neurons.entropy[layers, index],
            "probability": probability[k],
            "highest_elsewhere": np.delete(probability, k, axis=0).max(0),
        }
    )


def alignment_by_layer(
    matrix: AlignmentMatrix, pair: tuple[str, str] | None = None
) -> pd.DataFrame:
    """Alignment over the pairs of languages, layer by layer.

    Columns ``layer``, ``mean``, ``lower`` and ``upper`` (quartiles of the pairs), ``chance`` (mean
    of the pairs' levels), and ``pair`` where one is given.

    Raises
    ------
    InputError
        No two languages have two blocks in common, or a language of the pair is not there.
    """
    above = np.triu_indices(len(matrix.languages), 1)
    values = matrix.values[:, above[0], above[1]]  # (l, pairs)
    known = ~np.isnan(values).any(0)
    if not known.any():
        raise InputError("No two of these languages have two blocks of text in common.")
    values = values[:, known]
    lower, upper = np.quantile(values, (0.25, 0.75), axis=1)
    frame = pd.DataFrame(
        {
            "layer": list(matrix.layers),
            "mean": values.mean(1),
            "lower": lower,
            "upper": upper,
            "chance": float(matrix.chance[above][known].mean()),
        }
    )
    if pair is not None:
        for code in pair:
            require_known(code, matrix.languages, "language")
        i, j = (matrix.languages.index(code) for code in pair)
        frame["pair"] = matrix.values[:, i, j]
    return frame


def chain_prompts(
    register: Register, source: str, bridge: str, target: str, *, shots: int = 0
) -> tuple[str, str]:
    """A word to translate, asked directly and through a bridge, as the model would be prompted.

    The word is "dog", or the first concept of the bundled lexicon where some language has no single
    word for it; the bridge's word is the lexicon's, not the model's.

    Parameters
    ----------
    source, bridge, target : FLORES codes.
    shots : demonstrations above it, of the concepts that come first.

    Raises
    ------
    InputError
        A language that comes twice, or too few words that the lexicon has in all three.
    """
    table = concept_words([source, bridge, target], register=register).single_words()
    if len(table.concepts) <= shots:
        raise InputError("The bundled lexicon has too few single words common to these languages.")
    place = table.concepts.index(_WORD) if _WORD in table.concepts else 0
    start, middle, end = (register[code] for code in (source, bridge, target))
    asked, *known = (
        [names[row] for names in table.words]
        for row in (place, *[row for row in range(shots + 1) if row != place][:shots])
    )
    direct = translation_prompt([start, end], asked[:1], [[one[0], one[2]] for one in known])
    return direct, translation_prompt([start, middle, end], asked[:2], known)


SHARED = "shared"


@dataclass(frozen=True)
class NamedSets:
    """Sets of neurons that can be changed, by name.

    ``lape:CODE`` is a language's by LAPE, ``membership:CODE`` a language's most active ones,
    ``shared`` those among the most active ones of every language, ``import:CODE:NAME`` a
    language's in an import.

    Attributes
    ----------
    store : where imports are.
    table : totals of the languages that are compared.
    top_share, filter_percentile, bar_percentile : of :func:`bridgex_core.neuron_classes.lape`; the
        first is the size of the most active ones as well.
    """

    store: Store
    table: ActivationTable
    top_share: float = 0.01
    filter_percentile: float = 0.95
    bar_percentile: float = 0.95

    @cached_property
    def _lape(self) -> NeuronSets:
        return lape(
            self.table,
            top_share=self.top_share,
            filter_percentile=self.filter_percentile,
            bar_percentile=self.bar_percentile,
        ).sets

    @cached_property
    def _active(self) -> NeuronSets:
        return top_neurons(self.table, top_rate=self.top_share)

    @property
    def alive(self) -> np.ndarray:
        """bool (L, I), neurons that are active in some language: random sets are of these."""
        return np.any(self.table.counts > 0, axis=0)

    def mask(self, name: str) -> np.ndarray:
        """bool (L, I), the neurons of a set.

        Raises
        ------
        InputError
            No such kind of set, language or import, or an import of a model of another shape.
        """
        kind, _, rest = name.partition(":")
        if name == SHARED:
            shared: np.ndarray = classes_by_sets(self._active).labels == AGNOSTIC
            return shared
        if kind == "import":
            code, _, imported = rest.partition(":")
            return self._imported(imported, code)
        require_known(kind, ("lape", "membership"), "kind of set")
        sets = self._lape if kind == "lape" else self._active
        require_known(rest, sets.languages, "language")
        return sets.masks[sets.languages.index(rest)]

    def _imported(self, name: str, code: str) -> np.ndarray:
        sets = load_import(self.store, name).result
        if not isinstance(sets, NeuronSets):
            raise InputError(f"The import '{name}' holds activation statistics, no neuron sets.")
        if code not in sets.languages:
            raise InputError(
                f"The import '{name}' has no set of {code}, only of {', '.join(sets.languages)}."
            )
        mask = sets.masks[sets.languages.index(code)]
        shape = (self.table.layers, self.table.width)
        if mask.shape != shape:
            raise InputError(
                f"The import '{name}' is of a model with {mask.shape[0]} layers of "
                f"{mask.shape[1]} neurons; this one has {shape[0]} of {shape[1]}."
            )
        return mask


def keep_upload(
    store: Store,
    name: str,
    files: Mapping[str, bytes],
    languages: Sequence[Language] = (),
    *,
    layers: int | None = None,
    width: int | None = None,
    register: Register | None = None,
) -> dict[str, Any]:
    """Import files that came through a browser, and return the import's manifest.

    Parameters
    ----------
    store, name : where it is kept, under which name.
    files : content by file name, as :func:`bridgex_core.neuron_files.import_files` takes them.
    languages : those of the files, in their order; none where the files name them.
    layers, width : of the model, where it is known.
    register : the languages that there are; the bundled ones by default.

    Raises
    ------
    InputError
        No file, no name, a language that is not registered, or whatever the files break; nothing
        is kept then.
    """
    if not name.strip():
        raise InputError("Give the import a name.")
    with TemporaryDirectory() as folder:
        paths = []
        for given, content in files.items():
            path = Path(folder) / Path(given).name
            path.write_bytes(content)
            paths.append(path)
        codes = [language.code for language in languages] or None
        try:
            found = import_files(paths, codes, layers=layers, width=width)
        except InputError as error:  # the reader knows the file by its own name
            raise InputError(str(error).replace(f"{folder}/", "")) from None
    found.require_known_languages(register or bundled_register())
    return save_import(store, name.strip(), found)


# ---- Pitfalls ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Judged:
    """A stored direct evaluation of words: which gold words the model found."""

    source: str
    target: str
    conditions: tuple[Any, ...]
    right: Mapping[str, bool]


def pitfalls(store: Store, model: ModelSource, register: Register) -> pd.DataFrame:
    """Words that a model translates rightly from English and wrongly from another language.

    Read off the stored evaluations of words along direct routes. Two of them are compared when they
    agree in target, number format, demonstrations, seed and template; their items are the same
    where they have the same gold word. Of several such evaluations of a pair the longest counts.

    Columns: ``source``, ``target``, ``shots``, ``seed``, ``items`` (in common),
    ``right_in_english``, ``right``, ``lost`` (right from English, wrong from the source) and
    ``share_lost`` (of those that are right from English; NaN where there are none). Empty where
    nothing can be compared.
    """
    longest: dict[tuple[Any, ...], _Judged] = {}
    for one in _judged(store, model, register):
        place = (one.source, one.target, *one.conditions)
        if place not in longest or len(one.right) > len(longest[place].right):
            longest[place] = one
    rows = []
    for (source, *same), one in longest.items():
        english = longest.get((REFERENCE, *same))
        if english is None or source == REFERENCE:
            continue
        common = [word for word in one.right if word in english.right]
        known = [word for word in common if english.right[word]]
        lost = sum(not one.right[word] for word in known)
        rows.append(
            {
                "source": one.source,
                "target": one.target,
                "shots": one.conditions[1],
                "seed": one.conditions[2],
                "items": len(common),
                "right_in_english": len(known),
                "right": sum(one.right[word] for word in common),
                "lost": lost,
                "share_lost": lost / len(known) if known else float("nan"),
            }
        )
    columns = [
        *("source", "target", "shots", "seed", "items", "right_in_english"),
        *("right", "lost", "share_lost"),
    ]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.sort_values(["target", "source", "shots", "seed"], ignore_index=True)


def _judged(store: Store, model: ModelSource, register: Register) -> Iterator[_Judged]:
    for key, told in store.entries(EVALUATIONS):
        ours = told.get("model") == model.fingerprint and is_plain(told)
        if not (ours and len(told["route"]) == 2):
            continue
        task = Bli(
            told["source"],
            told["target"],
            items=len(told["answers"]),
            shots=told["shots"],
            seed=told["seed"],
            template=ChainTemplate(**told["template"]),
            register=register,
        )
        entry = store.load(EVALUATIONS, key)
        # The manifest does not hold the words: they are those of the lexicon, if it is the same.
        if entry is None or task.identity()["words"] != told["words"]:
            continue
        scores = RouteResult.from_entry(entry.tensors, entry.manifest).scores
        right = {
            pair.answers[0]: bool(score > 0.5)
            for pair, score in zip(task.words, scores, strict=True)
        }
        conditions = (told.get("dtype"), told["shots"], told["seed"], *told["template"].values())
        yield _Judged(told["source"], told["target"], conditions, right)
