"""The Library's register of languages, and a form to add one."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from bridgex_core.collection import available
from bridgex_core.languages import Language
from bridgex_core.user_files import keep_language, languages_file
from pages.parts import state, words
from pages.parts.results import Scene


def register(scene: Scene) -> None:
    """The register as a table, to search and to download."""
    query = st.text_input(
        "Search the register",
        placeholder="Name, autonym or code",
        icon=":material/search:",
        key="register_query",
    )
    found = scene.register.search(query)
    there = set(scene.collection.corpus.languages())
    computed = set(available(scene.store, scene.collection))
    frame = pd.DataFrame([_row(one, there, computed) for one in found], columns=_COLUMNS)
    low = sum(one.is_low_resource for one in found)
    st.caption(
        f"{words.counted(len(found), 'language')}, {low} of them low-resource (class 0 to 2 of "
        f"Joshi et al. 2020); {int(frame['In the corpus'].sum())} in the corpus chosen, "
        f"{int(frame['Computed'].sum())} computed for the model chosen."
    )
    st.dataframe(
        frame,
        hide_index=True,
        height=430,
        column_config={
            "Class": st.column_config.NumberColumn(
                "Class", help="Resource class of Joshi et al. (2020): 0 least, 5 most", format="%d"
            )
        },
        alt="The register of languages.",
    )
    st.download_button(
        "Register (CSV)",
        lambda: frame.to_csv(index=False),
        "languages.csv",
        "text/csv",
        on_click="ignore",
        icon=":material/download:",
        key="register_csv",
    )


_COLUMNS = [
    "Code", "Name", "Own name", "Family", "Script", "Class", "In the corpus", "Computed",
]  # fmt: skip


def _row(language: Language, there: set[str], computed: set[str]) -> list[object]:
    return [
        language.code,
        language.name,
        language.autonym,
        language.family,
        language.script_name,
        language.resource_class,
        language.code in there,
        language.code in computed,
    ]


def add(scene: Scene) -> None:
    """A form for a language outside the register."""
    st.markdown(
        "A language needs a code in FLORES-200's style, its names, and a text: at least a few "
        "sentences, one a line. More text gives steadier numbers; the bundled declaration has "
        "about 10 kB a language."
    )
    with st.form("add_language", clear_on_submit=False):
        left, right = st.columns(2)
        code = left.text_input("Code", placeholder="nyn_Latn", max_chars=8)
        script = right.text_input(
            "Script", placeholder="Latn", max_chars=4, help="The four letters that the code ends in"
        )
        name = left.text_input("Name in English", placeholder="Nyankole")
        autonym = right.text_input("Name in the language", placeholder="Runyankore")
        family = left.text_input("Family (optional)", placeholder="Atlantic-Congo")
        upload = right.file_uploader("Text file (UTF-8)", ["txt"], key="language_file")
        typed = st.text_area("… or paste the text", height=120)
        if st.form_submit_button("Add this language", type="primary"):
            content = upload.getvalue() if upload is not None else typed.encode()
            language = keep_language(
                scene.store,
                code=code.strip(),
                name=name.strip(),
                autonym=autonym.strip(),
                script=script.strip() or code.strip()[-4:],
                text=content,
                family=family.strip() or None,
            )
            state.put(languages=(*scene.languages, language.code))
            st.session_state["added_language"] = language.name
            st.rerun()
    if added := st.session_state.pop("added_language", ""):
        st.success(f"{words.plain(added)} is added and chosen in the sidebar: compute it next.")
    st.caption(f"Kept in `{languages_file(scene.store)}`, which may be edited by hand.")
