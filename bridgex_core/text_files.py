"""Files that a user brings along or asks for: read whole and as UTF-8, written in one step."""

from __future__ import annotations

import os
from pathlib import Path

from .errors import InputError


def read_bytes(path: Path) -> bytes:
    """A file's content; InputError where it can't be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"The file {path} can't be read: {error.strerror}.") from error


def decode(source: str, data: bytes) -> str:
    """UTF-8 text, its byte order mark dropped; ``source`` names it in the sentence of an error."""
    if (at := data.find(b"\0")) >= 0:
        raise InputError(f"{source} is not UTF-8 text: NUL byte at offset {at}; save it as UTF-8.")
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InputError(
            f"{source} is not UTF-8 text: byte {data[error.start]:#04x} at offset {error.start} "
            f"(line {line}) does not fit; save it as UTF-8."
        ) from error


def read_text(path: Path) -> str:
    """A text file; InputError where it can't be read or is not UTF-8."""
    return decode(f"The file {path}", read_bytes(path))


def split_lines(text: str) -> list[str]:
    """The lines; unlike str.splitlines, only at newlines, so that all files are counted alike.

    >>> split_lines("one\\r\\ntwo\\u2028still two\\n")
    ['one', 'two\\u2028still two']
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return lines if lines[-1] else lines[:-1]


def write_file(path: Path, content: bytes, *, parents: bool = False) -> None:
    """Write a file in one step, so that a reader finds the old one or the new one.

    With ``parents`` the folder is made where it is missing.

    Raises
    ------
    InputError
        The place cannot be written to.
    """
    path = path.expanduser()
    try:
        if parents:
            path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_file():  # a device or a pipe is not to be replaced
            path.write_bytes(content)
            return
        target = path.resolve()  # what a link points to
        draft = target.with_name(f".bridgex-{os.getpid()}.tmp")
        try:
            draft.write_bytes(content)
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"The file {path} can't be written: {reason}.") from error
