"""What this machine has: devices, memory, and which number format is fast on it."""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING

import psutil

from .errors import InputError

if TYPE_CHECKING:
    import torch

_PROBE_SIZE = 1024
_FASTER = 1.2  # bfloat16 must win by this much before exactness is given up for it


def resolve_device(name: str | None = None) -> torch.device:
    """The device called ``name``, or the fastest that is there.

    Raises
    ------
    InputError
        A name that torch does not know, or a device that this machine lacks.
    """
    import torch

    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"The device '{name}' cannot be used here; try 'cpu'.") from error
    return device


@functools.cache
def matmul_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Measured matrix-product rate in operations a second."""
    import torch

    left = torch.randn(_PROBE_SIZE, _PROBE_SIZE, device=device).to(dtype)
    best = float("inf")
    for _ in range(4):
        start = time.perf_counter()
        (left @ left)[0, 0].item()
        best = min(best, time.perf_counter() - start)
    return 2 * _PROBE_SIZE**3 / best


def choose_dtype(device: torch.device, parameters: int = 0) -> str:
    """``bfloat16`` where this machine measures it faster or has no memory for more.

    Otherwise ``float32``.
    """
    import torch

    if 4 * parameters > available_memory(device):
        return "bfloat16"
    gain = matmul_rate(device, torch.bfloat16) / matmul_rate(device, torch.float32)
    return "bfloat16" if gain > _FASTER else "float32"


def available_memory(device: torch.device) -> int:
    """Bytes that are free on a device now."""
    import torch

    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


def require_memory(device: torch.device, needed: int, purpose: str) -> None:
    """Refuse work that the device has no memory for.

    Raises
    ------
    InputError
        ``needed`` bytes are more than what is free.
    """
    free = available_memory(device)
    if needed > free:
        raise InputError(
            f"{purpose[0].upper()}{purpose[1:]} needs about {gibibytes(needed)}, and {device} has "
            f"{gibibytes(free)} free; close other programs, or take a smaller model or bfloat16."
        )


def gibibytes(count: int) -> str:
    """A number of bytes for people.

    >>> gibibytes(3 * 2**29)
    '1.5 GiB'
    """
    return f"{count / 2**30:.1f} GiB"
