"""Places: what an incident's time was lost to, where something might have been otherwise."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from statistics import median
from typing import Final

from why504.diagnose.blame import Blamer, plain, resource_key
from why504.diagnose.causes import CAUSES
from why504.diagnose.facts import Facts
from why504.diagnose.whatif.changes import Place
from why504.diagnose.whatif.program import key_of
from why504.diagnose.whatif.record import Record
from why504.model import Incident, Leaf

_WAITED_SHARE: Final = 0.2
"""What hardly anybody waited for is not worth enlarging."""


def places_of(incident: Incident, blamer: Blamer, record: Record) -> Iterator[Place]:
    """Yield where the time of an incident was lost: its cause first, then what was queued for."""
    limit_s = median([(v.gave_up_ns - v.start_ns) / 1e9 for v in incident.victims])
    cause = next((row for row in CAUSES if row.id == incident.finding.cause), None)
    if cause is not None and cause.mechanism == "budget":
        yield Place("budget", "", limit_s)
    if cause is None or not cause.of_the_process:
        yield from _leaves(incident, blamer, limit_s)
    for resource, seconds in _waited_s(incident, blamer).items():
        units = record.capacity.get(resource)
        if units is not None and seconds >= incident.blame_in_s * _WAITED_SHARE:
            yield Place("queue", plain(resource), limit_s, resource=resource, units=units)


def _leaves(incident: Incident, blamer: Blamer, limit_s: float) -> Iterator[Place]:
    by_kind: dict[str, list[Leaf]] = defaultdict(list)
    for leaf in incident.finding.leaves:
        by_kind[leaf.kind].append(leaf)
    for kind, leaves in by_kind.items():
        keys = frozenset(key_of(leaf) for leaf in leaves)
        usual_s = None
        if kind == "ext":
            usual_s = Facts(incident.victims, blamer).usual_call_s(leaves[0].what)
        yield Place(kind, _in_words(leaves), limit_s, keys, usual_s=usual_s)


def _in_words(leaves: Sequence[Leaf]) -> str:
    more = f" and {len(leaves) - 1} more" if len(leaves) > 1 else ""
    first = leaves[0]
    at = f" at {first.site}" if first.site and first.kind in ("run", "stall") else ""
    return f"{first.what}{at}{more}"


def _waited_s(incident: Incident, blamer: Blamer) -> dict[str, float]:
    """Return how long requests waited for each resource during the incident."""
    found: dict[str, float] = defaultdict(float)
    for wait in blamer.evidence.waits:
        start_ns = max(wait.start_ns, incident.window.start_ns)
        end_ns = min(blamer.end_of(wait), incident.window.end_ns)
        found[resource_key(wait)] += max(0, end_ns - start_ns) / 1e9
    return found
