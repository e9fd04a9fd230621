"""How many people were hit, where the application told whose request it was. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from why504.model import AttributeValue, Evidence

_TOLD_BY: Final = ("user.id", "enduser.id", "enduser.pseudo.id")
"""OpenTelemetry's names for it, the present one first."""


def users_hit(evidence: Evidence, trace_ids: Collection[str]) -> int | None:
    """Return how many users the requests of some traces belong to; None where no span tells.

    Args:
        evidence: which holds the spans of these traces, or a part of them.
        trace_ids: 32 hex digits each.
    """
    wanted = frozenset(trace_ids)
    users: set[AttributeValue] = set()
    for span in evidence.spans:
        if span.trace_id in wanted:
            told = (span.attributes.get(name) for name in _TOLD_BY)
            users.update(user for user in told if isinstance(user, str | int) and user != "")
    return len(users) or None
