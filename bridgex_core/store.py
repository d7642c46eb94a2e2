"""Results on disk: content-addressed, checksummed, atomic.

An entry is a folder ``{root}/{kind}/{key[:2]}/{key}/`` with ``data.safetensors`` and
``manifest.json``. It is written under a temporary name, synced, and renamed into place, so a
process killed at any moment leaves either the whole entry or none. Unfinished work keeps its parts
the same way under ``{root}/parts/``. A read-only tree of the same layout can stand behind the
store: the results that ship with the product.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import importlib.metadata
import logging
import os
import platform
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from filelock import FileLock, Timeout

from bridgex_core import __version__
from bridgex_core.entries import (
    DamageError,
    Entry,
    canonical_json,
    read_folder,
    read_manifest,
    sync_folder,
    write_folder,
)
from bridgex_core.errors import InputError

__all__ = [
    "Entry",
    "LockedError",
    "Store",
    "default_store",
    "entry_key",
    "open_store",
    "software_versions",
]

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

_NOT_KINDS = frozenset({"tmp", "locks", "parts", "damaged", "jobs"})
_DAY_SECONDS = 86_400
_PACKAGE = Path(__file__).resolve().parent
# Bundled results reported as damaged: once is enough, they stay where they are.
_reported: set[Path] = set()


def entry_key(kind: str, /, **identity: Any) -> str:
    """The key of a result: 32 hex digits of the SHA-256 of its kind and everything it depends on.

    ``identity`` holds JSON scalars, lists and dicts with string keys; a NaN raises ``InputError``,
    another type ``TypeError``.

    >>> entry_key("stats", text="ab", rate=0.5) == entry_key("stats", rate=0.5, text="ab")
    True
    """
    whole = canonical_json({"kind": _checked_kind(kind), "identity": identity})
    return hashlib.sha256(whole.encode("ascii")).hexdigest()[:32]


def software_versions() -> dict[str, str | None]:
    """Versions of the software that shapes results, for manifests; None where not installed."""
    versions: dict[str, str | None] = {
        "bridgex": __version__,
        "python": platform.python_version(),
    }
    for package in ("torch", "transformers", "numpy"):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    return versions


def default_store() -> Store:
    """The store at BRIDGEX_STORE, else ``cache/`` beside the package, over the bundled results."""
    return open_store(os.environ.get("BRIDGEX_STORE") or _PACKAGE.parent / "cache")


def open_store(path: str | Path | None) -> Store:
    """The store at ``path`` over the bundled results; the default one for None."""
    return default_store() if path is None else Store(path, bundled=_PACKAGE / "data" / "results")


class LockedError(InputError):
    """Another process holds a lock."""


class Store:
    """Results under one folder, shared safely by threads and processes.

    Parameters
    ----------
    root : the folder; made when absent. ``InputError`` if that is impossible.
    bundled : a read-only tree of the same layout, looked into after ``root``. Its data files may be
        compressed (``data.safetensors.xz``); checksum and size are those of the plain file.

    Every method raises ``InputError`` where the folder cannot be read or written or is full. A
    damaged entry is reported by this module's logger, moved to ``{root}/damaged/`` (a bundled one
    stays), and treated as absent.
    """

    def __init__(self, root: str | Path, *, bundled: str | Path | None = None) -> None:
        self.root = Path(root).expanduser().absolute()
        self.bundled = None if bundled is None else Path(bundled).absolute()
        with self._explained():
            self.root.mkdir(parents=True, exist_ok=True)
        self._sweep()

    def has(self, kind: str, key: str) -> bool:
        """Whether the entry is there, as far as its manifest and its size tell."""
        return self.manifest(kind, key) is not None

    def manifest(self, kind: str, key: str) -> dict[str, Any] | None:
        """The manifest of an entry without its tensors; None when there is no such entry."""
        return self._find(kind, key, read_manifest)

    def load(
        self, kind: str, key: str, names: Sequence[str] | None = None, *, verify: bool = True
    ) -> Entry | None:
        """An entry with the tensors in ``names`` (default: all); None when there is none.

        ``verify`` compares the checksum, once per process for an unchanged file. A name that the
        entry lacks raises ``InputError``.
        """
        return self._find(
            kind, key, lambda folder: read_folder(folder, kind, key, names, verify=verify)
        )

    def save(
        self, kind: str, key: str, tensors: Mapping[str, np.ndarray], manifest: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Store an entry and return its manifest, with schema, checksum, bytes, created added.

        An entry that is already there stays, and its manifest is returned. Tensors of a dtype that
        safetensors cannot hold raise ``TypeError``.
        """
        return self._write(self._folder(kind, key), f"{kind}-{key}", tensors, manifest)

    def entries(self, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Key and manifest of every entry of a kind, bundled ones too, in the order of keys."""
        keys = {
            folder.name
            for base in (self.root, self.bundled)
            if base is not None
            for folder in _entry_folders(base / _checked_kind(kind))
        }
        for key in sorted(keys):
            manifest = self.manifest(kind, key)
            if manifest is not None:
                yield key, manifest

    def delete(self, kind: str, key: str) -> None:
        """Remove an entry and its parts, if there; a bundled entry of that key shows again."""
        self.discard(self._folder(kind, key))
        self.drop_parts(kind, key)

    def parts(self, kind: str, key: str) -> tuple[str, ...]:
        """Names of the parts saved for an unfinished entry."""
        with self._explained():
            try:
                return tuple(sorted(p.name for p in self._parts_folder(kind, key).iterdir()))
            except FileNotFoundError:
                return ()

    def save_part(
        self,
        kind: str,
        key: str,
        name: str,
        tensors: Mapping[str, np.ndarray],
        manifest: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Store one part of unfinished work as safely as an entry; a part already there stays."""
        folder = self._parts_folder(kind, key) / _checked_name(name)
        return self._write(folder, f"{kind}-{key}-{name}", tensors, manifest)

    def load_parts(self, kind: str, key: str) -> dict[str, Entry]:
        """The whole parts by name, in the order of names; damaged ones are set aside."""
        parts = {}
        for name in self.parts(kind, key):
            part = self._at(
                self._parts_folder(kind, key) / name,
                f"{kind}-{key}-{name}",
                lambda folder: read_folder(folder, kind, key),
            )
            if part is not None:
                parts[name] = part
        return parts

    def drop_parts(self, kind: str, key: str) -> None:
        """Remove all parts of an entry, once it is saved or to start afresh."""
        self.discard(self._parts_folder(kind, key))

    def usage(self) -> dict[str, tuple[int, int]]:
        """Entries and bytes on disk by kind, unfinished parts counted in the bytes; no bundle."""
        found: dict[str, tuple[int, int]] = {}
        with self._explained():
            for base in sorted(self.root.iterdir()):
                folders = [] if base.name in _NOT_KINDS else _entry_folders(base)
                parts = _entry_folders(self.root / "parts" / base.name)
                if folders or parts:
                    found[base.name] = (len(folders), sum(map(_bytes_in, folders + parts)))
        return found

    @contextlib.contextmanager
    def lock(self, name: str, timeout: float = 10.0) -> Iterator[None]:
        """Hold the lock ``name`` among all processes of this store.

        ``LockedError``, an ``InputError``, when another holds it longer than ``timeout`` seconds.
        """
        path = self.root / "locks" / f"{_checked_name(name)}.lock"
        lock = FileLock(path, timeout=max(timeout, 0.0))
        with self._explained():
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire()
            except Timeout:
                raise LockedError(
                    f"Another process has been working on '{name}' in the store {self.root} for "
                    f"over {timeout:g} s: wait until it ends, or cancel it, and try again."
                ) from None
        try:
            yield
        finally:
            lock.release()

    @contextlib.contextmanager
    def alone(self, name: str, waiting: Callable[[], None]) -> Iterator[None]:
        """Hold the lock ``name`` however long another process has it.

        ``waiting`` is called about once a second meanwhile; what it raises ends the wait.
        """
        with contextlib.ExitStack() as stack:
            while True:
                try:
                    stack.enter_context(self.lock(name, timeout=1.0))
                    break
                except LockedError:
                    waiting()
            yield

    def write_text(self, relative: str, text: str) -> None:
        """Replace a small file of the store at once, so that readers see the old or the new."""
        with self._explained():
            target = self.root / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary = self._temporary()
            try:
                temporary.write_text(text, encoding="utf-8")
                temporary.replace(target)
            finally:
                temporary.unlink(missing_ok=True)

    def discard(self, folder: Path) -> None:
        """Remove a folder of the store, if there, out of sight at once."""
        with self._explained():
            trash = self._temporary()
            with contextlib.suppress(FileNotFoundError):
                folder.rename(trash)
            shutil.rmtree(trash, ignore_errors=True)

    # -- places ----------------------------------------------------------------------------------

    def _folder(self, kind: str, key: str, base: Path | None = None) -> Path:
        kind, key = _checked_kind(kind), _checked_key(key)
        return (base or self.root) / kind / key[:2] / key

    def _parts_folder(self, kind: str, key: str) -> Path:
        return self._folder(kind, key, self.root / "parts")

    def _temporary(self) -> Path:
        """A name for this process inside the store: a rename from there crosses no filesystem."""
        folder = self.root / "tmp"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{os.getpid()}-{uuid.uuid4().hex}"

    def _sweep(self) -> None:
        """Clear what killed processes left over a day ago: temporary files, and parts of work
        that was finished."""
        horizon = time.time() - _DAY_SECONDS
        with contextlib.suppress(OSError, InputError):
            for item in (self.root / "tmp").glob("*-*"):
                owner = item.name.partition("-")[0]
                dead = owner.isdecimal() and not process_alive(int(owner))
                if dead and item.stat().st_mtime < horizon:
                    item.unlink() if item.is_file() else shutil.rmtree(item, ignore_errors=True)
            for folder in (self.root / "parts").glob("*/??/*"):
                finished = self.root / folder.relative_to(self.root / "parts")
                if finished.is_dir() and folder.stat().st_mtime < horizon:
                    self.discard(folder)

    # -- reading ---------------------------------------------------------------------------------

    def _find(self, kind: str, key: str, read: Callable[[Path], _T]) -> _T | None:
        found = self._at(self._folder(kind, key), f"{kind}-{key}", read)
        if found is None and self.bundled is not None:
            found = self._at(self._folder(kind, key, self.bundled), f"{kind}-{key}", read)
        return found

    def _at(self, folder: Path, label: str, read: Callable[[Path], _T]) -> _T | None:
        """What ``read`` makes of the folder; None if it is absent or damaged."""
        with self._explained():
            try:
                return read(folder) if folder.is_dir() else None
            except DamageError as damage:
                self._set_aside(folder, label, str(damage))
                return None

    def _set_aside(self, folder: Path, label: str, damage: str) -> None:
        if self.bundled is not None and folder.is_relative_to(self.bundled):
            if folder not in _reported:
                _reported.add(folder)
                _log.warning("The bundled result %s is damaged and not used: %s.", folder, damage)
            return
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
        target = self.root / "damaged" / f"{stamp}-{label}"
        try:
            with self.lock("damaged", timeout=60):
                # Another process may have moved it already, and stored a sound one since.
                if not _is_damaged(folder):
                    return
                target.parent.mkdir(exist_ok=True)
                folder.rename(target)
            outcome = f"moved to {target}, to be computed again"
        except (OSError, InputError) as error:
            outcome = f"not used, but it could not be moved to {target} ({error})"
        _log.warning("The stored result %s is damaged: %s; %s.", label, damage, outcome)

    # -- writing ---------------------------------------------------------------------------------

    def _write(
        self,
        folder: Path,
        label: str,
        tensors: Mapping[str, np.ndarray],
        manifest: Mapping[str, Any],
    ) -> dict[str, Any]:
        with self._explained():
            temporary = self._temporary()
            try:
                full = write_folder(temporary, tensors, manifest)
                return self._publish(temporary, folder, label) or full
            finally:
                shutil.rmtree(temporary, ignore_errors=True)

    def _publish(self, temporary: Path, folder: Path, label: str) -> dict[str, Any] | None:
        """Rename into place; the manifest of the entry that was there first, if any."""
        for _ in range(10):  # each time another process may add or remove the folder in between
            existing = self._at(folder, label, read_manifest)
            if existing is not None:
                return existing
            folder.parent.mkdir(parents=True, exist_ok=True)
            try:
                temporary.rename(folder)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
                    raise
            else:
                sync_folder(folder.parent)
                return None
        raise OSError(errno.EBUSY, f"{folder} keeps changing")

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Tell an error of the file system as one sentence that names the folder."""
        try:
            yield
        except OSError as error:
            elsewhere = "choose another folder with --store or BRIDGEX_STORE"
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise InputError(
                    f"The disk of the store {self.root} is full: free some space, or {elsewhere}."
                ) from error
            raise InputError(
                f"The store {self.root} cannot be used ({error.strerror or error}): make it a "
                f"folder that you may write to, or {elsewhere}."
            ) from error


def process_alive(pid: int) -> bool:
    """Whether some process has this id now."""
    if pid <= 0:  # os.kill would address a whole group
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # somebody else's, but there
        pass
    return True


def _checked_kind(kind: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_-]*", kind) or kind in _NOT_KINDS:
        raise InputError(f"'{kind}' cannot name a kind of result: use lower-case letters.")
    return kind


def _checked_key(key: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{32}", key):
        raise InputError(f"'{key}' is not the key of a stored result: expected 32 hex digits.")
    return key


def _checked_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,120}", name):
        raise InputError(f"'{name}' cannot name a part or a lock: use letters, digits and . _ -")
    return name


def _entry_folders(base: Path) -> list[Path]:
    return [f for f in base.glob("[0-9a-f][0-9a-f]/*") if re.fullmatch("[0-9a-f]{32}", f.name)]


def _bytes_in(folder: Path) -> int:
    size = 0
    with contextlib.suppress(FileNotFoundError):  # removed while we count
        for path in folder.rglob("*"):
            size += path.stat().st_size if path.is_file() else 0
    return size


def _is_damaged(folder: Path) -> bool:
    try:
        read_folder(folder, "", "")
    except DamageError:
        return folder.is_dir()
    return False
