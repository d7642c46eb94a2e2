"""BridgeX Explorer's dashboard: `streamlit run app.py`, or `make app`."""

from pathlib import Path

import streamlit as st

from bridgex_core.errors import InputError
from pages.parts import frame, messages, sidebar, state, words

PARTS = Path(__file__).parent / "pages" / "parts"

st.set_page_config(
    "BridgeX Explorer", str(PARTS / "icon.svg"), layout="wide", initial_sidebar_state=320
)
st.logo(PARTS / "logo.svg", size="large", icon_image=PARTS / "icon.svg")
page = st.navigation(
    [
        st.Page("pages/spectrum.py", title="Spectrum", icon=":material/grid_on:", default=True),
        st.Page("pages/bridges.py", title="Bridges", icon=":material/alt_route:"),
        st.Page("pages/lab.py", title="Lab", icon=":material/science:"),
        st.Page("pages/study.py", title="Study", icon=":material/table_chart:"),
        st.Page("pages/atlas.py", title="Atlas", icon=":material/hub:"),
        st.Page("pages/library.py", title="Library", icon=":material/library_books:"),
    ],
    position="top",
)
# Streamlit's wide margins take a tenth of a laptop's screen from the picture. With nothing but a
# style, st.html would put it where the next toast takes its place.
st.sidebar.html(
    "<style>@media (min-width: 50rem) "
    "{.stMainBlockContainer {padding-left: 2rem; padding-right: 2rem}}</style><i></i>"
)
try:
    state.restore(page.url_path)
    frame.hand_over(sidebar.choose())
    state.publish()
    for problem in state.problems():
        st.warning(words.plain(problem))
    messages.tell_failure()
    page.run()
except InputError as error:
    st.error(words.plain(error))
