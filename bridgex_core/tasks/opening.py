"""A task's name and the user's files → the task; and one item of any task, run or streamed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from ..bli import Bli
from ..decoding import Backend
from ..errors import InputError
from ..languages import Register
from ..languages import register as bundled_register
from ..lexicons import CLDR
from ..prompts import PAPER_TEMPLATE, ChainTemplate
from ..task_files import (
    LABELS,
    InferenceItem,
    ReadingItem,
    TranslationItem,
    read_belebele,
    read_flores,
    read_summaries,
    read_xnli,
    udhr_reading,
    udhr_translation,
)
from ..xicl import Chain, Route
from ..xicl import run as run_words
from ..xicl import stream as stream_words
from .prompt_tasks import Item, PromptTask, Translations, divide
from .templates import INFERENCE, KINDS, READING, TaskTemplate

TASKS = (Bli.name, *KINDS)
"""Names of all tasks."""
SHOTS = 4
"""Demonstrations of word translation by default; the other tasks have none by default."""

AnyTask = Bli | PromptTask

_SAME = "Which of these says the same?"  # where the items bring no question


class _Data(NamedTuple):
    """What a task's files hold."""

    items: Sequence[Item]
    translations: Translations | None = None
    shown: Callable[[], Sequence[Item]] | None = None
    """Items apart, to demonstrate with; None: those that are not asked."""


def open_task(
    name: str,
    source: str,
    target: str,
    *,
    data: str | Path | None = None,
    items: int = 100,
    shots: int | None = None,
    seed: int = 0,
    lexicon: str = CLDR,
    template: ChainTemplate | TaskTemplate | None = None,
    perturbation: str = "",
    register: Register | None = None,
) -> AnyTask:
    """The task of a name between two languages.

    Parameters
    ----------
    name : one of :data:`TASKS`.
    source, target : languages by any of their names.
    data : the user's files (docs/tasks.md); None takes what is bundled.
    items : how many at most.
    shots : demonstrations above each; None is 4 for word translation, else 0.
    seed : of their choice.
    lexicon : of word translation, see :func:`bridgex_core.lexicons.open_lexicon`.
    template : a ``ChainTemplate`` for word translation, else a ``TaskTemplate``; None is the task's
        own.
    perturbation : one of :data:`bridgex_core.perturbations.PERTURBATIONS`, done to what is asked in
        the source language; empty for none.

    Raises
    ------
    InputError
        No such task or perturbation, files that are missing or break a rule, a template that the
        task cannot fill.

    >>> task = open_task("translation", "swh_Latn", "fin_Latn", items=10)
    >>> len(task.items), task.measure
    (10, 'chrF')
    """
    register = register or bundled_register()
    if name not in TASKS:
        raise InputError(f"There is no task '{name}': there are {', '.join(TASKS)}.")
    if items < 1:
        raise InputError("A task asks at least one item.")
    if shots is not None and shots < 0:
        raise InputError("There can't be fewer than 0 demonstrations.")
    start, end = (register.resolve(each).code for each in (source, target))
    if name == Bli.name:
        if data is not None:
            raise InputError("Word translation takes a lexicon, not a folder or file of items.")
        if template is not None and not isinstance(template, ChainTemplate):
            raise TypeError("word translation takes a ChainTemplate")
        return Bli(
            start,
            end,
            items=items,
            shots=SHOTS if shots is None else shots,
            seed=seed,
            lexicon=lexicon,
            template=template or PAPER_TEMPLATE,
            perturbation=perturbation,
            register=register,
        )
    if isinstance(template, ChainTemplate):
        raise TypeError(f"{name} takes a TaskTemplate")
    kind, shots = KINDS[name], shots or 0
    found = _READERS[name](data, start, end)
    asked, known = divide(found.items, items, 0 if found.shown else shots, kind.text)
    if not asked:
        raise InputError(
            f"The data of {name} has {len(found.items)} items, and {shots} are to be "
            "demonstrations: ask for fewer of these."
        )
    if found.shown and shots:
        texts = {item.fields[kind.text] for item in asked}
        known = tuple(item for item in found.shown() if item.fields[kind.text] not in texts)
    template = template or kind.template
    return PromptTask(
        kind,
        start,
        end,
        asked,
        template,
        known,
        found.translations,
        shots,
        seed,
        perturbation,
    )


def require_route(task: AnyTask, route: Route) -> None:
    """Refuse, before any model is loaded, what a task cannot do along a route.

    Raises
    ------
    InputError
        Too many bridges, or too little to demonstrate with.
    """
    if isinstance(task, PromptTask):
        task.prompts(route)
    else:
        task.examples(route)


def run_item(backend: Backend, task: AnyTask, route: Route, index: int) -> Chain:
    """The chain of one item of a task."""
    if isinstance(task, PromptTask):
        return task.run(backend, route, [task.asked[index]])[0]
    word, examples = task.asked[index], task.examples(route)
    return run_words(backend, route, [word], examples=[examples], template=task.template)[0]


def stream_item(backend: Backend, task: AnyTask, route: Route, index: int) -> Iterator[Chain]:
    """The same as it grows."""
    if isinstance(task, PromptTask):
        return task.stream(backend, route, task.asked[index])
    word, examples = task.asked[index], task.examples(route)
    return stream_words(backend, route, word, examples=examples, template=task.template)


def _reading(data: str | Path | None, source: str, target: str) -> _Data:
    if data is None:
        items = [_question(item) for item in udhr_reading(source, target)]
        return _Data(items, partial(_udhr_translations, source))
    rows = read_belebele(data, source, target)

    def translations(bridge: str) -> dict[str, str]:
        there = read_belebele(data, bridge, target)
        return {
            _line(one.passage): _line(other.passage) for one, other in zip(rows, there, strict=True)
        }

    return _Data([_question(row) for row in rows], translations)


def _question(row: ReadingItem) -> Item:
    letters = READING.letters
    answers = dict(zip(letters.lower(), row.answers, strict=True))
    fields = {"passage": row.passage, "question": row.question or _SAME, **answers}
    return _item(fields, letters[row.right], row.origin)


def _inference(data: str | Path | None, source: str, target: str) -> _Data:
    path = _required(data, "inference", "one of XNLI's files")
    rows = read_xnli(path, source, target)

    def translations(bridge: str) -> dict[str, str]:
        there = read_xnli(path, bridge, target)
        return {
            _line(one.premise): _line(other.premise) for one, other in zip(rows, there, strict=True)
        }

    return _Data([_judgement(row) for row in rows], translations)


def _judgement(row: InferenceItem) -> Item:
    fields = {"premise": row.premise, "hypothesis": row.hypothesis}
    return _item(fields, INFERENCE.letters[LABELS.index(row.label)], row.origin)


def _translation(data: str | Path | None, source: str, target: str) -> _Data:
    if data is None:
        items = [_sentence(row) for row in udhr_translation(source, target)]
        return _Data(items, partial(_udhr_translations, source))

    def shown() -> list[Item]:
        return [_sentence(row) for row in read_flores(data, source, target, split="dev")]

    def translations(bridge: str) -> dict[str, str]:
        return _by_text(read_flores(data, source, bridge, split="dev"))

    items = [_sentence(row) for row in read_flores(data, source, target)]
    return _Data(items, translations, shown)


def _sentence(row: TranslationItem) -> Item:
    return _item({"text": row.text}, row.translation, row.origin)


def _summary(data: str | Path | None, source: str, target: str) -> _Data:
    rows = read_summaries(_required(data, "summary", "a file of texts with their summaries"))
    return _Data([_item({"text": row.text}, row.summary, row.origin) for row in rows])


_READERS = {
    "reading": _reading,
    "inference": _inference,
    "translation": _translation,
    "summary": _summary,
}


def _required(data: str | Path | None, name: str, what: str) -> str | Path:
    if data is None:
        raise InputError(
            f"No data for {name} ships with the product: give {what}; docs/tasks.md tells where to "
            "get it."
        )
    return data


def _udhr_translations(source: str, bridge: str) -> dict[str, str]:
    return _by_text(udhr_translation(source, bridge))


def _by_text(rows: Sequence[TranslationItem]) -> dict[str, str]:
    return {_line(row.text): _line(row.translation) for row in rows}


def _item(fields: Mapping[str, str], gold: str, origin: str) -> Item:
    return Item({name: _line(text) for name, text in fields.items()}, gold, origin)


def _line(text: str) -> str:
    """A text on one line, since an answer ends with its line."""
    return " ".join(text.split())
