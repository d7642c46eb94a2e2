"""Chains that were tried, as text to keep: JSON, CSV, Markdown."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from .decoding import Generated
from .evaluation import RANKINGS
from .trials import AnyTrial, Finding, Outcome

_STEP = [
    "trial", "text", "source", "target", "bridges", "backend", "shots", "seed",
    "route", "step", "language", "prompt", "output", "probability", "finish", "language_of_output",
    "right", *(f"rank_{name.replace(' ', '_')}" for name in RANKINGS), "candidates",
]  # fmt: skip


def to_json(outcomes: Sequence[Outcome]) -> str:
    """A list of trials with everything that is known of them; letters stay as they are."""
    return json.dumps([_outcome(each) for each in outcomes], ensure_ascii=False, indent=2) + "\n"


def to_frame(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """One row a step of a chain, the exact prompt among the columns; ranks at the last step."""
    rows = []
    for number, outcome in enumerate(outcomes, start=1):
        trial = outcome.trial
        about = [number, trial.text, trial.source, trial.target, " ".join(trial.bridges)]
        settings = trial.settings()
        about += [outcome.backend, settings["shots"], settings["seed"]]
        for finding in outcome.findings:
            steps = _steps(finding, trial)
            for step, told in enumerate(steps, start=1):
                standing = finding.standing if step == len(steps) else None
                ranks = [standing.ranks[name] if standing else None for name in RANKINGS]
                seen = [told["output"], told["probability"], told["finish"]]
                seen += [told["language_of_output"]["code"], told["right"]]
                route = " ".join(finding.chain.route.codes)
                place = [route, step, told["language"], told["prompt"]]
                size = standing.candidates if standing else None
                rows.append([*about, *place, *seen, *ranks, size])
    return pd.DataFrame(rows, columns=_STEP)


def to_csv(outcomes: Sequence[Outcome]) -> str:
    """:func:`to_frame` as text."""
    return str(to_frame(outcomes).to_csv(index=False))


def to_markdown(outcomes: Sequence[Outcome]) -> str:
    """The trials to read and to send on; foreign text is fenced, so that it stays as it is."""
    return "\n".join(_section(each) for each in outcomes)


def _outcome(outcome: Outcome) -> dict[str, Any]:
    trial = outcome.trial
    return {
        "text": trial.text,
        "source": trial.source,
        "target": trial.target,
        "bridges": list(trial.bridges),
        **trial.settings(),
        "backend": outcome.backend,
        "note": outcome.note,
        "no_ranks": outcome.no_scores,
        "accepted": list(trial.accepted(trial.target)),
        "chains": [_chain(finding, trial) for finding in outcome.findings],
    }


def _chain(finding: Finding, trial: AnyTrial) -> dict[str, Any]:
    standing = finding.standing
    broken = finding.broken_at
    return {
        "route": list(finding.chain.route.codes),
        "answer": finding.chain.answer,
        "finished": finding.finished,
        "chrf": None if finding.score is None else 100 * finding.score,
        "broken_at_step": None if broken is None else broken + 1,
        "steps": _steps(finding, trial),
        "alternatives": [
            {"text": each.text, **_probability(each)} for each in finding.alternatives
        ],
        "ranks": None
        if standing is None
        else {"candidates": standing.candidates, **dict(standing.ranks)},
    }


def _steps(finding: Finding, trial: AnyTrial) -> list[dict[str, Any]]:
    return [
        {
            "language": step.language.code,
            "prompt": step.prompt,
            "output": step.output.text,
            **_probability(step.output),
            "finish": step.output.finish,
            "language_of_output": {
                "code": written.code,
                "confidence": written.confidence,
                "decided_by": written.decided_by,
                "reason": written.reason,
            },
            "right": right,
            "accepted": list(trial.accepted(step.language.code)),
        }
        for step, written, right in zip(
            finding.chain.steps, finding.languages, finding.right, strict=True
        )
    ]


def _probability(output: Generated) -> dict[str, float | None]:
    value = output.log_probability
    return {
        "log_probability": value,
        "probability": None if value is None else float(np.exp(value)),
    }


def _section(outcome: Outcome) -> str:
    trial, settings = outcome.trial, outcome.trial.settings()
    lines = [
        f"## {_code(trial.text)}: {trial.source} → {trial.target}",
        "",
        f"Written by {_code(outcome.backend)}; {settings['shots']} demonstrations, "
        f"seed {settings['seed']}.",
    ]
    if outcome.note:
        lines += ["", _code(outcome.note)]
    for finding in outcome.findings:
        lines += ["", f"### {' → '.join(finding.chain.route.codes)}"]
        for number, step in enumerate(_steps(finding, trial), start=1):
            lines += ["", f"Step {number}: {_about(step)}", "", _fenced(step["prompt"])]
            lines += ["", f"Answer: {_code(step['output'])}"]
        if finding.standing is not None:
            places = (f"{name} {finding.standing.ranks[name]}" for name in RANKINGS)
            among = finding.standing.candidates
            lines += ["", f"Rank of the gold word among {among} words: {', '.join(places)}."]
    return "\n".join([*lines, ""])


def _about(step: dict[str, Any]) -> str:
    facts = [step["language"]]
    if step["probability"] is not None:
        facts.append(f"probability {step['probability']:.3g}")
    if step["language_of_output"]["code"]:
        facts.append(f"written in {step['language_of_output']['code']}")
    if step["right"] is not None:
        facts.append("right" if step["right"] else "wrong")
    return ", ".join(facts)


def _code(text: str) -> str:
    """One line of text that Markdown leaves alone.

    >>> _code("a`b"), _code("")
    ('`` a`b ``', '(nothing)')
    """
    line = " ".join(text.split())
    if not line:
        return "(nothing)"
    longest = _longest_run(line)
    ticks = "`" * (longest + 1)
    return f"{ticks} {line} {ticks}" if longest else f"`{line}`"


def _fenced(text: str) -> str:
    fence = "`" * max(3, _longest_run(text) + 1)
    return f"{fence}text\n{text}\n{fence}"


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
