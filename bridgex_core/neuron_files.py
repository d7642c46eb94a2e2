"""Neuron sets and activation statistics to and from the files of LAPE and BridgeX-ICL.

Neuron sets: a ``.pth`` file with a list over languages of lists over layers of int64 tensors of
neuron indices; or this product's own safetensors and CSV. Activation statistics: one
``activation.*`` file a language, a dictionary with ``n`` (tokens), ``over_zero`` (L, I) and often
``sum1`` (L, I), the sum of the activation. What was imported is kept in the store under a name.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import safetensors.numpy

from .errors import InputError
from .languages import Register
from .neuron_formats import COLUMNS, NeuronFile
from .neurons import ActivationTable, NeuronSets, require_known
from .store import Store, entry_key, software_versions

FORMATS = ("pth", "safetensors", "csv")
IMPORTED = "imported"
# More than any model has: beyond them a file is damaged, and would ask for all the memory.
_MAX_LAYERS, _MAX_WIDTH = 1024, 1 << 18
_Result = TypeVar("_Result", bound=NeuronSets | ActivationTable, covariant=True)


@dataclass(frozen=True)
class Import(Generic[_Result]):
    """What was read from files.

    Attributes
    ----------
    result : neuron sets, or totals of activation statistics.
    origin : the names of the files.
    digest : SHA-256 of their content.
    notes : what the files leave open and how it was settled, a sentence each.
    """

    result: _Result
    origin: tuple[str, ...]
    digest: str
    notes: tuple[str, ...] = ()

    def require_known_languages(self, register: Register) -> None:
        """Refuse what is of a language that the register lacks.

        Raises
        ------
        InputError
            It is.
        """
        lacking = [code for code in self.result.languages if code not in register]
        if lacking:
            raise InputError(
                f"The import is of {', '.join(lacking)}, which the register of languages lacks: "
                "add it on the Library page, or name another with --languages."
            )


def import_files(
    paths: Sequence[str | Path],
    languages: Sequence[str] | None = None,
    *,
    layers: int | None = None,
    width: int | None = None,
) -> Import[NeuronSets | ActivationTable]:
    """:func:`import_activations` where the first file holds such statistics, else
    :func:`import_sets`, which takes one file."""
    if not paths:
        raise InputError("Name at least one file to import.")
    if NeuronFile(paths[0]).holds_statistics():
        return import_activations(paths, languages or (), layers=layers, width=width)
    if len(paths) > 1:
        raise InputError("Neuron sets come in one file for all languages: import one at a time.")
    return import_sets(paths[0], languages, layers=layers, width=width)


def import_sets(
    path: str | Path,
    languages: Sequence[str] | None = None,
    *,
    layers: int | None = None,
    width: int | None = None,
) -> Import[NeuronSets]:
    """Neuron sets from a file: ``.safetensors``, ``.csv``, anything else as LAPE's ``.pth``.

    Parameters
    ----------
    path : the file.
    languages : FLORES codes. A ``.pth`` file names no language, so they are needed there, in its
        order; the other formats name theirs, and these then set the order and may add languages
        without neurons.
    layers, width : of the model. Left out, they are those of the file where it tells them, else the
        smallest that hold its neurons; ``notes`` says so.

    Returns the sets; nothing is known of ties, so ``tied`` and ``tied_in`` are 0.

    Raises
    ------
    InputError
        A file that can't be read, is damaged, holds code or something else, or does not fit the
        languages, the layers or the width.
    """
    file = NeuronFile(path)
    _require_distinct(languages or ())
    found = file.sets(languages)
    codes = tuple(found.neurons if languages is None else languages)
    left_out = [code for code in found.neurons if code not in codes]
    if left_out or not codes:
        file.refuse(
            f"holds sets of {', '.join(left_out)} as well: name all of its languages"
            if left_out
            else "holds no neuron"
        )
    notes: list[str] = []
    shape = (
        _size(file, "layers", layers, found.layers, found.highest(0), _MAX_LAYERS, notes),
        _size(file, "neurons a layer", width, found.width, found.highest(1), _MAX_WIDTH, notes),
    )
    masks = np.zeros((len(codes), *shape), dtype=bool)
    for mask, code in zip(masks, codes, strict=True):
        layer, neuron = found.neurons.get(code, np.empty((0, 2), dtype=np.int64)).T
        mask[layer, neuron] = True
        if mask.sum() != len(neuron):
            file.refuse(f"names a neuron of {code} twice")
    return Import(_sets(codes, masks), (file.path.name,), file.digest, tuple(notes))


def _size(
    file: NeuronFile,
    what: str,
    given: int | None,
    told: int | None,
    highest: int,
    most: int,
    notes: list[str],
) -> int:
    """How many layers or neurons a layer the model has: as given, as told, or as needed."""
    if given is not None and told is not None and given != told:
        file.refuse(f"is of a model with {told} {what}, not {given}")
    size = given if given is not None else told
    if size is None:
        size = max(highest + 1, 1)
        notes.append(
            f"The file does not tell how many {what} the model has: {size} is the smallest number "
            "that holds its neurons."
        )
    if not 1 <= size <= most:
        file.refuse(f"is of a model with {size} {what}, where 1 to {most} can be")
    if highest >= size:
        file.refuse(f"has neurons beyond the {size} {what} of the model")
    return size


def import_activations(
    paths: Sequence[str | Path],
    languages: Sequence[str],
    *,
    layers: int | None = None,
    width: int | None = None,
) -> Import[ActivationTable]:
    """Activation statistics from ``activation.*`` files, one a language.

    Where a file lacks ``sum1`` the mean activations are unknown: all are 0 then, and ``notes`` says
    so.

    Parameters
    ----------
    paths, languages : the files, and the FLORES codes of their languages in the same order.
    layers, width : of the model, to check the files against; None takes them from the files.

    Raises
    ------
    InputError
        A file that can't be read, is damaged, holds code or something else, or does not fit the
        others, the layers or the width.
    """
    _require_distinct(languages)
    if len(paths) != len(languages) or not paths:
        raise InputError(
            f"Activation files come one a language, but {len(paths)} files and {len(languages)} "
            "languages were named."
        )
    files = [NeuronFile(path) for path in paths]
    dumps = [file.dump() for file in files]
    expected = (layers or dumps[0].counts.shape[0], width or dumps[0].counts.shape[1])
    for file, dump in zip(files, dumps, strict=True):
        if dump.counts.shape != expected:
            shapes = [f"{shape[0]} x {shape[1]}" for shape in (dump.counts.shape, expected)]
            file.refuse(f"counts {shapes[0]} neurons, where {shapes[1]} are expected")
    counts = np.stack([dump.counts for dump in dumps])
    tokens = np.array([dump.tokens for dump in dumps], dtype=np.int64)
    sums = [dump.sums for dump in dumps if dump.sums is not None]
    notes: tuple[str, ...] = ()
    if len(sums) == len(dumps):
        means = np.stack(sums) / tokens[:, None, None]
    else:
        means = np.zeros(counts.shape)
        notes = ("The files lack sum1, so the mean activations are unknown and stand at 0.",)
    return Import(
        ActivationTable(tuple(languages), counts, means, tokens),
        tuple(file.path.name for file in files),
        hashlib.sha256("".join(file.digest for file in files).encode()).hexdigest(),
        notes,
    )


def export_sets(sets: NeuronSets, form: str) -> bytes:
    """A file of neuron sets: ``pth`` as LAPE writes it, ``safetensors`` or ``csv``.

    In ``safetensors`` each language is an int64 tensor (n, 2) of layer and index, and the metadata
    hold ``languages`` (a JSON list), ``layers`` and ``width``. In ``csv`` the columns are
    ``language``, ``layer``, ``neuron``.

    Raises
    ------
    InputError
        Another format.
    """
    require_known(form, FORMATS, "format")
    if form == "pth":
        import torch

        return _saved(
            [[torch.from_numpy(np.flatnonzero(layer)) for layer in mask] for mask in sets.masks]
        )
    pairs = {  # argwhere gives columns, and safetensors writes the memory as it lies
        code: np.ascontiguousarray(np.argwhere(mask))
        for code, mask in zip(sets.languages, sets.masks, strict=True)
    }
    if form == "safetensors":
        layers, width = sets.masks.shape[1:]
        metadata = {
            "languages": json.dumps(sets.languages),
            "layers": str(layers),
            "width": str(width),
        }
        return safetensors.numpy.save(pairs, metadata)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for code, neurons in pairs.items():
        writer.writerows((code, layer, neuron) for layer, neuron in neurons.tolist())
    return text.getvalue().encode()


def export_activations(table: ActivationTable, *, sums: bool = True) -> dict[str, bytes]:
    """LAPE's files of activation statistics by name, ``activation.{code}``, one a language.

    ``n`` is an int, ``over_zero`` int64 (L, I), ``sum1`` float64 (L, I): the mean times n, so that
    reading it gives the mean again but for its last binary digit. Without ``sums`` it is left out.
    """
    import torch

    files = {}
    for k, code in enumerate(table.languages):
        tokens = int(table.tokens[k])
        content: dict[str, Any] = {"n": tokens, "over_zero": torch.tensor(table.counts[k])}
        if sums:
            content["sum1"] = torch.tensor(table.means[k] * tokens)
        files[f"activation.{code}"] = _saved(content)
    return files


def overlap_counts(sets: NeuronSets) -> np.ndarray:
    """int64 (K, K), the neurons that two languages share."""
    shared = np.zeros((len(sets.languages),) * 2, dtype=np.int64)
    for layer in range(sets.masks.shape[1]):
        mask = sets.masks[:, layer].astype(np.float32)  # exact: far below 2**24
        shared += (mask @ mask.T).astype(np.int64)
    return shared


def save_import(
    store: Store, name: str, imported: Import[NeuronSets | ActivationTable]
) -> dict[str, Any]:
    """Keep an import in the store under a name, and return its manifest.

    The manifest has ``name``, ``content`` (``sets`` or ``activations``), ``languages``, ``layers``,
    ``width``, ``origin``, ``digest``, ``notes`` and ``versions``. Saving the same again changes
    nothing.

    Raises
    ------
    InputError
        An unsuitable name, or one that another import has.
    """
    result = imported.result
    if isinstance(result, NeuronSets):
        content, tensors = "sets", {"masks": result.masks}
    else:
        content = "activations"
        tensors = {"counts": result.counts, "means": result.means, "tokens": result.tokens}
    identity = {
        "name": name,
        "content": content,
        "languages": list(result.languages),
        "layers": int(next(iter(tensors.values())).shape[1]),
        "width": int(next(iter(tensors.values())).shape[2]),
        "digest": imported.digest,
    }
    more = {"origin": list(imported.origin), "notes": list(imported.notes)}
    kept = store.save(
        IMPORTED, _key(name), tensors, identity | more | {"versions": software_versions()}
    )
    if any(kept[field] != value for field, value in identity.items()):
        raise InputError(
            f"There is another import named '{name}' already: choose another name, or delete it."
        )
    return kept


def imports(store: Store) -> dict[str, dict[str, Any]]:
    """The manifest of every import by name, in the order of names."""
    found = {manifest["name"]: manifest for _, manifest in store.entries(IMPORTED)}
    return dict(sorted(found.items()))


def load_import(store: Store, name: str) -> Import[NeuronSets | ActivationTable]:
    """An import by its name.

    Raises
    ------
    InputError
        There is none of that name.
    """
    entry = store.load(IMPORTED, _key(name))
    if entry is None:
        there = ", ".join(imports(store)) or "there are none yet"
        raise InputError(f"No import is named '{name}'; the names are: {there}.")
    told, tensors = entry.manifest, entry.tensors
    languages = tuple(told["languages"])
    result: NeuronSets | ActivationTable
    if told["content"] == "sets":
        result = _sets(languages, tensors["masks"])
    else:
        result = ActivationTable(languages, tensors["counts"], tensors["means"], tensors["tokens"])
    return Import(result, tuple(told["origin"]), told["digest"], tuple(told["notes"]))


def _key(name: str) -> str:
    if not (name.isprintable() and name.strip() == name and 1 <= len(name) <= 80):
        raise InputError(
            f"{name!r} cannot name an import: use 1 to 80 characters in one line, without spaces "
            "around them."
        )
    return entry_key(IMPORTED, name=name)


def _sets(languages: tuple[str, ...], masks: np.ndarray) -> NeuronSets:
    nothing = np.zeros(len(languages), dtype=np.int64)
    return NeuronSets(languages, masks, nothing, nothing)


def _require_distinct(languages: Sequence[str]) -> None:
    twice = sorted({code for code in languages if list(languages).count(code) > 1})
    if twice:
        raise InputError(f"{', '.join(twice)} is named twice: each language comes once.")


def _saved(content: object) -> bytes:
    import torch

    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()
