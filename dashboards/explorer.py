"""The incident explorer: `streamlit run dashboards/explorer.py -- --store FOLDER`."""

import sys
from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware

# Streamlit puts this folder on the path, not the one that holds the package.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dashboards.comeback import ComeBack
from dashboards.frontdoor import FrontDoor
from dashboards.hosts import OwnHost
from dashboards.warmth import read_ahead, warmed

app = st.App(
    Path(__file__).with_name("script.py"),
    middleware=[
        Middleware(OwnHost),
        Middleware(ComeBack),
        Middleware(FrontDoor, coming=read_ahead),
    ],
    lifespan=warmed,
)
