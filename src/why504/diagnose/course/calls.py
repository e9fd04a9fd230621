"""Calls of LLMs, by what was called."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from why504.diagnose.peers import call_name, peer_of
from why504.model import Evidence, Span


def attempts(evidence: Evidence) -> dict[str, list[Span]]:
    """Return each attempt once: the HTTP requests in a call where they are told, else the call."""
    found = _calls(evidence)
    named = {(span.trace_id, span.span_id): call_name(span) for span in found}
    outer = {(span.trace_id, span.parent_id) for span in found}
    return _by_name(
        (named.get((span.trace_id, span.parent_id or ""), call_name(span)), span)
        for span in found
        if (span.trace_id, span.span_id) not in outer
    )


def calls(evidence: Evidence) -> dict[str, list[Span]]:
    """Return each call once, as its caller saw it: with all its attempts and the pauses between."""
    found = _calls(evidence)
    known = {(span.trace_id, span.span_id) for span in found}
    return _by_name(
        (call_name(span), span) for span in found if (span.trace_id, span.parent_id) not in known
    )


def _calls(evidence: Evidence) -> Sequence[Span]:
    return [
        span
        for span in evidence.spans
        if span.kind == "client" and peer_of(span.attributes) == "llm"
    ]


def _by_name(named: Iterable[tuple[str, Span]]) -> dict[str, list[Span]]:
    found: dict[str, list[Span]] = defaultdict(list)
    for name, span in named:
        found[name].append(span)
    return found
