"""One stored result as a folder: ``data.safetensors`` and the ``manifest.json`` vouching for it.

Nothing here knows where a folder lies or who else looks at it: that is the store's part.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError, safe_open

from bridgex_core.errors import InputError

_SCHEMA = 1
_DATA = "data.safetensors"
_MANIFEST = "manifest.json"
_ADDED = {"schema": int, "checksum": str, "bytes": int, "created": str}
# What safetensors writes and numpy reads back unchanged.
_DTYPES = frozenset(
    {"bool", "complex64"}
    | {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
    | {f"float{bits}" for bits in (16, 32, 64)}
)
# (path, size, modification time) of data files whose checksum this process has seen to be right.
_verified: set[tuple[str, int, int]] = set()


class DamageError(Exception):
    """A folder is not what its manifest says; the text tells what is wrong."""


@dataclass(frozen=True)
class Entry:
    """A stored result: arrays by name, and the manifest that says how they came about."""

    key: str
    kind: str
    manifest: dict[str, Any]
    tensors: dict[str, np.ndarray]


def canonical_json(value: Any) -> str:
    """The same ASCII text for equal values, whatever the order of their names.

    ``TypeError`` for what JSON cannot hold or would change, ``InputError`` for NaN and infinity.
    """
    _require_plain(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def write_folder(
    folder: Path, tensors: Mapping[str, np.ndarray], manifest: Mapping[str, Any]
) -> dict[str, Any]:
    """Make the folder with both files, synced to the disk; returns the manifest as completed.

    Added to it: ``schema``, ``checksum`` (SHA-256 of the data file), ``bytes`` (its size),
    ``created`` (UTC). Other dtypes than safetensors has raise ``TypeError``, before any writing.
    """
    data = _serialised(tensors)
    full = _completed(manifest, data)
    text = json.dumps(full, indent=1, ensure_ascii=False)
    folder.mkdir()
    _write_synced(folder / _DATA, data)
    _write_synced(folder / _MANIFEST, text.encode("utf-8", "surrogatepass"))
    sync_folder(folder)
    return full


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest, after a look at the data file's presence and size.

    ``DamageError`` where the folder is not whole. A compressed data file's size is not looked at.
    """
    try:
        manifest = json.loads((folder / _MANIFEST).read_bytes())
    except FileNotFoundError:
        raise DamageError(f"{_MANIFEST} is missing") from None
    except (ValueError, RecursionError):
        raise DamageError(f"{_MANIFEST} is not JSON") from None
    if not _follows_schema(manifest):
        raise DamageError(f"{_MANIFEST} does not follow schema {_SCHEMA}")
    data = _data_file(folder)
    if data.suffix != ".xz" and data.stat().st_size != manifest["bytes"]:
        raise DamageError(f"{_DATA} is not {manifest['bytes']} bytes long")
    return dict(manifest)


def read_folder(
    folder: Path, kind: str, key: str, names: Sequence[str] | None = None, *, verify: bool = True
) -> Entry:
    """The entry in a folder, with the tensors in ``names`` (default: all).

    ``verify`` compares the checksum, once per process for an unchanged file. ``DamageError`` where
    the folder is not whole, ``InputError`` for a name that is not there.
    """
    manifest = read_manifest(folder)
    path = _data_file(folder)
    try:
        data = _unpacked(path) if path.suffix == ".xz" else path
        if verify:
            _verify(path, data, manifest["checksum"])
        if isinstance(data, bytes):
            whole = safetensors.numpy.load(data)
            tensors = {name: whole[name] for name in _wanted(names, whole, folder)}
        else:
            with safe_open(data, framework="numpy") as file:
                wanted = _wanted(names, file.keys(), folder)
                tensors = {name: file.get_tensor(name) for name in wanted}
    except (SafetensorError, KeyError) as error:
        raise DamageError(f"{path.name} does not hold tensors ({error})") from None
    except FileNotFoundError:
        raise DamageError(f"{path.name} is missing") from None
    return Entry(key, kind, manifest, tensors)


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _require_plain(value: Any) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"The number {value} cannot be part of a key or a manifest.")
    if isinstance(value, dict):
        if not all(isinstance(name, str) for name in value):
            raise TypeError(f"names in keys and manifests are strings, not {list(value)}")
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            _require_plain(item)
    elif not isinstance(value, str | int | float | None):
        raise TypeError(f"a {type(value).__name__} cannot be part of a key or a manifest")


def _completed(manifest: Mapping[str, Any], data: bytes) -> dict[str, Any]:
    taken = [name for name in _ADDED if name in manifest]
    if taken:
        raise InputError(f"The store itself writes {', '.join(taken)} into a manifest: leave out.")
    # Through JSON, so that what is returned is what a reader will get.
    plain: dict[str, Any] = json.loads(canonical_json(dict(manifest)))
    return plain | {
        "schema": _SCHEMA,
        "checksum": hashlib.sha256(data).hexdigest(),
        "bytes": len(data),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _follows_schema(manifest: Any) -> bool:
    return (
        isinstance(manifest, dict)
        and all(type(manifest.get(name)) is kind for name, kind in _ADDED.items())
        and manifest["schema"] == _SCHEMA
    )


def _serialised(tensors: Mapping[str, np.ndarray]) -> bytes:
    arrays = {}
    for name, tensor in tensors.items():
        # safetensors writes the memory as it lies: strided arrays would come back scrambled.
        array = np.asarray(tensor, order="C")
        if not isinstance(name, str) or array.dtype.name not in _DTYPES:
            raise TypeError(f"tensor {name!r} of dtype {array.dtype} cannot be stored")
        arrays[name] = array
    return safetensors.numpy.save(arrays)


def _write_synced(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _data_file(folder: Path) -> Path:
    for path in (folder / _DATA, folder / f"{_DATA}.xz"):
        if path.is_file():
            return path
    raise DamageError(f"{_DATA} is missing")


def _unpacked(path: Path) -> bytes:
    try:
        return lzma.decompress(path.read_bytes())
    except lzma.LZMAError as error:
        raise DamageError(f"{path.name} cannot be decompressed ({error})") from None


def _verify(path: Path, data: bytes | Path, checksum: str) -> None:
    status = path.stat()
    seen = (str(path), status.st_size, status.st_mtime_ns)
    if seen in _verified:
        return
    if isinstance(data, bytes):
        found = hashlib.sha256(data).hexdigest()
    else:
        with data.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != checksum:
        raise DamageError(f"{path.name} does not have the checksum that {_MANIFEST} states")
    _verified.add(seen)


def _wanted(names: Sequence[str] | None, there: Iterable[str], folder: Path) -> list[str]:
    known = sorted(there)
    for name in names or ():
        if name not in known:
            raise InputError(
                f"The stored result {folder} has no tensor '{name}', only {', '.join(known)}: "
                "delete it to have it computed again."
            )
    return known if names is None else list(names)
