"""Tasks beside word translation, each in a direct and a bridged form; and chains of any steps."""

from .opening import TASKS, AnyTask, open_task, require_route, run_item, stream_item
from .prompt_chains import FreeChain, PromptStep
from .prompt_tasks import Item, PromptTask
from .templates import (
    INFERENCE,
    KINDS,
    READING,
    SUMMARY,
    TRANSLATION,
    Kind,
    StepPlan,
    TaskTemplate,
    read_template,
)

__all__ = [
    "INFERENCE",
    "KINDS",
    "READING",
    "SUMMARY",
    "TASKS",
    "TRANSLATION",
    "AnyTask",
    "FreeChain",
    "Item",
    "Kind",
    "PromptStep",
    "PromptTask",
    "StepPlan",
    "TaskTemplate",
    "open_task",
    "read_template",
    "require_route",
    "run_item",
    "stream_item",
]
