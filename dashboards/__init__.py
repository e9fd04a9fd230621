"""The incident explorer: a Streamlit app that draws what `why504.diagnose` found (issue 6)."""
