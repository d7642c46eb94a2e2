"""What a command says: tables for people, JSON for programs, files written in one step."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any


def tell(message: str) -> None:
    """One line on standard error."""
    # On a terminal the line of the progress may still stand there.
    start = "\r\x1b[K" if sys.stderr.isatty() else ""
    line = " ".join(message.splitlines())
    print(f"{start}bridgex: {line}", file=sys.stderr, flush=True)


def print_json(value: Any) -> None:
    """One JSON document on standard output, NaN as null."""
    print(json.dumps(_plain(value), ensure_ascii=False, allow_nan=False))


def _plain(value: Any) -> Any:
    """Arrays as lists and numbers that JSON lacks as null.

    >>> import numpy as np
    >>> _plain({"values": np.array([[1.0, np.nan]]), "layers": range(2)})
    {'values': [[1.0, None]], 'layers': [0, 1]}
    """
    if hasattr(value, "tolist"):  # numpy's arrays and numbers
        value = value.tolist()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | range):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns aligned on the left; the last one may be of any width and script."""
    lines = [header, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print("  ".join(cells).rstrip())


def decimal(number: float, places: int = 3) -> str:
    """A number for people; a dash where it is not defined.

    >>> decimal(0.12345), decimal(float("nan"))
    ('0.123', '–')
    """
    return f"{number:.{places}f}" if math.isfinite(number) else "–"


def count(number: int, noun: str) -> str:
    """A number of things.

    >>> count(1, "language"), count(1500, "neuron")
    ('1 language', '1,500 neurons')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
