"""What the Lab remembers of a session beside the link: how chains are asked, and what came of them.

Values live under their own names, as the link's fields do, so that :func:`pages.parts.state.widget`
ties widgets to them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from bridgex_core.prompts import PAPER_TEMPLATE
from bridgex_core.tasks import KINDS
from bridgex_core.trials import AnyTrial, FreeTrial, ItemTrial, Outcome, Trial
from pages.parts import state

HERE, SERVER = "here", "server"
TRY, MEASURE = state.LAB_VIEWS
_HISTORY = "lab_history"
_DEFAULTS: dict[str, Any] = {
    "lab_link": PAPER_TEMPLATE.link,
    "lab_arrow": PAPER_TEMPLATE.arrow,
    "lab_together": False,
    "lab_nearest": False,
    "lab_tokens": Trial.max_tokens,
    "lab_temperature": Trial.temperature,
    "lab_top_p": Trial.top_p,
    "lab_where": HERE,
    "lab_data": "",
    "lab_task_shots": 0,
    "lab_runs": 1,
    "lab_step_languages": ("eng_Latn", "swh_Latn"),
    "lab_step_texts": ("{source}: {text}\n{language}:", "{step1}\n{language}:"),
    **{
        f"lab_{form}_{name}": getattr(kind.template, form)
        for name, kind in KINDS.items()
        for form in ("direct", "bridged")
    },
}


@dataclass
class History:
    """The outcomes of a session, the latest last, and which one is shown."""

    outcomes: list[Outcome] = field(default_factory=list)
    shown: int | None = None

    def add(self, outcome: Outcome) -> None:
        """Keep an outcome and show it."""
        self.outcomes.append(outcome)
        self.shown = len(self.outcomes) - 1


def settle() -> None:
    """Give everything a value that has none yet."""
    for name, value in _DEFAULTS.items():
        st.session_state.setdefault(name, value)
    st.session_state.setdefault(_HISTORY, History())


def get(name: str) -> Any:
    """A value, by its name without the prefix."""
    return st.session_state[f"lab_{name}"]


def put(**values: Any) -> None:
    """Set values; their widgets follow when they are drawn next."""
    for name, value in values.items():
        st.session_state[f"lab_{name}"] = value


def reset(*names: str) -> None:
    """Back to the defaults."""
    put(**{name: _DEFAULTS[f"lab_{name}"] for name in names})


def element(name: str, index: int) -> dict[str, Any]:
    """Arguments that tie a widget to one of several values that stand under a name."""
    key = f"lab_{name}_{index}_widget"
    wanted = get(name)[index]
    if key not in st.session_state or st.session_state[key] != wanted:
        st.session_state[key] = wanted
    return {"key": key, "on_change": _keep_element, "args": (name, index)}


def _keep_element(name: str, index: int) -> None:
    values = list(get(name))
    values[index] = st.session_state[f"lab_{name}_{index}_widget"]
    put(**{name: tuple(values)})


def history() -> History:
    """The session's."""
    found: History = st.session_state[_HISTORY]
    return found


def bring_back(index: int) -> None:
    """Show an outcome of the history, with everything set as it was asked."""
    history().shown = index
    _set(history().outcomes[index].trial)


def _set(trial: AnyTrial) -> None:
    state.put(source=trial.source, target=trial.target, text=trial.text)
    if isinstance(trial, Trial):
        state.put(task="bli", bridges=trial.bridges, shots=trial.shots, seed=trial.seed)
        put(link=trial.template.link, arrow=trial.template.arrow, tokens=trial.max_tokens)
        put(together=trial.together, nearest=trial.nearest)
        put(temperature=trial.temperature, top_p=trial.top_p)
    elif isinstance(trial, ItemTrial):
        task = trial.task
        state.put(task=task.name, bridges=trial.bridges, seed=task.seed)
        put(task_shots=task.shots)
        put(**{f"direct_{task.name}": task.template.direct})
        put(**{f"bridged_{task.name}": task.template.bridged})
    elif isinstance(trial, FreeTrial):
        state.put(task="chain")
        put(step_languages=tuple(step.language.code for step in trial.chain.steps))
        put(step_texts=tuple(step.text for step in trial.chain.steps))
