"""The words of a task's prompts: one text a step, with placeholders in braces."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..errors import InputError
from ..text_files import read_text

Role = Literal["source", "bridge", "target"]
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True)
class StepPlan:
    """What a step of a task is for.

    Attributes
    ----------
    title : what it does, for people.
    writes : the language of its answer.
    needs : placeholders that its text has to hold.
    """

    title: str
    writes: Role
    needs: tuple[str, ...]


@dataclass(frozen=True)
class TaskTemplate:
    """The texts of a task's prompts, one a step.

    ``{source}``, ``{bridge}`` and ``{target}`` are the languages' own names, ``{step1}``,
    ``{step2}`` … what earlier steps wrote; each :class:`Kind` says which others there are.

    Attributes
    ----------
    direct : without a bridge.
    bridged : through one.
    """

    direct: tuple[str, ...]
    bridged: tuple[str, ...]


@dataclass(frozen=True)
class Kind:
    """What all tasks of a name have in common.

    Attributes
    ----------
    name, measure : ``reading`` and the like; ``accuracy`` or ``chrF``.
    text : the placeholder of what is translated: the passage, the premise, the text.
    fields : the item's other placeholders.
    direct, bridged : the steps of its two forms.
    letters : the answers that the last step chooses among; empty where it writes freely.
    template : the texts by default.
    max_tokens : longest answer of a step that writes freely.
    shown : whether there can be demonstrations: the data tells what every step should have written.
    within : source and target may be one language.
    """

    name: str
    measure: str
    text: str
    fields: tuple[str, ...]
    direct: tuple[StepPlan, ...]
    bridged: tuple[StepPlan, ...]
    template: TaskTemplate
    letters: str = ""
    max_tokens: int = 256
    shown: bool = True
    within: bool = False

    def plans(self, bridged: bool) -> tuple[StepPlan, ...]:
        """The steps of one of the forms."""
        return self.bridged if bridged else self.direct

    def check(self, template: TaskTemplate) -> None:
        """Refuse a template that this task cannot fill.

        Raises
        ------
        InputError
            A number of steps that is not the task's, a placeholder that a step needs and lacks, or
            one that is unknown.
        """
        for form, texts in (("direct", template.direct), ("bridged", template.bridged)):
            plans = self.plans(form == "bridged")
            if len(texts) != len(plans):
                raise InputError(
                    f"The {form} template of {self.name} has {len(texts)} texts where the task has "
                    f"{len(plans)} steps: {', '.join(plan.title for plan in plans)}."
                )
            known = {"source", "target", self.text, *self.fields}
            known |= {"bridge"} if form == "bridged" else set()
            for number, (plan, text) in enumerate(zip(plans, texts, strict=True), start=1):
                where = f"Step {number} of the {form} template of {self.name}"
                require_placeholders(text, known, plan.needs, where)
                known.add(f"step{number}")


def require_placeholders(text: str, known: set[str], needs: tuple[str, ...], where: str) -> None:
    """Refuse a text whose placeholders are not among the known ones, or lack a needed one."""
    found = set(_PLACEHOLDER.findall(text))
    unknown = sorted(found - known)
    if unknown:
        there = ", ".join(f"{{{name}}}" for name in sorted(known))
        raise InputError(
            f"{where} holds {{{unknown[0]}}}, which nothing fills: it can have {there}."
        )
    for name in needs:
        if name not in found:
            raise InputError(f"{where} lacks {{{name}}}: put it where that text shall stand.")


def fill(text: str, values: Mapping[str, str]) -> str:
    """A text with its placeholders replaced; braces in what replaces them mean nothing.

    >>> fill("{text} → {target}:", {"text": "{target}", "target": "Suomi"})
    '{target} → Suomi:'
    """
    return _PLACEHOLDER.sub(lambda found: values[found[1]], text)


def read_template(path: str | Path) -> TaskTemplate:
    """A table of one's own: a JSON object with ``direct`` and ``bridged``, each a list of texts.

    Raises
    ------
    InputError
        The file can't be read or is something else.
    """
    path = Path(path).expanduser()
    wrong = InputError(
        f"The template {path} has to be a JSON object with 'direct' and 'bridged', each a list of "
        "texts, one a step."
    )
    text = read_text(path)
    try:
        table = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise wrong from error
    if not isinstance(table, dict) or set(table) != {"direct", "bridged"}:
        raise wrong
    for texts in table.values():
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise wrong
    return TaskTemplate(tuple(table["direct"]), tuple(table["bridged"]))


_TO_BRIDGE = "{{source}}: {{{0}}}\n{{bridge}}:"
_CHOICES = "A: {a}\nB: {b}\nC: {c}\nD: {d}\nAnswer:"
_LABELS = "A: follows\nB: neither\nC: contradicts\nAnswer:"  # in the order of task_files.LABELS

READING = Kind(
    name="reading",
    measure="accuracy",
    text="passage",
    fields=("question", "a", "b", "c", "d"),
    direct=(StepPlan("answer", "target", ("passage", "question", "a", "b", "c", "d")),),
    bridged=(
        StepPlan("translate the passage", "bridge", ("passage",)),
        StepPlan("answer", "target", ("step1", "question", "a", "b", "c", "d")),
    ),
    template=TaskTemplate(
        direct=("{source}: {passage}\n{target}: {question}\n" + _CHOICES,),
        bridged=(
            _TO_BRIDGE.format("passage"),
            "{bridge}: {step1}\n{target}: {question}\n" + _CHOICES,
        ),
    ),
    letters="ABCD",
    within=True,
)
INFERENCE = Kind(
    name="inference",
    measure="accuracy",
    text="premise",
    fields=("hypothesis",),
    direct=(StepPlan("judge", "target", ("premise", "hypothesis")),),
    bridged=(
        StepPlan("translate the premise", "bridge", ("premise",)),
        StepPlan("judge", "target", ("step1", "hypothesis")),
    ),
    template=TaskTemplate(
        direct=("{source}: {premise}\n{target}: {hypothesis}\n" + _LABELS,),
        bridged=(
            _TO_BRIDGE.format("premise"),
            "{bridge}: {step1}\n{target}: {hypothesis}\n" + _LABELS,
        ),
    ),
    letters="ABC",
    max_tokens=128,
    within=True,
)
TRANSLATION = Kind(
    name="translation",
    measure="chrF",
    text="text",
    fields=(),
    direct=(StepPlan("translate", "target", ("text",)),),
    bridged=(
        StepPlan("translate into the bridge", "bridge", ("text",)),
        StepPlan("translate", "target", ("step1",)),
    ),
    template=TaskTemplate(
        direct=("{source}: {text}\n{target}:",),
        bridged=(_TO_BRIDGE.format("text"), "{source}: {text}\n{bridge}: {step1}\n{target}:"),
    ),
)
SUMMARY = Kind(
    name="summary",
    measure="chrF",
    text="text",
    fields=(),
    direct=(
        StepPlan("summarise", "source", ("text",)),
        StepPlan("improve", "source", ("text", "step1")),
        StepPlan("translate", "target", ("step2",)),
        StepPlan("refine", "target", ("step3",)),
    ),
    bridged=(
        StepPlan("summarise", "bridge", ("text",)),
        StepPlan("improve", "bridge", ("text", "step1")),
        StepPlan("translate", "target", ("step2",)),
        StepPlan("refine", "target", ("step3",)),
    ),
    template=TaskTemplate(
        direct=(
            "{source}: {text}\nSummary ({source}):",
            "{source}: {text}\nSummary ({source}): {step1}\nBetter summary ({source}):",
            "{source}: {step2}\n{target}:",
            "{source}: {step2}\n{target}: {step3}\nBetter ({target}):",
        ),
        bridged=(
            "{source}: {text}\nSummary ({bridge}):",
            "{source}: {text}\nSummary ({bridge}): {step1}\nBetter summary ({bridge}):",
            "{bridge}: {step2}\n{target}:",
            "{bridge}: {step2}\n{target}: {step3}\nBetter ({target}):",
        ),
    ),
    shown=False,
)
KINDS = {kind.name: kind for kind in (READING, INFERENCE, TRANSLATION, SUMMARY)}
