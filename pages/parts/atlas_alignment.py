"""How alike parallel text looks inside the model in every two languages, by layer."""

from __future__ import annotations

import streamlit as st

from bridgex_core import figures
from bridgex_core.alignment import MEASURES, AlignmentMatrix
from bridgex_core.atlas import alignment_by_layer
from pages.parts import atlas_jobs, atlas_results, atlas_shown, compute, downloads, state, words
from pages.parts.messages import told
from pages.parts.results import Scene, Statistics

_ALL = "All layers together"
_RULE = (
    "A block of text is aligned when its translation is nearer to it than any other block of that "
    "language, and the other way round."
)


def draw(scene: Scene, stats: Statistics) -> None:
    """The whole analysis."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.segmented_control(
            "Representation",
            MEASURES,
            format_func=words.MEASURES.__getitem__,
            required=True,
            help="**Neuron states** (after arXiv 2507.14900): which neurons are active on average "
            "in a block, compared by Jaccard; needs no model.  \n**Hidden states** (MEXA, arXiv "
            "2410.05873): the mean hidden state of a block, compared by cosine.",
            **state.widget("measure"),
        )
        place = st.container()
    if state.get("measure") == "hidden":
        keys = atlas_results.hidden_keys(scene)
        told(_offer)(scene, tuple(code for code, _ in keys))
        if len(keys) < 2:
            return
    else:
        keys = stats.keys
    matrix = atlas_results.alignment(scene, keys, state.get("measure"))
    with place:
        level = _level(matrix)
    _show(scene, matrix, level)


def _level(matrix: AlignmentMatrix) -> int | None:
    if state.get("layer") not in (None, *matrix.layers):
        state.put(layer=None)
    st.selectbox(
        "Layer",
        [_ALL, *matrix.layers],
        format_func=lambda layer: _ALL if layer == _ALL else f"Layer {layer}",
        width=190,
        **state.widget(
            "layer",
            shown=lambda layer: _ALL if layer is None else layer,
            meant=lambda layer: None if layer == _ALL else layer,
        ),
    )
    layer: int | None = state.get("layer")
    return layer


def _offer(scene: Scene, there: tuple[str, ...]) -> None:
    """Hidden states that are not recorded yet, and the job that records them."""
    todo = [code for code in scene.languages if code not in there]
    if not todo:
        return
    names = words.listed([words.plain(one.name) for one in scene.named(todo)])
    number = words.counted(len(todo), "language")
    atlas_jobs.offer(
        scene,
        [
            *("atlas", "alignment", "--measure", "hidden", *compute.of_collection(scene)),
            *("--languages", ",".join(scene.languages)),
        ],
        f"hidden states of {number}",
        f"No hidden states are recorded of {number}: {names}",
        f"{words.plain(scene.collection.corpus.title)}, read once.",
        "Record them",
        "atlas_hidden",
    )


def _show(scene: Scene, matrix: AlignmentMatrix, level: int | None) -> None:
    languages = scene.named(matrix.languages)
    frame = matrix.to_frame(level)
    where = "all layers together" if level is None else f"layer {level}"
    what = words.MEASURES[matrix.measure]
    source = scene.collection.source.title
    atlas_shown.picture(
        figures.language_matrix(
            frame.to_numpy(), languages, title="Share of blocks aligned", span=(0.0, 1.0)
        ),
        "alignment",
        f"Alignment by {what.lower()}, {where}, {source}",
        f"Heatmap of {words.counted(len(languages), 'language')}: share of aligned blocks of every "
        f"two, {what.lower()}, {where}.",
        frame.rename_axis("language").reset_index(),
    )
    st.caption(f"{what}, {where}. {_RULE} {_origin(scene, matrix)}")
    pair = _pair(scene, matrix)
    by_layer = alignment_by_layer(matrix, pair)
    named = "" if pair is None else " – ".join(one.name for one in scene.named(pair))
    atlas_shown.picture(
        figures.alignment_curve(by_layer, named),
        "alignment_layers",
        f"Alignment by layer, {what.lower()}, {source}",
        "Alignment by layer: mean of all pairs, chance, and the pair chosen.",
        by_layer,
    )
    downloads.picture_and_link()


def _origin(scene: Scene, matrix: AlignmentMatrix) -> str:
    blocks = sorted({int(n) for n in matrix.blocks.ravel()})
    span = f"{blocks[0]}" if len(blocks) == 1 else f"{blocks[0]} to {blocks[-1]}"
    collection = scene.collection
    return (
        f"Of blocks paired at random {words.percent(float(matrix.chance.max()))} would be, at "
        f"most. {words.plain(collection.source.title)} in {collection.dtype}, {span} parallel "
        f"{collection.corpus.unit} of {words.plain(collection.corpus.title)}."
    )


def _pair(scene: Scene, matrix: AlignmentMatrix) -> tuple[str, str] | None:
    languages = {one.code: one for one in scene.named(matrix.languages)}
    chosen = state.get("pair")
    if chosen is not None and not set(chosen) <= set(languages):
        state.put(pair=None)
    pairs = [(a, b) for place, a in enumerate(languages) for b in list(languages)[place + 1 :]]
    known = state.get("pair")
    if known is not None and known not in pairs:
        pairs.append(known)  # the other way round
    st.selectbox(
        "A pair in the curve",
        pairs,
        index=None,
        format_func=lambda pair: " – ".join(languages[code].name for code in pair),
        placeholder="Choose two languages",
        filter_mode="contains",
        width=320,
        **state.widget("pair"),
    )
    pair: tuple[str, str] | None = state.get("pair")
    return pair
