"""What is asked on the Bridges page: a pair of languages, candidates, and how they are ranked."""

from __future__ import annotations

import streamlit as st

from bridgex_core.bridges import RANKERS
from bridgex_core.probing import KNOWN_RULES
from bridgex_core.rankers import COMBINED
from bridgex_core.study import BRIDGES
from pages.parts import bridge_results, bridge_words, controls, state, words
from pages.parts.results import Scene

_RECOMMENDED = "recommended"
_WELL_SUPPLIED = (4, 5)


def draw(scene: Scene) -> None:
    """The controls above the ranking."""
    labels = language_labels(scene)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        language("From", "source", labels, "The language that the words are in.")
        language(
            "To",
            "target",
            labels,
            "The language to get to. Low-resource ones (class 0 to 2 of Joshi et al. 2020) come "
            "first.",
        )
        controls.layers(
            scene.collection.source.layers,
            "band",
            "HSIC is taken in these layers; 0 is next to the input. The paper takes the middle, "
            "0.31 to 0.66 of the depth.",
            width=150,
        )
        _advanced()
    candidates(scene, labels)


def language_labels(scene: Scene) -> dict[str, str]:
    """How languages are offered: by code, low-resource ones first, then by name."""
    languages = sorted(scene.register, key=lambda one: (not one.is_low_resource, one.name))
    return {one.code: f"{words.language_label(one)} ({one.code})" for one in languages}


def language(label: str, field: str, labels: dict[str, str], about: str) -> None:
    """The choice of a language for a field of the link."""
    st.selectbox(
        label,
        list(labels),
        format_func=labels.__getitem__,
        filter_mode="contains",
        help=f"{about} Search by English name, by the language's own name, or by its code.",
        width=265,
        **state.widget(field),
    )


def candidates(
    scene: Scene, labels: dict[str, str], label: str = "Candidates for the bridge"
) -> None:
    """The choice of bridges; the ends of the path are none."""
    ends = state.get("source"), state.get("target")
    paper = tuple(code for code in BRIDGES if code not in ends)
    there = set(scene.collection.corpus.languages())
    supplied = tuple(
        one.code
        for one in scene.register
        if one.resource_class in _WELL_SUPPLIED and one.code in there and one.code not in ends
    )
    st.multiselect(
        label,
        [*paper, *(code for code in labels if code not in (*ends, *paper))],
        format_func=labels.__getitem__,
        placeholder="Name, autonym or code",
        filter_mode="contains",
        **state.widget(
            "bridges",
            shown=lambda _: list(bridge_results.bridges()),
            meant=lambda chosen: BRIDGES if set(chosen) == set(paper) else tuple(chosen),
        ),
    )
    with st.container(horizontal=True, gap="xsmall", vertical_alignment="center"):
        st.button(
            f"The paper's {_NUMBERS[len(paper)]}",
            on_click=state.put,
            kwargs={"bridges": BRIDGES},
            disabled=state.get("bridges") == BRIDGES,
            key="paper_bridges",
        )
        st.button(
            "All of class 4 and 5",
            on_click=state.put,
            kwargs={"bridges": supplied},
            disabled=not supplied,
            help="Every language of this corpus that is well supplied with data (Joshi et al. "
            "2020).",
            key="supplied_bridges",
        )
        dropped = [code for code in state.get("bridges") if code in ends]
        if dropped and state.get("bridges") != BRIDGES:
            names = words.listed([words.plain(one.name) for one in scene.named(dropped)])
            st.caption(f"{names} is an end of the path, so not a candidate.")


_NUMBERS = ("none", "one", "two", "three", "four", "five", "six")


def _advanced() -> None:
    with st.popover("Advanced", icon=":material/tune:"):
        st.selectbox(
            "Ranker",
            [_RECOMMENDED, *RANKERS, COMBINED],
            format_func=_ranker,
            help="The recommended one is the ranker whose first choices lose least on the "
            "pairs that were measured for this model; without any it is the paper's.",
            **state.widget(
                "ranker",
                shown=lambda own: own or _RECOMMENDED,
                meant=lambda one: None if one == _RECOMMENDED else one,
            ),
        )
        st.segmented_control(
            "Pool the layers' neurons",
            state.POOLED,
            format_func=bridge_words.POOLED.__getitem__,
            required=True,
            help="Small models have few neurons of a set in a layer: pooled, the band counts "
            "as one layer.",
            **state.widget("pooled"),
        )
        st.toggle(
            "Take out prompt length",
            help="Longer prompts move neurons together that have nothing else in common. HSIC "
            "against chance always takes it out; this does it for the paper's HSIC too.",
            **state.widget(
                "length", lambda length: length == "yes", lambda on: "yes" if on else "no"
            ),
        )
        st.segmented_control(
            "The model knows a word if",
            KNOWN_RULES,
            format_func=bridge_words.KNOWN.__getitem__,
            required=True,
            help="Only known words are used, if there are at least 50. The second rule is for "
            "weak models; it needs a probe of its own.",
            **state.widget("known"),
        )


def _ranker(name: str) -> str:
    return "The recommended one" if name == _RECOMMENDED else bridge_words.RANKERS[name]
