"""The tables of a run, for a terminal and for docs/cost.md."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from bench.probe.cost import Measured
from bench.probe.figures import MOST_APART, apart
from bench.probe.variants import AGAIN, NOTHING, VARIANTS
from lab.faults import ROOT
from lab.prove.verdict import RESULTS, WIDTH

PAGE: Final = ROOT / "docs" / "cost.md"
_HEADS: Final = ("us in all", "us added", "on the loop's thread", "of stock's", "spans")


def shown(measured: Measured) -> None:
    """Print what each variant costs."""
    console = Console(width=WIDTH)
    for name, rows in measured.tables().items():
        table = Table(name, *_HEADS, "idle, % of a core", header_style="bold")
        for row in rows:
            idle = f"{measured.idle[row.variant]:.2%}"
            table.add_row(VARIANTS[row.variant].title, *_cells(row._asdict()), idle)
        console.print(table)


def written() -> int:
    """Write the tables of the last full runs into docs/cost.md."""
    page = PAGE.read_text(encoding="utf-8")
    for name, lines in (("bench-probe", _costs), ("bench-harm", _checks)):
        begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        kept = RESULTS / f"{name}.json"
        if not kept.exists():
            continue
        told = json.loads(kept.read_text(encoding="utf-8"))
        before, _, rest = page.partition(begin)
        page = before + begin + "\n".join([*lines(told), ""]) + end + rest.partition(end)[2]
    PAGE.write_text(page, encoding="utf-8")
    return 0


def _costs(told: Mapping[str, Any]) -> Iterator[str]:
    for name, rows in told["tables"].items():
        whole_us = {row["variant"]: row["whole_us"] for row in rows}
        if apart(whole_us[NOTHING], whole_us[AGAIN]) > MOST_APART:
            continue  # told on the terminal, beside its A/A; no figure to quote
        yield ""
        yield f"| {name} | {' | '.join(_HEADS)} | idle, % of a core |"
        yield "|---" + "|---:" * (len(_HEADS) + 1) + "|"
        for row in rows:
            cells = " | ".join([*_cells(row), f"{told['idle'][row['variant']]:.2%}"])
            yield f"| {VARIANTS[row['variant']].title} | {cells} |"
    yield ""


def _checks(told: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    yield "| | measured | target | beside it |"
    yield "|---|---:|---:|---:|"
    for check in told["checks"]:
        rule = {"at least": "≥ ", "at most": "≤ "}[check["rule"]]
        cells = [_figure(check["measured"], check["unit"])]
        cells.append("" if check["target"] is None else rule + _figure(check["target"], ""))
        cells.append("" if check["baseline"] is None else _figure(check["baseline"], ""))
        yield f"| {check['name']} | {' | '.join(cells)} |"
    yield ""


def _cells(row: Mapping[str, Any]) -> list[str]:
    figures = (row["whole_us"], row["added_us"], row["loop_us"])
    # Plus nothing: a zero has no sign.
    told = [f"{round(us) + 0:,}" for us in figures]
    return [*told, f"{round(row['ratio'], 2) + 0.0:.2f}", f"{row['spans']:.1f}"]


def _figure(value: float | None, unit: str) -> str:
    if value is None:
        return "not measured"
    digits = 0 if value == round(value) or abs(value) >= 100 else 2
    return f"{value:,.{digits}f} {unit}".strip()
