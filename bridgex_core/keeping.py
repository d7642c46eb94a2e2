"""Pieces of long work, each done by one process and kept as soon as it is done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from .progress import Progress
from .store import Store

Piece = tuple[Mapping[str, np.ndarray], Mapping[str, Any]]
"""Tensors and a manifest, as the store keeps them."""


def keep_once(
    store: Store,
    kind: str,
    key: str,
    work: Callable[[], Piece],
    progress: Progress,
    size: float,
    what: str,
) -> None:
    """Do a piece of work and store it, unless it is stored by the time that it is its turn.

    Parameters
    ----------
    kind, key : where the store keeps it.
    work : does it; it advances the progress by ``size``.
    what : it is, in words.

    Raises
    ------
    Cancelled
        By the progress.
    """
    progress.advance(0.0, what)
    waiting = f"{what}: waiting for another process that does it"
    with store.alone(f"{kind}-{key}", partial(progress.advance, 0.0, waiting)):
        if store.has(kind, key):
            progress.skip(size)
            return
        store.save(kind, key, *work())
