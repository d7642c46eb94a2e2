"""A user's TOML file of languages, read and added to as checked tables."""

import json
import re
import tomllib
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .errors import InputError
from .text_files import read_text, write_file

_CODE = re.compile(r"[a-z]{3}_[A-Z][a-z]{3}")


def _is_text(value: object) -> bool:
    """A string with a letter or a digit in it, which UTF-8 can hold."""
    if not isinstance(value, str):
        return False
    categories = {unicodedata.category(character) for character in value}
    return "Cs" not in categories and any(category[0] in "LN" for category in categories)


def _is_number(value: object, limit: float) -> bool:
    return isinstance(value, int | float) and type(value) is not bool and -limit <= value <= limit


_RULES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "code": ("a FLORES-200 code such as swh_Latn", lambda v: bool(_CODE.fullmatch(str(v)))),
    "name": ("the language's name in English", _is_text),
    "autonym": ("the language's name in the language itself", _is_text),
    "script": ("the script that the code ends in, such as Latn", _is_text),
    "text": ("the path of a text file", lambda v: _is_text(v) and "\0" not in v),
    "direction": ("ltr or rtl", lambda v: v in ("ltr", "rtl")),
    "family": ("the name of a language family", _is_text),
    "aliases": ("a list of names", lambda v: isinstance(v, list) and all(map(_is_text, v))),
    "latitude": ("a number from -90 to 90", lambda v: _is_number(v, 90)),
    "longitude": ("a number from -180 to 180", lambda v: _is_number(v, 180)),
    "resource_class": ("a whole number from 0 to 5", lambda v: type(v) is int and 0 <= v <= 5),
}
_REQUIRED = ("code", "name", "autonym", "script", "text")


def check_table(table: dict[str, Any], where: str) -> None:
    """InputError, beginning with `where`, unless the table describes a language."""
    for key in _REQUIRED:
        if key not in table:
            raise InputError(f"{where} has no {key}: give {_RULES[key][0]}.")
    for key, value in table.items():
        if key not in _RULES:
            raise InputError(f"{where} has {key!r}, which is not one of {', '.join(_RULES)}.")
        expected, is_right = _RULES[key]
        if not is_right(value):
            raise InputError(f"{where} has {value!r} as its {key}: give {expected}.")
    if not table["code"].endswith(f"_{table['script']}"):
        raise InputError(
            f"{where} has the code {table['code']} but {table['script']!r} as its script: "
            f"give {_RULES['script'][0]}."
        )


def read_tables(path: Path) -> list[dict[str, Any]]:
    """The checked [[language]] tables of the file.

    Raises
    ------
    InputError
        The file can't be read, is not UTF-8 or not TOML (with the line), or breaks a rule (with
        the number of the language in the file).
    """
    text = read_text(path)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        end = f"(at line {text.count(chr(10)) + 1}, the end of the file)"
        reason = str(error).replace("(at end of document)", end)
        raise InputError(f"{path} is not valid TOML: {reason}; mend that line.") from error
    tables = document.pop("language", [])
    if document or not isinstance(tables, list) or not all(isinstance(t, dict) for t in tables):
        raise InputError(f"{path} may hold [[language]] tables and nothing else.")
    for number, table in enumerate(tables, start=1):
        check_table(table, f"{path}: language {number}")
    return tables


def append_table(path: Path, table: dict[str, Any]) -> None:
    """Add a [[language]] table in one step; what the file holds stays as it is, comments too."""
    before = read_text(path).rstrip("\n") if path.exists() else ""
    # JSON's strings, numbers and lists are TOML's, but for the delete character.
    values = {
        k: json.dumps(v, ensure_ascii=False).replace("\x7f", "\\u007f") for k, v in table.items()
    }
    added = "\n".join(["[[language]]", *(f"{key} = {value}" for key, value in values.items()), ""])
    after = f"{before}\n\n{added}" if before else added
    try:
        tomllib.loads(after)
    except tomllib.TOMLDecodeError as error:
        raise InputError(
            f"{path} can't be added to, because its languages are not written as [[language]] "
            "tables: write them so, or name another file."
        ) from error
    write_file(path, after.encode(), parents=True)


def check_text(path: Path) -> None:
    """InputError unless the file holds some UTF-8 text."""
    if not read_text(path).strip():
        raise InputError(f"{path} is empty: name a file with text in the language.")
