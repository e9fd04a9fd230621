"""The ways that blame took: who passed how much of it on, and to what.

Made while blame is passed on (blame.py), read by the wait-for graph (graph.py).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from why504.model import Hold, Site, Stall

LeafKey = tuple[str, str, str]
VICTIMS = "victims"
"""Source of all blame."""


@dataclass(slots=True)
class Owing:
    """What one holder owed in all, and whose hold or stall it was."""

    of: Hold | Stall
    trace_id: str
    seconds: float = 0.0


@dataclass(slots=True, eq=False)
class Carrier:
    """Who passes blame on; `Ways` makes one of each, so that they are compared by identity."""

    via: str
    """Key of the resource that they had, or VICTIMS."""
    who: str
    """Their route, for people; empty where nobody is known to have had it: the resource itself."""
    site: Site | None = None
    """Where they took it."""
    owing: dict[tuple[str, str], Owing] = field(default_factory=dict)
    """Hold or stall, and trace -> what was owed for it; empty for victims."""

    def owe(self, of: Hold | Stall, trace_id: str, seconds: float) -> None:
        """Note what one of them owes."""
        key = of.span_id, trace_id
        if key not in self.owing:
            self.owing[key] = Owing(of, trace_id)
        self.owing[key].seconds += seconds


@dataclass(slots=True)
class Ways:
    """How many seconds went which way."""

    seconds: dict[tuple[Carrier, str | LeafKey], float] = field(
        default_factory=lambda: defaultdict(float)
    )
    """(who passed it on, resource or leaf that it was passed to) -> seconds.

    In a ring the same seconds come by more than once.
    """
    _carriers: dict[tuple[str, str, Site | None], Carrier] = field(default_factory=dict)
    blockers: dict[str, Carrier] = field(default_factory=dict)
    """Id of a stall -> who blocked the loop: one is asked for over and over."""

    def carrier(self, via: str, who: str = "", site: Site | None = None) -> Carrier:
        """Return those of one route who took one resource at one line."""
        key = via, who, site
        if key not in self._carriers:
            self._carriers[key] = Carrier(via, who, site)
        return self._carriers[key]

    def flow(self) -> dict[tuple[str, str], float]:
        """Return (from, to) -> seconds; nodes are VICTIMS, resource keys and leaves' keys."""
        flow: dict[tuple[str, str], float] = defaultdict(float)
        for (by, to), seconds in self.seconds.items():
            flow[by.via, to if isinstance(to, str) else "|".join(to)] += seconds
        return flow
