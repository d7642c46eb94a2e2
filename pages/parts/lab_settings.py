"""How the Lab asks: the texts of prompts, demonstrations, length, drawing of tokens."""

from __future__ import annotations

import streamlit as st

from bridgex_core.prompts import ChainTemplate, translation_prompt
from bridgex_core.tasks import KINDS
from pages.parts import lab_ask, lab_state, state
from pages.parts.messages import told
from pages.parts.results import Scene


def draw(scene: Scene) -> None:
    """The settings of the task at hand, folded away."""
    with st.expander("How it is asked", icon=":material/tune:", key="lab_how"):
        task = state.get("task")
        if task == "bli":
            _demonstrations()
            told(_link)()
            _decoding(draws=True)
        elif task == "chain":
            _decoding(draws=False)
        else:
            told(_task)(task)
        told(_preview)(scene)


def _demonstrations() -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.number_input(
            "Demonstrations",
            0,
            16,
            help="Translated words above the text; never the text itself.",
            width=150,
            **state.widget("shots"),
        )
        st.segmented_control(
            "Chosen",
            (False, True),
            format_func={False: "at random", True: "nearest to the text"}.__getitem__,
            required=True,
            help="Nearest by the model's own word embeddings.",
            disabled=not state.get("shots"),
            **state.widget("lab_nearest"),
        )
        _seed()
        st.toggle(
            "One chain through all bridges",
            help="In the order chosen, instead of one chain for each bridge.",
            **state.widget("lab_together"),
        )


def _seed() -> None:
    st.number_input(
        "Seed",
        0,
        10**6,
        help="Of the choice of demonstrations, and of tokens that are drawn.",
        width=130,
        **state.widget("seed"),
    )


def _link() -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.text_input(
            "A word in its language",
            help="{language} is the language's own name, {text} the word.",
            width=260,
            **state.widget("lab_link"),
        )
        st.text_input("Between two words", width=150, **state.widget("lab_arrow"))
        st.button(
            "The paper's",
            on_click=lab_state.reset,
            args=("link", "arrow"),
            help="Back to the template of the paper.",
            key="lab_paper_template",
        )
    ChainTemplate(lab_state.get("link"), lab_state.get("arrow"))  # tells what is wrong with it


def _decoding(*, draws: bool) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.number_input(
            "Longest answer, in tokens", 1, 512, width=210, **state.widget("lab_tokens")
        )
        if not draws:
            return
        st.slider(
            "Temperature",
            0.0,
            2.0,
            step=0.1,
            help="0 takes the most probable token every time; above, tokens are drawn.",
            width=220,
            **state.widget("lab_temperature"),
        )
        st.slider(
            "Share of probability drawn from",
            0.05,
            1.0,
            step=0.05,
            help="The fewest tokens that hold this share (top p).",
            disabled=lab_state.get("temperature") == 0,
            width=240,
            **state.widget("lab_top_p"),
        )


def _task(name: str) -> None:
    kind = KINDS[name]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if kind.shown:
            st.number_input(
                "Demonstrations",
                0,
                16,
                help="Items that are not asked, above every prompt.",
                width=150,
                **state.widget("lab_task_shots"),
            )
            _seed()
        st.button(
            "The task's own texts",
            on_click=lab_state.reset,
            args=(f"direct_{name}", f"bridged_{name}"),
            help="Back to the texts that the task comes with.",
            key="lab_own_texts",
        )
    for form, column in zip(("direct", "bridged"), st.columns(2), strict=True):
        for number, plan in enumerate(kind.plans(form == "bridged")):
            column.text_area(
                f"{form.capitalize()}, step {number + 1}: {plan.title}",
                height=110,
                **lab_state.element(f"{form}_{name}", number),
            )
    kind.check(lab_ask.task_template(name))


def _preview(scene: Scene) -> None:
    """The first prompt, without demonstrations."""
    if state.get("task") != "bli" or not state.get("text").strip():
        return
    template = ChainTemplate(lab_state.get("link"), lab_state.get("arrow"))
    ends = scene.named((state.get("source"), state.get("target")))
    st.caption("Without demonstrations the direct prompt reads:")
    st.code(
        translation_prompt(ends, [state.get("text")], template=template),
        language=None,
        wrap_lines=True,
    )
