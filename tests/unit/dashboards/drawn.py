"""What the charts of a page are made of: Streamlit takes the data out of their specifications."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
from streamlit.testing.v1 import AppTest


def layers(page: AppTest) -> list[list[dict[str, Any]]]:
    """Return the rows of each layer of each chart, in order."""
    found = []
    for chart in page.get("vega_lite_chart"):
        spec = json.loads(chart.proto.spec)
        rows = {
            dataset.name: pa.ipc.open_stream(dataset.data.data).read_all().to_pylist()
            for dataset in chart.proto.datasets
        }
        parts = spec.get("layer", [spec])
        found += [rows[part.get("data", spec.get("data"))["name"]] for part in parts]
    return found


def everything(page: AppTest) -> str:
    """Return all text that any chart may show."""
    return json.dumps(layers(page), ensure_ascii=False)
