"""Neurons switched off, scaled or replaced: what the model then writes, and how well it reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from bridgex_core import figures
from bridgex_core.atlas import chain_prompts
from bridgex_core.bli import Bli
from bridgex_core.effects import RUNS, Answers, answers, word_effects
from bridgex_core.errors import InputError
from bridgex_core.interventions import ACTIONS, Intervention
from bridgex_core.neurons import NeuronSets
from bridgex_core.perplexity import PerplexityChange, perplexity_matrix
from bridgex_core.xicl import Route
from pages.parts import atlas_model, atlas_results, atlas_shown, downloads, results, state, words
from pages.parts.messages import told
from pages.parts.results import Keys, Scene, Statistics

_SHARED = "shared"
_STRENGTHS = {"zero": 1.0, "scale": 2.0, "replace": 1.0}
_RANGES = {"scale": (-5.0, 10.0), "replace": (0.0, 1.5)}
_TOKENS, _WORDS, _TEXTS, _SHOTS = 300, 20, 3, 3


@dataclass(frozen=True)
class _Change:
    """What is changed, and everything that it depends on."""

    intervention: Intervention
    name: str
    identity: tuple[Any, ...]


def draw(scene: Scene, stats: Statistics) -> None:
    """The whole analysis."""
    change = _choose(scene, stats)
    size = words.counted(change.intervention.size, "neuron")
    if not change.intervention.size:
        st.info(f"{change.name}: this set has no neuron.", icon=":material/info:")
        return
    st.caption(
        f"{change.name}: {size}. Beside it always runs a random set of as many neurons in the same "
        "layers, drawn from those that are active at all. The model itself is never changed: an "
        "intervention holds for one run of this page."
    )
    told(_answer)(scene, stats, change)
    told(_translation)(scene, stats, change)
    told(_perplexity)(scene, stats, change)


# ---- What is changed ---------------------------------------------------------------------------


def _choose(scene: Scene, stats: Statistics) -> _Change:
    options = _options(scene, stats)
    target = state.get("target")
    default = f"lape:{target if target in stats.languages else stats.languages[0]}"
    if state.get("neurons") not in (None, *options):
        st.warning("The set of neurons that the link names is not there any more.")
        state.put(neurons=None)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.selectbox(
            "Neurons",
            list(options),
            format_func=options.__getitem__,
            filter_mode="contains",
            width=280,
            **state.widget("neurons", shown=lambda name: name or default),
        )
        atlas_shown.share()
        st.selectbox(
            "Action",
            ACTIONS,
            format_func=words.ACTIONS.__getitem__,
            width=220,
            **{**state.widget("action"), "on_change": _act, "args": ()},
        )
        _strength()
        like = _like(scene, stats)
    name = state.get("neurons") or default
    share = float(state.get("share"))
    mask = _mask(scene, stats, name, share)
    action, strength = state.get("action"), float(state.get("strength"))
    if action == "replace":
        table = results.table(stats)
        intervention = Intervention.by_mean(mask, table, like, strength=strength)
    else:
        intervention = Intervention(mask, action, strength)
    which = hash(mask.tobytes())  # an import may be replaced under its name
    return _Change(intervention, options[name], (stats.keys, which, action, strength, like))


def _act() -> None:
    action = st.session_state["action_widget"]
    state.put(action=action, strength=_STRENGTHS[action])


def _strength() -> None:
    action = state.get("action")
    if action not in _RANGES:
        return
    low, high = _RANGES[action]
    state.put(strength=min(max(float(state.get("strength")), low), high))
    st.slider(
        "Times" if action == "scale" else "How far",
        low,
        high,
        step=0.25,
        help="What the activation is multiplied by; 1 changes nothing."
        if action == "scale"
        else "0 leaves the activation as it is, 1 replaces it by the mean.",
        width=200,
        **state.widget("strength"),
    )


def _like(scene: Scene, stats: Statistics) -> str:
    """The language whose means replace the activations."""
    if state.get("action") != "replace":
        return ""
    options = scene.named(stats.languages)
    return atlas_shown.language("Mean in", "like", options, stats.languages[0], width=220)


def _options(scene: Scene, stats: Statistics) -> dict[str, str]:
    """Names of the sets and what they are called."""
    named = {
        f"lape:{one.code}": f"Specific to {one.name} (LAPE)" for one in scene.named(stats.languages)
    }
    named[_SHARED] = "Shared by all these languages"
    table = results.table(stats)
    for name, manifest in atlas_results.imports().items():
        shape = (manifest["layers"], manifest["width"])
        if manifest["content"] == "sets" and shape == (table.layers, table.width):
            named |= {f"import:{code}:{name}": f"{name}: {code}" for code in manifest["languages"]}
    return named


def _mask(scene: Scene, stats: Statistics, name: str, share: float) -> Any:
    kind, _, rest = name.partition(":")
    if kind == "lape":
        found = atlas_results.lape(stats, share)
        return found.masks[found.languages.index(rest)]
    if kind == _SHARED:
        return atlas_results.shared_by_all(stats, share)
    code, _, imported = rest.partition(":")
    sets = atlas_results.imported(scene, imported).result
    assert isinstance(sets, NeuronSets)
    return sets.masks[sets.languages.index(code)]


def _alive(stats: Statistics) -> Any:
    return results.table(stats).counts.any(0)


# ---- A prompt ----------------------------------------------------------------------------------


def _answer(scene: Scene, stats: Statistics, change: _Change) -> None:
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
    found = _answers(atlas_results.identity(scene), change.identity, prompt, scene, stats, change)
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
    change: tuple[Any, ...],
    prompt: str,
    _scene: Scene,
    _stats: Statistics,
    _change: _Change,
) -> Answers:
    return answers(
        atlas_results.backend(_scene),
        prompt,
        _change.intervention,
        languages=_stats.languages,
        register=_scene.register,
        alive=_alive(_stats),
    )


# ---- Words -------------------------------------------------------------------------------------


def _translation(scene: Scene, stats: Statistics, change: _Change) -> None:
    source, target = scene.named((state.get("source"), state.get("target")))
    st.markdown(
        f"**How well it translates words from {words.plain(source.name)} to "
        f"{words.plain(target.name)}, and which language it writes**"
    )
    route = Route.of(source, target)
    task = Bli(source.code, target.code, items=_WORDS, register=scene.register)

    def work() -> pd.DataFrame:
        progress = atlas_model.watched(len(RUNS) * task.steps(route), "Translating")
        return word_effects(
            atlas_results.backend(scene),
            task,
            route,
            change.intervention,
            alive=_alive(stats),
            progress=progress,
        )

    label = f"Translate {_WORDS} words three times"
    asked = (change.identity, source.code, target.code)
    frame = atlas_model.found(scene, label, "translation", asked, work)
    if frame is None:
        return
    shown = frame.reset_index()
    shown["run"] = [words.RUNS[run] for run in shown["run"]]
    number = st.column_config.NumberColumn
    atlas_shown.table(
        shown,
        "Accuracy and language of the answers, without and with the intervention.",
        {
            "run": "Model",
            "accuracy": number("Right", format="percent"),
            "mrr": number("Mean reciprocal rank", format="%.3f"),
            target.code: number(f"Written in {target.name}", format="percent"),
            source.code: number(f"in {source.name}", format="percent"),
            "other": number("Cannot be told", format="percent"),
        },
    )
    st.caption(
        f"{int(shown['words'][0])} words of the bundled lexicon, {task.shots} demonstrations. So "
        "few words show large effects only."
    )
    downloads.table_csv(shown, "intervention_words", "Translation (CSV)")


# ---- Perplexity --------------------------------------------------------------------------------


def _perplexity(scene: Scene, stats: Statistics, change: _Change) -> None:
    st.markdown("**How much harder each language's text becomes**")
    languages = {one.code: one for one in scene.named(stats.languages)}
    chosen = st.multiselect(
        "Languages",
        list(languages),
        default=list(languages)[:_TEXTS],
        format_func=lambda code: languages[code].name,
        filter_mode="contains",
        key="perplexity_languages",
        help="The neurons specific to each of them (LAPE) are changed in turn, and the text of "
        "every one of them is read each time.",
    )
    if not chosen:
        st.caption("Choose at least one language.")
        return
    keys = tuple((code, key) for code, key in stats.keys if code in chosen)
    label = f"Read {_TOKENS} tokens of each, {1 + 2 * len(keys)} times"
    asked = (change.identity, keys)
    found = atlas_model.found(
        scene, label, "perplexity", asked, lambda: _matrix(scene, stats, change, keys)
    )
    if found is not None:
        _show_matrix(scene, found, languages)


def _matrix(scene: Scene, stats: Statistics, change: _Change, keys: Keys) -> PerplexityChange:
    own = change.intervention
    neurons = atlas_results.lape(stats, float(state.get("share")))
    changes = {
        code: Intervention(
            neurons.masks[neurons.languages.index(code)], own.action, own.strength, own.values
        )
        for code, _ in keys
    }
    backend = atlas_results.backend(scene)
    texts = {code: scene.collection.corpus.text(code).blocks for code, _ in keys}
    total = _TOKENS * len(keys) * (1 + 2 * len(keys))
    return perplexity_matrix(
        backend.model,
        texts,
        changes,
        tokens=_TOKENS,
        alive=_alive(stats),
        progress=atlas_model.watched(total, "Reading"),
    )


def _show_matrix(scene: Scene, found: PerplexityChange, languages: dict[str, Any]) -> None:
    source = scene.collection.source.title
    own, random = st.columns(2, gap="large")
    for column, control, name in ((own, False, "perplexity"), (random, True, "perplexity_random")):
        with column:
            st.markdown(f"**{words.RUNS['control' if control else 'changed']}**")
            atlas_shown.picture(
                figures.perplexity_matrix(found, languages, control=control),
                name,
                f"Perplexity under intervention, {source}",
                "Perplexity of every language's text with each language's neurons changed"
                + (", random sets of the same size." if control else "."),
                found.to_frame(),
            )
    low, high = int(found.tokens.min()), int(found.tokens.max())
    tokens = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    st.caption(
        "Rows: whose specific neurons (LAPE) are changed; columns: whose text is read; cells: by "
        "what factor its perplexity grows. "
        f"{tokens} tokens predicted a language, {words.plain(source)} in "
        f"{scene.collection.dtype}."
    )
