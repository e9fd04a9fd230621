"""The board: open requests and busy resources as they are told, out of what present.py found."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from why504 import names
from why504.diagnose.blame import resource_key
from why504.diagnose.kept import GoingOn, Key
from why504.diagnose.now import Busy, Holder, Holding, Stuck
from why504.diagnose.outsiders import now_at, who_has
from why504.diagnose.peers import status_of
from why504.diagnose.present import Frontier, Present, reached
from why504.model import Hold, Stall, Wait

_BACKOFF = names.backoff("")
MOST_HOLDERS = 500


class Board:
    """Who waits for what, and who has it."""

    def __init__(
        self, present: Present, going_on: Sequence[GoingOn], heard_ns: Mapping[str, int]
    ) -> None:
        self._going_on = going_on
        self._heard_ns = heard_ns
        self._frontiers = present.frontiers
        self._owners = present.owners
        self._taken: dict[str, list[Hold | Stall]] = defaultdict(list)
        self._asked: dict[str, list[Wait]] = defaultdict(list)
        for item in (item for one in going_on for item in one.open):
            if isinstance(item, Hold | Stall):
                self._taken[resource_key(item)].append(item)
            elif isinstance(item, Wait) and not item.resource.startswith(_BACKOFF):
                self._asked[resource_key(item)].append(item)
        self._holders = {key: self._oldest(records) for key, records in self._taken.items()}

    def stuck(self) -> list[Stuck]:
        """Return every open request: whom most wait for first, then the oldest."""
        waiting = self._waiting()
        found = []
        for one in self._going_on:
            gateway = one.trace.gateway
            status = status_of(gateway.attributes) if gateway else None
            for frontier in self._frontiers[one.trace_id]:
                frees = waiting.get((one.trace_id, frontier.root.span_id), 0)
                found.append(self._stuck(frontier, status, frees))
        return sorted(found, key=lambda s: (-s.frees, -s.age_s, s.trace_id, s.span_id))

    def busy(self) -> list[Busy]:
        """Return every resource that somebody has or waits for, most waiters first."""
        behind: dict[str, list[float]] = defaultdict(list)
        for one in self._all():
            if one.awaited.startswith("loop:"):
                behind[one.resource].append(self._age_s(one.root.instance, one.since_ns))
        found = []
        for key in self._taken.keys() | self._asked.keys():
            asked = self._asked.get(key, [])
            waits_s = behind.get(key) or [self._age_s(w.instance, w.start_ns) for w in asked]
            record = (asked or self._taken[key])[0]
            found.append(
                Busy(
                    resource=record.resource,
                    instance="" if key == record.resource else record.instance,
                    waiters=len(waits_s),
                    longest_wait_s=max(waits_s, default=0.0),
                    units=len(self._taken.get(key, ())),
                    capacity=_most(asked, names.POOL_CAPACITY),
                    oldest=self._holders.get(key),
                )
            )
        return sorted(found, key=lambda b: (-b.waiters, -b.units, b.resource, b.instance))

    def holders(self, busy: Iterable[Busy], stuck: Iterable[Stuck]) -> list[Holding]:
        """Return who has what, at most 500: in the order of `busy`, the oldest first.

        Args:
            busy: what `busy()` returned.
            stuck: what `stuck()` returned.
        """
        keys: dict[tuple[str, str], str] = {}
        for key, records in self._taken.items():
            first = records[0]
            keys[first.resource, "" if key == first.resource else first.instance] = key
        does = {(one.trace_id, one.span_id): one for one in stuck}
        found: list[Holding] = []
        for one in busy:
            records = self._taken.get(keys.get((one.resource, one.instance), ""), [])
            ordered = sorted(records, key=lambda r: (r.start_ns, r.trace_id, r.span_id))
            for record in ordered[: MOST_HOLDERS - len(found)]:
                found.append(self._holding(record, one, does))
        return found

    def _holding(self, record: Hold | Stall, busy: Busy, does: Mapping[Key, Stuck]) -> Holding:
        holder = self._holder(record)
        owner = self._owners.get((record.trace_id, record.span_id))
        request = does.get(owner.root) if owner else None
        return Holding(
            resource=busy.resource,
            instance=busy.instance,
            trace_id=holder.trace_id,
            route=holder.route,
            age_s=holder.age_s,
            site=holder.site,
            request_ended=holder.request_ended,
            waiters=busy.waiters,
            does=request.does if request else "",
            at=request.site if request else now_at(record),
        )

    def _all(self) -> Iterable[Frontier]:
        return (one for frontiers in self._frontiers.values() for one in frontiers)

    def _stuck(self, one: Frontier, gateway_status: int | None, frees: int) -> Stuck:
        root = one.root
        return Stuck(
            trace_id=root.trace_id,
            span_id=root.span_id,
            service=root.service,
            instance=root.instance,
            route=one.route,
            age_s=self._age_s(root.instance, root.start_ns),
            state=one.state,
            does=one.does,
            site=one.site,
            waits_for=one.awaited,
            waits_s=self._age_s(root.instance, one.since_ns) if one.awaited else 0.0,
            held_by=self._holders.get(one.resource),
            gateway_status=gateway_status,
            frees=frees,
            asked=root.kind == "server",
        )

    def _oldest(self, records: Sequence[Hold | Stall]) -> Holder:
        ages = [(self._age_s(r.instance, r.start_ns), r.trace_id, r.span_id, r) for r in records]
        return self._holder(max(ages, key=lambda row: row[:3])[3])

    def _holder(self, record: Hold | Stall) -> Holder:
        owner = self._owners.get((record.trace_id, record.span_id))
        ended = record.attributes.get(names.REQUEST_ENDED) is True
        return Holder(
            trace_id=owner.root[0] if owner else record.trace_id,
            route=owner.route if owner else who_has(record),
            age_s=self._age_s(record.instance, record.start_ns),
            site=record.site,
            request_ended=owner.ended if owner else ended,
        )

    def _waiting(self) -> Mapping[Key, int]:
        """Return how many requests wait, directly or through others, for what a request has."""
        waiters: dict[str, int] = defaultdict(int)
        waits: dict[Key, str] = {}
        for one in self._all():
            if one.resource:
                waiters[one.resource] += 1
                waits[one.root.trace_id, one.root.span_id] = one.resource
        has: dict[Key, set[str]] = defaultdict(set)
        onward: dict[str, set[str]] = defaultdict(set)
        for key, records in self._taken.items():
            for record in records:
                owner = self._owners.get((record.trace_id, record.span_id))
                if owner is not None:
                    has[owner.root].add(key)
                    if owner.root in waits:
                        onward[waits[owner.root]].add(key)
        totals: dict[frozenset[str], tuple[set[str], int]] = {}
        counts = {}
        for request, keys in has.items():
            known = frozenset(keys)
            if known not in totals:
                found = reached(known, onward)
                totals[known] = found, sum(waiters[key] for key in found)
            found, total = totals[known]
            # In a ring it would be counted among those that wait for it.
            counts[request] = total - (waits.get(request) in found)
        return counts

    def _age_s(self, instance: str, start_ns: int) -> float:
        return max(0, self._heard_ns.get(instance, start_ns) - start_ns) / 1e9


def _most(waits: Iterable[Wait], name: str) -> int | None:
    told = [v for wait in waits if isinstance(v := wait.attributes.get(name), int)]
    return max(told, default=None)
