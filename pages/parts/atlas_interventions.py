"""Neurons switched off, scaled or replaced: what the model then writes, and how well it reads."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from bridgex_core import figures
from bridgex_core.atlas import SHARED, chain_prompts
from bridgex_core.bli import Bli
from bridgex_core.effects import RUNS, Answers, WordEffects, answers, stored_word_effects
from bridgex_core.errors import InputError
from bridgex_core.languages import Language
from bridgex_core.perplexity import PerplexityChange, PerplexityPlan, stored_perplexity
from bridgex_core.xicl import Route
from pages.parts import (
    atlas_changes,
    atlas_jobs,
    atlas_model,
    atlas_results,
    atlas_shown,
    downloads,
    results,
    state,
    words,
)
from pages.parts.atlas_changes import Change
from pages.parts.messages import told
from pages.parts.results import Keys, Scene, Statistics

_TEXTS, _SHOTS = 15, 3
_MANY_WORDS = 100


def draw(scene: Scene, stats: Statistics) -> None:
    """The whole analysis."""
    st.markdown("What do these neurons do? The model is run without them, or with more of them.")
    change = atlas_changes.choose(scene, stats)
    size = words.counted(change.intervention.size, "neuron")
    if not change.intervention.size:
        st.info(f"{words.plain(change.title)}: this set has no neuron.", icon=":material/info:")
        return
    st.caption(
        f"{words.plain(change.title)}: {size}. Beside it always runs a random set of as many "
        "neurons in the same layers, drawn from those that are active at all. The model itself is "
        "never changed: an intervention holds for one run."
    )
    told(_answer)(scene, stats, change)
    told(_translation)(scene, stats, change)
    told(_perplexity)(scene, stats, change)


# ---- A prompt ----------------------------------------------------------------------------------


def _answer(scene: Scene, stats: Statistics, change: Change) -> None:
    st.markdown("**What it answers**")
    default = _default_prompt(scene)
    st.text_area(
        "Prompt",
        height=120,
        **state.widget(
            "question",
            shown=lambda text: text or default,
            meant=lambda text: "" if text == default else text,
        ),
    )
    prompt = state.get("question") or default
    if not prompt.strip():
        st.caption("Type a prompt.")
        return
    if not atlas_model.asks(scene, "Answer", "atlas_answer", each_time=False):
        return
    asked = (change.intervention.identity(), stats.keys, prompt)
    found = _answers(atlas_results.identity(scene), asked, scene, stats, change)
    frame = pd.DataFrame(
        [
            {
                "run": words.RUNS[run],
                "answer": found.outputs[run].text.strip() or "(nothing)",
                "language": _name(scene, found.languages[run].code),
                "log_probability": found.outputs[run].log_probability,
            }
            for run in RUNS
        ]
    )
    number = st.column_config.NumberColumn
    atlas_shown.table(
        frame,
        "The prompt's answer without and with the intervention, and with a random set.",
        {
            "run": "Model",
            "answer": "Answer",
            "language": "Written in",
            "log_probability": number("Log-probability", format="%.2f"),
        },
    )
    st.caption("Greedy decoding, up to 16 tokens, ended by a quotation mark or a line end.")
    downloads.table_csv(frame, "intervention_answers", "Answers (CSV)")


def _default_prompt(scene: Scene) -> str:
    try:
        codes = (state.get("source"), state.get("through"), state.get("target"))
        return chain_prompts(scene.register, *codes, shots=_SHOTS)[0]
    except InputError:
        return ""


def _name(scene: Scene, code: str | None) -> str:
    return "cannot be told" if code is None else scene.register[code].name


@st.cache_resource(show_spinner="The model answers three times …", max_entries=32)
def _answers(
    identity: tuple[str, str],
    asked: tuple[dict[str, Any], Keys, str],
    _scene: Scene,
    _stats: Statistics,
    _change: Change,
) -> Answers:
    return answers(
        atlas_results.backend(_scene),
        asked[-1],
        _change.intervention,
        languages=_stats.languages,
        register=_scene.register,
        alive=_change.alive,
    )


# ---- Words -------------------------------------------------------------------------------------


def _translation(scene: Scene, stats: Statistics, change: Change) -> None:
    source, target = scene.named((state.get("source"), state.get("target")))
    st.markdown(
        f"**How well it translates words from {words.plain(source.name)} to "
        f"{words.plain(target.name)}, and which language it writes**"
    )
    st.number_input(
        "Words",
        1,
        10_000,
        help="At most so many; few words show large effects only.",
        width=140,
        **state.widget("words"),
    )
    asked = WordEffects(
        scene.collection.source,
        scene.collection.dtype,
        Bli(source.code, target.code, items=state.get("words"), register=scene.register),
        Route.of(source, target),
        change.intervention,
        change.alive,
    )
    frame = stored_word_effects(scene.store, asked)
    if frame is not None:
        _show_words(scene, asked, frame)
        return
    number = words.counted(len(asked.task.words), "word")
    atlas_jobs.offer(
        scene,
        [
            *("atlas", "translate", *change.argv(scene, stats), *change.set_argv),
            *("--source", source.code, "--target", target.code),
            *("--items", str(state.get("words"))),
        ],
        f"{number} from {source.name} to {target.name}, neurons changed",
        "Not computed for this choice yet",
        f"{number}, three times: by the model as it is, with the set changed, and with a random "
        "set changed.",
        f"Translate {number}",
        "atlas_translation",
    )


def _show_words(scene: Scene, asked: WordEffects, frame: pd.DataFrame) -> None:
    stored = frame.reset_index()
    source, target = scene.named((asked.task.source, asked.task.target))
    shown = stored.assign(
        run=[words.RUNS[run] for run in stored["run"]],
        right=_changes(stored, "accuracy", 100, "{:+.0f}"),
        rank=_changes(stored, "mrr", 1, "{:+.3f}"),
    )
    number = st.column_config.NumberColumn
    atlas_shown.table(
        shown,
        "Accuracy and language of the answers, without and with the intervention.",
        {
            "run": "Model",
            "accuracy": number("Right", format="percent"),
            "right": "Change, in points",
            "mrr": number(
                "Mean reciprocal rank",
                format="%.3f",
                help="Of the right word among the candidates, calibrated: by how much the word to "
                "translate adds to its probability.",
            ),
            "rank": "Its change",
            target.code: number(f"Written in {target.name}", format="percent"),
            source.code: number(f"in {source.name}", format="percent"),
            "other": number("Cannot be told", format="percent"),
        },
    )
    count, of = int(stored["words"][0]), scene.collection
    few = " So few words show large effects only." if count < _MANY_WORDS else ""
    st.caption(
        f"{words.counted(count, 'word')} of the bundled lexicon, "
        f"{words.counted(asked.task.shots, 'demonstration')}, {words.plain(of.source.title)} in "
        f"{of.dtype}. Changes are against the unchanged model, with 95 % intervals (bootstrap over "
        f"the words): one that holds 0 may be chance.{few}"
    )
    downloads.table_csv(stored, "intervention_words", "Translation (CSV)")


def _changes(frame: pd.DataFrame, name: str, factor: int, form: str) -> list[str]:
    """Differences against the unchanged model with their intervals; nothing in its own row."""
    columns = [f"{name}_{part}" for part in ("difference", "low", "high")]
    rows = (factor * frame[columns]).itertuples(index=False)
    told = [[_signed(form.format(value)) for value in row] for row in rows]
    return ["", *(f"{value} ({low} to {high})" for value, low, high in told[1:])]


def _signed(number: str) -> str:
    """A number with its sign; none where it is 0.

    >>> _signed("+0.000"), _signed("-0.010")
    ('0.000', '−0.010')
    """
    return number.replace("-", "−") if float(number) else number[1:]


# ---- Perplexity --------------------------------------------------------------------------------


def _perplexity(scene: Scene, stats: Statistics, change: Change) -> None:
    st.markdown("**How much harder each language's text becomes**")
    languages = {one.code: one for one in scene.named(_with_sets(stats, change))}
    if not languages:
        st.caption(f"{words.plain(change.imported)} has sets of none of these languages.")
        return
    codes = _texts(languages)
    if not codes:
        st.caption("Choose at least one language.")
        return
    sets = atlas_results.named_sets(scene, stats, float(state.get("share")))
    plan = PerplexityPlan(
        scene.collection,
        codes,
        change.changes(sets, codes),
        state.get("tokens"),
        change.alive,
    )
    found = stored_perplexity(scene.store, plan)
    if found is not None:
        _show_matrix(scene, change, found, languages)
        return
    count = words.counted(len(codes), "language")
    atlas_jobs.offer(
        scene,
        [
            *("atlas", "intervene", *change.argv(scene, stats)),
            *(["--shared"] if change.is_one else []),
            *("--texts", ",".join(codes), "--tokens", str(state.get("tokens"))),
        ],
        f"perplexity of {count}, neurons changed",
        "Not computed for this choice yet",
        f"{state.get('tokens'):,} tokens of {count}, {1 + 2 * len(plan.interventions)} times.",
        f"Read {count}",
        "atlas_perplexity",
    )


def _with_sets(stats: Statistics, change: Change) -> tuple[str, ...]:
    """The languages that have a set of the kind chosen."""
    if not change.imported:
        return stats.languages
    there = results.imports().get(change.imported, {"languages": ()})["languages"]
    return tuple(code for code in stats.languages if code in there)


def _texts(languages: dict[str, Language]) -> tuple[str, ...]:
    """The languages to read, in the order of the others, so that one choice is one result."""
    known, default = state.get("texts"), tuple(languages)[:_TEXTS]
    chosen = default if known is None else tuple(code for code in languages if code in known)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.multiselect(
            "Languages",
            list(languages),
            format_func=lambda code: languages[code].name,
            filter_mode="contains",
            help="The neurons of each of them are changed in turn, and the text of every one of "
            "them is read each time.",
            **state.widget("texts", shown=lambda _: list(chosen), meant=tuple),
        )
        st.number_input(
            "Tokens",
            10,
            100_000,
            step=100,
            help="Of each language's text.",
            width=140,
            **state.widget("tokens"),
        )
    return chosen


def _factors(found: PerplexityChange) -> str:
    """What the matrix comes to, in words."""
    factors = found.factors
    if SHARED in found.sets:
        return (
            f"With the neurons that all share changed, these texts are **{factors.others:.2f} "
            "times** as perplexing to the model; with a random set of the same size "
            f"{factors.control:.2f} times (geometric means)."
        )
    told = [f"With a language's own neurons changed its text is **{factors.own:.2f} times**"]
    if len(found.languages) > 1:
        told.append(f"and the other languages' texts are **{factors.others:.2f} times**")
    return (
        f"{' '.join(told)} as perplexing to the model; with random sets of the same size "
        f"{factors.control:.2f} times (geometric means)."
    )


def _show_matrix(
    scene: Scene, change: Change, found: PerplexityChange, languages: dict[str, Language]
) -> None:
    of = scene.collection
    st.markdown(_factors(found))
    own, random = st.columns(2, gap="large")
    for column, control, name in ((own, False, "perplexity"), (random, True, "perplexity_random")):
        with column:
            st.markdown(f"**{words.RUNS['control' if control else 'changed']}**")
            atlas_shown.picture(
                figures.perplexity_matrix(
                    found, languages, control=control, names={SHARED: "Shared by all"}
                ),
                name,
                f"Perplexity under intervention, {of.source.title}",
                "Perplexity of every language's text with each language's neurons changed"
                + (", random sets of the same size." if control else "."),
                found.to_frame(),
            )
    origin = f"of {words.plain(change.imported)}" if change.imported else "specific to it by LAPE"
    rows = "the set that is changed" if change.is_one else f"whose neurons ({origin}) are changed"
    st.caption(
        f"Rows: {rows}; columns: whose text is read; cells: by what factor its perplexity grows "
        "(small cells within 5 % of 1 have no number). What a random set of the same size does as "
        f"well is no language's doing. {words.span(found.tokens.tolist())} tokens predicted a "
        "language, "
        f"{words.plain(of.corpus.title)}, {words.plain(of.source.title)} in {of.dtype}."
    )
