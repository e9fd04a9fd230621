"""The incident explorer: `streamlit run dashboards/explorer.py -- --store FOLDER`.

Lists the pages; each is a function of its own module in `dashboards/views`.
"""

import sys
from pathlib import Path

import streamlit as st

# Streamlit puts this folder on the path, not the one that holds the package.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dashboards.views import incidents

st.set_page_config(page_title="why504", layout="wide")
st.navigation(
    [st.Page(incidents.page, title="Incidents", url_path="incidents", default=True)],
    position="hidden",
).run()
