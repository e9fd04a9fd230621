"""How many people an incident hit, where spans tell whose requests they are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Set
from typing import Final

from why504.model import Span, Victim

WHOSE: Final = ("user.id", "enduser.id", "enduser.pseudo.id", "user.hash")
"""OpenTelemetry's attributes that tell one person from another; the first that is told counts."""


def people_by_trace(spans: Iterable[Span]) -> Mapping[str, Set[str]]:
    """Return who is behind each trace whose spans tell."""
    found: dict[str, set[str]] = defaultdict(set)
    for span in spans:
        attributes = span.attributes
        told = next((attributes[name] for name in WHOSE if attributes.get(name)), None)
        if told is not None:
            found[span.trace_id].add(str(told))
    return found


def how_many_people(victims: Iterable[Victim], people: Mapping[str, Set[str]]) -> int | None:
    """Return how many people the victims were, as far as told; None where nobody tells."""
    hit = [people[victim.trace_id] for victim in victims if victim.trace_id in people]
    return len(set().union(*hit)) if hit else None
