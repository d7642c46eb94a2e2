"""What each layer would say next, and in which script: direct and bridged prompts side by side."""

from __future__ import annotations

import streamlit as st

from bridgex_core import figures
from bridgex_core.atlas import chain_prompts
from bridgex_core.errors import InputError
from bridgex_core.languages import Language
from bridgex_core.lens import Lens, logit_lens, share_by_layer
from pages.parts import atlas_model, atlas_results, atlas_shown, downloads, results, state, words
from pages.parts.messages import told
from pages.parts.results import Scene, Statistics

_BOXES = {"prompt": "Direct prompt", "bridged": "Bridged prompt"}


def draw(scene: Scene, _: Statistics) -> None:
    """The whole analysis."""
    st.caption(
        "Every layer's hidden state is read as if it were the last (logit lens, with the model's "
        "own final norm). Which language the words are in cannot be told token by token; the "
        "script can."
    )
    languages = _languages(scene)
    prompts = _prompts(scene, languages)
    if not atlas_model.asks(scene, "Read the prompts", "atlas_lens", each_time=False):
        return
    told(_lenses)(scene, prompts, languages)


def _languages(scene: Scene) -> tuple[Language, Language, Language]:
    options = scene.named(results.languages_of(scene.collection.corpus.name))
    with st.container(horizontal=True):
        codes = [
            atlas_shown.language(label, name, options, fallback, width=220)
            for label, name, fallback in (
                ("From", "source", "ind_Latn"),
                ("Through", "through", "eng_Latn"),
                ("To", "target", "swh_Latn"),
            )
        ]
    source, bridge, target = scene.named(codes)
    return source, bridge, target


def _prompts(scene: Scene, languages: tuple[Language, Language, Language]) -> dict[str, str]:
    """The two texts; by default a word on its way, directly and through the bridge."""
    try:
        defaults = chain_prompts(scene.register, *(one.code for one in languages))
    except InputError as error:
        st.info(f"Type the prompts yourself: {words.plain(error)}", icon=":material/info:")
        defaults = ("", "")
    columns = st.columns(2, gap="large")
    for column, default, name in zip(columns, defaults, _BOXES, strict=True):
        with column:
            _box(name, default)
    return {
        name: state.get(name) or default for name, default in zip(_BOXES, defaults, strict=True)
    }


def _box(name: str, default: str) -> None:
    st.text_area(
        _BOXES[name],
        height=80,
        **state.widget(
            name,
            shown=lambda text: text or default,
            meant=lambda text: "" if text == default else text,
        ),
    )


def _lenses(
    scene: Scene, prompts: dict[str, str], languages: tuple[Language, Language, Language]
) -> None:
    found = {
        name: _lens(atlas_results.identity(scene), prompt, scene)
        for name, prompt in prompts.items()
        if prompt.strip()
    }
    if not found:
        st.info("Type a prompt.", icon=":material/info:")
        return
    colours = figures.script_colours(list(found.values()))
    for name, lens in found.items():
        _grid(name, lens, colours, languages)
    columns = st.columns(len(found), gap="large")
    for column, (name, lens) in zip(columns, found.items(), strict=True):
        with column:
            _shares(scene, name, lens, colours, languages)
    st.caption(
        f"{words.plain(scene.collection.source.title)} in {scene.collection.dtype}. Layer 0 is the "
        "embedding, the topmost what the model itself says. Hover for the most probable words with "
        "their probabilities; only the last 14 tokens are drawn, the tables have all. Shares are "
        "means over all tokens of the prompt."
    )


@st.cache_resource(show_spinner="Reading every layer …", max_entries=16)
def _lens(identity: tuple[str, str], prompt: str, _scene: Scene) -> Lens:
    return logit_lens(atlas_results.backend(_scene).model, prompt)


def _grid(
    name: str,
    lens: Lens,
    colours: dict[str, str],
    languages: tuple[Language, Language, Language],
) -> None:
    st.markdown(f"**{_BOXES[name]}**, layer by token")
    last = lens.top_tokens[-1, -1, 0]
    downloads.chart(
        figures.lens_grid(lens, colours, languages),
        f"lens_{name}",
        f"{lens.levels} layers by tokens; the model says {last!r} next.",
    )


def _shares(
    scene: Scene,
    name: str,
    lens: Lens,
    colours: dict[str, str],
    languages: tuple[Language, Language, Language],
) -> None:
    st.markdown(f"**{_BOXES[name]}**, share by layer")
    shares = share_by_layer(lens, [one.code for one in languages])
    atlas_shown.picture(
        figures.lens_shares(shares, colours, languages),
        f"shares_{name}",
        f"{_BOXES[name]} by layer, {scene.collection.source.title}",
        f"Share of probability by script and layer for: {lens.prompt}",
        shares,
    )
    downloads.table_csv(lens.to_frame(), f"lens_{name}_words", "Words of every layer (CSV)")
