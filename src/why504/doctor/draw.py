"""How a ladder reads: a table with a bar to scale for each rung, and the findings in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from why504.ladder.examine import Diagnosis, Finding, in_words
from why504.ladder.kinds import BY_ID
from why504.ladder.rung import Rung
from why504.report import plain

_BAR_CELLS: Final = 16
_STYLES: Final = {"inversion": "bold red", "missing": "bold red", "hint": "yellow"}
_MARKS: Final = {"inversion": "✗", "missing": "✗", "hint": "•"}


def render(diagnosis: Diagnosis) -> RenderableType:
    """Return the ladder for a terminal: rungs, findings, what nobody told, and the verdict."""
    parts: list[RenderableType] = [_table(diagnosis)]
    parts += [_finding(finding) for finding in diagnosis.findings]
    if diagnosis.unseen:
        parts.append(Text("\nNot checked, because nobody told", style="bold"))
        parts += [Padding(Text(f"• {plain(text)}"), (0, 0, 0, 2)) for text in diagnosis.unseen]
    return Group(*parts, Text(), _verdict(diagnosis))


def as_json(diagnosis: Diagnosis) -> dict[str, Any]:
    """Return it as plain data; `rungs` are rows as `--limits` reads them."""
    return {
        "fine": diagnosis.fine,
        "rungs": [rung.as_row() for rung in diagnosis.rungs],
        "findings": [asdict(finding) for finding in diagnosis.findings],
        "unseen": list(diagnosis.unseen),
    }


def _table(diagnosis: Diagnosis) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("")
    table.add_column("limit, outermost first", overflow="fold")
    table.add_column("at most", justify="right", no_wrap=True)
    table.add_column("to scale", no_wrap=True)
    table.add_column("told by", overflow="fold", style="dim")
    finite = [rung.worst_s for rung in diagnosis.rungs if rung.seconds is not None]
    longest_s = max(finite, default=0.0)
    for rung in diagnosis.rungs:
        severity = _severity(rung, diagnosis.findings)
        style = _STYLES.get(severity, "")
        kind = BY_ID.get(rung.kind)
        name = " ".join(filter(None, (kind.label if kind else rung.kind, rung.name)))
        table.add_row(
            Text(_MARKS.get(severity, ""), style=style),
            Text(plain(name), style=style),
            Text(_at_most(rung), style=style),
            Text(_bar(rung, longest_s), style=style or "cyan"),
            Text(plain(rung.where)),
        )
    return table


def _severity(rung: Rung, findings: Sequence[Finding]) -> str:
    """Return the gravest severity of what was found about a rung; findings come gravest first."""
    return next((finding.severity for finding in findings if rung in finding.rungs), "")


def _at_most(rung: Rung) -> str:
    length = in_words(rung.worst_s)
    return length if rung.attempts == 1 else f"{length} in {rung.attempts} tries"


def _bar(rung: Rung, longest_s: float) -> str:
    if rung.seconds is None:
        return "━" * (_BAR_CELLS - 1) + "▶"
    share = rung.worst_s / longest_s if longest_s else 0.0
    return "━" * max(1, round(share * _BAR_CELLS))


def _finding(finding: Finding) -> RenderableType:
    text = Text("\n")
    mark = f"{_MARKS[finding.severity]} {finding.severity}"
    text.append(f"{mark}: ", style=_STYLES[finding.severity])
    text.append(plain(finding.sentence))
    text.append(f"\n  {plain(finding.advice)}", style="dim")
    return text


def _verdict(diagnosis: Diagnosis) -> Text:
    graver = [finding for finding in diagnosis.findings if finding.severity != "hint"]
    if graver:
        inverted = sum(finding.severity == "inversion" for finding in graver)
        missing = len(graver) - inverted
        return Text(f"{inverted} inverted, {missing} without any limit.", style="bold red")
    if diagnosis.unseen:
        return Text("What was told is in order.", style="bold green")
    return Text("The ladder is in order.", style="bold green")
