"""Neuron sets and activation statistics from and to files."""

from __future__ import annotations

from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from bridgex_core import figures
from bridgex_core.atlas import keep_upload
from bridgex_core.errors import InputError
from bridgex_core.neuron_classes import Classes, classes_by_lape, classes_by_sets, lape
from bridgex_core.neuron_files import FORMATS, IMPORTED, export_sets, overlap_counts
from bridgex_core.neurons import ActivationTable, NeuronSets, top_neurons
from pages.parts import atlas_classes, atlas_results, atlas_shown, results, state, words
from pages.parts.messages import attempt, told
from pages.parts.results import Scene, Statistics

_TYPES = {
    "pth": "application/octet-stream",
    "safetensors": "application/octet-stream",
    "csv": "text/csv",
}
_KEPT = "import_kept"


def draw(scene: Scene, stats: Statistics) -> None:
    """The whole analysis."""
    _form(scene)
    if kept := st.session_state.pop(_KEPT, ""):
        st.success(words.plain(kept))
    names = results.imports()
    share = atlas_shown.share() if names or len(stats.languages) > 1 else 0.0
    if names:
        told(_imports)(scene, names, share)
    told(_export)(scene, stats, share)


# ---- Import ------------------------------------------------------------------------------------


def _form(scene: Scene) -> None:
    with st.form("import_files", border=True):
        st.markdown(
            "**Import** LAPE's neuron sets (`.pth`, one file), activation statistics of LAPE or "
            "BridgeX-ICL (`activation.*`, one file a language), or sets that this page exported. "
            "No code in a file is ever run."
        )
        uploads = st.file_uploader("Files", accept_multiple_files=True, key="import_uploads")
        left, right = st.columns(2)
        name = left.text_input("Name", placeholder="LLaMA-2-7B, LAPE", max_chars=80)
        spoken = right.text_input(
            "Languages",
            placeholder="eng_Latn, zho_Hans, fra_Latn",
            help="In the files' order, by name or code. LAPE's files do not name theirs; CSV and "
            "safetensors do.",
        )
        layers = left.number_input("Layers", 1, 1000, None, help="Where the file does not tell.")
        width = right.number_input("Neurons a layer", 1, 1 << 18, None)
        if st.form_submit_button("Import", type="primary"):
            asked = [part for part in spoken.replace(";", ",").split(",") if part.strip()]
            manifest = keep_upload(
                scene.store,
                name,
                {one.name: one.getvalue() for one in uploads},
                scene.register.resolve_all(asked) if asked else (),
                layers=layers,
                width=width,
                register=scene.register,
            )
            results.forget()
            state.put(imported=manifest["name"])
            notes = " ".join(manifest["notes"])
            st.session_state[_KEPT] = f"{manifest['name']} is imported. {notes}"
            st.rerun()


def _imports(scene: Scene, names: dict[str, dict[str, Any]], share: float) -> None:
    st.markdown("**Imports**")
    frame = pd.DataFrame(
        [
            {
                "name": name,
                "content": "neuron sets" if told["content"] == "sets" else "activation statistics",
                "languages": ", ".join(told["languages"]),
                "shape": f"{told['layers']} × {told['width']:,}",
                "files": ", ".join(told["origin"]),
                "notes": " ".join(told["notes"]),
            }
            for name, told in names.items()
        ]
    )
    atlas_shown.table(
        frame,
        "What was imported.",
        {
            "name": "Name",
            "content": "What",
            "languages": "Languages",
            "shape": "Layers × neurons",
            "files": "Files",
            "notes": "Notes",
        },
    )
    if state.get("imported") not in (None, *names):
        st.warning("The import that the link names is not there.")
        state.put(imported=None)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.selectbox(
            "Look at",
            list(names),
            width=320,
            **state.widget("imported", shown=lambda name: name or next(iter(names))),
        )
        chosen = state.get("imported") or next(iter(names))
        if st.button(
            "Open on the Spectrum",
            icon=":material/grid_on:",
            help="As heatmap, graph and map, with every metric, and against typology.",
            key="import_spectrum",
        ):
            state.put(drawn_from=chosen, pair=None)
            st.switch_page("pages/spectrum.py")
        st.button(
            "Delete this import",
            icon=":material/delete:",
            on_click=attempt,
            args=(_delete, scene, chosen),
            key="delete_import",
        )
    told(_look)(scene, chosen, share)


def _delete(scene: Scene, name: str) -> None:
    for key, manifest in results.manifests(IMPORTED):
        if manifest["name"] == name:
            scene.store.delete(IMPORTED, key)
    state.put(imported=None)
    if state.get("drawn_from") == name:
        state.put(drawn_from=None)
    results.forget()


def _look(scene: Scene, name: str, share: float) -> None:
    result = results.load(scene, name).result
    languages = [scene.register[code] for code in result.languages]
    if isinstance(result, NeuronSets):
        sets, classes = result, classes_by_sets(result)
    else:
        sets, classes = _classes(result, share)
    counts = overlap_counts(sets)
    frame = pd.DataFrame(counts, index=sets.languages, columns=sets.languages)
    atlas_shown.picture(
        figures.language_matrix(counts, languages, title="Shared neurons", whole=True),
        "import_overlap",
        f"Shared neurons, {name}",
        f"Neurons that every two of {len(languages)} languages share in {name}.",
        frame.rename_axis("language").reset_index(),
    )
    sizes = ", ".join(
        f"{words.plain(one.name)} {int(size):,}"
        for one, size in zip(languages, sets.sizes, strict=True)
    )
    st.caption(f"Neurons that two languages share. Sizes of the sets: {sizes}.")
    atlas_shown.picture(
        figures.class_layers(classes.by_layer()),
        "import_layers",
        f"Classes of neurons by layer, {name}",
        f"Neurons by layer and class in {name}.",
        classes.by_layer().reset_index(),
    )
    atlas_classes.show_sets(scene, classes, name, "import_sets")
    _downloads(sets, name, "import")


def _classes(table: ActivationTable, share: float) -> tuple[NeuronSets, Classes]:
    """Sets and classes of imported statistics, by the method chosen."""
    methods = [method for method in state.METHODS if method != "sharing"]  # needs parts of texts
    chosen = state.get("method") if state.get("method") in methods else methods[0]
    st.segmented_control(
        "Method",
        methods,
        format_func=words.METHODS.__getitem__,
        required=True,
        help=words.METHOD_HELP,
        **state.widget("method", shown=lambda _: chosen),
    )
    if chosen == "membership":
        sets = top_neurons(table, top_rate=share)
        return sets, classes_by_sets(sets)
    found = lape(table, top_share=share)
    return found.sets, classes_by_lape(found)


# ---- Export ------------------------------------------------------------------------------------


def _export(scene: Scene, stats: Statistics, share: float) -> None:
    st.markdown("**Export** the sets of the languages chosen")
    if len(stats.languages) < 2:
        st.caption("At least two computed languages are needed.")
        return
    neurons = scene.collection.source.name
    for label, name, find in (
        ("LAPE", "lape", lambda: atlas_results.lape(stats, share).sets),
        ("Most active neurons", "top-rate", lambda: atlas_results.sets(stats, share)),
    ):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(label, width=170)
            try:
                _downloads(find(), f"{neurons}-{name}", name)
            except InputError as error:
                st.caption(words.plain(error))


def _downloads(sets: NeuronSets, name: str, key: str) -> None:
    with st.container(horizontal=True):
        for form in FORMATS:
            st.download_button(
                f".{form}",
                partial(export_sets, sets, form),
                f"{name}.{form}",
                _TYPES[form],
                on_click="ignore",
                icon=":material/download:",
                key=f"export_{key}_{form}",
            )
