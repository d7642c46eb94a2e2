"""What is asked in the Lab: a word, an item of a task, or a text along a chain of one's own."""

from __future__ import annotations

import streamlit as st

from bridgex_core.errors import InputError
from bridgex_core.lexicons import WordPair
from bridgex_core.prompts import ChainTemplate
from bridgex_core.tasks import (
    KINDS,
    AnyTask,
    FreeChain,
    Item,
    PromptStep,
    PromptTask,
    TaskTemplate,
    open_task,
)
from bridgex_core.trials import AnyTrial, FreeTrial, ItemTrial, Trial
from pages.parts import bridge_controls, bridge_results, lab_state, state, words
from pages.parts.results import Scene

TASKS = {
    "bli": "Word or sentence",
    "translation": "Translation task",
    "reading": "Reading",
    "inference": "Inference",
    "summary": "Summary",
    "chain": "Chain of your own",
}
ABOUT = {
    "bli": "A word, or a sentence, is translated step by step in the paper's form.",
    "translation": "Sentences of the bundled Declaration of Human Rights, or of a folder in "
    "FLORES-200's layout.",
    "reading": "A passage and a question with four answers: made from the bundled Declaration "
    "(is a passage recognised?), or Belebele's.",
    "inference": "Does the first sentence say that the second one holds? Needs a file of XNLI.",
    "summary": "A text is summarised, improved, translated and refined, in four prompts. Needs a "
    "file of texts with summaries, or takes a text of your own.",
    "chain": "Any number of prompts, in any languages.",
}
NEEDS_DATA = ("inference", "summary")
_LONG = 70  # letters of an item in a list


def pair(scene: Scene) -> None:
    """Source, target and bridges."""
    labels = bridge_controls.language_labels(scene)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        bridge_controls.language("From", "source", labels, "The language that the text is in.")
        if state.get("task") == "chain":
            return
        st.button(
            "Swap",
            icon=":material/swap_horiz:",
            on_click=_swap,
            help="Source becomes target.",
            key="lab_swap",
        )
        bridge_controls.language(
            "To", "target", labels, "The language to get to. Low-resource ones come first."
        )
    bridge_controls.candidates(scene, labels, "Bridges")


def _swap() -> None:
    state.put(source=state.get("target"), target=state.get("source"), text="")


def text(scene: Scene) -> None:
    """The text: typed, or taken from what there is of the task."""
    task = state.get("task")
    if task == "bli":
        _word(scene)
    elif task == "chain":
        _typed("Text")
    else:
        _item(scene)


def more(scene: Scene) -> None:
    """What else some tasks need: files, the steps of a chain."""
    task = state.get("task")
    if task == "chain":
        _steps(scene)
    elif task != "bli":
        data_field()


def _steps(scene: Scene) -> None:
    labels = bridge_controls.language_labels(scene)
    languages = lab_state.get("step_languages")
    for number in range(len(languages)):
        with st.container(horizontal=True):
            st.selectbox(
                f"Step {number + 1} writes",
                list(labels),
                format_func=labels.__getitem__,
                filter_mode="contains",
                width=260,
                **lab_state.element("step_languages", number),
            )
            st.text_area(
                "Prompt",
                height=90,
                help="{text}, {step1}, {step2} … are the text and earlier answers, {source} and "
                "{language} the names of the text's and the answer's languages.",
                **lab_state.element("step_texts", number),
            )
    with st.container(horizontal=True):
        st.button("Add a step", icon=":material/add:", on_click=_add_step, key="lab_add_step")
        st.button(
            "Remove the last",
            on_click=_remove_step,
            disabled=len(languages) < 2,
            key="lab_remove_step",
        )


def _add_step() -> None:
    languages, texts = lab_state.get("step_languages"), lab_state.get("step_texts")
    lab_state.put(
        step_languages=(*languages, state.get("target")),
        step_texts=(*texts, f"{{step{len(texts)}}}\n{{language}}:"),
    )


def _remove_step() -> None:
    lab_state.put(
        step_languages=lab_state.get("step_languages")[:-1],
        step_texts=lab_state.get("step_texts")[:-1],
    )


def data_field() -> None:
    """Where the user's files of a task are."""
    st.text_input(
        "The task's files",
        placeholder="/path/to/files"
        if state.get("task") in NEEDS_DATA
        else "the bundled ones, or /path/to/files",
        help="docs/tasks.md says step by step where to get them.",
        **state.widget("lab_data", meant=str.strip),
    )


def _typed(label: str) -> None:
    st.text_input(label, placeholder="Type here", width=360, **state.widget("text"))


def _word(scene: Scene) -> None:
    _typed("Word or sentence")
    try:
        found = evaluation_words(scene)
    except InputError as error:
        st.caption(words.plain(error), width="content")
        return
    labels = {pair.word: f"{pair.word} = {pair.answers[0]}" for pair in found}
    _take_from(labels, state.get("text"), "… or one from the lexicon", "Evaluation words")


def _take_from(labels: dict[str, str], typed: str, label: str, about: str) -> None:
    wanted = typed if typed in labels else None
    if st.session_state.get("lab_taken", "") != wanted:
        st.session_state["lab_taken"] = wanted
    st.selectbox(
        label,
        list(labels),
        format_func=labels.__getitem__,
        placeholder=f"{about}: {len(labels)}",
        filter_mode="contains",
        width=360,
        key="lab_taken",
        on_change=_take,
    )


def _take() -> None:
    state.put(text=st.session_state["lab_taken"] or "")


def evaluation_words(scene: Scene) -> tuple[WordPair, ...]:
    """The words of the pair that no demonstration ever holds.

    Raises
    ------
    InputError
        The lexicon lacks a language, or source and target are one.
    """
    task = opened(scene, "bli", state.get("items"), 0, 0)
    return () if isinstance(task, PromptTask) else task.words


def _item(scene: Scene) -> None:
    name = state.get("task")
    if name in NEEDS_DATA and not lab_state.get("data"):
        if name == "summary":
            _typed("Text of your own")
        return
    found = opened(scene, name, state.get("items"), 0, 0)
    if not isinstance(found, PromptTask):
        return
    if not KINDS[name].letters:
        _typed("Text of your own")
    labels = {
        item.fields[found.kind.text]: f"{words.shortened(item.fields[found.kind.text], _LONG)} "
        f"({item.origin})"
        for item in found.items
    }
    typed = state.get("text")
    if KINDS[name].letters and typed not in labels:
        typed = next(iter(labels))
        state.put(text=typed)
    _take_from(labels, typed, "Item", "Items")


def opened(
    scene: Scene, name: str, items: int, shots: int, seed: int, *, edited: bool = True
) -> AnyTask:
    """A task, with the texts of its prompts as they are edited here or as the task has them.

    Raises
    ------
    InputError
        The task cannot be had: no data, a wrong template, source and target the same.
    """
    bundled = name == "bli"
    return _opened(
        name,
        state.get("source"),
        state.get("target"),
        None if bundled else lab_state.get("data") or None,
        items,
        shots,
        seed,
        task_template(name) if edited and not bundled else None,
        scene,
    )


@st.cache_resource(show_spinner=False, max_entries=24, ttl=120)
def _opened(
    name: str,
    source: str,
    target: str,
    data: str | None,
    items: int,
    shots: int,
    seed: int,
    template: TaskTemplate | None,
    _scene: Scene,
) -> AnyTask:
    return open_task(
        name,
        source,
        target,
        data=data,
        items=items,
        shots=shots,
        seed=seed,
        template=template,
        register=_scene.register,
    )


def task_template(name: str) -> TaskTemplate:
    """The texts of a task's prompts, as they are set."""
    return TaskTemplate(lab_state.get(f"direct_{name}"), lab_state.get(f"bridged_{name}"))


def trial(scene: Scene) -> AnyTrial:
    """What is asked now.

    Raises
    ------
    InputError
        Something is missing or wrong; the sentence says what.
    """
    name, typed = state.get("task"), state.get("text")
    if name == "bli":
        return Trial(
            typed,
            state.get("source"),
            state.get("target"),
            bridge_results.bridges(),
            together=lab_state.get("together"),
            shots=state.get("shots"),
            nearest=lab_state.get("nearest"),
            seed=state.get("seed"),
            template=ChainTemplate(lab_state.get("link"), lab_state.get("arrow")),
            max_tokens=lab_state.get("tokens"),
            temperature=lab_state.get("temperature"),
            top_p=lab_state.get("top_p"),
            register=scene.register,
        )
    if name == "chain":
        steps = tuple(
            PromptStep(scene.register[code], text, max_tokens=lab_state.get("tokens"))
            for code, text in zip(
                lab_state.get("step_languages"), lab_state.get("step_texts"), strict=True
            )
        )
        return FreeTrial(
            typed, FreeChain(scene.register[state.get("source")], steps), scene.register
        )
    return _item_trial(scene, name, typed)


def _item_trial(scene: Scene, name: str, typed: str) -> ItemTrial:
    field, shots = KINDS[name].text, lab_state.get("task_shots")
    if name == "summary" and not lab_state.get("data"):
        source, target = state.get("source"), state.get("target")
        task = PromptTask(KINDS[name], source, target, (), task_template(name))
        return ItemTrial(task, Item({field: typed}, ""), bridge_results.bridges(), scene.register)
    found = opened(scene, name, state.get("items"), shots, state.get("seed"))
    if not isinstance(found, PromptTask):
        raise TypeError("word translation has no items")
    own = Item({field: typed}, "")
    item = next((each for each in found.items if each.fields[field] == typed), own)
    if KINDS[name].letters and item is own:
        raise InputError("Choose an item of the list: this task needs a question with answers.")
    return ItemTrial(found, item, bridge_results.bridges(), scene.register)
