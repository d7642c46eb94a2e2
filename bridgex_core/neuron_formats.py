"""What the files of neuron sets and of activation statistics hold, checked; no code in them runs.

Whatever is wrong with a file is one ``InputError`` that names it.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NoReturn

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from .errors import InputError
from .text_files import decode, read_bytes

COLUMNS = ["language", "layer", "neuron"]
_NO_SETS = "holds no neuron sets, which are a list over languages of lists over layers"


@dataclass(frozen=True)
class ListedSets:
    """Neuron sets as a file lists them.

    Attributes
    ----------
    neurons : by language, int64 (n, 2), layer and index of its neurons, from 0.
    layers, width : of the model; None where the file does not tell.
    """

    neurons: Mapping[str, np.ndarray]
    layers: int | None = None
    width: int | None = None

    def highest(self, column: int) -> int:
        """The highest layer (column 0) or index (1) in any set; -1 where all are empty."""
        return max((int(n[:, column].max(initial=-1)) for n in self.neurons.values()), default=-1)


@dataclass(frozen=True)
class Dump:
    """One language's activation statistics.

    Attributes
    ----------
    counts : int64 (L, I), tokens on which the activation is > 0.
    sums : float64 (L, I), sum of the activation; None where the file does not tell.
    tokens : tokens counted.
    """

    counts: np.ndarray
    sums: np.ndarray | None
    tokens: int


class NeuronFile:
    """A file read into memory.

    Attributes
    ----------
    path : where it was read from.
    digest : SHA-256 of its content, in hexadecimal digits.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._data = read_bytes(self.path)
        self.digest = hashlib.sha256(self._data).hexdigest()

    def refuse(self, fault: str) -> NoReturn:
        """Raise an InputError that begins with the file's name."""
        raise InputError(f"The file {self.path} {fault}.")

    def holds_statistics(self) -> bool:
        """Whether it looks like activation statistics rather than neuron sets."""
        return not self._names_languages and isinstance(self._saved, Mapping)

    def sets(self, languages: Sequence[str] | None) -> ListedSets:
        """Its neuron sets; ``languages`` are those of a ``.pth`` file, in its order."""
        if self.path.suffix == ".safetensors":
            return self._safetensors()
        if self.path.suffix == ".csv":
            return self._csv()
        return self._lists(languages)

    def dump(self) -> Dump:
        """Its activation statistics."""
        content = None if self._names_languages else self._saved
        if not isinstance(content, Mapping) or not {"n", "over_zero"} <= set(content):
            self.refuse("holds no activation statistics: a dictionary with n and over_zero")
        tokens = self._table("n", content["n"], dimensions=0)
        counts = self._table("over_zero", content["over_zero"], dimensions=2)
        for name, values in (("n", tokens), ("over_zero", counts)):
            if (values != np.rint(values)).any() or values.min(initial=0) < 0:
                self.refuse(f"has a value of {name} that is no count")
        if not counts.size or tokens < 1 or counts.max() > tokens:
            self.refuse("counts no neuron, no token, or more activations than tokens")
        sums = None
        if "sum1" in content:
            sums = self._table("sum1", content["sum1"], dimensions=2).astype(np.float64)
            if sums.shape != counts.shape:
                self.refuse("has a sum1 of another shape than over_zero")
        return Dump(counts.astype(np.int64), sums, int(tokens))

    @property
    def _names_languages(self) -> bool:
        return self.path.suffix in (".safetensors", ".csv")

    @cached_property
    def _saved(self) -> object:
        """What torch saved, as plain objects and tensors."""
        import torch

        try:
            return torch.load(io.BytesIO(self._data), map_location="cpu", weights_only=True)
        except Exception:  # a damaged pickle can end in almost any error
            self.refuse(
                "can't be read as tensors: it is damaged, of another format, or holds code, which "
                "is never run; save it again as plain lists and tensors"
            )

    def _array(self, value: object) -> np.ndarray | None:
        """A number or tensor as finite int64 or float64; None for anything else."""
        import torch

        if isinstance(value, torch.Tensor) and value.numel() > len(self._data):
            return None  # strides can make any size of a few bytes
        try:
            tensor = torch.as_tensor(value).detach()
            if tensor.is_complex():
                return None
            array = (tensor.double() if tensor.is_floating_point() else tensor.long()).numpy()
        except (RuntimeError, TypeError, ValueError, OverflowError):  # sparse, a text, …
            return None
        return array if np.isfinite(array).all() else None

    def _table(self, name: str, value: object, *, dimensions: int) -> np.ndarray:
        array = self._array(value)
        if array is None or array.ndim != dimensions:
            wanted = "number" if dimensions == 0 else "table of layers and neurons"
            self.refuse(f"has an entry {name} that is no {wanted}")
        return array

    def _lists(self, languages: Sequence[str] | None) -> ListedSets:
        content = self._saved
        if not isinstance(content, list) or not all(isinstance(item, list) for item in content):
            self.refuse(_NO_SETS)
        depths = {len(item) for item in content}
        if len(depths) != 1 or 0 in depths:
            self.refuse(_NO_SETS)
        if languages is None:
            self.refuse(f"does not name its {len(content)} languages: name them, in its order")
        if len(content) != len(languages):
            self.refuse(
                f"holds the sets of {len(content)} languages, but {len(languages)} were named: "
                "name them all, in its order"
            )
        neurons = {
            code: np.concatenate(list(self._layer_by_layer(code, item)))
            for code, item in zip(languages, content, strict=True)
        }
        return ListedSets(neurons, layers=depths.pop())

    def _layer_by_layer(self, code: str, item: Sequence[object]) -> Iterator[np.ndarray]:
        for layer, value in enumerate(item):
            array = self._array(value)
            if array is not None and not array.size:
                array = array.astype(np.int64)  # torch makes floats of an empty list
            if array is None or array.ndim != 1 or array.dtype != np.int64:
                self.refuse(f"has no list of neuron numbers for {code} in layer {layer}")
            if array.min(initial=0) < 0:
                self.refuse(f"has a negative neuron number for {code} in layer {layer}")
            yield np.stack([np.full(len(array), layer), array], axis=1)

    def _safetensors(self) -> ListedSets:
        try:
            header = json.loads(self._data[8 : 8 + int.from_bytes(self._data[:8], "little")])
            told = header["__metadata__"]
            tensors = safetensors.numpy.load(self._data)
            neurons = {code: tensors[code] for code in json.loads(told["languages"])}
            listed = ListedSets(neurons, int(told["layers"]), int(told["width"]))
        except (SafetensorError, ValueError, LookupError, TypeError, RecursionError):
            self.refuse("is no safetensors file of neuron sets such as this product exports")
        for code, pairs in neurons.items():
            if pairs.dtype != np.int64 or pairs.shape[1:] != (2,) or pairs.min(initial=0) < 0:
                self.refuse(f"has no list of layers and neuron numbers for {code}")
        return listed

    def _csv(self) -> ListedSets:
        rows = csv.reader(io.StringIO(decode(f"The file {self.path}", self._data)))
        neurons: dict[str, list[tuple[int, int]]] = {}
        try:
            header = next(rows, None)
            for row in filter(None, rows):
                code, layer, index = row
                if not (layer.isdecimal() and index.isdecimal()):
                    raise ValueError
                neurons.setdefault(code, []).append((int(layer), int(index)))
            arrays = {code: np.array(pairs, dtype=np.int64) for code, pairs in neurons.items()}
        except (ValueError, OverflowError, csv.Error):
            self.refuse(f"has no language, layer and neuron number in line {rows.line_num}")
        if header != COLUMNS:
            self.refuse(f"does not begin with the columns {','.join(COLUMNS)}")
        return ListedSets(arrays)
