"""The two classic critical paths of one trace, as their authors define them: oracles and baselines.

Neither conserves time, neither knows holders; our own rule is in activities.py.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Literal

from why504.diagnose.classic.crisp import crisp_self_times
from why504.diagnose.classic.jaeger import jaeger_self_times
from why504.model import Span

Mode = Literal["crisp", "jaeger"]


def self_times(spans: Iterable[Span], mode: Mode) -> dict[tuple[str, str], int]:
    """Return how long each span is on its trace's critical path itself.

    Args:
        spans: of any number of traces; of equal times the order counts, as in a file.
        mode: whose rules: "crisp" (Uber's CRISP) or "jaeger" (Jaeger UI). They differ on siblings
            that overlap, on children wider than their parent, and on clocks that disagree.

    Returns:
        (trace id, span id) -> nanoseconds; spans that are not on the path are missing.
    """
    traces: dict[str, list[Span]] = defaultdict(list)
    for span in spans:
        traces[span.trace_id].append(span)
    of_one = crisp_self_times if mode == "crisp" else jaeger_self_times
    return {
        (trace_id, span_id): time_ns
        for trace_id, members in traces.items()
        for span_id, time_ns in of_one(members).items()
    }
