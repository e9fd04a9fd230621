"""docs/telemetry.md: every name of otel/schema as a page. `make docs` writes it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import yaml  # type: ignore[import-untyped]

_SCHEMA: Final = Path(__file__).parents[1] / "otel" / "schema"
_HEAD: Final = """\
# Telemetry

Every span, attribute and metric that why504 and its reference service add. Made of
[otel/schema](../otel/schema) by `make docs`; tests hold the schema to the code. How spans and
records are read: [how evidence travels](how-evidence-travels.md).

Units are UCUM's: `s` seconds, `By` bytes, `1` a number. Cardinality is how many values there may
be: `fixed`, `few` (tens), `deployment` (grows with instances, routes, pools and tables),
`unbounded` (one an event; never the label of a metric).
"""
_METRICS: Final = {
    "metrics": "Metrics of the probe, the receiver and the watch",
    "service": "Metrics of the reference service",
    "alerts": "Metrics of the router",
}
"""File of the schema -> its heading."""


def page() -> str:
    """Return the page, as Markdown."""
    spans = _read("spans")
    parts = [
        _HEAD,
        _table(
            "Records: spans with `why504.kind`",
            ("kind", "what it tells"),
            ((f"`{kind}`", row["brief"]) for kind, row in spans["records"].items()),
        ),
        _table(
            "Spans that say that somebody looked",
            ("span", "what it tells"),
            ((f"`{name}`", row["brief"]) for name, row in spans["spans"].items()),
        ),
        _table(
            "Resources: values of `why504.resource`",
            ("resource", "scope", "what it is"),
            (
                (f"`{row['pattern']}`", row["scope"], row["brief"])
                for row in spans["resources"].values()
            ),
        ),
        _table(
            "Attributes of spans",
            ("attribute", "type", "unit", "cardinality", "what it tells"),
            (
                (f"`{name}`", row["type"], row["unit"], row["cardinality"], row["brief"])
                for name, row in spans["attributes"].items()
            ),
        ),
        *(_metrics(heading, _read(file)["metrics"]) for file, heading in _METRICS.items()),
    ]
    return "\n".join(parts)


def _metrics(heading: str, rows: Mapping[str, Mapping[str, Any]]) -> str:
    return _table(
        heading,
        ("metric", "type", "unit", "labels", "cardinality", "what it tells"),
        (
            (
                f"`{name}`",
                row["type"],
                row["unit"],
                ", ".join(f"`{label}`" for label in row["labels"]),
                row["cardinality"],
                row["brief"],
            )
            for name, row in rows.items()
        ),
    )


def _table(heading: str, columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [f"## {heading}", _row(columns), "|" + "---|" * len(columns), *map(_row, rows)]
    return "\n".join(lines) + "\n"


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _read(file: str) -> dict[str, Any]:
    schema: dict[str, Any] = yaml.safe_load((_SCHEMA / f"{file}.yaml").read_text(encoding="utf-8"))
    return schema


if __name__ == "__main__":
    print(page(), end="")
