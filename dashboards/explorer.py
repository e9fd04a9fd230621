"""The incident explorer: `streamlit run dashboards/explorer.py -- --store FOLDER`."""

import sys
from pathlib import Path

# Streamlit puts this folder on the path, not the one that holds the package.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dashboards.pages import show

show()
