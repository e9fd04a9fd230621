"""Hangs one stranger, and asks again and again what telemetry says, until it is right."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from lab.strangers.rig import GATEWAY_TIMEOUT_S, PATIENCE_S, Rig
from lab.strangers.table import Stranger
from why504 import names
from why504.diagnose import explain
from why504.model import Evidence, Incident, Span, Window

ASK_EVERY_S: Final = 0.5
SETTLED_S: Final = 2.0
"""An answer counts if it is still the same so much later."""


@dataclass(frozen=True, slots=True)
class Told:
    """What was said of a stranger's hang."""

    stranger: Stranger
    cause: str
    mechanism: str
    site: str
    sentence: str
    problems: Sequence[str]
    """Why it is not right; empty when it is."""
    right_after_s: float | None
    """From the first request or message that hung."""
    victims: int
    fidelity: tuple[int, int] | None
    """Played again unchanged: so many requests fare as they did, of so many."""
    finished: int
    """Spans of the victims' own that had ended by then: all that stock OpenTelemetry has sent."""
    timeouts: int
    """504s that clients saw."""


def play(stranger: Stranger, rig: Rig) -> Told:
    """Serve a stranger, hang it, and return what is told of it."""
    with rig.serving(stranger):
        hung_ns = time.time_ns()
        with rig.asked(stranger) as asked:
            return _listen(stranger, rig, asked, hung_ns)


def _listen(stranger: Stranger, rig: Rig, asked: Sequence[Future[int]], hung_ns: int) -> Told:
    right_s: float | None = None
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        time.sleep(ASK_EVERY_S)
        at_s = (time.time_ns() - hung_ns) / 1e9
        evidence = rig.store.evidence(Window(hung_ns, time.time_ns()))
        incident = largest(explained(stranger, evidence))
        problems = problems_of(stranger, incident)
        right_s = None if problems else right_s or at_s
        ended = all(one.done() for one in asked)
        settled = right_s is not None and at_s - right_s >= SETTLED_S and ended
        if settled or time.monotonic() > deadline_s:
            return _told(stranger, evidence, incident, problems, asked, right_s)


def explained(stranger: Stranger, evidence: Evidence, *, what_if: bool = False) -> list[Incident]:
    """Return what the engine says: of 504s, or of messages that take too long."""
    slower_s = None if stranger.calls else GATEWAY_TIMEOUT_S
    return explain(evidence, slower_than_s=slower_s, what_if=what_if)


def _told(
    stranger: Stranger,
    evidence: Evidence,
    incident: Incident | None,
    problems: Sequence[str],
    asked: Sequence[Future[int]],
    right_s: float | None,
) -> Told:
    if incident is None:
        return Told(stranger, "", "", "", "", problems, None, 0, None, 0, 0)
    replay = (largest(explained(stranger, evidence, what_if=True)) or incident).replay
    finding = incident.finding
    mine = {victim.trace_id for victim in incident.victims}
    return Told(
        stranger,
        finding.cause,
        finding.mechanism,
        str(finding.site or ""),
        finding.sentence,
        problems,
        right_s,
        incident.count,
        (replay.same, replay.requests) if replay and replay.requests else None,
        sum(span.trace_id in mine and _is_stock(span) for span in evidence.spans),
        sum(one.done() and one.result() == 504 for one in asked),
    )


def _is_stock(span: Span) -> bool:
    """Return whether stock OpenTelemetry had sent it too: a span that ended."""
    return span.end_ns is not None and span.service != names.GATEWAY_SERVICE


def largest(incidents: Sequence[Incident]) -> Incident | None:
    """Return the incident with most victims, None of none."""
    return max(incidents, key=lambda incident: incident.count, default=None)


def problems_of(stranger: Stranger, incident: Incident | None) -> list[str]:
    """Return what is not right about an answer; empty when all is."""
    if incident is None:
        return ["nothing is told"]
    finding = incident.finding
    expected = _name(stranger.site.resolve())
    problems = []
    if finding.cause != stranger.cause:
        problems.append(f"cause {finding.cause}, not {stranger.cause}")
    if finding.mechanism != stranger.mechanism:
        problems.append(f"mechanism {finding.mechanism}, not {stranger.mechanism}")
    if _name(str(finding.site)) != expected:
        problems.append(f"line {finding.site}, not {expected}")
    said = f"{finding.sentence} {finding.chain}"
    problems += [
        f"{line} is not told"
        for marker in stranger.also
        if (line := _name(marker.resolve())) not in said
    ]
    if abs(incident.blame_in_s - incident.blame_out_s) > 1e-6:
        problems.append("blame was lost")
    return problems


def _name(site: str) -> str:
    return PurePosixPath(site).name
