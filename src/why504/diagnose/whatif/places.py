"""Places: what an incident's time was lost to, where something might have been otherwise."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from statistics import median
from typing import Final

from why504.diagnose.blame import Blamer, plain, resource_key
from why504.diagnose.causes import CAUSES, Cause
from why504.diagnose.facts import Facts
from why504.diagnose.whatif.changes import Place
from why504.diagnose.whatif.program import key_of
from why504.diagnose.whatif.record import Record
from why504.diagnose.whatif.simulate import Block, Key, Work
from why504.model import Incident, Leaf

_WAITED_SHARE: Final = 0.2
"""What hardly anybody waited for is not worth enlarging."""
_LOST_SHARE: Final = 0.05
_MOST_OTHERS: Final = 3


def places_of(incident: Incident, blamer: Blamer, record: Record) -> Iterator[Place]:
    """Yield where the time of an incident was lost: its cause first, then what was queued for."""
    limit_s = limit_of(incident)
    cause = _cause_of(incident)
    if cause is not None and cause.mechanism == "budget":
        yield Place("budget", "", limit_s)
    if incident.finding.leaves and not (cause and cause.of_the_process):
        yield _at(incident.finding.leaves, incident, blamer, record)
    yield from _queues(incident, blamer, record)


def all_places(incident: Incident, blamer: Blamer, record: Record) -> Iterator[Place]:
    """Yield the same, and where else a good part of the time was lost; the gateway last."""
    cause = _cause_of(incident)
    of_the_cause = {key_of(leaf) for leaf in incident.finding.leaves}
    if of_the_cause and not (cause and cause.of_the_process):
        yield _at(incident.finding.leaves, incident, blamer, record)
    others = [
        blame.leaf
        for blame in incident.blames
        if blame.share >= _LOST_SHARE and key_of(blame.leaf) not in of_the_cause
    ]
    for leaf in others[:_MOST_OTHERS]:
        yield _at([leaf], incident, blamer, record)
    yield from _queues(incident, blamer, record)
    yield Place("budget", "", limit_of(incident))


def limit_of(incident: Incident) -> float:
    """Return how long the gateway waited, in seconds: as for most of the victims."""
    return median([(v.gave_up_ns - v.start_ns) / 1e9 for v in incident.victims])


def _cause_of(incident: Incident) -> Cause | None:
    return next((row for row in CAUSES if row.id == incident.finding.cause), None)


def _queues(incident: Incident, blamer: Blamer, record: Record) -> Iterator[Place]:
    limit_s = limit_of(incident)
    for resource, seconds in _waited_s(incident, blamer).items():
        units = record.capacity.get(resource)
        if resource.startswith("lock:"):
            continue  # of a lock there is one, whatever helps
        if units is not None and seconds >= incident.blame_in_s * _WAITED_SHARE:
            yield Place("queue", plain(resource), limit_s, resource=resource, units=units)


def _at(leaves: Sequence[Leaf], incident: Incident, blamer: Blamer, record: Record) -> Place:
    """Return leaves as one place: together those of a cause are what is to be mended."""
    first = leaves[0]
    usual_s = None
    if first.kind == "ext":
        usual_s = Facts(incident.victims, blamer).usual_call_s(first.what)
    keys = frozenset(key_of(leaf) for leaf in leaves)
    what, calls = _in_words(first, len(leaves)), _calls(keys, record)
    return Place(first.kind, what, limit_of(incident), keys, usual_s=usual_s, calls=calls)


def _calls(leaves: Collection[Key], record: Record) -> float:
    """Return how many calls a request makes, of those that make any."""
    counts = [
        len({s.call for s in job.steps if isinstance(s, Work | Block) and s.leaf in leaves})
        for job in record.jobs
    ]
    return median(count for count in counts if count) if any(counts) else 0.0


def _in_words(leaf: Leaf, count: int) -> str:
    at = f" at {leaf.site}" if leaf.site and leaf.kind in ("run", "stall") else ""
    return f"{leaf.what}{at}" + (f" (and {count - 1} more lines)" if count > 1 else "")


def _waited_s(incident: Incident, blamer: Blamer) -> dict[str, float]:
    """Return how long requests waited for each resource during the incident."""
    found: dict[str, float] = defaultdict(float)
    for wait in blamer.evidence.waits:
        start_ns = max(wait.start_ns, incident.window.start_ns)
        end_ns = min(blamer.end_of(wait), incident.window.end_ns)
        found[resource_key(wait)] += max(0, end_ns - start_ns) / 1e9
    return found
