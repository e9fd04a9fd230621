"""Checks that several proofs make of their traffic."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from lab.load import Reply, summary
from lab.prove.supervisor import Kept
from lab.prove.traffic import Course, failed
from lab.prove.verdict import Check, Verdict

MOST_TIMES_SLOWER: Final = 2.0
"""Of p99: within twice that of the healthy run."""
HEALTHY_MS: Final = 1_000.0
LATE_MS: Final = 100.0


def p99_ms(replies: Sequence[Reply]) -> float:
    """Return the 99th percentile of latency, NaN without replies."""
    return round(summary(replies).p99_s * 1000, 2) if replies else float("nan")


def as_fast(name: str, replies: Sequence[Reply], usual: Sequence[Reply]) -> Check:
    """Check that the 99th percentile is at most twice the healthy one of the same run."""
    baseline_ms = p99_ms(usual)
    return Check(
        f"p99, {name}", p99_ms(replies), MOST_TIMES_SLOWER * baseline_ms, "ms", baseline_ms
    )


def healthy(replies: Sequence[Reply]) -> Check:
    """Check that the baseline is one: beside a crawling machine nothing would look slow."""
    return Check("p99, healthy", p99_ms(replies), HEALTHY_MS, "ms")


def punctual(replies: Sequence[Reply]) -> Check:
    """Check that the generator kept to its plan: its own delays are no latency of the service."""
    late_s = sorted(reply.late_s for reply in replies)
    p99_s = late_s[int(0.99 * (len(late_s) - 1))] if late_s else float("nan")
    return Check("clients sent late, p99", round(p99_s * 1000, 2), LATE_MS, "ms")


def none_failed(name: str, replies: Sequence[Reply], usual: Sequence[Reply]) -> Check:
    """Check that every request was answered with success."""
    misses = len(failed(replies)) if replies else float("nan")
    return Check(f"failed requests, {name}", misses, 0, baseline=len(failed(usual)))


def none_restarted(verdict: Verdict, kept: Sequence[Kept]) -> None:
    """Check that no process of the service ended; the facts tell which did, and how."""
    exits = {each.program.name: list(each.exits) for each in kept if each.exits}
    restarts = sum(map(len, exits.values()))
    verdict.checks.append(Check("processes that had to be restarted", restarts, 0))
    if exits:
        verdict.facts["exit codes of processes that ended"] = exits


def told(verdict: Verdict, course: Course, replies: Sequence[Reply]) -> None:
    """Add to the facts what clients saw in each phase."""
    verdict.facts["phases"] = {
        name: {
            "seconds": round(sum(p.end_s - p.start_s for p in course.phases if p.name == name), 1),
            "requests": len(found := course.replies(name, replies)),
            "statuses": {str(status): n for status, n in summary(found).statuses.items()},
            "problems": dict(Counter(reply.problem for reply in found if reply.problem)),
            "p50_ms": round(summary(found).p50_s * 1000, 2),
            "p99_ms": round(summary(found).p99_s * 1000, 2),
        }
        for name in course.names
    }
