"""What a node of the wait-for graph says: what it is, and evidence that a person can check."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, cast

from why504.diagnose.blame import Blamer, Verdict, leaf_key, plain
from why504.diagnose.brokers import calls_rabbitmq, told_of
from why504.diagnose.chain import described, overlapping, victims_link, waited
from why504.diagnose.leaves import Resting
from why504.diagnose.ways import Carrier, LeafKey, Owing
from why504.model import Node, Stall, Victim, how_many

VICTIMS: Final = "victims"
RESOURCE: Final = "resource"
HOLDERS: Final = "holders"
LEAF: Final = "leaf"
SEVERAL: Final = "several"
"""Kind of a node that stands for leaves of several kinds."""
MOST_TRACES: Final = 5
_MOST_LINES: Final = 3
_WORDS: Final = {VICTIMS: "routes", RESOURCE: "resources", HOLDERS: "holders", LEAF: "places"}


class Place(NamedTuple):
    """What a node stands for."""

    kind: str
    what: str | Carrier | LeafKey | None
    """The victims' route, the resource's key, the holders, the leaf's key; None for several."""


class Teller:
    """Makes nodes."""

    def __init__(
        self,
        verdict: Verdict,
        victims: Sequence[Victim],
        blamer: Blamer,
        through_s: Mapping[Place, float],
    ) -> None:
        self._verdict = verdict
        self._victims = victims
        self._blamer = blamer
        self._through_s = through_s
        self._by_route: dict[str, list[Victim]] = defaultdict(list)
        for victim in victims:
            self._by_route[victim.route].append(victim)
        self._mostly: dict[LeafKey, float] = defaultdict(float)
        for victim in victims:
            self._mostly[_of_any_ring(leaf_key(victim.leaf))] += victim.stands_for

    def one(self, name: str, place: Place) -> Node:
        """Return the node of one place."""
        seconds = min(self._through_s[place], self._verdict.seconds)
        what = place.what
        if isinstance(what, Carrier):
            return self._holders(name, what, seconds)
        if place.kind == LEAF:
            return self._leaf(name, self._verdict.resting[cast(LeafKey, what)], seconds)
        if place.kind == RESOURCE:
            return self._resource(name, str(what), seconds)
        return self._victims_of(name, str(what), seconds)

    def several(self, name: str, places: Sequence[Place]) -> Node:
        """Return the node that stands for several places of one kind, most seconds first."""
        kind, count = places[0].kind, len(places)
        kinds = {cast(LeafKey, p.what)[0] for p in places} if kind == LEAF else {kind}
        first = [self.one(name, place) for place in places[:MOST_TRACES]]
        lines = [f"{node.what}: {node.seconds:.1f} s" for node in first]
        if count > len(first):
            lines.append(f"and {count - len(first)} more")
        return Node(
            id=name,
            kind=kinds.pop() if len(kinds) == 1 else SEVERAL,
            what=f"and {count} more {_WORDS[kind][: -1 if count == 1 else None]}",
            requests=round(math.fsum(self._requests(place) for place in places)),
            seconds=min(
                math.fsum(self._through_s[place] for place in places), self._verdict.seconds
            ),
            evidence=lines,
            trace_ids=list(dict.fromkeys(t for node in first for t in node.trace_ids))[
                :MOST_TRACES
            ],
        )

    def _victims_of(self, name: str, route: str, seconds: float) -> Node:
        victims = self._by_route[route]
        longest = sorted(victims, key=lambda v: v.start_ns - v.gave_up_ns)[:MOST_TRACES]
        link = victims_link(victims)
        return Node(
            name, VICTIMS, route, how_many(victims), seconds,
            evidence=[link.what, *link.evidence], trace_ids=[v.trace_id for v in longest],
        )  # fmt: skip

    def _resource(self, name: str, key: str, seconds: float) -> Node:
        waits = overlapping(self._blamer.waits_of(key), self._victims, self._blamer)
        lines = [f"waiting for {described(plain(key), waits)}", waited(waits, self._blamer)]
        if key.startswith("loop:"):
            lines = ["while it is blocked, no request of its process can move"]
        return Node(name, RESOURCE, plain(key), 0, seconds, evidence=[li for li in lines if li])

    def _holders(self, name: str, them: Carrier, seconds: float) -> Node:
        owing = sorted(them.owing.values(), key=lambda one: -one.seconds)
        traces = list(dict.fromkeys(one.trace_id for one in owing))
        site = them.site or next((one.of.site for one in owing if one.of.site), None)
        return Node(
            name, HOLDERS, them.who, round(self._requests(Place(HOLDERS, them))), seconds, site,
            self._held(them, owing), traces[:MOST_TRACES],
        )  # fmt: skip

    def _held(self, them: Carrier, owing: Sequence[Owing]) -> list[str]:
        """Return how many had a resource, since when, and where they took it."""
        blamer = self._blamer
        longest_s = max((blamer.end_of(one.of) - one.of.start_ns) / 1e9 for one in owing)
        still = sum(blamer.stands_for(one.of) for one in owing if one.of.end_ns is None)
        number = sum(blamer.stands_for(one.of) for one in owing)
        open_ = f", {still:.0f} not given back when last told" if still else ""
        blocked = isinstance(owing[0].of, Stall)
        if blocked:
            open_ = f", {still:.0f} not over when last told" if still else ""
        word = "stall" if blocked else "hold"
        count = f"{number:.0f} {word}{'s'[: round(number) != 1]}"
        lines = [f"{count} of {plain(them.via)}, longest {longest_s:.1f} s{open_}"]
        return [*lines, f"taken at {them.site}"] if them.site else lines

    def _leaf(self, name: str, resting: Resting, seconds: float) -> Node:
        located = resting.located
        mostly = round(self._mostly[_of_any_ring(leaf_key(resting.leaf))])
        lines = []
        if mostly:
            count = how_many(self._victims)
            lines.append(f"{mostly} of the {count} lost more time here than anywhere else")
        lengths_s = [
            (self._blamer.end_of(source) - source.start_ns) / 1e9
            for source in resting.sources.values()
        ]
        if lengths_s:
            lines.append(f"seen {len(lengths_s)} x, longest {max(lengths_s):.1f} s")
        sites = sorted(resting.by_site.items(), key=lambda pair: -pair[1])[:_MOST_LINES]
        lines += [f"{lost_s:.1f} s at {site}" for site, lost_s in sites]
        if calls_rabbitmq(resting):
            lines += told_of(self._victims, self._blamer)
        return Node(
            name, located.kind, located.what, 0, seconds, located.site, lines,
            resting.traces[:MOST_TRACES],
        )  # fmt: skip

    def _requests(self, place: Place) -> float:
        """Return how many requests a place stands for, those included that a sample left out."""
        if isinstance(place.what, Carrier):
            told = {one.trace_id: one.of for one in place.what.owing.values()}
            return math.fsum(self._blamer.stands_for(item) for item in told.values())
        if place.kind == VICTIMS:
            return math.fsum(v.stands_for for v in self._by_route[str(place.what)])
        return 0.0


def _of_any_ring(key: LeafKey) -> LeafKey:
    """Return the key of a leaf; a walk does not know the name of the ring that it ends in."""
    return key if key[0] != "cycle" else ("cycle", "", "")
