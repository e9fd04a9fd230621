"""Pages as Streamlit runs them, without a browser (streamlit.testing.v1.AppTest)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
import streamlit as st
from streamlit.dataframe_util import convert_arrow_bytes_to_pandas_df
from streamlit.testing.v1 import AppTest

import why504.diagnose
from dashboards import evidence
from tests.unit.dashboards import explorer_examples as told
from why504.model import Incident

Opened = Callable[..., AppTest]


@pytest.fixture
def explorer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Opened]:
    """Open a page on a store in memory: `explorer(page, store, incidents, **query)`."""
    monkeypatch.setenv("WHY504_STORE", str(tmp_path))
    # No server, so no address on which it listens: whether somebody may look is tested elsewhere.
    monkeypatch.setenv("WHY504_EXPLORER_ALLOW", "*")
    monkeypatch.setattr("sys.argv", ["explorer.py"])

    def opened(
        path: str, store: told.MemoryStore, found: Sequence[Incident] = (), **query: str
    ) -> AppTest:
        monkeypatch.setattr(evidence, "store_in", lambda _: store)
        monkeypatch.setattr(why504.diagnose, "explain", lambda _: list(found))
        page = AppTest.from_string(
            f"from dashboards.pages import show\nshow({path!r})", default_timeout=30
        )
        page.query_params.update(query)
        page.run()
        assert not page.exception
        return page

    st.cache_resource.clear()
    yield opened
    st.cache_resource.clear()


def texts(page: AppTest) -> list[str]:
    """Return what stands on the page as text that nothing interprets."""
    return [element.value for element in page.text]


def interpreted(page: AppTest) -> list[str]:
    """Return every string of the page that the browser reads as Markdown or HTML."""
    alerts = [*page.error, *page.warning, *page.info, *page.success]
    headings = [*page.title, *page.header, *page.subheader]
    bodies = [e.value for e in [*page.markdown, *page.caption, *alerts, *headings]]
    labels = [element.label for element in [*page.selectbox, *page.expander, *page.metric]]
    labels += [element.label for element in [*page.button, *page.slider, *page.tabs]]
    links = [link.proto.label for link in page.get("page_link")]
    return bodies + labels + links + [html.proto.body for html in page.get("html")]


def charts(page: AppTest) -> list[Any]:
    """Return the specifications of the page's charts."""
    return [json.loads(chart.proto.spec) for chart in page.get("vega_lite_chart")]


def query_of(page: AppTest, path: str) -> list[dict[str, str]]:
    """Return what the links of a page that lead to `path` have in their address, in order.

    The page that was opened has the path "".
    """
    links = [link.proto for link in page.get("page_link")]
    return [
        dict(parse_qsl(link.query_string)) for link in links if link.page.rpartition("/")[2] == path
    ]


def drawn(page: AppTest) -> list[list[dict[str, Any]]]:
    """Return the rows of each data set of each chart of the page."""
    return [
        convert_arrow_bytes_to_pandas_df(told.data.data).to_dict("records")
        for chart in page.get("vega_lite_chart")
        for told in chart.proto.datasets
    ]
